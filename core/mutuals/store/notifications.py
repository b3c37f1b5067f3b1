"""What operators are told at their next command, each once."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from mutuals.store.rows import NotificationRow
from mutuals.store.schema import notifications, notifications_read
from mutuals.store.table import RowTable


class Notifications:
    """Sentences in the order they came, and how far each operator has read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, notifications, NotificationRow)

    def add(
        self,
        agreement: str | None,
        text: str,
        roles: Collection[str],
        at: datetime,
        *,
        author: str | None = None,
    ) -> None:
        """Tell every operator with one of ``roles``, or everybody where there are none; not the ``author`` of it."""
        self._connection.execute(
            notifications.insert().values(
                agreement=agreement, text=text, roles=tuple(sorted(roles)), at=at, author=author
            )
        )

    def unread(self, operator: str, roles: Collection[str]) -> builtins.list[NotificationRow]:
        """What ``operator`` has not been shown yet, oldest first."""
        query = select(notifications_read.c.up_to).where(notifications_read.c.operator == operator)
        up_to = self._connection.execute(query).scalar() or 0
        rows = self._table.all(notifications.c.position > up_to, order=(notifications.c.position,))
        return [
            row for row in rows if row.author != operator and (not row.roles or set(row.roles) & set(roles))
        ]

    def read(self, operator: str, up_to: int) -> None:
        """Note that ``operator`` was shown everything up to this position."""
        held = notifications_read.c.operator == operator
        changed = self._connection.execute(notifications_read.update().where(held).values(up_to=up_to))
        if not changed.rowcount:
            self._connection.execute(notifications_read.insert().values(operator=operator, up_to=up_to))
