"""Operators' signed approvals that others rely on: of a field, or as one of two under an act (DESIGN §8)."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import ApprovalRow
from mutuals.store.schema import approvals
from mutuals.store.table import RowTable


class Approvals:
    """Approvals in the order they were given; one of each operator for each act and subject counts."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, approvals, ApprovalRow)

    def put(self, row: ApprovalRow) -> None:
        """Add an approval; it takes the place of an earlier one by the same operator of the same."""
        self._table.update(
            [
                approvals.c.act == row.act,
                approvals.c.subject == row.subject,
                approvals.c.operator == row.operator,
                approvals.c.voided_at.is_(None),
            ],
            {"voided_at": row.at},
        )
        self._table.insert([row])

    def of(self, act: str, subject: str) -> builtins.list[ApprovalRow]:
        """The approvals of ``subject`` that stand, oldest first."""
        return self._table.all(
            approvals.c.act == act,
            approvals.c.subject == subject,
            approvals.c.voided_at.is_(None),
            order=(approvals.c.position,),
        )

    def void(self, act: str, subject: str, at: datetime) -> int:
        """Withdraw every approval of ``subject``; how many there were."""
        return self._table.update(
            [approvals.c.act == act, approvals.c.subject == subject, approvals.c.voided_at.is_(None)],
            {"voided_at": at},
        )

    def void_by(self, operator: str, at: datetime) -> int:
        """Withdraw whatever ``operator`` approved; how many there were."""
        return self._table.update(
            [approvals.c.operator == operator, approvals.c.voided_at.is_(None)], {"voided_at": at}
        )
