"""Breaches as the store keeps them, and who may change them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.agreement.active import shown
from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys, require_role
from mutuals.models.breach import Breach
from mutuals.store.rows import BreachRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

BREACH_ROLES = frozenset({"privacy_officer", "admin", "steward"})


def find_breach(tx: Transaction, reference: str) -> tuple[BreachRow, Breach]:
    """The breach with this id or an unambiguous beginning of it, own or a partner's. Raises MutualsError (USAGE)."""
    wanted = reference.strip().upper()
    rows = [row for row in tx.breaches.list() if wanted and row.breach_id.upper().startswith(wanted)]
    own = [row for row in rows if row.breach_id == wanted]
    if len(own or rows) != 1:
        many = (
            f"{shown(reference)} fits {len(rows)} breaches."
            if rows
            else f"There is no breach {shown(reference)}."
        )
        raise MutualsError(ErrorCode.USAGE, many, hint="See them with: mutuals breach list")
    (row,) = own or rows
    return row, parse_breach(row)


def parse_breach(row: BreachRow) -> Breach:
    """The breach in a stored row. Raises MutualsError (LOCAL) where it is damaged."""
    try:
        return Breach.model_validate_json(row.document, strict=True)
    except ValueError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"The stored record of breach {row.breach_id[:10]} is damaged.",
            hint="The log has it, too: mutuals audit log",
        ) from error


def own_open_breach(tx: Transaction, reference: str) -> tuple[BreachRow, Breach]:
    """An own breach that is not closed. Raises MutualsError (USAGE) for any other."""
    row, breach = find_breach(tx, reference)
    if row.partner is not None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Breach {breach.breach_id} is the partner's; only the partner updates and closes it.",
            hint="Where you have a breach of your own, record it: mutuals breach open",
        )
    if row.closed_at is not None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Breach {breach.breach_id} was closed on {row.closed_at:%Y-%m-%d}.",
            hint="Where something new came up: mutuals breach open",
        )
    return row, breach


def require_operator(tx: Transaction, keys: OperatorKeys, act: str) -> None:
    """The operator as this peer has them now, in a role that may do this. Raises MutualsError (NOT_ENTITLED)."""
    row = tx.operators.get(keys.name)
    if row is None or row.disabled_at is not None or row.signing_public != keys.signing.public.raw:
        raise MutualsError(ErrorCode.NOT_ENTITLED, f"Operator {keys.name} is no operator of this peer now.")
    require_role(row, BREACH_ROLES, act)


def put_breach(tx: Transaction, breach: Breach, now: datetime, *, opened_at: datetime) -> None:
    """Keep an own breach as it now stands."""
    tx.breaches.put(
        BreachRow(
            breach_id=breach.breach_id,
            partner=None,
            document=canonical_json(breach),
            aware_at=breach.aware_at,
            opened_at=opened_at,
            updated_at=now,
        )
    )
