"""What this peer tells its operator: a line for each thing that happened, as JSON in the home, readable elsewhere.

    log = EventLog(clock, home.log / "client.log")
    log.event("act", kind="match", partner="Beta SA", run="R-7Q3K2M9X", seconds=3.1, code="OK")

Events and fields are listed in docs/operations.md. No line holds what a message contained. Of an exception that is not
ours it holds the type and the place in the code, never the text, which may quote data. There are no tracebacks.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

from mutuals.clock import Clock
from mutuals.errors import ErrorCode, MutualsError, place_of

MAX_FILE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5

Layout = Callable[[datetime, str, dict[str, Any]], str]
Observer = Callable[[str, dict[str, Any]], None]
"""Called with an event and those of its fields that are not None, in the thread in which it happens."""


class EventLog:
    """A log; any thread may write. ``path`` is its file, or nothing for none.

    The file is readable by its owner alone and turned over at ``MAX_FILE_BYTES``; several processes may write the same
    one. Raises OSError where it cannot be opened.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._file: logging.Handler | None = None
        self._handlers: list[logging.Handler] = []
        self._observers: tuple[Observer, ...] = ()
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._add(_PrivateFile(path), machine_line)

    def write_to(self, stream: TextIO, layout: Layout) -> None:
        """Write every ``event`` to ``stream``, too."""
        self._add(logging.StreamHandler(stream), layout)

    def observe(self, observer: Observer) -> None:
        """Have ``observer`` told of everything from now on; what it raises is dropped."""
        self._observers = (*self._observers, observer)

    def event(self, event: str, **fields: Any) -> None:
        """Write one line; fields that are None are left out. Never raises."""
        self._tell(self._handlers, event, fields)

    def file_event(self, event: str, **fields: Any) -> None:
        """As ``event``, but in the file alone: what a terminal need not say, for people were told."""
        self._tell([self._file] if self._file else [], event, fields)

    def quiet_event(self, event: str, **fields: Any) -> None:
        """As ``event``, but for observers alone: what went as it always goes."""
        self._tell([], event, fields)

    def close(self) -> None:
        """Close the file."""
        for handler in self._handlers:
            handler.close()

    def _tell(self, handlers: list[logging.Handler], event: str, fields: dict[str, Any]) -> None:
        shown = {name: value for name, value in fields.items() if value is not None}
        record = logging.LogRecord("mutuals", logging.INFO, "", 0, "", None, None)
        record.mutuals = (self._clock(), event, shown)
        for handler in handlers:
            handler.handle(record)
        for observer in self._observers:
            with suppress(Exception):
                observer(event, shown)

    def _add(self, handler: logging.Handler, layout: Layout) -> logging.Handler:
        handler.setFormatter(_Formatter(layout))
        # The default prints a traceback of the failure to write.
        handler.handleError = lambda record: None  # type: ignore[method-assign]  # the documented way is this or a global
        self._handlers.append(handler)
        return handler


def describe(error: BaseException) -> dict[str, str]:
    """What may be logged of an error: code and sentence of ours, type and place of any other."""
    if isinstance(error, MutualsError):
        return {"code": error.code.value, "message": error.message}
    if isinstance(error, KeyboardInterrupt):
        return {"code": ErrorCode.CANCELLED.value, "message": "Stopped by hand."}
    return {"code": "INTERNAL", "error": type(error).__name__, "place": place_of(error)}


def machine_line(now: datetime, event: str, fields: dict[str, Any]) -> str:
    """One JSON object."""
    return json.dumps({"at": now.isoformat(), "event": event, **fields}, ensure_ascii=False)


def human_line(now: datetime, event: str, fields: dict[str, Any]) -> str:
    """Time, event, ``name=value``; every value is one word, in quotes where it would not be."""
    described = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
    return f"{now:%Y-%m-%d %H:%M:%S}Z {event} {described}".rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ",".join(f"{name}:{_shown(part)}" for name, part in value.items())
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n\r') else text


class _Formatter(logging.Formatter):
    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout

    def format(self, record: logging.LogRecord) -> str:
        return self._layout(*vars(record)["mutuals"])  # set in EventLog._tell


class _PrivateFile(RotatingFileHandler):
    """A log file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")
