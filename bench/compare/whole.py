"""A whole match and exchange between two peers on this machine, by the programs people use, over loopback TLS.

From two CSV files to the overlap, and from there to the records of it. Both peers share the machine's cores.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.assessed import accept, propose
from support.pairing import (
    PASSPHRASE,
    PURPOSE,
    Company,
    TestClock,
    agreement_between,
    deliver,
    introduce,
    make_company,
)
from support.relay import Relay

from compare.processes import TreeMeter
from mutuals.runs.mandates import grant_standing_mandate

FIELDS = ("city", "score", "segment", "since", "visits")
HEADINGS = ("contact_id", "email", "consent", "consent_at", "notified_at", "suppressed", *FIELDS)


@dataclass
class Cost:
    """One command: seconds on the clock, CPU seconds and peak memory of both peers, bytes each way."""

    wall: float
    client_cpu: float
    server_cpu: float
    client_mb: float
    server_mb: float
    there: int
    back: int
    result: dict[str, Any] = field(repr=False)

    def as_json(self) -> dict[str, float]:
        """The numbers alone."""
        return {name: value for name, value in vars(self).items() if name != "result"}


def measure(folder: Path, items: int, engine: str) -> dict[str, Cost]:
    """``match``, ``reveal`` and ``exchange`` of ``items`` e-mail addresses a side, a tenth of them shared."""
    relay, clock = Relay(), TestClock()
    left = make_company(folder / "left", "Left Ltd", [], clock, workers=None)
    right = make_company(folder / "right", "Right SA", [], clock, f"localhost:{relay.port}", None)
    try:
        for company, first in ((left, 0), (right, items - items // 10)):
            write_contacts(company, first, items)
        agreement = sign_for_both(left, right, engine)
    finally:
        left.peer.close()
        right.peer.close()
    with _serving(right.path.parent, relay) as server:
        match = _call(left, relay, server, "match", agreement)
        run = str(match.result["run"])
        if match.result["overlap"] != items // 10:
            raise SystemExit(f"the match found {match.result['count']} where {items // 10} are shared")
        reveal = _call(left, relay, server, "reveal", run)
        exchange = _call(left, relay, server, "exchange", run)
    relay.close()
    return {"match": match, "reveal": reveal, "exchange": exchange}


def write_contacts(company: Company, first: int, items: int) -> None:
    """``items`` contacts from number ``first`` on: an e-mail address and five fields each."""
    today = company.clock().date()
    consent, notice = str(today - timedelta(days=30)), str(today - timedelta(days=20))
    with company.path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADINGS)
        for i in range(first, first + items):
            fields = ("Bremen", i % 10, "gold", consent, i % 7)
            writer.writerow((f"C{i}", f"person{i}@example.com", PURPOSE, consent, notice, "false", *fields))


def sign_for_both(left: Company, right: Company, engine: str) -> str:
    """An agreement that permits everything in advance; its digest."""
    introduce(left, right)
    fields = tuple({"name": name, "departments": ("marketing",)} for name in FIELDS)
    agreement = agreement_between(
        left,
        right,
        {
            "identifiers": ("email",),
            "engine": engine,
            "max_set_size": 100_000_000,
            "items_per_30_days": 100_000_000_000,
        },
        permission={"reveal": "mandate", "exchange": "mandate"},
        proposer_sends=fields,
        partner_sends=fields,
    )
    digest = propose(left.peer, agreement, "crm", {}, left.keys)
    deliver(left, right)
    accept(right.peer, digest, "crm", {}, right.keys)
    deliver(right, left)
    for company in (left, right):
        grant_standing_mandate(company.peer, digest, company.keys)
    return digest


@contextmanager
def _serving(home: Path, relay: Relay) -> Iterator[int]:
    """The partner's server behind the relay; its process id."""
    arguments = [sys.executable, "-m", "mutuals_server", "--home", str(home), "--announce"]
    process = subprocess.Popen(
        [*arguments, "--listen", "127.0.0.1:0"],
        stdin=subprocess.PIPE,  # the server stops when it is closed
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        relay.target = int(ready["listen"].rpartition(":")[2])
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _call(company: Company, relay: Relay, server: int, command: str, subject: str) -> Cost:
    """One command of the side that starts runs."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)
    there, back, started = relay.there, relay.back, time.perf_counter()
    arguments = [sys.executable, "-m", "mutuals_client.main", command, subject, "--json"]
    options = ["--home", str(company.path.parent), "--passphrase-fd", str(reading)]
    with_passphrase = options if command == "exchange" else options[:2]
    process = subprocess.Popen(
        arguments + with_passphrase, stdout=subprocess.PIPE, text=True, pass_fds=(reading,)
    )
    meters = TreeMeter(process.pid), TreeMeter(server)
    output, _ = process.communicate()
    wall = time.perf_counter() - started
    client_cpu, server_cpu = (meter.stop() for meter in meters)
    os.close(reading)
    if process.returncode:
        raise SystemExit(f"mutuals {command} failed: {output}")
    return Cost(
        wall=wall,
        client_cpu=client_cpu,
        server_cpu=server_cpu,
        client_mb=meters[0].peak_mb,
        server_mb=meters[1].peak_mb,
        there=relay.there - there,
        back=relay.back - back,
        result=json.loads(output),
    )
