"""The append-only log. Entries never name an identifier, nor a hash of one (DESIGN §9)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from mutuals.store.rows import LogRow
from mutuals.store.schema import log
from mutuals.store.table import RowTable


class Log:
    """Entries, numbered from 1 without gaps: a transaction that fails takes its numbers back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, log, LogRow)

    def append(self, agreement: str | None, event: str, body: dict[str, Any], at: datetime) -> int:
        """Add an entry about ``agreement`` (digest) or about the peer itself; its number."""
        last = self._connection.execute(select(func.max(log.c.seq))).scalar_one()
        seq = (last or 0) + 1
        self._table.insert([LogRow(seq, agreement, event, body, at)])
        return seq

    def latest(self) -> LogRow | None:
        """The last entry, or nothing."""
        return self._table.one(order=(log.c.seq.desc(),))

    def entries(self, agreement: str | None = None) -> list[LogRow]:
        """All entries, or those about one agreement, in order."""
        where = () if agreement is None else (log.c.agreement == agreement,)
        return self._table.all(*where, order=(log.c.seq,))

    def of(self, agreement: str | None) -> list[LogRow]:
        """The entries of exactly one log, in order: an agreement's, or the peer's own where there is none."""
        return self._table.all(log.c.agreement == agreement, order=(log.c.seq,))

    def kinds(self, agreements: Collection[str], *names: str) -> list[LogRow]:
        """The entries of these kinds about one of these agreements (digests), in order."""
        return self._table.all(log.c.agreement.in_(agreements), log.c.event.in_(names), order=(log.c.seq,))

    def count(self, agreement: str | None) -> int:
        """How many entries exactly one log has."""
        query = select(func.count()).select_from(log).where(log.c.agreement == agreement)
        return int(self._connection.execute(query).scalar_one())

    def events(self, *names: str) -> list[LogRow]:
        """The entries of these kinds in all logs, in order."""
        return self._table.all(log.c.event.in_(names), order=(log.c.seq,))
