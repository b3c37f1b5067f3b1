"""Documents waiting to reach a partner, and those that reached us (DESIGN §4). Both sides are idempotent."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from mutuals.store.rows import OutboxRow
from mutuals.store.schema import inbox, outbox
from mutuals.store.table import RowTable


class Outbox:
    """Documents for partners, by document id (hex)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, outbox, OutboxRow)

    def enqueue(self, row: OutboxRow) -> None:
        """Add a document; one that is already there stays as it is."""
        if self._table.one(outbox.c.document_id == row.document_id) is None:
            self._table.insert([row])

    def get(self, document_id: str) -> OutboxRow | None:
        """The document of this id, delivered or not."""
        return self._table.one(outbox.c.document_id == document_id)

    def pending(self, partner: str | None = None) -> builtins.list[OutboxRow]:
        """What has not been delivered, to one partner (fingerprint) or to all, in the order it was added."""
        where = () if partner is None else (outbox.c.partner == partner,)
        return self._table.all(*where, outbox.c.delivered_at.is_(None), order=(outbox.c.position,))

    def of_kind(self, kind: str, partner: str) -> builtins.list[OutboxRow]:
        """All documents of a kind for one partner, delivered or not, in the order they were added."""
        where = (outbox.c.partner == partner, outbox.c.kind == kind)
        return self._table.all(*where, order=(outbox.c.position,))

    def waiting(self) -> dict[str, tuple[int, datetime]]:
        """For each partner (fingerprint) with documents not delivered: how many, and since when the oldest waits."""
        query = (
            select(outbox.c.partner, func.count(), func.min(outbox.c.created_at))
            .where(outbox.c.delivered_at.is_(None))
            .group_by(outbox.c.partner)
        )
        rows = self._connection.execute(query).all()
        return {partner: (count, oldest) for partner, count, oldest in rows}

    def delivered(self, document_id: str, receipt: bytes, at: datetime) -> None:
        """Keep the partner's receipt; the first one stays."""
        self._table.update(
            [outbox.c.document_id == document_id, outbox.c.delivered_at.is_(None)],
            {"delivered_at": at, "receipt": receipt},
        )


@dataclass(frozen=True)
class _InboxRow:
    document_id: str
    partner: str
    kind: str
    receipt: bytes = field(repr=False)
    at: datetime


class Inbox:
    """Documents of partners that we dealt with, by document id (hex)."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, inbox, _InboxRow)

    def seen(self, document_id: str) -> bytes | None:
        """The receipt we gave for this document, or nothing if it is new."""
        row = self._table.one(inbox.c.document_id == document_id)
        return None if row is None else row.receipt

    def record(self, document_id: str, partner: str, kind: str, receipt: bytes, at: datetime) -> None:
        """Keep the receipt we give; the first one stays."""
        if self.seen(document_id) is None:
            self._table.insert([_InboxRow(document_id, partner, kind, receipt, at)])
