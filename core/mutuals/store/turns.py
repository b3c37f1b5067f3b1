"""Whose turn it is at the store among the threads of this process: who came first.

SQLite has who waits try again after ever longer pauses, so that of 64 threads some wait for more than ten seconds while
others come and go, and a server of many partners fails some of their calls. In a queue each waits for those before it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

TURN_SECONDS = 60.0
"""How long a thread waits. The queue always moves on, so this is long: as long as anybody waits for an answer."""


class NoTurn(Exception):
    """The turn did not come in time."""


class Turns:
    """A lock that is given in the order in which it was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """While this thread has its turn. Raises NoTurn where that takes longer than ``seconds``."""
        self._await(seconds)
        try:
            yield
        finally:
            self._pass_on()

    def _await(self, seconds: float) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(seconds):
            return
        with self._lock:
            if not mine.is_set():
                self._waiting.remove(mine)
                raise NoTurn

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
