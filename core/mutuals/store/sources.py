"""Where contacts are read from; the contacts themselves never enter the store."""

from __future__ import annotations

import builtins

from sqlalchemy import Connection

from mutuals.store.rows import SourceRow
from mutuals.store.schema import sources
from mutuals.store.table import RowTable


class Sources:
    """The definitions of the sources, by name."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, sources, SourceRow)

    def put(self, row: SourceRow) -> None:
        """Add a source, or replace the one of this name."""
        self._table.put(row)

    def get(self, name: str) -> SourceRow | None:
        """The source of this name."""
        return self._table.one(sources.c.name == name)

    def list(self) -> builtins.list[SourceRow]:
        """All sources, by name."""
        return self._table.all(order=(sources.c.name,))

    def remove(self, name: str) -> None:
        """Forget the source of this name, if there is one."""
        self._table.delete(sources.c.name == name)
