"""Store and files of both companies, where any write, sync or commit may fail, or be the last thing a process does.

What a process wrote survives its death. What was not synced may be lost with the power: the tail of a journal is.
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from lifecycle.memory import MemoryStore

from mutuals.identity import files
from mutuals.models.agreement import AgreementState, Side
from mutuals.runs import journal, shares, spool
from mutuals.store.database import Transaction
from simulation.schedule import Process, Scheduler

if TYPE_CHECKING:
    from simulation.witness import Witness

Meet = Callable[[str, str], None]
"""Told of every place where something may go wrong; raises what does."""


class SimStore(MemoryStore):
    """A company's store, which outlives its processes."""

    meet: Meet | None = None
    scheduler: Scheduler | None = None
    witness: Witness | None = None
    side = Side.PROPOSER

    def watch(self, side: Side, meet: Meet, scheduler: Scheduler, witness: Witness) -> None:
        """From now on faults may come, and the witness is told of what changes."""
        self.side, self.meet, self.scheduler, self.witness = side, meet, scheduler, witness
        witness.begin(side, self)

    def summary(self) -> tuple[dict[str, AgreementState], int, int]:
        """The agreements' states by digest, how many hashes of withdrawn contacts there are, and how many policies."""
        rows = self._raw.execute("SELECT digest, state FROM agreements").fetchall()
        (counts,) = self._raw.execute(
            "SELECT (SELECT count(*) FROM suppressions), (SELECT count(*) FROM policies)"
        ).fetchall()
        return {digest: AgreementState(state) for digest, state in rows}, *counts

    @property
    def changes(self) -> int:
        """How many rows were changed so far."""
        return self._raw.total_changes

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """As the store's own; it may fail where it begins and where it is committed."""
        scheduler, meet, witness = self.scheduler, self.meet, self.witness
        if (
            scheduler is None
            or meet is None
            or witness is None
            or scheduler.of_people
            or scheduler.current.quiet
        ):
            with super().transaction() as tx:
                yield tx
            return
        task = scheduler.current
        if not task.inside:
            scheduler.wait()
        before = self.changes
        task.inside = True
        task.sight.moment = witness.moment
        task.on_commit.clear()
        try:
            with super().transaction() as tx:
                meet("begin", "begins a transaction")
                yield tx
                if self.changes != before:
                    meet("commit", "commits")
            if self.changes != before:
                witness.committed(self.side, self)
            for call in task.on_commit:
                call()
        finally:
            task.inside = False
        if self.changes != before:
            meet("committed", "has committed")


def failing_store() -> sqlite3.Error:
    """What SQLite says of a disk that does not take it."""
    return sqlite3.OperationalError("disk I/O error")


def failing_disk(chance: random.Random) -> OSError:
    """What the system says of a disk that does not take it."""
    number = chance.choice((errno.ENOSPC, errno.EIO))
    return OSError(number, os.strerror(number))


class Files:
    """The files of both companies while a simulation runs."""

    def __init__(self, scheduler: Scheduler, meet: Meet, chance: random.Random) -> None:
        self._scheduler = scheduler
        self._meet = meet
        self._chance = chance
        self._synced: dict[int, int] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Everything that the product writes goes through here."""
        system = _System(self)
        begin = journal.MatchJournal.__init__
        unlink = Path.unlink
        replace = Path.replace

        def make(held: Any, peer: Any, run: Any, file: Any, opening: Any) -> None:
            begin(held, peer, run, self.of(file), opening)

        def remove(path: Path, missing_ok: bool = False) -> None:
            self.meet("unlink", f"removes {shown(path)}")
            unlink(path, missing_ok)

        def rename(path: Path, target: Path) -> Path:
            self.meet("unlink", f"renames {shown(path)}")
            return replace(path, target)

        with ExitStack() as stack:
            for module in (journal, spool, shares, files):
                stack.enter_context(patch.object(module, "os", system))
            stack.enter_context(patch.object(journal.MatchJournal, "__init__", make))
            stack.enter_context(patch.object(Path, "unlink", remove))
            stack.enter_context(patch.object(Path, "replace", rename))
            yield

    def meet(self, site: str, what: str) -> None:
        """Something may happen here; only in a process that lives."""
        self._meet(site, what)

    def of(self, file: Any) -> Any:
        """A file of the process that has opened it, which closes it when it dies."""
        return WatchedFile(file, self, self._scheduler.current.process, self._chance)

    def sync(self, descriptor: int) -> None:
        """What was written is safe now."""
        self._meet("sync", "syncs a file")
        state = os.fstat(descriptor)
        self._synced[state.st_ino] = state.st_size
        self._meet("synced", "has synced a file")

    def lose_power(self, folder: Path) -> None:
        """Of what was appended and not synced, only a beginning is left."""
        for path in sorted(folder.glob("*.journal")):
            state = path.stat()
            safe = min(self._synced.get(state.st_ino, 0), state.st_size)
            kept = self._chance.randint(safe, state.st_size)
            self._scheduler.note(f"{shown(path)} keeps {kept} of {state.st_size} bytes, {safe} were synced")
            os.truncate(path, kept)

    def forget(self) -> None:
        """For the next simulation, whose files may get the same numbers."""
        self._synced.clear()


def shown(path: Path) -> str:
    """A file's name, without what is random in it."""
    return path.name if path.name.startswith("R-") else path.suffix or "a file"


class _System:
    """The module ``os``, as the product's modules see it."""

    def __init__(self, watched: Files) -> None:
        self._files = watched

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, descriptor: int) -> None:
        self._files.sync(descriptor)

    def fdopen(self, descriptor: int, *args: Any, **options: Any) -> WatchedFile:
        file: WatchedFile = self._files.of(os.fdopen(descriptor, *args, **options))
        return file

    def open(self, *args: Any) -> int:
        self._files.meet("write", "opens a file")
        return os.open(*args)

    def replace(self, source: Path, target: Path) -> None:
        self._files.meet("unlink", f"renames {shown(source)}")
        os.replace(source, target)


class WatchedFile:
    """A file whose next write may fail in the middle."""

    def __init__(self, file: Any, watched: Files, process: Process, chance: random.Random) -> None:
        self._file: Any = file._file if isinstance(file, WatchedFile) else file
        self._files = watched
        self._chance = chance
        process.at_death.append(self._file.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> WatchedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: Any) -> int:
        """All of it, or some and then an error or the end of the process."""
        before = self._chance.randrange(len(data) + 1)
        self._files.meet("write", f"writes {len(data)} bytes")
        self._file.write(data[:before])
        self._files.meet("writing", f"has written {before} of them")
        return before + int(self._file.write(data[before:]))
