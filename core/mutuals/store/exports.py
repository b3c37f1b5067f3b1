"""Which records left the store as files, for the deletion certificate and for audits."""

from __future__ import annotations

import builtins

from sqlalchemy import Connection

from mutuals.store.rows import ExportRow
from mutuals.store.schema import exports
from mutuals.store.table import RowTable


class Exports:
    """Entries in the order they were made."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, exports, ExportRow)

    def put(self, row: ExportRow) -> None:
        """Add an entry."""
        self._table.insert([row])

    def list(self, run_id: str | None = None) -> builtins.list[ExportRow]:
        """All exports, or those of one run, oldest first."""
        where = () if run_id is None else (exports.c.run_id == run_id,)
        return self._table.all(*where, order=(exports.c.position,))
