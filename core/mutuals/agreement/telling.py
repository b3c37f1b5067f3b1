"""What the operators concerned are told about an agreement, at their next command and in the status."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mutuals.identity.operators import READ_ROLES, RUN_ROLES, SIGN_ROLES

if TYPE_CHECKING:
    from datetime import datetime

    from mutuals.store.database import Transaction
    from mutuals.store.rows import AgreementRow

SIGNATORIES = SIGN_ROLES
"""Whom a proposal and its answer concern."""

CONCERNED = SIGN_ROLES | READ_ROLES | (RUN_ROLES - {"service"})
"""Whom it concerns that an agreement stops, goes on or changes."""


def notify(
    tx: Transaction,
    row: AgreementRow,
    what: str,
    roles: Collection[str],
    now: datetime,
    *,
    author: str | None = None,
) -> None:
    """Tell the operators with one of ``roles`` that agreement ``row`` ``what``, a clause with its full stop.

    ``author`` is the operator of this side whose act it is, and who knows.
    """
    text = f"Agreement {row.agreement_id}, “{row.title}”, {what}"
    tx.notifications.add(row.digest, text, roles, now, author=author)
