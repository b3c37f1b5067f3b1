"""``make lifecycle HISTORIES=10000``: as many histories on all cores, and what they came to.

Every worker runs batches with seeds of their own, so that the histories differ and a violation can be repeated. One
batch in twenty keeps its stores in files, as the product does; the others in memory, which is five times as fast.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from lifecycle.batch import run_batch
from lifecycle.machine import Figures

ACTS = 10
BATCH = 50
ON_DISK = 20
"""Of so many batches one has its stores in files."""
EVERY = 500
"""After so many histories a line says how far it is."""


def main() -> int:
    """Run, print, and say by the exit code whether anything left that must not."""
    parser = argparse.ArgumentParser(prog="lifecycle", description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--acts", type=int, default=ACTS, help="of a history, at most")
    parser.add_argument("--seed", type=int, default=1, help="of the first batch")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    started = time.monotonic()
    total, faults = Figures(), []
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a worker for each core, and lists of six people
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:

        def submit(number: int) -> Future[tuple[Figures, str | None]]:
            return pool.submit(run_batch, number, BATCH, options.acts, on_disk=number % ON_DISK == 0)

        batches = range(options.seed, options.seed + -(-options.histories // BATCH))
        for done in as_completed([submit(number) for number in batches]):
            figures, fault = done.result()
            before = total.histories
            total.add(figures)
            if fault:
                faults.append(fault)
                print(fault, flush=True)
            if total.histories // EVERY > before // EVERY:
                _progress(total, options.histories, len(faults), started)
    _report(total, len(faults), time.monotonic() - started)
    return 1 if faults else 0


def _progress(total: Figures, wanted: int, violations: int, started: float) -> None:
    minutes = (time.monotonic() - started) / 60
    print(
        f"{total.histories:,} of {wanted:,} histories, {total.left['records']:,} records left, "
        f"{violations} violations, {minutes:.1f} min",
        flush=True,
    )


def _report(total: Figures, violations: int, seconds: float) -> None:
    print(f"histories             {total.histories:>10,}")
    print(f"acts tried            {total.steps:>10,}")
    print(f"  carried out         {sum(total.done.values()):>10,}")
    print(f"  refused             {sum(total.refused.values()):>10,}")
    for what in ("documents", "envelopes", "records", "exported rows"):
        print(f"{what + ' that left':<22}{total.left[what]:>10,}")
    print(f"violations            {violations:>10,}")
    print(f"minutes               {seconds / 60:>10.1f}")
    _table("carried out", total.done)
    _table("refused, and why", total.refused)


def _table(title: str, counts: Counter[str]) -> None:
    print(f"\n{title}")
    for name, count in sorted(counts.items()):
        print(f"  {name:<42}{count:>10,}")


if __name__ == "__main__":
    sys.exit(main())
