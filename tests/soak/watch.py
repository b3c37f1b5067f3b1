"""What a process takes, over time: memory, threads, open files, processor (proc(5); Linux)."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """The server at one moment: ``memory`` in bytes, its own and its workers'; ``at`` and ``cpu`` in seconds."""

    at: float
    memory: int
    threads: int
    files: int
    cpu: float


def sample(pid: int, at: float) -> Sample:
    """The server and the processes it started."""
    family = [pid, *children(pid)]
    memory = sum(_status(one, "VmRSS") for one in family) * 1024
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return Sample(at, memory, _status(pid, "Threads"), files, sum(map(cpu, family)))


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(word) for word in (task / "children").read_text().split()]
        except FileNotFoundError:  # the thread has ended
            continue
    return found


def cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def slope(values: Sequence[tuple[float, float]]) -> float:
    """How much a value grows in a minute, by least squares over (seconds, value)."""
    if len(values) < 2:
        return 0.0
    fit = statistics.linear_regression([at for at, _ in values], [value for _, value in values])
    return fit.slope * 60


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
