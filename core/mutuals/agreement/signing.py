"""Who may sign for this side, and in which role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import AUTHORISE_ROLES, SIGN_ROLES, OperatorKeys, require_role
from mutuals.models.agreement import Agreement

if TYPE_CHECKING:
    from mutuals.store.database import Transaction


def signing_role(
    tx: Transaction,
    operator_keys: OperatorKeys,
    agreement: Agreement | None = None,
    *,
    act: str = "sign agreements",
) -> str:
    """The role in which this operator may sign agreements, or this one. Raises NOT_ENTITLED; ``act`` for its sentence.

    Whoever signs an agreement that permits acts by standing mandate grants it, and must be entitled to that too.
    """
    allowed = SIGN_ROLES
    if agreement is not None and mandated_acts(agreement):
        act, allowed = "sign an agreement with a standing mandate", SIGN_ROLES & AUTHORISE_ROLES
    require_role(operator_keys, allowed, act)
    row = tx.operators.get(operator_keys.name)
    if row is None or row.disabled_at is not None or row.signing_public != operator_keys.signing.public.raw:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED, f"Operator {operator_keys.name} is no operator of this peer now."
        )
    require_role(row, allowed, act)
    return next(role for role in row.roles if role in allowed)


def mandated_acts(agreement: Agreement) -> tuple[Literal["reveal", "exchange"], ...]:
    """The acts that the agreement permits by standing mandate."""
    acts: tuple[Literal["reveal", "exchange"], ...] = ("reveal", "exchange")
    return tuple(act for act in acts if getattr(agreement.permission, act) == "mandate")
