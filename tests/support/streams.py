"""Two ends of an in-memory connection, as ``mutuals.runs.ports.MessageStream``.

    left, right = stream_pair()
    left.send(message); assert right.receive() == message
    left.close()                       # both ends raise UNREACHABLE from now on

``alter`` turns a message on its way out into any number of others: a hostile partner in one line.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from mutuals.errors import ErrorCode, MutualsError

Alter = Callable[[Any], Iterable[Any]]


class MemoryStream:
    """One end. ``sent`` counts the messages that left it."""

    def __init__(self, outgoing: queue.Queue[Any], incoming: queue.Queue[Any], down: threading.Event) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._down = down
        self.alter: Alter = lambda message: [message]
        self.sent = 0

    def send(self, message: Any) -> None:
        for altered in self.alter(message):
            while True:
                self._check()
                try:
                    self._outgoing.put(altered, timeout=0.02)
                    self.sent += 1
                    break
                except queue.Full:
                    continue

    def receive(self) -> Any:
        while True:
            try:
                return self._incoming.get(timeout=0.02)
            except queue.Empty:
                self._check()

    def close(self) -> None:
        """Cut the connection for both ends; what is in flight still arrives."""
        self._down.set()

    def _check(self) -> None:
        if self._down.is_set():
            raise MutualsError(ErrorCode.UNREACHABLE, "The connection is down.")


def stream_pair(depth: int = 4) -> tuple[MemoryStream, MemoryStream]:
    """Two connected ends; each direction holds ``depth`` messages before ``send`` blocks."""
    there: queue.Queue[Any] = queue.Queue(depth)
    back: queue.Queue[Any] = queue.Queue(depth)
    down = threading.Event()
    return MemoryStream(there, back, down), MemoryStream(back, there, down)
