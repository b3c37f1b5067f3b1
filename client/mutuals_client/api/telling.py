"""Progress for a callback instead of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from mutuals.runs.ports import Progress, Silent
from mutuals_client.api.values import ProgressCallback, Step

_SECONDS = 0.5
"""A stage is told of when it begins, when it is done, and in between no more often than this."""


class _Telling:
    """A Progress that calls back."""

    def __init__(self, tell: ProgressCallback) -> None:
        self._tell = tell
        self._stage = ""
        self._total = 0
        self._done = 0
        self._told = 0.0

    def stage(self, name: str, total: int) -> None:
        """The next stage; naming the present one again with its total changes nothing."""
        if name == self._stage and total in (0, self._total):
            return
        self._stage, self._total, self._done = name, total, 0
        self._now()

    def advance(self, items: int) -> None:
        """Count, and tell where it is time."""
        self._done += items
        if self._done == self._total or monotonic() - self._told >= _SECONDS:
            self._now()

    def _now(self) -> None:
        self._told = monotonic()
        self._tell(Step(self._stage, self._done, self._total))


@contextmanager
def telling(tell: ProgressCallback | None) -> Iterator[Progress]:
    """A Progress for one call."""
    yield Silent() if tell is None else _Telling(tell)
