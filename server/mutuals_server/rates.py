"""Token buckets: how often something may happen, and how fast bytes may come.

    calls = Bucket(per_second=5, burst=300, clock=time.monotonic)
    if not calls.take(): ...                # refuse
    time.sleep(bytes_a_second.spend(size))  # slow down

A bucket holds ``burst`` tokens and gets ``per_second`` new ones, up to that. Any thread may use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bucket:
    """One bucket, full at first; ``clock`` gives seconds that never go back."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one token, if there is one."""
        with self._lock:
            self._refill()
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def spend(self, tokens: float) -> float:
        """Take ``tokens``, be they there or not; how many seconds to wait until they would have been.

        Who comes later waits for what is owed already, too: so several share the rate in the order of their coming.
        """
        with self._lock:
            self._refill()
            self._tokens -= tokens
            return max(0.0, -self._tokens / self._per_second)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
