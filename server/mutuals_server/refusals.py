"""What the server refuses because of a limit: a closed list of reasons, and few lines in the log about many refusals.

    raise Refused(Reason.CALLS, "Beta SA has made 300 calls within a minute.")
    ...
    refusals.note(refused.reason, partner="Beta SA")

The first refusal of a partner for a reason is logged at once, what follows within a minute is counted and logged
together. So a flood of calls is no flood of lines, and what the operator has to know is still in the log after it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum, unique

from mutuals.errors import ErrorCode, MutualsError
from mutuals_server.log import ServerLog

TOGETHER_SECONDS = 60.0


@unique
class Reason(StrEnum):
    """Which limit was reached (docs/operations.md, Limits)."""

    CALLS = "calls"
    """The partner's calls a minute."""
    MATCHES = "matches"
    """The partner's matches a minute."""
    CALLS_AT_A_TIME = "calls_at_a_time"
    """Pings and syncs at a time, of the partner or in all."""
    RUNS = "runs"
    """Runs at a time, of the partner or in all."""
    MEMORY = "memory"
    """What matches at work hold, by what both sides announced."""
    SPOOL = "spool"
    """What runs keep on disk, by what both sides announced."""
    DISK = "disk"
    """Free space that is kept."""
    STALLED = "stalled"
    """A call without a first message, or an answer that nobody takes."""


class Refused(MutualsError):
    """The call has reached a limit: nothing is wrong with it otherwise."""

    def __init__(self, reason: Reason, message: str, code: ErrorCode = ErrorCode.BUSY) -> None:
        super().__init__(code, message)
        self.reason = reason


class Refusals:
    """Writes ``refused`` lines; ``times`` in them says how many refusals a line stands for.

    ``later(seconds, action)`` has ``action`` called after that time, in any thread.
    """

    def __init__(
        self, log: ServerLog, later: Callable[[float, Callable[[], None]], None] | None = None
    ) -> None:
        self._log = log
        self._later = later or _in_a_thread
        self._lock = threading.Lock()
        self._counted: Counter[tuple[Reason, str | None]] = Counter()
        self._waiting = False

    def note(self, reason: Reason, partner: str | None) -> None:
        """The call of ``partner`` was refused; None where it is not known yet who that is. Never raises."""
        with self._lock:
            first = (reason, partner) not in self._counted
            self._counted[reason, partner] += 0 if first else 1
            start, self._waiting = not self._waiting, True
        with suppress(Exception):
            if first:
                self._log.event("refused", reason=reason.value, partner=partner, times=1)
        if start:
            with suppress(Exception):
                self._later(TOGETHER_SECONDS, self.tell)

    def tell(self) -> None:
        """Write down what was counted; the next refusal is a first one again."""
        with self._lock:
            counted, self._counted, self._waiting = self._counted, Counter(), False
        for (reason, partner), times in counted.items():
            if times:
                self._log.event("refused", reason=reason.value, partner=partner, times=times)


def _in_a_thread(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
