"""The calls under way, to end those that may not go on: their certificate, or their partner, is no longer good.

    with underway.including(call.context): ...
    underway.end(lambda context: guard.admit(context))     # by housekeeping, and once a partner's new card came

The guard looks when a call begins, and a stream may last for hours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from mutuals.errors import ErrorCode, MutualsError


class CallsUnderWay:
    """Which they are; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contexts: dict[int, grpc.ServicerContext] = {}

    @contextmanager
    def including(self, context: grpc.ServicerContext) -> Iterator[None]:
        """While the call goes on."""
        with self._lock:
            self._contexts[id(context)] = context
        try:
            yield
        finally:
            with self._lock:
                del self._contexts[id(context)]

    def end(self, admit: Callable[[grpc.ServicerContext], object]) -> int:
        """Cancel every call that ``admit`` would refuse now (PEER_IDENTITY); how many these were."""
        with self._lock:
            contexts = list(self._contexts.values())
        ended = 0
        for context in contexts:
            try:
                admit(context)
            except MutualsError as error:
                if error.code is ErrorCode.PEER_IDENTITY:
                    context.cancel()
                    ended += 1
        return ended
