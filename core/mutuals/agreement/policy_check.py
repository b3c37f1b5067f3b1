"""Where the policy, the sources, the operators and the agreements do not fit one another.

    for finding in compare(tx, policy, headings): ...

``headings`` are those of the own sources, by source. A fault means that something is refused or unowned; a note, that
somebody should look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mutuals.agreement.active import verify_stored
from mutuals.errors import MutualsError
from mutuals.models.agreement import AgreementState
from mutuals.models.policy import ACTIONS, Policy
from mutuals.policy.four_eyes import unsatisfiable
from mutuals.store.rows import AgreementRow, OperatorRow
from mutuals.wording import counted

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

_LIVING = {AgreementState.PROPOSED, AgreementState.ACTIVE, AgreementState.SUSPENDED}


@dataclass(frozen=True)
class Finding:
    """``about`` is a key, a source, an operator or an agreement; ``fault`` is False for a note."""

    about: str
    sentence: str
    fault: bool = True

    def __str__(self) -> str:
        return f"{self.about}: {self.sentence}"


def compare(tx: Transaction, policy: Policy, headings: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Everything that does not fit, faults first."""
    operators = [row for row in tx.operators.list() if row.disabled_at is None]
    found = [
        *_sources(policy, headings),
        *_operators(policy, operators),
        *(
            finding
            for row in tx.agreements.list()
            if row.state in _LIVING
            for finding in _agreement(policy, row, operators)
        ),
    ]
    return sorted(found, key=lambda finding: not finding.fault)


def _sources(policy: Policy, headings: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    known: set[str] = set()
    for source, names in headings.items():
        known.update(name.strip().casefold() for name in names)
        for name in names:
            if policy.category_of(name) is None:
                yield Finding(
                    f"source {source}",
                    f"the field “{name}” is in no category, so nobody owns it and it is never shared. "
                    "Put it under fields of one.",
                )
    for category in policy.categories:
        for name in category.fields:
            if headings and name.strip().casefold() not in known:
                yield Finding(f"category {category.name}", f"no source has the field “{name}”.", fault=False)


def _operators(policy: Policy, operators: Sequence[OperatorRow]) -> Iterator[Finding]:
    present = {row.department for row in operators}
    named = {department.name for department in policy.departments}
    for row in operators:
        if row.department not in named:
            yield Finding(
                f"operator {row.name}",
                f"the policy has no department {row.department}. Add it under departments, or disable the operator.",
            )
    for name in sorted(named - present):
        yield Finding(f"department {name}", "no operator is in it.", fault=False)
    for act in unsatisfiable(operators, policy.four_eyes):
        yield Finding("four_eyes", f"{act} needs two operators, and there are not two who may.")
    for category in policy.categories:
        for action in ACTIONS:
            access = category.access(action)
            if not access.nobody and not any(access.permits(row.department, row.roles) for row in operators):
                yield Finding(
                    f"category {category.name}", f"{action} names nobody who is an operator now.", fault=False
                )


def _agreement(policy: Policy, row: AgreementRow, operators: Sequence[OperatorRow]) -> Iterator[Finding]:
    about = f"agreement {row.agreement_id}"
    try:
        agreement = verify_stored(row)
    except MutualsError as error:
        yield Finding(about, error.message)
        return
    rules = policy.new_agreements
    for item in agreement.sends(row.own_side):
        category = policy.category_of(row.mapping.get(item.name, item.name))
        if category is None:
            yield Finding(about, f"it promises {item.name}, which no category has, so it is kept back.")
        elif category.share.nobody:
            yield Finding(
                about,
                f"it promises {item.name}, and share of category {category.name} names nobody: it is kept back.",
            )
        if item.retention_days > rules.max_retention_days:
            yield Finding(
                about,
                f"{item.name} is kept for {counted(item.retention_days, 'day')}; the policy allows "
                f"{rules.max_retention_days}.",
            )
        if (
            "special" in {item.sensitivity, category.sensitivity if category else ""}
            and not rules.special_categories
        ):
            yield Finding(
                about, f"{item.name} is of a special category, which the policy does not let be agreed."
            )
    present = {operator.department for operator in operators}
    for item in agreement.sends(row.own_side.other):
        if policy.category(item.category) is None:
            yield Finding(
                about,
                f"it brings {item.name} of category {item.category}, which the policy lacks: nobody may export it.",
            )
        if not present.intersection(item.departments):
            yield Finding(
                about, f"nobody is in {' or '.join(item.departments)}, which it gives {item.name} to.", False
            )
    yield from _terms(policy, about, row)


def _terms(policy: Policy, about: str, row: AgreementRow) -> Iterator[Finding]:
    agreement, rules = verify_stored(row), policy.new_agreements
    if agreement.matching.min_set_size < rules.min_set_size:
        yield Finding(
            about,
            f"min_set_size is {agreement.matching.min_set_size:,}; the policy asks for {rules.min_set_size:,}.",
        )
    if rules.purposes and agreement.consent.purpose not in rules.purposes:
        yield Finding(
            about, f"the consent purpose {agreement.consent.purpose} is not among those of the policy."
        )
    if agreement.consent.max_age_days > policy.consent.max_age_days:
        yield Finding(
            about,
            f"it takes consent of {agreement.consent.max_age_days} days; the policy allows "
            f"{policy.consent.max_age_days}.",
        )
    for vendor in agreement.vendors:
        if vendor not in policy.vendors.approved:
            yield Finding(about, f"it names the vendor “{vendor}”, whom the policy has not approved.")
