"""The ledger of what was sent to whom, readable only with the accountability key (DESIGN §8)."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import SentRow
from mutuals.store.schema import sent
from mutuals.store.table import RowTable


class Sent:
    """Entries in the order they were made."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, sent, SentRow)

    def put(self, row: SentRow) -> None:
        """Add an entry."""
        self._table.insert([row])

    def list(self, run_id: str | None = None) -> builtins.list[SentRow]:
        """All entries, or those of one run, oldest first."""
        where = () if run_id is None else (sent.c.run_id == run_id,)
        return self._table.all(*where, order=(sent.c.position,))

    def destroy_expired(self, now: datetime) -> int:
        """Delete the entries whose retention has passed; how many there were."""
        return self._table.delete(sent.c.delete_after <= now)
