"""The places at which a process writes to its disk, each by a name that is the same from run to run.

    tap = Tap(); tap.install()
    tap.record(); act()                     # tap.found: every site that the act passed
    tap.fail(site, lasting=False); act()    # the same, but there the disk fails

A *write site* is one passage of one operation that changes what is on a disk, or says that it must be there. There are
three kinds, and an act has as many sites as it passes:

- ``file``: a call of the operating system by which the product makes, opens to write, writes, cuts, syncs, renames,
  links or removes a file or a folder (``writes``). Named after the function of the product on whose behalf it is;
- ``statement``: an SQL statement that begins, changes, rewrites or commits, as SQLite's driver is given it;
- ``disk``: what SQLite itself then asks of its files: create, write (a page), cut, sync or delete (``vfs``).

So one changed row is several sites: the statement, each page of the journal and of the file, their syncs. The sides
are told apart by the path of a store's file, and by the thread: that of a company has its name, and those that it
starts belong to it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from zlib import crc32

from leaks.inject import _name, _of_product

from storage.vfs import Operation
from storage.writes import Writes

SIDES = ("left", "right")
_STATEMENTS = frozenset({"BEGIN", "INSERT", "UPDATE", "DELETE", "VACUUM", "CREATE", "COMMIT"})
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


class Tap:
    """Sees, and fails, what is written in threads named after the sides, and by SQLite anywhere."""

    def __init__(self) -> None:
        self.found: list[Site] = []
        self.hit = False
        self._site: Site | None = None
        self._lasting = False
        self._recording = False
        self._passed: Counter[tuple[str, str, str]] = Counter()
        self._guard = threading.Lock()
        self._files: dict[str, tuple[str, str] | None] = {}
        self._writes = Writes(self.call, self.statement)

    def install(self) -> None:
        """From now on, stand between the process and its files, and its stores' driver."""
        self._writes.install()

    def remove(self) -> None:
        """All is as it was before ``install``."""
        self._writes.remove()

    def record(self) -> None:
        """From now on, note every site."""
        self._begin(None, lasting=False)
        self._recording = True

    def fail(self, site: Site, *, lasting: bool) -> None:
        """From now on, wait for ``site``; ``lasting`` keeps all disks of that side failing until ``rest``."""
        self._begin(site, lasting=lasting)

    def rest(self) -> None:
        """The disk is sound again."""
        self._site, self._recording = None, False

    def disk(self, operation: Operation) -> int | None:
        """The observer for ``vfs.watching``: a result code of SQLite where this fails."""
        if not (self._recording or self._site):
            return None
        of = self._of(operation.path)
        if of is None:
            return None
        side, file = of
        fails = self._passes(side, "disk", f"{operation.kind} {file}")
        if not fails and not self._stays_bad(side):
            return None
        number = self._site.number if self._site else 0
        return _CODES.get(
            operation.kind,
            (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)[number % 2 and not self._lasting],
        )

    def call(self, name: str) -> None:
        """The product calls the operating system's ``name``. Raises OSError where this fails."""
        if not (self._recording or self._site):
            return
        side = side_of_thread()
        if side is None:
            return
        caller = _caller(sys._getframe(1))
        if caller is not None and (self._passes(side, "file", f"{caller}->{name}") or self._stays_bad(side)):
            raise _os_error(name)

    def statement(self, words: str) -> None:
        """A statement, of which ``words`` is the text, goes to SQLite. Raises OperationalError where this fails."""
        if not (self._recording or self._site):
            return
        side, verb = side_of_thread(), words.split(None, 1)[0]
        if side is None or verb not in _STATEMENTS or _caller(sys._getframe(1)) is None:
            return
        if self._passes(side, "statement", verb):
            raise _sql_error(verb, self._site)

    def _begin(self, site: Site | None, *, lasting: bool) -> None:
        self._passed.clear()
        self.found = []
        self.hit = False
        self._site, self._lasting, self._recording = site, lasting, False

    def _passes(self, side: str, kind: str, place: str) -> bool:
        """Whether this is where it fails."""
        with self._guard:
            self._passed[side, kind, place] += 1
            number = self._passed[side, kind, place]
            if self._recording:
                self.found.append(Site(side, kind, place, number))
            wanted = self._site
            if self.hit or wanted is None or number != wanted.number:
                return False
            if (side, kind, place) != (wanted.side, wanted.kind, wanted.place):
                return False
            self.hit = True
            return True

    def _stays_bad(self, side: str) -> bool:
        return self._lasting and self.hit and self._site is not None and self._site.side == side

    def _of(self, path: Path) -> tuple[str, str] | None:
        """Whose store a file belongs to, and which of its two files that is."""
        text = str(path)
        if text not in self._files:
            side = next((side for side in SIDES if side in path.parts), None)
            file = "journal" if text.endswith("-journal") else "database"
            self._files[text] = None if side is None else (side, file)
        return self._files[text]


def _os_error(name: str) -> OSError:
    growing = name.removeprefix("posix.") in {"write", "open", "mkdir", "link"} or name.startswith("io.")
    number = errno.ENOSPC if growing and crc32(name.encode()) % 4 else errno.EIO
    return OSError(number, os.strerror(number))


def _sql_error(verb: str, site: Site | None) -> sqlite3.OperationalError:
    if verb == "BEGIN":
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
    elif site and site.number % 2:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
    else:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    return error


def side_of_thread() -> str | None:
    """The company whose thread this is, or was started by."""
    thread = threading.current_thread()
    name = getattr(thread, "storage_side", thread.name)
    return name if name in SIDES else None


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
