"""Contacts between two companies in one process, copies of their stores, and changes to their logs."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutuals.store.rows import CheckpointRow, LogRow
from mutuals.transport.sync import SyncResult, answer_sync, sync_partner
from mutuals.transport.wire import SYNC, SyncMessage
from support import postgres, postgres_homes
from support.pairing import Company

Lose = Callable[[int, str], bool]
"""Whether message ``number`` (from 0), ``"request"`` or ``"answer"``, is lost."""


class LineBroke(Exception):
    """What a lost message looks like to the caller."""


class InProcess:
    """In place of a connection to ``answering``: every message goes through the wire's form."""

    def __init__(
        self, calling: Company, answering: Company, lose: Lose = lambda number, which: False
    ) -> None:
        self.partner = calling.partner()
        self.calls = 0
        self._calling = calling
        self._answering = answering
        self._lose = lose

    def sync(self, message: SyncMessage) -> SyncMessage:
        number, self.calls = self.calls, self.calls + 1
        request = SYNC.request.decode(SYNC.request.encode(message))
        if self._lose(number, "request"):
            raise LineBroke
        answer = answer_sync(self._answering.peer, self._answering.partner(), request, _raise)
        if self._lose(number, "answer"):
            raise LineBroke
        return SYNC.response.decode(SYNC.response.encode(answer))


def meet(calling: Company, answering: Company, lose: Lose = lambda number, which: False) -> SyncResult:
    """One sync, started by ``calling``."""
    connection: Any = InProcess(calling, answering, lose)
    return sync_partner(calling.peer, connection)


def write_entry(company: Company, log: str | None, event: str = "test.note", **body: Any) -> None:
    """Add an entry to a log."""
    with company.peer.store.transaction() as tx:
        tx.log.append(log, event, body, company.clock())


def entries(company: Company, log: str | None) -> list[LogRow]:
    """The entries of one log."""
    with company.peer.store.transaction() as tx:
        return tx.log.of(log)


def checkpoints(company: Company, log: str, *, own: bool) -> list[CheckpointRow]:
    """The checkpoints of one side of a log, by size."""
    with company.peer.store.transaction() as tx:
        return [row for row in tx.checkpoints.list(log) if row.own == own]


def save(company: Company, to: Path) -> Path:
    """Yesterday's copy of the store."""
    if postgres.everywhere():
        return postgres_homes.save(_url(company), to)
    company.peer.close()
    return Path(shutil.copy(company.peer.home.store, to))


def put_back(company: Company, copy: Path) -> None:
    """The store as it was when it was saved."""
    if postgres.everywhere():
        postgres_homes.put_back(_url(company), copy)
        return
    company.peer.close()
    shutil.copy(copy, company.peer.home.store)


def overwrite(company: Company, copy: Path) -> None:
    """The same while the store is open, which is quicker."""
    if postgres.everywhere():
        postgres_homes.put_back(_url(company), copy)
        return
    with sqlite3.connect(copy) as source, sqlite3.connect(company.peer.home.store) as store:
        source.backup(store)
    source.close()
    store.close()


def _url(company: Company) -> str:
    return company.peer.home.store_url(company.peer.config)


def change(company: Company, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change the store by hand, behind the program's back."""
    if postgres.everywhere():
        postgres_homes.change(_url(company), *statements)
        return
    with sqlite3.connect(company.peer.home.store) as connection:
        for statement, values in statements:
            connection.execute(statement, values)
    connection.close()


def _raise(error: Exception) -> None:
    raise error
