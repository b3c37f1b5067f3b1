"""The server's log: readable or as JSON on standard error, as JSON in the home (``mutuals.eventlog``).

log.event("call", method="Match", partner="Beta SA", run="R-7Q3K2M9X", seconds=3.1, code="OK")
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Literal

from mutuals.clock import Clock
from mutuals.eventlog import EventLog, describe, human_line, machine_line

__all__ = ["ServerLog", "describe"]


class ServerLog(EventLog):
    """The log of one server. ``path`` is its file, or nothing for none; ``layout`` is that of standard error."""

    def __init__(
        self,
        clock: Clock,
        path: Path | None = None,
        *,
        stderr: bool = True,
        layout: Literal["human", "json"] = "human",
    ) -> None:
        super().__init__(clock, path)
        if stderr:
            self.write_to(sys.stderr, machine_line if layout == "json" else human_line)

    def watch_threads(self) -> None:
        """Report a thread that dies of an exception here, without its text, instead of on standard error."""

        def report(died: threading.ExceptHookArgs) -> None:
            if died.exc_value is not None:
                self.event("thread_failed", **describe(died.exc_value))

        threading.excepthook = report
