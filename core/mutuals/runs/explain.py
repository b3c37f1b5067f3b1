"""Why somebody may or may not view, export or share a field, in plain sentences.

    answer = explain(tx, "export", "lifetime_value", person, agreement="A-7Q3K2M9X", now=now)
    answer.allowed, [str(reason) for reason in answer.reasons]

It asks the very functions that decide when a field leaves, so that the explanation cannot differ from what happens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from mutuals.agreement.active import (
    ActiveAgreement,
    find_agreement,
    load_active,
    load_readable,
    verify_stored,
)
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import AUTHORISE_ROLES, READ_ROLES, ROLES
from mutuals.models.policy import Action, FourEyesAct, Policy
from mutuals.policy.current import current_policy
from mutuals.policy.decide import Decision, Person, decide
from mutuals.runs.permitted import own_category, readable_decision
from mutuals.store.database import Transaction


@dataclass(frozen=True)
class Answer:
    """``reasons`` are every rule that was asked, in the order in which the software asks them; all must allow it."""

    allowed: bool
    reasons: tuple[Decision, ...]
    category: str | None

    @property
    def against(self) -> tuple[Decision, ...]:
        """The rules that forbid it."""
        return tuple(reason for reason in self.reasons if not reason.allowed)


def explain(
    tx: Transaction,
    action: Action,
    field: str,
    person: Person,
    now: datetime,
    *,
    agreement: str | None = None,
) -> Answer:
    """Whether ``person`` may do ``action`` with ``field``: of an agreement where one is given, else of the own sources.

    ``field`` is the name in the agreement, or a heading. Raises MutualsError: AGREEMENT_UNKNOWN, USAGE for a field
    that the agreement does not have in this direction.
    """
    policy = current_policy(tx)
    reasons = [_role(action, person)]
    if agreement is None:
        category = _category_by_name(policy, field)
        reasons.append(decide(policy, action, category, person))
    else:
        active, standing = _agreement(tx, agreement, action, now)
        reasons.append(standing)
        side = active.own_side if action == "share" else active.own_side.other
        found = next((item for item in active.agreement.sends(side) if item.name == field), None)
        if found is None:
            names = ", ".join(item.name for item in active.agreement.sends(side))
            whose = "you send" if action == "share" else "the partner sends"
            raise MutualsError(
                ErrorCode.USAGE,
                f"Under agreement {active.agreement_id} {whose} no field of that name.",
                hint=f"What {whose}: {names}." if names else None,
            )
        if action == "share":
            category = own_category(policy, active, field)
            reasons.append(decide(policy, "share", category, person))
        else:
            category = found.category
            reasons.append(readable_decision(policy, active, action, person, found))
    reasons += _four_eyes(policy, action)
    return Answer(all(reason.allowed for reason in reasons), tuple(reasons), category)


def _role(action: Action, person: Person) -> Decision:
    needed = AUTHORISE_ROLES if action == "share" else READ_ROLES
    words = " or ".join(role.replace("_", " ") for role in ROLES if role in needed)
    what = "authorise an exchange" if action == "share" else "read received records"
    allowed = bool(needed.intersection(person.roles))
    return Decision(
        allowed,
        f"To {what} an operator needs the role {words}"
        + ("." if allowed else f", and this one has {_and(person.roles)}."),
        "Add an operator in such a role: mutuals operator add NAME --role ROLE",
    )


def _agreement(
    tx: Transaction, reference: str, action: Action, now: datetime
) -> tuple[ActiveAgreement, Decision]:
    row = find_agreement(tx, reference)
    agreement = verify_stored(row)
    named = ActiveAgreement(
        row.digest, row.agreement_id, agreement, row.own_side, row.partner, row.source, dict(row.mapping)
    )
    try:
        if action == "share":
            load_active(tx, row.digest, now)
        else:
            load_readable(tx, row.digest, now)
    except MutualsError as error:
        return named, Decision(False, error.message, error.hint or "Another agreement.")
    return named, Decision(True, f"Agreement {row.agreement_id} is in force.", "Its end.")


def _four_eyes(policy: Policy | None, action: Action) -> list[Decision]:
    acts: dict[Action, FourEyesAct] = {"share": "exchange", "export": "export"}
    act = acts.get(action)
    if policy is None or act is None or act not in policy.four_eyes:
        return []
    return [
        Decision(
            True,
            f"four_eyes of version {policy.version} of the policy: a second operator must agree each time.",
            "A version that leaves it out.",
        )
    ]


def _category_by_name(policy: Policy | None, field: str) -> str | None:
    """The category of a heading, written as in the source or as an agreement would write it."""
    if policy is None:
        return None
    found = policy.category_of(field) or next(
        (
            category
            for category in policy.categories
            if any(_slug(heading) == _slug(field) for heading in category.fields)
        ),
        None,
    )
    return None if found is None else found.name


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.strip().casefold()).strip("_")


def _and(words: tuple[str, ...]) -> str:
    return " and ".join(word.replace("_", " ") for word in words) or "none"
