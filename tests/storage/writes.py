"""Stands between Python and the files and stores that it writes: asks before every call, which may then fail.

    writes = Writes(call, statement); writes.install()    # call("posix.fsync"), statement("INSERT INTO …")

What is put in place of the originals does the same and is found under the same names: the functions of ``os``, ``open``
with files that ask before each write that reaches the operating system (not when bytes go into a buffer), and
connections and cursors of ``sqlite3``. Threads also note which company started them.
"""

from __future__ import annotations

import _io
import builtins
import io
import os
import sqlite3
import sqlite3.dbapi2
import threading
from collections.abc import Callable
from typing import Any

Call = Callable[[str], None]

_CALLS = (
    "open",
    "write",
    "pwrite",
    "fsync",
    "fdatasync",
    "replace",
    "rename",
    "unlink",
    "remove",
    "link",
    "symlink",
    "mkdir",
    "rmdir",
    "chmod",
    "truncate",
    "ftruncate",
    "posix_fallocate",
)
"""What of ``os`` the product or the libraries that it calls may use to change a disk; some of it is not used today."""


class Writes:
    """``call`` is asked before each call of the operating system, ``statement`` before each SQL statement."""

    def __init__(self, call: Call, statement: Call) -> None:
        self._call = call
        self._statement = statement
        self._before: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        """Everything that is called from now on, in all threads."""
        for name in _CALLS:
            if hasattr(os, name):
                self._put(os, name, _asking(getattr(os, name), f"posix.{name}", self._call))
        opening = _opening(io.open, self._call)
        for module in (builtins, io, _io):
            self._put(module, "open", opening)
        connecting = _connecting(sqlite3.connect, self._statement)
        for module in (sqlite3, sqlite3.dbapi2):
            self._put(module, "connect", connecting)
        self._put(threading.Thread, "start", _starting(threading.Thread.start))

    def remove(self) -> None:
        """The originals again."""
        while self._before:
            setattr(*self._before.pop())

    def _put(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)


def _asking(real: Callable[..., Any], name: str, call: Call) -> Callable[..., Any]:
    def asked(*given: Any, **named: Any) -> Any:
        call(name)
        return real(*given, **named)

    return asked


def _opening(real: Callable[..., Any], call: Call) -> Callable[..., Any]:
    class Raw(io.FileIO):
        def write(self, data: Any, /) -> int:
            call("io.write")
            return super().write(data)

        def truncate(self, size: int | None = None, /) -> int:
            call("io.truncate")
            return super().truncate(size)

    def opened(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if set(mode).isdisjoint("wax+"):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        call("io.open")
        raw = Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if not buffering:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        buffer = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
        if "b" in mode:
            return buffer
        return io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)

    return opened


def _connecting(real: Callable[..., Any], statement: Call) -> Callable[..., Any]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> Any:
            statement(sql)
            return super().execute(sql, parameters)

        def executemany(self, sql: str, rows: Any, /) -> Any:
            statement(sql)
            return super().executemany(sql, rows)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            statement("COMMIT")
            super().commit()

    def connected(*given: Any, **named: Any) -> Any:
        return real(*given, **{"factory": Connection, **named})

    return connected


def _starting(real: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def start(thread: threading.Thread) -> None:
        parent = getattr(threading.current_thread(), "storage_side", "")
        thread.storage_side = parent or thread.name  # type: ignore[attr-defined]
        real(thread)

    return start
