"""Where the points of a list are kept while a match needs them: in memory, or wherever the caller puts long lists.

    points = MemoryPoints(1_000_000, 32)
    points.put(0, chunk)
    points.get(2048, 4096)
    distinct_points(points, others)

Points are what a match holds most of: 64 of its 130 bytes an item of each list. They say nothing to whoever lacks the
key of the run, which is gone before the match ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mutuals.protocol.items import Rows, as_rows, distinct_in_full, repeated, short_keys


class Points(Protocol):
    """Room for as many points of one width as a list has; each is put in once."""

    def __len__(self) -> int:
        """How many there is room for."""

    def put(self, start: int, points: bytes) -> None:
        """Keep ``points``, one after the other, as those from position ``start`` on."""

    def get(self, start: int, stop: int) -> bytes:
        """The points from ``start`` to ``stop`` (exclusive), one after the other."""

    def keys(self) -> npt.NDArray[np.uint64]:
        """The short key (``mutuals.protocol.items.short_keys``) of each, once all are in. Not to be written to."""

    def rows(self, positions: npt.NDArray[np.int64]) -> Rows:
        """The points at these ascending positions."""

    def close(self) -> None:
        """Forget them. May be called twice."""


NewPoints = Callable[[int, int], Points]
"""Makes room for a number of points of a width in bytes."""


class MemoryPoints:
    """Points in one array. Memory that is not written to costs nothing: an announcement alone does not fill it."""

    def __init__(self, count: int, width: int) -> None:
        self._rows: Rows = np.empty((count, width), np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, start: int, points: bytes) -> None:
        """See ``Points.put``."""
        rows = as_rows(points, self._rows.shape[1])
        self._rows[start : start + len(rows)] = rows

    def get(self, start: int, stop: int) -> bytes:
        """See ``Points.get``."""
        return self._rows[start:stop].tobytes()

    def keys(self) -> npt.NDArray[np.uint64]:
        """See ``Points.keys``."""
        return short_keys(self._rows)

    def rows(self, positions: npt.NDArray[np.int64]) -> Rows:
        """See ``Points.rows``."""
        return self._rows[positions]

    def close(self) -> None:
        """See ``Points.close``."""
        self._rows = self._rows[:0].copy()


def distinct_points(*lists: Points) -> bool:
    """True where no point occurs twice, be it within one list or in two of them."""
    ends = np.cumsum([0, *(len(points) for points in lists)])
    keys = np.empty(ends[-1], np.uint64)
    for points, start, stop in zip(lists, ends[:-1], ends[1:], strict=True):
        keys[start:stop] = points.keys()
    twice = repeated(keys)
    if not len(twice):
        return True
    # Two honest points in a million lists of millions come here; a partner may send as many as it likes.
    suspects = [points.rows(np.flatnonzero(np.isin(points.keys(), twice))) for points in lists]
    return distinct_in_full(np.concatenate(suspects))
