"""A process that tries the inputs of one target, as ``watch`` asks it to.

What it is at stands in a file in memory that ``watch`` reads when the process has died: the number of the input, the
input itself, and the counts so far. An input that computes for too long is ended by the kernel's timer of processor
time (SIGPROF), which also ends code that never returns to the interpreter; the stack of that moment goes to a file.
"""

from __future__ import annotations

import argparse
import atexit
import faulthandler
import gc
import mmap
import os
import resource
import signal
import struct
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

from fuzz.target import MEMORY_BYTES, MOST_BYTES, Outcome, Tried, attempt, input_of, peak_bytes
from mutuals.errors import place_of

KEPT = 3
"""So many inputs are kept of faults at one place of one kind."""

_HEAD = struct.Struct("<9QI")


@dataclass
class State:
    """What a process did until now. ``trying`` says that the input ``data`` with number ``seed`` is being parsed."""

    seed: int = 0
    trying: int = 0
    accepted: int = 0
    refused: int = 0
    faults: int = 0
    slowest: int = 0
    slowest_seed: int = 0
    peak: int = 0
    base: int = 0
    data: bytes = b""

    def write(self, file: mmap.mmap) -> None:
        """Put all of it into the file."""
        numbers = [getattr(self, field.name) for field in fields(self)[:-1]]
        _HEAD.pack_into(file, 0, *numbers, len(self.data))
        file[_HEAD.size : _HEAD.size + len(self.data)] = self.data

    @classmethod
    def read(cls, file: mmap.mmap) -> State:
        """What the file holds."""
        *numbers, size = _HEAD.unpack_from(file, 0)
        return cls(*numbers, data=file[_HEAD.size : _HEAD.size + size])


def state_file(path: Path) -> mmap.mmap:
    """The file at ``path``, made where there is none."""
    size = _HEAD.size + MOST_BYTES
    with path.open("a+b") as stream:
        stream.truncate(size)
        return mmap.mmap(stream.fileno(), size)


def keep(folder: Path, target: str, seed: int, data: bytes, why: str) -> None:
    """Keep an input and what is known of its fault."""
    place = folder / target
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{seed}.bin").write_bytes(data)
    (place / f"{seed}.txt").write_text(why, encoding="utf-8")


def main() -> int:
    """Try inputs ``first`` to ``first + count``; exit code 0 also where there were faults."""
    parser = argparse.ArgumentParser(prog="fuzz.work")
    parser.add_argument("target")
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--faults", type=Path, required=True)
    options = parser.parse_args()
    from fuzz.targets import BY_NAME

    target = BY_NAME[options.target]
    ready = target.prepare()
    file = state_file(options.state)
    state = State.read(file)
    _bound(options.state.with_suffix(".stack"))
    state.base = state.base or peak_bytes()
    seen: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.count):
        state.seed, state.trying = seed, 0
        try:
            data = input_of(target, ready, seed)
        except Exception as error:
            raise RuntimeError(f"{target.name}, seed {seed}: the mutation itself failed") from error
        state.trying, state.data = 1, data
        state.write(file)
        signal.setitimer(signal.ITIMER_PROF, 1.5 * target.seconds)
        tried = attempt(target, ready, data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _count(state, tried, seed)
        if tried.outcome is Outcome.FAULT:
            kind = f"{tried.fault.split(' took')[0]} {place_of(tried.error) if tried.error else ''}"
            seen[kind] += 1
            if seen[kind] <= KEPT:
                stack = "".join(traceback.format_exception(tried.error)) if tried.error else ""
                keep(options.faults, target.name, seed, data, f"{tried.fault}\n{stack}")
        if seed % 500 == 0:
            gc.collect()
    state.trying, state.peak = 0, peak_bytes()
    state.write(file)
    atexit._run_exitfuncs()
    os._exit(0)  # libraries' threads are not waited for


def _count(state: State, tried: Tried, seed: int) -> None:
    match tried.outcome:
        case Outcome.ACCEPTED:
            state.accepted += 1
        case Outcome.REFUSED:
            state.refused += 1
        case Outcome.FAULT:
            state.faults += 1
    if tried.nanoseconds > state.slowest:
        state.slowest, state.slowest_seed = tried.nanoseconds, seed
    if seed % 64 == 0:
        state.peak = peak_bytes()


def _bound(stack: Path) -> None:
    """Bound memory, and let the kernel end what computes for too long or crashes, with its stack in a file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * mmap.PAGESIZE + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = stack.open("w")
    faulthandler.enable(log)
    faulthandler.register(signal.SIGPROF, log, chain=True)


if __name__ == "__main__":
    sys.exit(main())
