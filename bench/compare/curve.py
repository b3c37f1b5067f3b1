"""Curve work alone, on one core: what both peers together spend on points for one match of n items a side.

    python -m compare.curve ROW ITEMS        one row in a process of its own; JSON on standard output

``openmined-psi`` is that library called directly in its own protocol, one direction: set-up (RAW), request, response,
intersection. The others are our engines: each side blinds its own items and reblinds the partner's.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mutuals.engines import get_engine
from mutuals.engines.base import ITEM_SIZE, Engine, Operation
from mutuals.engines.workers import WorkerPool
from mutuals.engines.x25519 import X25519Engine

CHUNK = 2048 * ITEM_SIZE
"""The work of one task in a match; 2,048 items."""


def openmined_psi(left: bytes, right: bytes) -> int:
    """The library's own protocol; the size of the intersection, which the client alone learns."""
    import private_set_intersection.python as psi

    server, client = psi.server.CreateWithNewKey(True), psi.client.CreateWithNewKey(True)
    held, asked = (
        [items[at : at + ITEM_SIZE].hex() for at in range(0, len(items), ITEM_SIZE)]
        for items in (left, right)
    )
    setup = server.CreateSetupMessage(0.0, len(asked), held, psi.DataStructure.RAW)
    response = server.ProcessRequest(client.CreateRequest(asked))
    return len(client.GetIntersection(setup, response))


def both_sides(engine: Engine, left: bytes, right: bytes) -> int:
    """Both sides' blinding and reblinding through ``engine``; the size of the intersection, which both learn."""
    keys = engine.generate_key(), engine.generate_key()
    sides = []
    for own, items, other in ((0, left, 1), (1, right, 0)):
        twice = set()
        for at in range(0, len(items), CHUNK):
            points = engine.blind(keys[own], items[at : at + CHUNK])
            again = engine.reblind(keys[other], points)
            twice.update(
                again[start : start + engine.point_size] for start in range(0, len(again), engine.point_size)
            )
        sides.append(twice)
    return len(sides[0] & sides[1])


ROWS: dict[str, Callable[[], Callable[[bytes, bytes], int]]] = {
    "openmined-psi, its own protocol": lambda: openmined_psi,
    "engine openmined": lambda: _with(get_engine("openmined")),
    "engine x25519, cryptography": lambda: _with(X25519Engine("cryptography")),
    "engine x25519, crypto_mb": lambda: _with(X25519Engine("crypto_mb")),
}


def measure(row: str, items: int) -> dict[str, float]:
    """CPU and wall seconds, and peak memory in MB, of ``row`` for ``items`` a side, a tenth of them shared."""
    work = ROWS[row]()
    shared = os.urandom(items // 10 * ITEM_SIZE)
    left, right = (shared + os.urandom(items * ITEM_SIZE - len(shared)) for _ in range(2))
    work(left[: 64 * ITEM_SIZE], right[: 64 * ITEM_SIZE])  # libraries loaded, tables made
    cpu, wall = time.process_time(), time.perf_counter()
    found = work(left, right)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if found != items // 10:
        raise SystemExit(f"{row} found {found} shared items where there are {items // 10}")
    return {"cpu": cpu, "wall": wall, "peak_mb": _peak_mb()}


def measure_on_all_cores(name: str, items: int) -> dict[str, float]:
    """Wall seconds of both sides' curve work through the worker processes of a match, which are up and warm."""
    left, right = os.urandom(items * ITEM_SIZE), os.urandom(items * ITEM_SIZE)
    with WorkerPool() as pool:
        keys = get_engine(name).generate_key(), get_engine(name).generate_key()
        started = time.perf_counter()
        for own, side, other in ((0, left, 1), (1, right, 0)):
            chunks = [side[at : at + CHUNK] for at in range(0, len(side), CHUNK)]
            blinded = [pool.submit(name, Operation.BLIND, keys[own], chunk) for chunk in chunks]
            again = [pool.submit(name, Operation.REBLIND, keys[other], future.result()) for future in blinded]
            for future in again:
                future.result()
        return {"wall": time.perf_counter() - started, "processes": pool.processes}


def _peak_mb() -> float:
    """The most memory that this process has held, in MB; of Linux's figures the one that begins anew with a program."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(lines[0].split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _with(engine: Engine) -> Callable[[bytes, bytes], int]:
    return lambda left, right: both_sides(engine, left, right)


if __name__ == "__main__":
    work = measure_on_all_cores if sys.argv[1] == "--all-cores" else measure
    json.dump(work(sys.argv[-2], int(sys.argv[-1])), sys.stdout)
