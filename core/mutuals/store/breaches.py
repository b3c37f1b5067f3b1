"""Breaches, own and those that partners told of."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import BreachRow
from mutuals.store.schema import breaches
from mutuals.store.table import RowTable


class Breaches:
    """Breaches by id."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, breaches, BreachRow)

    def put(self, row: BreachRow) -> None:
        """Add a breach, or replace what is known of it."""
        self._table.put(row)

    def get(self, breach_id: str) -> BreachRow | None:
        """The breach of this id."""
        return self._table.one(breaches.c.breach_id == breach_id)

    def list(self, *, open_only: bool = False) -> builtins.list[BreachRow]:
        """All breaches, or those not yet closed, oldest first."""
        where = (breaches.c.closed_at.is_(None),) if open_only else ()
        return self._table.all(*where, order=(breaches.c.opened_at, breaches.c.breach_id))

    def close(self, breach_id: str, at: datetime) -> None:
        """Note that it is dealt with."""
        self._table.update([breaches.c.breach_id == breach_id], {"closed_at": at, "updated_at": at})
