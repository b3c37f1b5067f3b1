"""Who owns the fields that this side sends, by its policy, and whether they approved that these leave.

owned = owned_fields(tx, policy, agreement, side, mapping)
approve_fields(tx, policy, agreement, side, mapping, operator_keys, now)     # the names approved

An approval is of exactly this field as agreed, to this partner, for this consent purpose
(``mutuals.agreement.assessed.field_subject``); it holds until the operator is disabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.agreement.assessed import field_subject
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act, verify_act
from mutuals.identity.appointment import appointed_operator
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Agreement, SharedField, Side
from mutuals.models.assessment import OwnedField
from mutuals.models.policy import Category, Policy
from mutuals.store.rows import ApprovalRow, OperatorRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

APPROVE = "field"
"""The act of an approval, in the store and in what is signed."""


def category_of(policy: Policy | None, heading: str) -> Category | None:
    """The policy's category of a field, by its column: as it is decided when the field is sent."""
    return None if policy is None else policy.category_of(heading)


def owned_fields(
    tx: Transaction, policy: Policy | None, agreement: Agreement, side: Side, mapping: Mapping[str, str]
) -> tuple[OwnedField, ...]:
    """Every field that ``side`` sends, with its owner by the policy and who approved it, where somebody did."""
    return tuple(
        OwnedField(
            name=field.name,
            heading=mapping[field.name],
            owner=_owner(policy, field.name, mapping),
            approved_by=_approver(tx, field, _owner(policy, field.name, mapping), agreement, side),
        )
        for field in agreement.sends(side)
    )


def approve_fields(
    tx: Transaction,
    policy: Policy | None,
    agreement: Agreement,
    side: Side,
    mapping: Mapping[str, str],
    keys: OperatorKeys,
    now: datetime,
) -> tuple[str, ...]:
    """Sign and store the approval of every field whose owner is the operator's department; their names.

    Raises MutualsError: NOT_ENTITLED where it owns none of them or the operator is one for unattended runs.
    """
    own = own_fields(policy, agreement, side, mapping, keys)
    for field in own:
        approve_field(tx, field, agreement, side, keys, now)
    return tuple(field.name for field in own)


def own_fields(
    policy: Policy | None,
    agreement: Agreement,
    side: Side,
    mapping: Mapping[str, str],
    operator: OperatorKeys | OperatorRow,
) -> list[SharedField]:
    """The fields that are the operator's to approve. Raises as ``approve_fields``."""
    if policy is None:
        raise MutualsError(
            ErrorCode.USAGE,
            "There is no policy that says which department owns a field, so there is nothing to approve.",
            hint="Write one: mutuals policy init",
        )
    if "service" in operator.roles:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {operator.name} works unattended and approves nothing.",
            hint="See who can, and sign as one of them with --operator: mutuals operator list",
        )
    own = [
        field for field in agreement.sends(side) if _owner(policy, field.name, mapping) == operator.department
    ]
    if not own:
        owners = sorted(
            {owner for field in agreement.sends(side) if (owner := _owner(policy, field.name, mapping))}
        )
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {operator.name} is of {operator.department}, which owns no field that you send under "
            f"“{agreement.title}” by version {policy.version} of the policy.",
            hint=f"Its fields are owned by {', '.join(owners)}."
            if owners
            else "The policy owns none of its fields.",
        )
    return own


def approve_field(
    tx: Transaction, field: SharedField, agreement: Agreement, side: Side, keys: OperatorKeys, now: datetime
) -> None:
    """Store the operator's signed approval of one field; that it is theirs to approve is the caller's to know."""
    partner = agreement.party(side.other)
    subject = field_subject(field, partner.fingerprint, agreement.consent.purpose)
    facts = {
        "field": field.model_dump(mode="json"),
        "partner": partner.organisation,
        "purpose": agreement.consent.purpose,
    }
    signed = sign_act(keys, APPROVE, subject, facts, now)
    tx.approvals.put(ApprovalRow(APPROVE, subject, keys.name, signed.body, signed.signature, now))
    tx.log.append(None, "field.approved", {"field": field.name, **signed.evidence()}, now)


def _owner(policy: Policy | None, name: str, mapping: Mapping[str, str]) -> str | None:
    found = category_of(policy, mapping[name])
    return found.shared_by if found else None


def _approver(
    tx: Transaction, field: SharedField, owner: str | None, agreement: Agreement, side: Side
) -> str | None:
    """Who of the owning department approved it, by a signature that still verifies."""
    subject = field_subject(field, agreement.party(side.other).fingerprint, agreement.consent.purpose)
    for row in tx.approvals.of(APPROVE, subject):
        operator = appointed_operator(tx, row.operator)
        if operator is None or operator.disabled_at is not None:
            continue
        try:
            act = verify_act(row.body, row.signature, operator.signing_public)
        except ValueError:
            continue
        if (act.act, act.subject, act.operator) == (
            APPROVE,
            subject,
            row.operator,
        ) and act.department == owner:
            return row.operator
    return None
