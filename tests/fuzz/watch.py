"""Starting processes that try inputs, going on after one that died, and adding up what they did."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.folder import FOLDER, memory
from fuzz.target import Target, found
from fuzz.work import State, keep, state_file

STALLED_SECONDS = 600.0
"""So long a process may take over one input on the clock, on a machine that may have much else to do."""

MOST_DEATHS = 20
"""After so many of them a share is given up."""

_POLL_SECONDS = 0.5

SAME_EVERYWHERE = {"PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "1"}
"""The order in sets must be that of the next replay, and one process takes one core."""


@dataclass
class Total:
    """What all inputs of a target came to; times in nanoseconds, memory in bytes."""

    target: str
    accepted: int = 0
    refused: int = 0
    faults: int = 0
    slowest: int = 0
    slowest_seed: int = 0
    peak: int = 0
    grown: int = 0
    seconds: float = 0
    deaths: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many were tried."""
        return self.accepted + self.refused + self.faults

    def add(self, state: State) -> None:
        """Count a process in."""
        self.accepted += state.accepted
        self.refused += state.refused
        self.faults += state.faults
        if state.slowest > self.slowest:
            self.slowest, self.slowest_seed = state.slowest, state.slowest_seed
        self.peak = max(self.peak, state.peak)
        self.grown = max(self.grown, state.peak - state.base)


class _Share:
    """A row of numbers of one target, tried by one process at a time."""

    def __init__(self, target: Target, numbers: range, faults: Path, total: Total) -> None:
        self._target = target
        self._next = numbers.start
        self._stop = numbers.stop
        self._faults = faults
        self._total = total
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory()))
        self._deaths = 0
        self._seen = (-1, 0.0)
        self._start()

    def poll(self) -> bool:
        """Whether it is over."""
        code = self._process.poll()
        if code is None:
            self._end_if_stalled()
            return False
        state = State.read(self._file)
        if code != 0:
            self._died(state, code)
        self._total.add(state)
        self._file.close()
        if code != 0 and self._deaths < MOST_DEATHS and state.seed + 1 < self._stop:
            self._next = max(self._next, state.seed) + 1
            self._start()
            return False
        shutil.rmtree(self._folder, ignore_errors=True)
        return True

    def end(self) -> None:
        """Stop it now."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        path = self._folder / f"{self._deaths}.state"
        self._file = state_file(path)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "fuzz.work",
                self._target.name,
                f"--first={self._next}",
                f"--count={self._stop - self._next}",
                f"--state={path}",
                f"--faults={self._faults}",
            ],
            stderr=path.with_suffix(".err").open("wb"),
            env={**os.environ, **SAME_EVERYWHERE, FOLDER: str(self._folder)},
        )

    def _died(self, state: State, code: int) -> None:
        self._deaths += 1
        why = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if code == -signal.SIGPROF:
            why = "computed for too long"
        path = self._folder / f"{self._deaths - 1}.state"
        told = [path.with_suffix(suffix) for suffix in (".stack", ".err")]
        text = "".join(one.read_text(errors="replace") for one in told if one.exists())
        what = f"{self._target.name}, seed {state.seed}: {why if state.trying else f'{why} before it began'}"
        self._total.deaths.append(what)
        state.faults += 1
        keep(self._faults, self._target.name, state.seed, state.data, f"{what}\n{text}")

    def _end_if_stalled(self) -> None:
        seed = State.read(self._file).seed
        if seed != self._seen[0]:
            self._seen = (seed, time.monotonic())
        elif time.monotonic() - self._seen[1] > STALLED_SECONDS:
            self._process.send_signal(signal.SIGPROF)


def fuzz(target: Target, first: int, count: int, workers: int, faults: Path) -> Total:
    """Try ``count`` inputs of ``target`` in ``workers`` processes; from 0 on, what was ever found comes before."""
    total = Total(target.name)
    began = time.monotonic()
    last = first + count
    first = first or -len(found(target))
    size = -(-(last - first) // workers)
    shares = [
        _Share(target, range(start, min(start + size, last)), faults, total)
        for start in range(first, last, size)
    ]
    try:
        while shares:
            shares = [share for share in shares if not share.poll()]
            time.sleep(_POLL_SECONDS)
    finally:
        for share in shares:
            share.end()
    total.seconds = time.monotonic() - began
    return total
