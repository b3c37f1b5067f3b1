"""``make fuzz-atheris``: the same targets, guided by what of the product an input reached (https://github.com/google/atheris).

Inputs are made by each target's own mutation, or by libFuzzer's; what reached something new is changed again, and kept
in a folder between runs. Each target runs in a process of its own, since libFuzzer ends the one that it is in.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_REACHED = re.compile(r"cov: (\d+)")
_MEMORY_MIB = 4096
_STALLED_SECONDS = 300


def main() -> int:
    """Exit code 0 without a fault, and where atheris cannot be installed; 1 with a fault."""
    options = _options()
    if importlib.util.find_spec("atheris") is None:
        print(
            "atheris has no build for this machine or Python: nothing was tried. Without it: make fuzz",
            file=sys.stderr,
        )
        return 0
    if options.alone:
        _guide(options.alone, options)
        return 0
    from fuzz.targets import TARGETS

    names = [target.name for target in TARGETS if target.name.startswith(tuple(options.target or [""]))]
    print(f"{'target':<28}{'inputs':>11}{'reached':>9}  fault", flush=True)
    return max([_run(name, options) for name in names], default=2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz-atheris", description=__doc__)
    parser.add_argument(
        "--target", action="append", metavar="NAME", help="those whose names begin so; may be given again"
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--folder", type=Path, default=Path("fuzz-faults"), help="where inputs are kept")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "fuzz.guided", f"--alone={name}"]
    command += [f"--seconds={options.seconds}", f"--folder={options.folder}"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    executed, reached = _EXECUTED.search(done.stderr), _REACHED.findall(done.stderr)
    inputs = f"{int(executed[1]):,}" if executed else "–"
    print(
        f"{name:<28}{inputs:>11}{reached[-1] if reached else '–':>9}  {done.returncode or 'none'}", flush=True
    )
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
    return 1 if done.returncode else 0


def _guide(name: str, options: argparse.Namespace) -> None:
    """Hand the process over to libFuzzer."""
    import atheris

    with atheris.instrument_imports(include=["mutuals"]):
        from fuzz.target import Outcome, attempt
        from fuzz.targets import BY_NAME
        from fuzz.work import keep

        target = BY_NAME[name]
        ready = target.prepare()
    corpus = options.folder / "atheris" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(ready.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def try_one(data: bytes) -> None:
        tried = attempt(target, ready, data)
        if tried.outcome is Outcome.FAULT:
            keep(options.folder, name, len(data), data, tried.fault)
            raise AssertionError(tried.fault) from tried.error

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            try:
                return _cut(target.mutate(chance, data, ready.seeds), most)
            except Exception:  # what libFuzzer made is nothing that this mutation can take apart
                return _cut(atheris.Mutate(data, most), most)
        return _cut(atheris.Mutate(data, most), most)

    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-timeout={_STALLED_SECONDS}",
        f"-artifact_prefix={options.folder}/atheris-{name}-",
        "-max_len=65536",
        "-print_final_stats=1",
        str(corpus),
    ]
    os.environ.setdefault("RUST_BACKTRACE", "0")
    atheris.Setup(arguments, try_one, custom_mutator=mutate)
    atheris.Fuzz()


def _cut(data: Sequence[int] | bytes, most: int) -> bytes:
    return bytes(data)[:most]


if __name__ == "__main__":
    sys.exit(main())
