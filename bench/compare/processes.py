"""What a tree of processes costs: CPU seconds and memory, read from Linux's /proc while it runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY = 0.1


class TreeMeter:
    """CPU seconds and peak memory of a process and its descendants, from ``start`` to ``stop``.

    Memory is the proportional set size (pages shared by several count once), looked at ten times a second.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._before = self._cpu()
        self._last: dict[int, float] = {}
        self._ended = threading.Event()
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """CPU seconds since the start; also of descendants that have ended, as last seen."""
        self._ended.set()
        self._thread.join()
        return sum(self._last.values()) - sum(self._before.values())

    def _watch(self) -> None:
        while True:
            self._last |= self._cpu()
            self.peak_mb = max(self.peak_mb, sum(_pss_kib(pid) for pid in self._tree()) / 1024)
            if self._ended.wait(_EVERY):
                self._last |= self._cpu()
                return

    def _cpu(self) -> dict[int, float]:
        return {pid: seconds for pid in self._tree() if (seconds := _cpu_seconds(pid)) is not None}

    def _tree(self) -> list[int]:
        found, ahead = [], [self._root]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    ahead.extend(int(child) for child in task.read_text().split())
                except OSError:
                    continue
        return found


def _cpu_seconds(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss_kib(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
