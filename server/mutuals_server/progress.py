"""What the server's log says of a run that takes long: every ten seconds a line, none of one that is quick."""

from __future__ import annotations

import time
from collections.abc import Callable

from mutuals.runs.pace import Pace
from mutuals_server.log import ServerLog

EVERY_SECONDS = 10.0


class LoggedProgress:
    """A Progress (``mutuals.runs.ports``) that writes ``progress`` lines; ``run`` names the run once there is one.

    A stage that is new after so long gets its line at once, so that the log says what the server waits for.
    """

    def __init__(
        self,
        log: ServerLog,
        partner: str,
        run: Callable[[], str | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._partner = partner
        self._run = run
        self._clock = clock
        self._told = clock()
        self._stage = ""
        self._pace = Pace(0, clock)

    def stage(self, name: str, total: int) -> None:
        """See ``Progress.stage``."""
        if name == self._stage and total in (0, self._pace.total):
            return
        self._stage = name
        self._pace = Pace(total, self._clock)
        self._tell()

    def advance(self, items: int) -> None:
        """See ``Progress.advance``."""
        self._pace.advance(items)
        self._tell()

    def _tell(self) -> None:
        now = self._clock()
        if now - self._told < EVERY_SECONDS:
            return
        self._told = now
        pace = self._pace
        self._log.event(
            "progress",
            partner=self._partner,
            run=self._run(),
            stage=self._stage,
            done=pace.done if pace.total or pace.done else None,
            total=pace.total or None,
            rate=round(pace.rate) if pace.rate else None,
            left=round(pace.left) if pace.left is not None else None,
        )
