"""How fast a stage goes and how long it will take: for the bar of a command and the log of a server alike."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 30.0
"""The rate is that of the last half minute: a partner that slows down shows soon, a single late chunk does not."""

_SAMPLE_SECONDS = 0.5


class Pace:
    """Counts one stage. ``total`` is its number of items, 0 where it has no measure."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])

    def advance(self, items: int) -> None:
        """``items`` more are done."""
        self.done += items
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self.done))
        while len(self._samples) > 2 and now - self._samples[1][0] > WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def rate(self) -> float | None:
        """Items a second; nothing while there is nothing to tell it from."""
        since, before = self._samples[0]
        seconds = self._clock() - since
        if seconds < _SAMPLE_SECONDS or self.done == before:
            return None
        return (self.done - before) / seconds

    @property
    def left(self) -> float | None:
        """Seconds until all are done at this rate; nothing where the stage has no measure or no rate yet."""
        rate = self.rate
        return max(self.total - self.done, 0) / rate if rate and self.total else None
