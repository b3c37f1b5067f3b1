"""Two companies as real processes over loopback TLS, with a relay between them: what can be killed and cut.

with world(folder, items=20_000) as place:
    call = place.call("match", place.agreement)
    place.kill_server(); place.relay.cut(); call.kill()
    place.serve()
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

from mutuals.models.run import Run
from mutuals.runs.mandates import grant_standing_mandate

HEADINGS = ("contact_id", "email", "consent", "consent_at", "notified_at", "suppressed", "city", "score")


@dataclass
class World:
    """The left company starts runs by the command line, the right one serves."""

    left: Company
    right: Company
    agreement: str
    relay: Relay
    calls: list[subprocess.Popen[str]] = field(default_factory=list)
    server: subprocess.Popen[str] | None = None

    def serve(self) -> None:
        """Start the server, and wait until it answers."""
        arguments = [
            sys.executable,
            "-m",
            "mutuals_server",
            "--home",
            str(self.right.path.parent),
            "--announce",
        ]
        self.server = subprocess.Popen(
            [*arguments, "--listen", "127.0.0.1:0"],
            stdin=subprocess.PIPE,  # the server stops when it is closed
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self.server.stdout is not None
        self.relay.target = int(json.loads(self.server.stdout.readline())["listen"].rpartition(":")[2])

    def kill_server(self) -> None:
        """As the system does it: all of its processes at once, without a word."""
        if self.server is not None:
            _kill(self.server)
            self.server = None

    def call(self, *words: str) -> subprocess.Popen[str]:
        """A command of the left company."""
        reading, writing = os.pipe()
        os.write(writing, PASSPHRASE + b"\n")
        os.close(writing)
        with_passphrase = ["--passphrase-fd", str(reading)] if words[0] == "exchange" else []
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mutuals_client.main", *words, "--json"),
                *("--home", str(self.left.path.parent), *with_passphrase),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(reading,),
            start_new_session=True,
        )
        os.close(reading)
        self.calls.append(process)
        return process

    def answer(self, process: subprocess.Popen[str], timeout: float = 600) -> dict[str, Any]:
        """What a command said in the end; the exit code is ``exit``."""
        output, errors = process.communicate(timeout=timeout)
        self.calls.remove(process)
        said: dict[str, Any] = json.loads(output) if output.strip() else {"errors": errors}
        return {**said, "exit": process.returncode}

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a command with all of its processes."""
        _kill(process)
        self.calls.remove(process)

    def runs(self, company: Company) -> list[Run]:
        """Its runs, oldest first."""
        with company.peer.store.transaction() as tx:
            return tx.runs.list()

    def charged(self, company: Company) -> int:
        """How many runs it has charged to its partner."""
        partner = company.partner().fingerprint
        with company.peer.store.transaction() as tx:
            return tx.budgets.usage(partner, company.clock() - timedelta(days=30)).runs


@contextmanager
def world(folder: Path, items: int, shared: int, minimum: int = 1) -> Iterator[World]:
    """Both companies have ``items`` contacts, the first ``shared`` of the right one's are the left one's last."""
    relay, clock = Relay(), TestClock()
    left = make_company(folder / "left", "Left Ltd", [], clock, workers=None)
    right = make_company(folder / "right", "Right SA", [], clock, f"localhost:{relay.port}", None)
    try:
        for company, first in ((left, 0), (right, items - shared)):
            write_contacts(company, first, items)
        place = World(left, right, sign(left, right, minimum), relay)
        place.serve()
        try:
            yield place
        finally:
            for process in list(place.calls):
                place.kill(process)
            place.kill_server()
    finally:
        relay.close()
        left.peer.close()
        right.peer.close()


def write_contacts(company: Company, first: int, items: int) -> None:
    """``items`` contacts from number ``first`` on."""
    today = company.clock().date()
    consent, notice = str(today - timedelta(days=30)), str(today - timedelta(days=20))
    with company.path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADINGS)
        for i in range(first, first + items):
            row = (f"C{i}", f"person{i}@example.com", PURPOSE, consent, notice, "false", "Bremen", i % 10)
            writer.writerow(row)


def sign(left: Company, right: Company, minimum: int) -> str:
    """An agreement that permits everything in advance; its digest."""
    introduce(left, right)
    agreement = agreement_between(
        left,
        right,
        {
            "identifiers": ("email",),
            "min_overlap": minimum,
            "max_set_size": 100_000_000,
            "items_per_30_days": 100_000_000_000,
            "runs_per_30_days": 1000,
        },
        permission={"reveal": "mandate", "exchange": "mandate"},
    )
    digest = propose(left.peer, agreement, "crm", {}, left.keys)
    deliver(left, right)
    accept(right.peer, digest, "crm", {}, right.keys)
    deliver(right, left)
    for company in (left, right):
        grant_standing_mandate(company.peer, digest, company.keys)
    return digest


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
