"""The places at which a process writes to its disk, each by a name that is the same from run to run.

    tap = Tap(); tap.install()
    tap.record(); act()                     # tap.found: every site that the act passed
    tap.fail(site, lasting=False); act()    # the same, but there the disk fails

There are three kinds: calls that change files (seen by the profiling hook of ``leaks.inject``), statements that change
the store (the same hook), and what SQLite itself writes, syncs and deletes (``vfs``). Threads are told apart by their
names, which are those of the two companies.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

from leaks.inject import Hook, Kind, _name, _of_product

from storage.vfs import Operation

_FILE_CALLS = frozenset(
    {
        "posix.open",
        "posix.write",
        "posix.fsync",
        "posix.replace",
        "posix.rename",
        "posix.unlink",
        "posix.link",
        "posix.mkdir",
        "posix.truncate",
        "posix.ftruncate",
        "_io.FileIO.write",
        "_io.FileIO.truncate",
        "_io.BufferedWriter.write",
        "_io.BufferedWriter.flush",
        "_io.BufferedRandom.write",
        "_io.BufferedRandom.flush",
    }
)
_SQL_CALLS = frozenset({"sqlite3.Cursor.execute", "sqlite3.Cursor.executemany", "sqlite3.Connection.commit"})
_WRITING = ("BEGIN", "INSERT", "UPDATE", "DELETE", "VACUUM", "CREATE")
SIDES = ("left", "right")
_DEEPEST = 40

_CODES = {
    "open": sqlite3.SQLITE_CANTOPEN,
    "truncate": sqlite3.SQLITE_IOERR_TRUNCATE,
    "sync": sqlite3.SQLITE_IOERR_FSYNC,
    "delete": sqlite3.SQLITE_IOERR_DELETE,
}


@dataclass(frozen=True, order=True)
class Site:
    """``kind`` is ``file``, ``statement`` or ``disk``; ``number`` counts the passages on this side and place."""

    side: str
    kind: str
    place: str
    number: int

    def __str__(self) -> str:
        return f"{self.side} {self.kind} {self.place} #{self.number}"

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ValueError(self.side)


class Tap(Hook):
    """Sees, and fails, what is written in threads named after the sides, and by SQLite anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Site] = []
        self.hit = False
        self._site: Site | None = None
        self._lasting = False
        self._recording = False
        self._passed: Counter[tuple[str, str, str]] = Counter()
        self._guard = threading.Lock()

    def record(self) -> None:
        """From now on, note every site."""
        self._begin(None, lasting=False)
        self._recording = True

    def fail(self, site: Site, *, lasting: bool) -> None:
        """From now on, wait for ``site``; ``lasting`` keeps the store's disk failing on that side until ``rest``."""
        self._begin(site, lasting=lasting)

    def rest(self) -> None:
        """The disk is sound again."""
        self._site, self._recording = None, False

    def disk(self, operation: Operation) -> int | None:
        """The observer for ``vfs.watching``."""
        if operation.kind == "lock" or not (self._recording or self._site):
            return None
        side = next((side for side in SIDES if side in operation.path.parts), None)
        if side is None:
            return None
        file = "journal" if operation.path.name.endswith("-journal") else "database"
        fails = self._passes(side, "disk", f"{operation.kind} {file}")
        if not fails and not (self._lasting and self.hit and self._site and self._site.side == side):
            return None
        number = self._site.number if self._site else 0
        return _CODES.get(
            operation.kind,
            (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)[number % 2 and not self._lasting],
        )

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "c_call" or not (self._recording or self._site):
            return
        side = threading.current_thread().name
        if side not in SIDES:
            return
        name = _called(argument)
        if name in _FILE_CALLS or (name == "io.open" and _for_writing(frame)):
            caller = _caller(frame)
            if caller is not None and self._passes(side, "file", f"{caller}->{name}"):
                raise self._os_error(name)
        elif name in _SQL_CALLS:
            statement = str(frame.f_locals.get("statement", "VACUUM")).split()[0]
            if name.endswith("commit"):
                statement = "COMMIT"
            elif statement not in _WRITING:
                return
            if _caller(frame) is not None and self._passes(side, "statement", statement):
                raise self._sql_error(statement)

    def _begin(self, site: Site | None, *, lasting: bool) -> None:
        self._passed.clear()
        self.found = []
        self.hit = False
        self._site, self._lasting, self._recording = site, lasting, False

    def _passes(self, side: str, kind: str, place: str) -> bool:
        """Whether this is where it fails."""
        with self._guard:
            self._passed[side, kind, place] += 1
            site = Site(side, kind, place, self._passed[side, kind, place])
            if self._recording:
                self.found.append(site)
            if site != self._site or self.hit:
                return False
            self.hit = True
            return True

    def _os_error(self, name: str) -> OSError:
        full = name.endswith(("write", "open", "mkdir", "link", "flush")) and not name.endswith("unlink")
        number = errno.ENOSPC if full and crc32(name.encode()) % 4 else errno.EIO
        return OSError(number, os.strerror(number))

    def _sql_error(self, statement: str) -> sqlite3.OperationalError:
        if statement == "BEGIN":
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
        elif self._site and self._site.number % 2:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
        else:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
        return error


def _called(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    module = getattr(function, "__module__", None) or type(owner).__module__
    return f"{module}.{getattr(function, '__qualname__', '?')}"


def _for_writing(frame: FrameType) -> bool:
    mode = frame.f_locals.get("mode", "r")
    return isinstance(mode, str) and not set(mode).isdisjoint("wax+")


def _caller(frame: FrameType) -> str | None:
    """The function of the product on whose behalf this is called."""
    here: FrameType | None = frame
    for _ in range(_DEEPEST):
        if here is None:
            return None
        if _of_product(here) and not here.f_code.co_name.startswith("<"):
            return _name(here)
        here = here.f_back
    return None


def home_of(path: Path) -> Path:
    """The folder of the company that ``path`` is in."""
    return next(parent for parent in (path, *path.parents) if parent.name in SIDES)


__all__ = ["SIDES", "Kind", "Site", "Tap", "home_of"]
