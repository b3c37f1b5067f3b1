"""Waiting for a partner that is down: how long, and how often to call meanwhile."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection
from datetime import timedelta
from time import monotonic, sleep

from mutuals.errors import ErrorCode, MutualsError

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,6})([smhd])")
_WORTH_WAITING = frozenset({ErrorCode.UNREACHABLE, ErrorCode.BUSY})


def duration(text: str, option: str) -> timedelta:
    """What ``30s``, ``15m``, ``20h`` or ``2d`` means. Raises MutualsError (USAGE), naming ``option``."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise MutualsError(
            ErrorCode.USAGE, f"{option} needs a duration.", hint=f"For example: {option} 30m, or 90s, 20h, 2d"
        )
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


class Patience:
    """Time to wait for a partner that cannot be reached or is busy, in ever longer pauses; none by default.

    A refusal is never waited out: it is an answer. ``tell`` is given one sentence when the waiting begins.
    """

    def __init__(self, lasting: timedelta = timedelta(), tell: Callable[[str], None] | None = None) -> None:
        self._until = monotonic() + lasting.total_seconds()
        self._pause = FIRST_SECONDS
        self._tell = tell

    @classmethod
    def of(cls, wait_for_partner: str | None, tell: Callable[[str], None] | None = None) -> Patience:
        """As ``--wait-for-partner`` says. Raises MutualsError (USAGE)."""
        if wait_for_partner is None:
            return cls()
        return cls(duration(wait_for_partner, "--wait-for-partner"), tell)

    def end(self) -> None:
        """Wait no more: it would change nothing."""
        self._until = monotonic()

    def at_least(self, lasting: timedelta) -> Patience:
        """Another one for what has begun: as long as is left of this, or as ``lasting``, from now."""
        left = timedelta(seconds=self._until - monotonic())
        return Patience(max(left, lasting), self._tell)

    def pause(self, error: MutualsError, also: Collection[ErrorCode] = ()) -> None:
        """Wait before the next attempt after ``error``; raises it where it is an answer, or the time is over.

        ``also`` are further codes that are no answer.
        """
        left = self._until - monotonic()
        if (error.code not in _WORTH_WAITING and error.code not in also) or left <= 0:
            raise error
        if self._tell is not None:
            self._tell(f"{error.message} Trying again for {_in_words(left)}.")
            self._tell = None
        # Not all jobs of an hour at once.
        sleep(min(left, self._pause * random.uniform(0.8, 1.2)))  # noqa: S311 - no secret
        self._pause = min(self._pause * 2, LONGEST_SECONDS)


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
