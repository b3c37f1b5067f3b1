"""``make fuzz``: try every parser, and print what came of it.

--target NAME chooses those whose names begin so; with --seed N that one input is tried alone, with its traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from fuzz.target import Outcome, Target, attempt, input_of
from fuzz.targets import TARGETS
from fuzz.watch import SAME_EVERYWHERE, Total, fuzz

_COLUMNS = ("target", "inputs", "accepted", "refused", "slowest ms", "peak MiB", "minutes", "faults")
_WIDTHS = (28, 11, 11, 11, 11, 9, 8, 7)


def main() -> int:
    """Exit code 0 without a fault, 1 with one, 2 where there is no such target."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ.update(SAME_EVERYWHERE)
        os.execv(sys.executable, [sys.executable, "-m", "fuzz", *sys.argv[1:]])  # noqa: S606
    targets = [target for target in TARGETS if target.name.startswith(tuple(options.target))]
    if not targets:
        print(f"No target begins with {' or '.join(options.target)}.", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(target.name for target in targets))
        return 0
    if options.seed is not None or options.file is not None:
        return max(_replay(target, options) for target in targets)
    return _all(targets, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--target", action="append", default=[], metavar="NAME", help="may be given again")
    parser.add_argument("--count", type=int, help="inputs of each target, instead of its own number")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first input")
    parser.add_argument("--seed", type=int, metavar="N", help="try this input alone, and print it")
    parser.add_argument("--file", type=Path, help="try the bytes of this file alone")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--faults", type=Path, default=Path("fuzz-faults"), help="where inputs at fault are kept"
    )
    parser.add_argument("--list", action="store_true", help="the names of the targets")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    options.target = options.target or [""]
    return options


def _replay(target: Target, options: argparse.Namespace) -> int:
    ready = target.prepare()
    data = options.file.read_bytes() if options.file else input_of(target, ready, options.seed)
    print(f"{target.name}: {len(data):,} bytes: {data[:2000]!r}")
    tried = attempt(target, ready, data)
    print(f"{tried.outcome}{f': {tried.fault}' if tried.fault else ''}, {tried.nanoseconds / 1e6:.1f} ms")
    if tried.error is not None:
        traceback.print_exception(tried.error)
    return 1 if tried.outcome is Outcome.FAULT else 0


def _all(targets: list[Target], options: argparse.Namespace) -> int:
    totals = []
    if not options.json:
        _line(_COLUMNS)
    for target in targets:
        count = options.count or target.count
        total = fuzz(target, options.first, count, min(options.workers, count), options.faults)
        totals.append(total)
        if not options.json:
            _row(total)
    if options.json:
        print(json.dumps({"targets": [asdict(total) for total in totals]}, indent=2))
    else:
        _sum(totals, options.faults)
    return 1 if any(total.faults for total in totals) else 0


def _row(total: Total) -> None:
    _line(
        (
            total.target,
            f"{total.inputs:,}",
            f"{total.accepted:,}",
            f"{total.refused:,}",
            f"{total.slowest / 1e6:.0f}",
            f"{total.peak / 2**20:.0f}",
            f"{total.seconds / 60:.1f}",
            f"{total.faults:,}",
        )
    )
    for death in total.deaths:
        print(f"  {death}", flush=True)


def _line(cells: tuple[str, ...]) -> None:
    first, *rest = zip(cells, _WIDTHS, strict=True)
    print(f"{first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in rest), flush=True)


def _sum(totals: list[Total], faults: Path) -> None:
    wire = [total for total in totals if total.target.startswith("wire.")]
    if wire:
        print(
            f"{sum(total.inputs for total in wire):,} wire messages, {sum(total.faults for total in wire):,} faults"
        )
    rest = [total for total in totals if total not in wire]
    if rest:
        print(
            f"{sum(total.inputs for total in rest):,} inputs of {len(rest)} other parsers,"
            f" {sum(total.faults for total in rest):,} faults"
        )
    if any(total.faults for total in totals):
        print(
            f"Inputs at fault are in {faults}. One again: PYTHONPATH=tests python -m fuzz --target NAME --seed N"
        )


if __name__ == "__main__":
    sys.exit(main())
