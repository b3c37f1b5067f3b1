"""A whole match and exchange between two peers on this machine, by the programs people use, over loopback TLS.

From two CSV files to the overlap, and from there to the records of it. Both peers share the machine's cores.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.pairing import Company, TestClock, make_company
from support.processes import (
    answer,
    command,
    port_of,
    sign_for_both,
    start_server,
    write_contacts,
)
from support.relay import Relay

from compare.processes import TreeMeter


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
        agreement = sign_for_both(left, right, {"engine": engine})
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


@contextmanager
def _serving(home: Path, relay: Relay) -> Iterator[int]:
    """The partner's server behind the relay; its process id."""
    process = start_server(home)
    try:
        assert process.stdout is not None
        relay.target = port_of(process.stdout.readline())
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _call(company: Company, relay: Relay, server: int, *words: str) -> Cost:
    """One command of the side that starts runs."""
    there, back, started = relay.there, relay.back, time.perf_counter()
    process = command(company.path.parent, *words)
    meters = TreeMeter(process.pid), TreeMeter(server)
    said = answer(process)
    wall = time.perf_counter() - started
    client_cpu, server_cpu = (meter.stop() for meter in meters)
    if said["exit"]:
        raise SystemExit(f"mutuals {words[0]} failed: {said}")
    return Cost(
        wall=wall,
        client_cpu=client_cpu,
        server_cpu=server_cpu,
        client_mb=meters[0].peak_mb,
        server_mb=meters[1].peak_mb,
        there=relay.there - there,
        back=relay.back - back,
        result=said,
    )
