"""Whether an operator may view, export or share data of a category, by which rule, and what would change it.

    decision = decide(policy, "export", "sales_history", operator)
    if not decision.allowed:
        raise MutualsError(ErrorCode.NOT_ENTITLED, decision.rule, hint=decision.changes)

Pure: no store, no clock. Everything that lets a field leave asks here, commands and server alike. The rule is the
policy's alone; what the software's roles and the agreement ask for is asked besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mutuals.models.policy import Access, Action, Category, Policy

NO_POLICY = "No policy is approved, so nothing but the agreement and the operator's role restricts it."
_APPROVE = "Write a policy and approve it: mutuals policy init, then mutuals policy approve"


class Entitled(Protocol):
    """An operator as far as a decision looks: roles and department (``OperatorRow``, ``OperatorKeys``)."""

    @property
    def roles(self) -> Sequence[str]:
        """The roles, such as ``analyst``."""

    @property
    def department(self) -> str:
        """The department, as the policy and agreements name it."""


@dataclass(frozen=True)
class Person:
    """Somebody with roles and a department who need not exist: for asking what would be."""

    roles: tuple[str, ...]
    department: str


@dataclass(frozen=True)
class Decision:
    """The answer: ``rule`` is the sentence that decided it, ``changes`` what would lead to the opposite."""

    allowed: bool
    rule: str
    changes: str


def decide(policy: Policy | None, action: Action, category: str | None, operator: Entitled) -> Decision:
    """Whether ``operator`` may do ``action`` with data of ``category`` (a name; nothing for data nobody owns)."""
    gate = permitted_to_somebody(policy, action, category)
    found = policy.category(category) if policy is not None and category is not None else None
    if policy is None or found is None or not gate.allowed:
        return gate
    access = found.access(action)
    rule = f"{_key(policy, found, action)} lets {describe_access(access)} {action} it"
    if access.permits(operator.department, operator.roles):
        return Decision(
            True, f"{rule}.", f"A version of the policy that no longer names {_who(operator)} there."
        )
    return Decision(
        False,
        f"{rule}, and this operator is {_who(operator)}.",
        "An operator whom it names can do it, or a new version of the policy names this one: "
        "edit policy.toml, then mutuals policy approve",
    )


def permitted_to_somebody(policy: Policy | None, action: Action, category: str | None) -> Decision:
    """Whether the policy lets anybody at all do ``action`` with data of ``category``."""
    if policy is None:
        return Decision(True, NO_POLICY, _APPROVE)
    if category is None:
        return Decision(
            False,
            f"Version {policy.version} of the policy gives this field to no category, so nobody owns it and nobody may "
            f"{action} it.",
            "Put it under fields of a category in policy.toml, then: mutuals policy approve",
        )
    found = policy.category(category)
    if found is None:
        return Decision(
            False,
            f"Version {policy.version} of the policy has no category {category}, so nobody may {action} such data.",
            f"Add the category {category} to policy.toml, then: mutuals policy approve",
        )
    access = found.access(action)
    key = _key(policy, found, action)
    if access.nobody:
        return Decision(
            False,
            f"{key} names nobody, so nobody may {action} it.",
            f"Name departments or roles under {action} of category {category} in policy.toml, then: mutuals policy "
            "approve",
        )
    return Decision(
        True, f"{key} lets {describe_access(access)} {action} it.", "A version that names nobody there."
    )


def describe_access(access: Access) -> str:
    """Whom an access names, in words: “analysts of marketing or sales”."""
    roles = " or ".join(role.replace("_", " ") for role in access.roles)
    departments = " or ".join(access.departments)
    if roles and departments:
        return f"the {roles} of {departments}"
    if departments:
        return f"everybody of {departments}"
    return f"every {roles}" if roles else "nobody"


def _key(policy: Policy, category: Category, action: Action) -> str:
    return f"{action} of category {category.name} in version {policy.version} of the policy"


def _who(operator: Entitled) -> str:
    roles = " and ".join(role.replace("_", " ") for role in operator.roles)
    return f"{roles or 'without a role'} of {operator.department}"
