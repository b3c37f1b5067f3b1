"""Signing for this side: who may, in which role, and together with whom where the policy asks for four eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from mutuals.agreement.statements import (
    BadStatement,
    OperatorSignature,
    make_statement,
    sign_as_operator,
    verify_operator,
)
from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.appointment import appointed_operator
from mutuals.identity.operators import AUTHORISE_ROLES, SIGN_ROLES, OperatorKeys, require_role
from mutuals.models.agreement import Agreement, Side
from mutuals.policy.current import operators_required
from mutuals.policy.four_eyes import waiting
from mutuals.store.rows import AgreementRow, ApprovalRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

SIGNATURE = "agreement.signature"
"""The approval that keeps one operator's signature until a second completes the statement; subject: the digest."""


def sign_for_side(
    tx: Transaction,
    peer: Peer,
    agreement: Agreement,
    digest: str,
    side: Side,
    operator_keys: OperatorKeys,
    assessment: str | None,
) -> tuple[bytes, bytes] | None:
    """This side's statement and signature, once as many operators have signed as the policy asks for.

    Before that nothing: the signature waits for another operator's. One given before counts while its operator is
    there and entitled, on the same ``assessment`` (digest, hex), and never twice for one operator. Raises NOT_ENTITLED.
    """
    now = peer.clock()
    role = signing_role(tx, operator_keys, agreement)
    earlier = [
        signature
        for signature in signatures_so_far(tx, agreement, digest, side, assessment)
        if signature.name != operator_keys.name
    ]
    if len(earlier) + 1 < operators_required(tx, "sign"):
        own = sign_as_operator(digest, side, operator_keys.name, role, operator_keys.signing, assessment)
        body, signature = canonical_json(own), bytes.fromhex(own.signature)
        tx.approvals.put(ApprovalRow(SIGNATURE, digest, operator_keys.name, body, signature, now))
        tx.log.append(
            digest,
            "agreement.signed-in-part",
            {"signature": body.decode(), "operator": operator_keys.name},
            now,
        )
        return None
    tx.approvals.void(SIGNATURE, digest, now)
    signers = [(operator_keys.name, role, operator_keys.signing)]
    return make_statement(
        agreement, digest, side, peer.signing_key, signers, now, assessment, earlier=earlier
    )


def signatures_so_far(
    tx: Transaction, agreement: Agreement, digest: str, side: Side, assessment: str | None
) -> list[OperatorSignature]:
    """The operators' signatures that wait for a second and count now, each verified, oldest first."""
    found: list[OperatorSignature] = []
    for row in tx.approvals.of(SIGNATURE, digest):
        operator = appointed_operator(tx, row.operator)
        try:
            signature = OperatorSignature.model_validate_json(row.body, strict=True)
            verify_operator(signature, digest, side, assessment)
        except (ValidationError, BadStatement):  # edited, or on another assessment: it has to be given again
            continue
        if operator is None or operator.disabled_at is not None or signature.name != operator.name:
            continue
        if signature.public_key != operator.signing_public.hex() or signature.role not in operator.roles:
            continue
        if signature.role in signing_roles(agreement) and signature.name not in {one.name for one in found}:
            found.append(signature)
    return found


def waiting_for_second(tx: Transaction, row: AgreementRow) -> MutualsError | None:
    """The refusal where ``row`` waits for the signature of a second operator of this side; else nothing."""
    names = [approval.operator for approval in tx.approvals.of(SIGNATURE, row.digest)]
    return waiting("sign", names, f"mutuals agreement sign {row.agreement_id}") if names else None


def signing_roles(agreement: Agreement | None) -> frozenset[str]:
    """The roles that may sign ``agreement``, or any that permits nothing in advance."""
    if agreement is not None and mandated_acts(agreement):
        return SIGN_ROLES & AUTHORISE_ROLES
    return SIGN_ROLES


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
    allowed = signing_roles(agreement)
    if allowed != SIGN_ROLES:
        act = "sign an agreement with a standing mandate"
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
