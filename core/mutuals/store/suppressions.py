"""Contacts and identifiers that must stay out, as keyed hashes (DESIGN §8)."""

from __future__ import annotations

import builtins

from sqlalchemy import Connection, func, select

from mutuals.store.rows import SuppressionRow
from mutuals.store.schema import suppressions
from mutuals.store.table import RowTable


class Suppressions:
    """Keyed hashes (32 bytes)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, suppressions, SuppressionRow)

    def put(self, row: SuppressionRow) -> None:
        """Add a hash, or replace its reason."""
        self._table.put(row)

    def list(self) -> builtins.list[SuppressionRow]:
        """All of them."""
        return self._table.all(order=(suppressions.c.at, suppressions.c.hash))

    def count(self) -> int:
        """How many there are."""
        return self._connection.execute(select(func.count()).select_from(suppressions)).scalar_one()

    def mark(self) -> str:
        """A text that is another one once something was added, or taken away."""
        newest = func.max(suppressions.c.at)
        count, at = self._connection.execute(select(func.count(), newest).select_from(suppressions)).one()
        return f"{count}/{at}"

    def remove(self, hash: bytes) -> int:
        """Let it take part again; whether it was held."""
        return self._table.delete(suppressions.c.hash == hash)
