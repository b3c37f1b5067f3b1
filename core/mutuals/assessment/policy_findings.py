"""What the company's own policy says to the terms."""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.assessment.findings import ACCEPT, Basis, found
from mutuals.assessment.owners import category_of
from mutuals.models.assessment import Finding
from mutuals.models.policy import Policy

_AMEND = "Change the agreement, or approve another policy: mutuals policy approve"
_ORDER = ("normal", "sensitive", "special")


def policy_findings(basis: Basis) -> Iterator[Finding]:
    """Every rule of the policy in force that the terms break; where there is none, that."""
    policy = basis.policy
    if policy is None:
        yield found(
            "no-policy",
            "policy",
            "No policy of the company is in force: nobody owns the fields, and only the rules built in were checked.",
            "Write one and approve it: mutuals policy init",
        )
        return
    yield from _owners(basis, policy)
    yield from _limits(basis, policy)
    yield from _recipients(basis, policy)


def _owners(basis: Basis, policy: Policy) -> Iterator[Finding]:
    for field in basis.fields:
        key = f"{basis.side}_sends.{field.name}"
        category = category_of(policy, field.heading)
        if category is None:
            yield found(
                "field-without-owner",
                key,
                f"Version {policy.version} of the policy gives the column “{field.heading}” to no category, so nobody "
                "may share it.",
                "Leave the field out, or add its column to a category: mutuals policy approve",
            )
            continue
        if category.share.nobody:
            yield found(
                "sharing-not-permitted",
                key,
                f"Version {policy.version} of the policy lets nobody share data of the category {category.name}.",
                _AMEND,
            )
        if field.approved_by is None:
            yield found(
                "field-not-approved",
                key,
                f"{category.shared_by}, which answers for sharing {category.name}, has not approved that "
                f"“{field.heading}” leaves under these terms.",
                f"An operator of {category.shared_by} approves it, then assess again: "
                "mutuals agreement approve FILE-OR-ID",
                None if policy.new_agreements.field_owner_approval else ACCEPT,
            )
        agreed = next(item for item in basis.agreement.sends(basis.side) if item.name == field.name)
        if _ORDER.index(agreed.sensitivity) < _ORDER.index(category.sensitivity):
            yield found(
                "sensitivity-understated",
                f"{key}.sensitivity",
                f"The agreement calls {field.name} {agreed.sensitivity}, the policy calls {category.name} "
                f"{category.sensitivity}.",
                f'Set its sensitivity to "{category.sensitivity}".',
            )


def _limits(basis: Basis, policy: Policy) -> Iterator[Finding]:
    agreement, rules, version = (
        basis.agreement,
        policy.new_agreements,
        f"version {policy.version} of the policy",
    )
    for field in agreement.sends(basis.side):
        if field.retention_days > rules.max_retention_days:
            yield found(
                "policy-retention",
                f"{basis.side}_sends.{field.name}.retention_days",
                f"{field.name} is kept for {field.retention_days:,} days; {version} allows "
                f"{rules.max_retention_days:,}.",
                _AMEND,
            )
            break
    if agreement.matching.min_set_size < rules.min_set_size:
        yield found(
            "policy-set-size",
            "matching.min_set_size",
            f"Lists of {agreement.matching.min_set_size:,} may be matched; {version} asks for {rules.min_set_size:,}.",
            _AMEND,
        )
    if rules.purposes and agreement.consent.purpose not in rules.purposes:
        yield found(
            "policy-purpose",
            "consent.purpose",
            f"“{agreement.consent.purpose}” is none of the purposes of {version}: {', '.join(rules.purposes)}.",
            _AMEND,
        )
    if agreement.consent.max_age_days > policy.consent.max_age_days:
        yield found(
            "policy-consent-age",
            "consent.max_age_days",
            f"A consent counts for {agreement.consent.max_age_days:,} days; {version} lets it count for "
            f"{policy.consent.max_age_days:,}.",
            _AMEND,
        )
    strange = [vendor for vendor in agreement.vendors if vendor not in policy.vendors.approved]
    if strange:
        yield found(
            "policy-vendor",
            "vendors",
            f"{', '.join(strange)} is no vendor that {version} approves.",
            "Leave the vendor out, or have it approved: mutuals policy approve",
        )
    hours = agreement.security.breach_notification_hours
    if policy.breach.tell_within_hours > hours:
        yield found(
            "breach-plan-slower",
            "security.breach_notification_hours",
            f"The agreement promises notice of a breach within {hours} hours; the plan in {version} takes "
            f"{policy.breach.tell_within_hours} hours to tell the own people.",
            "Promise more hours, or make the plan quicker.",
        )


def _recipients(basis: Basis, policy: Policy) -> Iterator[Finding]:
    """Departments of ours that the partner's fields are for, and that we do not have."""
    known = {department.name for department in policy.departments}
    sender = basis.side.other
    for field in basis.agreement.sends(sender):
        strange = [department for department in field.departments if department not in known]
        if strange:
            yield found(
                "unknown-department",
                f"{sender}_sends.{field.name}.departments",
                f"{', '.join(strange)} is no department of version {policy.version} of the policy, so nobody of it "
                f"can use {field.name}.",
                _AMEND,
            )
            return
