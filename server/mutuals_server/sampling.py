"""Looking at something now and then, in a thread of its own, so that whoever asks never waits for long.

    store = Sampled(lambda: read_peer(peer), fresh_seconds=10)
    sample = store.latest()         # at most WAIT_SECONDS; may be an old one

What is looked at may hang, as a store does that another process holds. Then the thread hangs, and no other one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mutuals_server.log import describe

Value = TypeVar("Value")

WAIT_SECONDS = 2.0
"""How long somebody waits for a new look; Prometheus gives a scrape ten seconds by default."""

REST = 50
LONGEST_REST_SECONDS = 60.0
"""A look that took long is followed by a rest so many times as long, up to a minute: what is looked at has other things
to do.
"""


@dataclass(frozen=True)
class Sample(Generic[Value]):
    """The last look that worked: ``value``, or nothing where none has yet, ``age`` seconds ago.

    ``problem`` says why the one after it failed, or that it still has no answer.
    """

    value: Value | None
    age: float
    problem: str | None


class Sampled(Generic[Value]):
    """Calls ``look`` when somebody asks and the last look is older than ``fresh_seconds``, or than its rest."""

    def __init__(
        self,
        look: Callable[[], Value],
        *,
        fresh_seconds: float,
        wait_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._fresh = fresh_seconds
        self._wait = WAIT_SECONDS if wait_seconds is None else wait_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._began = clock()
        self._value: Value | None = None
        self._at: float | None = None
        self._looked_at: float | None = None
        self._problem: str | None = None
        self._took = 0.0
        self._looking = False

    def latest(self) -> Sample[Value]:
        """A look that is fresh, or the last one there is. Never raises."""
        with self._changed:
            if not self._looking and not self._is_fresh():
                self._looking = True
                threading.Thread(target=self._work, name="mutuals-sample", daemon=True).start()
            answered = self._changed.wait_for(lambda: not self._looking, self._wait)
            age = self._clock() - (self._began if self._at is None else self._at)
            return Sample(self._value, age, self._problem if answered else "There is no answer.")

    def _is_fresh(self) -> bool:
        fresh = max(self._fresh, min(REST * self._took, LONGEST_REST_SECONDS))
        return self._looked_at is not None and self._clock() - self._looked_at < fresh

    def _work(self) -> None:
        value: Value | None = None
        problem: str | None = None
        began = self._clock()
        try:
            value = self._look()
        except BaseException as error:
            told = describe(error)
            problem = told.get("message") or f"{told['error']} at {told['place']}"
        with self._changed:
            self._looking = False
            self._looked_at = self._clock()
            self._took = self._looked_at - began
            self._problem = problem
            if problem is None:
                self._value, self._at = value, self._looked_at
            self._changed.notify_all()
