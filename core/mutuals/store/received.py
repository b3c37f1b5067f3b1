"""The partner's records, as ciphertext that the server cannot read (DESIGN §7, §8)."""

from __future__ import annotations

import builtins
from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from mutuals.store.rows import ReceivedRow
from mutuals.store.schema import received
from mutuals.store.table import RowTable


class Received:
    """Sealed records by run, rank and retention class."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, received, ReceivedRow)

    def put(self, rows: Iterable[ReceivedRow]) -> None:
        """Add records; run, rank and class must be new."""
        self._table.insert(rows)

    def list(self, run_id: str) -> builtins.list[ReceivedRow]:
        """The run's records, by rank and class."""
        return self._table.all(
            received.c.run_id == run_id, order=(received.c.rank, received.c.retention_days)
        )

    def count(self, run_id: str) -> int:
        """How many records the run has; a contact with fields of two classes counts twice."""
        query = select(func.count()).select_from(received).where(received.c.run_id == run_id)
        return self._connection.execute(query).scalar_one()

    def destroy(self, run_id: str) -> int:
        """Delete the run's records; how many there were."""
        return self._table.delete(received.c.run_id == run_id)
