"""``make simulate SEEDS=10000``: as many simulations on all cores, and what they came to.

``--replay SEED -v`` plays one again and prints every step. ``--guards`` takes the product's guards out, one at a time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context

BATCH = 25
EVERY = 250
"""After so many seeds a line says how far it is."""


def main() -> int:
    """Run, print, and say by the exit code whether anything was found."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this one alone")
    parser.add_argument(
        "--guards", action="store_true", help="take each guard out on purpose, and say which seed finds that"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="every step of what is replayed")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order in sets must be that of the next replay
        os.environ.update(PYTHONHASHSEED="0", POLARS_MAX_THREADS="1")
        os.execv(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]])  # noqa: S606
    if options.replay is not None:
        return _replay(options.replay, options.verbose)
    return _guards(options.workers) if options.guards else _many(options)


def _replay(seed: int, verbose: bool) -> int:
    from simulation.check import Violation
    from simulation.play import simulate

    try:
        found = simulate(seed, verbose=verbose)
    except Violation as violation:
        print(violation)
        return 1
    print(f"Seed {seed}: {found.steps:,} steps, {dict(found.ends)}, trace {found.digest[:16]}")
    return 0


def _guards(workers: int) -> int:
    from simulation.guards import GUARDS, first_found

    missed = 0
    print(f"{'taken out on purpose':<40}found by seed")
    with get_context("spawn").Pool(workers) as pool:
        for name, found in zip(GUARDS, pool.imap(first_found, GUARDS), strict=True):
            print(f"{name:<40}{found}", flush=True)
            missed += not isinstance(found, int)
    print(f"\n{len(GUARDS)} guards, {missed} of which nothing was found")
    return 1 if missed else 0


def _many(options: argparse.Namespace) -> int:
    from simulation.batch import Total, run_batch

    total, started = Total(), time.monotonic()
    last = options.first + options.seeds
    batches = [range(start, min(start + BATCH, last)) for start in range(options.first, last, BATCH)]
    # Not concurrent.futures, whose workers that are to end after so many tasks may never be followed by others.
    with get_context("spawn").Pool(options.workers, maxtasksperchild=20) as pool:
        for batch in pool.imap_unordered(run_batch, batches):
            before = total.seeds
            total.add(batch)
            for failure in batch.failures:
                print(failure, flush=True)
            if total.seeds // EVERY > before // EVERY:
                minutes = (time.monotonic() - started) / 60
                print(
                    f"{total.seeds:,} of {options.seeds:,} seeds, {len(total.failures)} failures, {minutes:.1f} min",
                    flush=True,
                )
    _report(total, time.monotonic() - started)
    return 1 if total.failures else 0


def _report(total: object, seconds: float) -> None:
    from simulation.batch import Total

    assert isinstance(total, Total)
    for name, number in (
        ("seeds", total.seeds),
        ("steps", total.steps),
        ("faults", total.faults.total()),
        ("runs", total.ends.total()),
        ("records received", total.records),
        ("documents", total.documents),
        ("failures", len(total.failures)),
    ):
        print(f"{name:<22}{number:>12,}")
    print(f"{'minutes':<22}{seconds / 60:>12.1f}")
    print(f"{'seeds a minute':<22}{total.seeds * 60 / max(seconds, 1):>12.0f}")
    _table("how runs ended (both sides)", total.ends)
    _table("what went wrong, and where", total.faults)
    _table("what commands and answers came to", total.said)


def _table(title: str, counts: Counter[str]) -> None:
    print(f"\n{title}")
    for name, count in sorted(counts.items()):
        print(f"  {name:<50}{count:>10,}")


if __name__ == "__main__":
    sys.exit(main())
