"""The partner's records, as ciphertext that the server cannot read (DESIGN §7, §8)."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable
from datetime import datetime

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

    def between(self, run_id: str, first: int, end: int) -> builtins.list[ReceivedRow]:
        """The run's records from rank ``first`` to before ``end``, by rank and class."""
        return self._table.all(
            received.c.run_id == run_id,
            received.c.rank >= first,
            received.c.rank < end,
            order=(received.c.rank, received.c.retention_days),
        )

    def count(self, run_id: str) -> int:
        """How many records the run has; a contact with fields of two classes counts twice."""
        query = select(func.count()).select_from(received).where(received.c.run_id == run_id)
        return self._connection.execute(query).scalar_one()

    def deadlines(self, run_id: str) -> builtins.list[tuple[int, int, datetime]]:
        """Of each retention class of the run: its days, how many records it has, and when the first must go."""
        query = (
            select(received.c.retention_days, func.count(), func.min(received.c.delete_after))
            .where(received.c.run_id == run_id)
            .group_by(received.c.retention_days)
            .order_by(received.c.retention_days)
        )
        return [(days, count, first) for days, count, first in self._connection.execute(query)]

    def earliest(self) -> datetime | None:
        """When the first of all records must go, or nothing where there is none; one look into an index."""
        first: datetime | None = self._connection.execute(
            select(func.min(received.c.delete_after))
        ).scalar_one()
        return first

    def expired(self, now: datetime) -> builtins.list[ReceivedRow]:
        """All records whose retention has passed, by run, rank and class."""
        return self._table.all(
            received.c.delete_after <= now,
            order=(received.c.run_id, received.c.rank, received.c.retention_days),
        )

    def destroy_expired(self, run_id: str, now: datetime) -> int:
        """Delete the run's records whose retention has passed; how many there were."""
        return self._table.delete(received.c.run_id == run_id, received.c.delete_after <= now)

    def destroy_ranks(self, run_id: str, ranks: Collection[int]) -> builtins.list[tuple[int, ...]]:
        """Delete the records of every contact that one of ``ranks`` names, in all classes.

        The ranks of each deleted record, ascending; a contact with fields of two classes comes twice.
        """
        wanted = set(ranks)
        found = [record for record in self._named(run_id) if not wanted.isdisjoint(record[2])]
        for rank, days, _ in found:
            self._table.delete(
                received.c.run_id == run_id, received.c.rank == rank, received.c.retention_days == days
            )
        return sorted(named for _, _, named in found)

    def ranks(self, run_id: str) -> builtins.list[tuple[int, ...]]:
        """The ranks of each of the run's records, ascending, by rank and class."""
        return sorted(named for _, _, named in self._named(run_id))

    def _named(self, run_id: str) -> builtins.list[tuple[int, int, tuple[int, ...]]]:
        """Rank, class in days and all ranks of each record; not the ciphertext, which may be large."""
        query = select(received.c.rank, received.c.retention_days, received.c.also).where(
            received.c.run_id == run_id
        )
        with self._connection.execute(query) as result:
            return [(rank, days, (rank, *also)) for rank, days, also in result]

    def destroy(self, run_id: str) -> int:
        """Delete the run's records; how many there were."""
        return self._table.delete(received.c.run_id == run_id)
