"""What each partner has used of its budget, over all agreements, never refunded (DESIGN §3).

Read the usage and charge in one transaction: a transaction has the store to itself, so two runs that open at
once cannot both take the last of a budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from mutuals.store.rows import BudgetUsage
from mutuals.store.schema import charges
from mutuals.store.table import RowTable


@dataclass(frozen=True)
class _Charge:
    sid: bytes = field(repr=False)
    partner: str
    agreement: str
    items: int
    at: datetime


class Budgets:
    """One charge per run, named by its session id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, charges, _Charge)

    def charge(self, partner: str, agreement: str, sid: bytes, items: int, at: datetime) -> None:
        """Charge ``items`` announced items to ``partner`` for run ``sid`` (32 bytes), once per run."""
        if self._table.one(charges.c.sid == sid) is None:
            self._table.insert([_Charge(sid, partner, agreement, items, at)])

    def usage(self, partner: str, since: datetime) -> BudgetUsage:
        """What was charged to ``partner`` at ``since`` or later."""
        query = select(func.count(), func.coalesce(func.sum(charges.c["items"]), 0)).where(
            charges.c.partner == partner, charges.c.at >= since
        )
        runs, items = self._connection.execute(query).one()
        return BudgetUsage(int(runs), int(items))

    def usages(self, since: datetime) -> dict[str, BudgetUsage]:
        """What was charged to each partner (fingerprint) at ``since`` or later; those without a charge are missing."""
        query = (
            select(charges.c.partner, func.count(), func.sum(charges.c["items"]))
            .where(charges.c.at >= since)
            .group_by(charges.c.partner)
        )
        rows = self._connection.execute(query).all()
        return {partner: BudgetUsage(int(runs), int(items)) for partner, runs, items in rows}

    def oldest(self, partner: str, since: datetime) -> datetime | None:
        """When the first of what ``usage`` counts was charged, or nothing."""
        row = self._table.one(charges.c.partner == partner, charges.c.at >= since, order=(charges.c.at,))
        return None if row is None else row.at
