"""What the server tells its operator: one line for each call, readable on standard error, as JSON in the home.

    log.event("call", method="Match", partner="Beta SA", run="R-7Q3K2M9X", seconds=3.1, code="OK")

No line holds what a message contained. Of an exception that is not ours it holds the type and the place in the
code, never the text, which may quote data. There are no tracebacks.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from mutuals.clock import Clock
from mutuals.errors import MutualsError, place_of

MAX_FILE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5


class ServerLog:
    """The log of one server; any thread may write. ``path`` is its file, or nothing for none."""

    def __init__(self, clock: Clock, path: Path | None = None, *, stderr: bool = True) -> None:
        self._clock = clock
        self._handlers: list[logging.Handler] = []
        if stderr:
            self._add(logging.StreamHandler(sys.stderr), _people)
        self._has_file = path is not None
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._add(_PrivateFile(path), _machines)

    def event(self, event: str, **fields: Any) -> None:
        """Write one line; fields that are None are left out. Never raises."""
        self._write(self._handlers, event, fields)

    def file_event(self, event: str, **fields: Any) -> None:
        """As ``event``, but in the file alone: what standard error need not say, for people were told."""
        self._write(self._handlers[-1:] if self._has_file else [], event, fields)

    def _write(self, handlers: list[logging.Handler], event: str, fields: dict[str, Any]) -> None:
        shown = {name: value for name, value in fields.items() if value is not None}
        record = logging.LogRecord("mutuals", logging.INFO, "", 0, "", None, None)
        record.mutuals = (self._clock(), event, shown)
        for handler in handlers:
            handler.handle(record)

    def close(self) -> None:
        """Close the file."""
        for handler in self._handlers:
            handler.close()

    def watch_threads(self) -> None:
        """Report a thread that dies of an exception here, without its text, instead of on standard error."""

        def report(died: threading.ExceptHookArgs) -> None:
            if died.exc_value is not None:
                self.event("thread_failed", **describe(died.exc_value))

        threading.excepthook = report

    def _add(self, handler: logging.Handler, layout: Any) -> None:
        handler.setFormatter(_Layout(layout))
        # The default prints a traceback of the failure to write.
        handler.handleError = lambda record: None  # type: ignore[method-assign]  # the documented way is this or a global
        self._handlers.append(handler)


def describe(error: BaseException) -> dict[str, str]:
    """What may be logged of an error: code and sentence of ours, type and place of any other."""
    if isinstance(error, MutualsError):
        return {"code": error.code.value, "message": error.message}
    return {"code": "INTERNAL", "error": type(error).__name__, "at": place_of(error)}


class _Layout(logging.Formatter):
    def __init__(self, layout: Any) -> None:
        super().__init__()
        self._layout = layout

    def format(self, record: logging.LogRecord) -> str:
        line: str = self._layout(*vars(record)["mutuals"])  # set in ServerLog.event
        return line


def _machines(now: datetime, event: str, fields: dict[str, Any]) -> str:
    return json.dumps({"at": now.isoformat(), "event": event, **fields}, ensure_ascii=False)


def _people(now: datetime, event: str, fields: dict[str, Any]) -> str:
    described = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
    return f"{now:%Y-%m-%d %H:%M:%S}Z {event} {described}".rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n\r') else text


class _PrivateFile(RotatingFileHandler):
    """A log file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")
