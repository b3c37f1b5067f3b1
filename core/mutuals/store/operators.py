"""The operators: people who work with this peer (DESIGN §8)."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import OperatorRow
from mutuals.store.schema import operators
from mutuals.store.table import RowTable


class Operators:
    """A disabled operator keeps the row, for the signatures that name it."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, operators, OperatorRow)

    def put(self, row: OperatorRow) -> None:
        """Add an operator, or replace the one of this name."""
        self._table.put(row)

    def get(self, name: str) -> OperatorRow | None:
        """The operator of this name, disabled or not."""
        return self._table.one(operators.c.name == name)

    def list(self) -> builtins.list[OperatorRow]:
        """All operators, the disabled too, by name."""
        return self._table.all(order=(operators.c.name,))

    def disable(self, name: str, at: datetime) -> None:
        """Mark the operator as disabled; nothing happens to one that already is."""
        self._table.update([operators.c.name == name, operators.c.disabled_at.is_(None)], {"disabled_at": at})
