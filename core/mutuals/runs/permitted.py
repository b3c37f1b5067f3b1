"""Which fields may leave, and through whom: the agreement's departments and the company's own policy together.

    allowed, refused = sendable_fields(policy, active)                  # towards the partner
    visible, refused = readable_fields(policy, active, "export", keys)  # towards an operator of ours

An own field belongs to the category that has its heading in the policy; a received one to the category that the
agreement gives it. Everything here is pure; whoever lets a field leave asks with the policy of that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mutuals.agreement.active import ActiveAgreement
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import SharedField
from mutuals.models.policy import Policy
from mutuals.policy.decide import Decision, Entitled, decide, permitted_to_somebody
from mutuals.store.rows import OperatorRow

Reading = Literal["view", "export"]
Fields = tuple[SharedField, ...]


@dataclass(frozen=True)
class RefusedField:
    """A field that stays: by which ``rule`` (a sentence), and what would change that."""

    field: str
    rule: str
    changes: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


def own_category(policy: Policy | None, active: ActiveAgreement, field: str) -> str | None:
    """The policy's category of the own field that the agreement calls ``field``; nothing where nobody owns it."""
    found = None if policy is None else policy.category_of(active.mapping.get(field, field))
    return None if found is None else found.name


def sendable_fields(
    policy: Policy | None, active: ActiveAgreement
) -> tuple[Fields, tuple[RefusedField, ...]]:
    """Of the fields that the agreement has this side send, those the policy lets be shared, and the others."""
    return _split(
        active.agreement.sends(active.own_side),
        lambda item: permitted_to_somebody(policy, "share", own_category(policy, active, item.name)),
    )


def refused_sender(
    policy: Policy | None, active: ActiveAgreement, operator: Entitled
) -> tuple[RefusedField, ...]:
    """The fields this side would send that ``operator`` may not let leave."""
    sendable, _ = sendable_fields(policy, active)
    _, refused = _split(
        sendable, lambda item: decide(policy, "share", own_category(policy, active, item.name), operator)
    )
    return refused


def readable_fields(
    policy: Policy | None, active: ActiveAgreement, reading: Reading, operator: Entitled
) -> tuple[Fields, tuple[RefusedField, ...]]:
    """Of the fields that the partner sends, those ``operator`` may view or export, and the others."""
    return _split(
        active.agreement.sends(active.own_side.other),
        lambda item: readable_decision(policy, active, reading, operator, item),
    )


def readable_decision(
    policy: Policy | None, active: ActiveAgreement, reading: Reading, operator: Entitled, item: SharedField
) -> Decision:
    """Whether ``operator`` may view or export one field that the partner sends, by the agreement and the policy."""
    if operator.department not in item.departments:
        return Decision(
            False,
            f"agreement {active.agreement_id} gives it to {' or '.join(item.departments)}, and this operator is of "
            f"{operator.department}.",
            "An operator of those departments can do it, or both companies amend the agreement.",
        )
    return decide(policy, reading, item.category, operator)


def require_sender(policy: Policy | None, active: ActiveAgreement, operator: OperatorKeys) -> None:
    """Raise MutualsError (NOT_ENTITLED) unless ``operator`` may let every field leave that would be sent."""
    refused = refused_sender(policy, active, operator)
    if refused:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {operator.name} may not let {_and(refused)} leave. {_sentences(refused)}",
            hint=refused[0].changes,
        )


def require_readable(
    fields: Fields,
    refused: tuple[RefusedField, ...],
    reading: Reading,
    operator: OperatorKeys | OperatorRow,
) -> None:
    """Raise MutualsError (NOT_ENTITLED) where no field is left to read."""
    if not fields:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {operator.name} of department {operator.department} may {reading} none of the fields. "
            f"{_sentences(refused)}",
            hint=refused[0].changes if refused else None,
        )


def _split(
    items: Fields, judge: Callable[[SharedField], Decision]
) -> tuple[Fields, tuple[RefusedField, ...]]:
    decisions = [(item, judge(item)) for item in items]
    return (
        tuple(item for item, decision in decisions if decision.allowed),
        tuple(
            RefusedField(item.name, decision.rule, decision.changes)
            for item, decision in decisions
            if not decision.allowed
        ),
    )


def _and(refused: tuple[RefusedField, ...]) -> str:
    return ", ".join(item.field for item in refused)


def _sentences(refused: tuple[RefusedField, ...]) -> str:
    """Each rule once, with its fields."""
    fields: dict[str, list[str]] = {}
    for item in refused:
        fields.setdefault(item.rule, []).append(item.field)
    return " ".join(f"{', '.join(names)}: {rule}" for rule, names in fields.items())
