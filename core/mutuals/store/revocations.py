"""Contacts withdrawn after they were sent, on either side."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import RevocationRow
from mutuals.store.schema import revocations
from mutuals.store.table import RowTable


class Revocations:
    """Revocations by id."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, revocations, RevocationRow)

    def put(self, row: RevocationRow) -> None:
        """Add a revocation; its id must be new."""
        self._table.insert([row])

    def get(self, revocation_id: str) -> RevocationRow | None:
        """The revocation of this id."""
        return self._table.one(revocations.c.revocation_id == revocation_id)

    def list(self, run_id: str | None = None) -> builtins.list[RevocationRow]:
        """All revocations, or those in one run, oldest first."""
        where = () if run_id is None else (revocations.c.run_id == run_id,)
        return self._table.all(*where, order=(revocations.c.at, revocations.c.revocation_id))

    def answer(self, revocation_id: str, deleted: int, at: datetime) -> None:
        """Note how many records the recipient deleted, and when it said so."""
        self._table.update(
            [revocations.c.revocation_id == revocation_id, revocations.c.answered_at.is_(None)],
            {"answered_at": at, "deleted": deleted},
        )
