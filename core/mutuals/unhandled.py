"""What a process says of an exception that nobody handled: its kind and place, never its text, which may quote data.

    keep_texts_quiet("mutuals serve")      # first thing in every program and worker process

Python would print a traceback with the text: of an exception that ends the program or a thread, or that a finaliser
raises. So would the logging module, on behalf of libraries, of one that a callback raises.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from contextlib import suppress
from types import TracebackType

from mutuals.errors import place_of


def keep_texts_quiet(program: str) -> None:
    """From now on, in this process: one line on standard error for each failure, with nothing that it says.

    Warnings and log lines of libraries are dropped; ours are single sentences and go to standard error.
    """

    def on_exit(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _tell(program, error.with_traceback(trace))

    def in_thread(died: threading.ExceptHookArgs) -> None:
        _tell(program, died.exc_value)

    sys.excepthook = on_exit
    sys.unraisablehook = lambda failed: _tell(program, failed.exc_value)
    threading.excepthook = in_thread
    warnings.simplefilter("ignore")
    logging.lastResort = None
    own = logging.getLogger("mutuals")
    if not own.handlers:
        own.addHandler(_Sentences())


class _Sentences(logging.Handler):
    """Messages on what is standard error at the time, without the exception that came along."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            print(record.getMessage(), file=sys.stderr)


def _tell(program: str, error: BaseException | None) -> None:
    if error is None or isinstance(error, KeyboardInterrupt):
        return
    with suppress(Exception):
        print(f"{program}: an unexpected {type(error).__name__} at {place_of(error)}.", file=sys.stderr)
