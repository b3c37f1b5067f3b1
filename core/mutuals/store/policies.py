"""The versions of the company's own data-ownership policy, as approved."""

from __future__ import annotations

import builtins

from sqlalchemy import Connection

from mutuals.store.rows import PolicyRow
from mutuals.store.schema import policies
from mutuals.store.table import RowTable


class Policies:
    """Versions are added, never changed."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, policies, PolicyRow)

    def put(self, row: PolicyRow) -> None:
        """Add a version; its number must be new."""
        self._table.insert([row])

    def current(self) -> PolicyRow | None:
        """The version approved last, or nothing."""
        return self._table.one(order=(policies.c.version.desc(),))

    def list(self) -> builtins.list[PolicyRow]:
        """All versions, oldest first."""
        return self._table.all(order=(policies.c.version,))
