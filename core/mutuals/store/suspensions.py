"""Halts of agreements, each in effect until the side that made it lifts it."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import SuspensionRow
from mutuals.store.schema import suspensions
from mutuals.store.table import RowTable


class Suspensions:
    """Suspensions by id."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, suspensions, SuspensionRow)

    def put(self, row: SuspensionRow) -> None:
        """Add a suspension; its id must be new."""
        self._table.insert([row])

    def get(self, suspension_id: str) -> SuspensionRow | None:
        """The suspension of this id."""
        return self._table.one(suspensions.c.suspension_id == suspension_id)

    def open(self, agreement: str) -> builtins.list[SuspensionRow]:
        """Those of an agreement (digest) that are in effect, oldest first."""
        return self._table.all(
            suspensions.c.agreement == agreement,
            suspensions.c.lifted_at.is_(None),
            order=(suspensions.c.at, suspensions.c.suspension_id),
        )

    def list(self) -> builtins.list[SuspensionRow]:
        """All, oldest first."""
        return self._table.all(order=(suspensions.c.at, suspensions.c.suspension_id))

    def lift(self, suspension_id: str, at: datetime) -> None:
        """End it; nothing happens to one that has ended."""
        self._table.update(
            [suspensions.c.suspension_id == suspension_id, suspensions.c.lifted_at.is_(None)],
            {"lifted_at": at},
        )
