"""What an assessment finds, by name: each rule a sentence, the clause it is about, and what would mend it.

docs/assessment.md explains every name. Rules about the terms are here, those about the own source and the policy in
``source_findings`` and ``policy_findings``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mutuals.models.agreement import Agreement, Side
from mutuals.models.assessment import Anonymity, Finding, OwnedField, Probing, Volumes, Weight
from mutuals.models.card import Card
from mutuals.models.policy import Policy

LEAST_SET = 10
"""A smaller minimum set size is none: in so short a list an overlap tells about each person in it."""
USUAL_SET = 1000
"""What matching services ask for (PAIR of the IAB Tech Lab: 1,000 users a list)."""
LEAST_OVERLAP = 3
"""With two, whoever knows one of them has singled out the other."""
USUAL_OVERLAP = 25
LONGEST_RETENTION_DAYS = 3 * 365
"""Kept longer than three years counts as kept without end: no campaign has a use for it (GDPR Art. 5(1)(e))."""
LONG_RETENTION_DAYS = 365
OLD_CONSENT_DAYS = 3 * 365
MUCH_PROBED = 100_000
"""A tenth of all numbers, in parts of a million."""
ALL_PROBED = 1_000_000

BLOCKS, ACCEPT, NOTE = Weight.BLOCKS, Weight.ACCEPT, Weight.NOTE

FINDINGS: dict[str, Weight] = {
    "special-categories": BLOCKS,
    "minors-included": BLOCKS,
    "minors-in-source": BLOCKS,
    "no-minimum-set": BLOCKS,
    "no-minimum-overlap": BLOCKS,
    "retention-without-end": BLOCKS,
    "everything-probed": BLOCKS,
    "no-source": BLOCKS,
    "consent-granted-by-nobody": BLOCKS,
    "field-without-owner": BLOCKS,
    "field-not-approved": BLOCKS,
    "sharing-not-permitted": BLOCKS,
    "sensitivity-understated": BLOCKS,
    "policy-retention": BLOCKS,
    "policy-set-size": BLOCKS,
    "policy-purpose": BLOCKS,
    "policy-consent-age": BLOCKS,
    "policy-vendor": BLOCKS,
    "small-set": ACCEPT,
    "small-overlap": ACCEPT,
    "long-retention": ACCEPT,
    "old-consent": ACCEPT,
    "no-notice": ACCEPT,
    "much-probed": ACCEPT,
    "standing-mandate": ACCEPT,
    "shared-identifiers": ACCEPT,
    "sensitive-fields": ACCEPT,
    "vendors": ACCEPT,
    "small-groups": ACCEPT,
    "empty-source": ACCEPT,
    "breach-plan-slower": ACCEPT,
    "roles": ACCEPT,
    "unknown-department": ACCEPT,
    "ages-unknown": NOTE,
    "set-below-minimum": NOTE,
    "no-policy": NOTE,
    "partner-says-little": NOTE,
}
"""Every finding and how much it weighs, unless the policy changes that."""


@dataclass(frozen=True)
class Basis:
    """All that the rules look at. ``volumes`` and ``anonymity`` are missing where no source was looked at."""

    agreement: Agreement
    side: Side
    mapping: dict[str, str]
    probing: Probing
    volumes: Volumes | None
    anonymity: Anonymity | None
    policy: Policy | None
    fields: tuple[OwnedField, ...]
    partner: Card | None


def found(name: str, clause: str, sentence: str, mend: str, weight: Weight | None = None) -> Finding:
    """A finding of one of the names in ``FINDINGS``; ``weight`` where it differs from the usual."""
    return Finding(
        name=name, weight=weight or FINDINGS[name], clause=clause[:200], sentence=sentence, mend=mend
    )


def count(number: int, noun: str) -> str:
    """``1 contact``, ``2 contacts``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def term_findings(basis: Basis) -> Iterator[Finding]:
    """What the terms alone say."""
    yield from _people(basis)
    yield from _sizes(basis)
    yield from _fields(basis)
    yield from _probing(basis.probing)
    agreement = basis.agreement
    if agreement.consent.max_age_days > OLD_CONSENT_DAYS:
        yield found(
            "old-consent",
            "consent.max_age_days",
            f"A consent counts for {agreement.consent.max_age_days:,} days; after three years few remember theirs.",
            f"Lower consent.max_age_days to at most {OLD_CONSENT_DAYS:,}.",
        )
    if not agreement.consent.notice_required:
        yield found(
            "no-notice",
            "consent.notice_required",
            "Contacts take part without having been told of it (GDPR Art. 13 and 14).",
            "Set consent.notice_required to true, and notify: mutuals notices",
        )
    mandates = [act for act in ("reveal", "exchange") if getattr(agreement.permission, act) == "mandate"]
    if mandates:
        yield found(
            "standing-mandate",
            f"permission.{mandates[0]}",
            f"Every {' and '.join(mandates)} is permitted in advance; nobody looks before data leave.",
            'Set it to "authorisation".',
        )
    if agreement.vendors and basis.policy is None:
        yield found(
            "vendors",
            "vendors",
            f"{count(len(agreement.vendors), 'vendor')} may see what was received: {', '.join(agreement.vendors)}.",
            "Name only those that are needed, with a contract under GDPR Art. 28 with each.",
        )


def _people(basis: Basis) -> Iterator[Finding]:
    agreement = basis.agreement
    special = [
        f"{side}_sends.{field.name}"
        for side in Side
        for field in agreement.sends(side)
        if field.sensitivity == "special"
    ]
    if special:
        allowed = basis.policy is not None and basis.policy.new_agreements.special_categories
        yield found(
            "special-categories",
            special[0],
            f"{', '.join(special)} is of the special categories (GDPR Art. 9: health, belief, origin, …) or of "
            "criminal convictions (Art. 10)"
            + (
                f", which version {basis.policy.version} of the policy allows."
                if allowed and basis.policy
                else "."
            ),
            "Leave the field out. Otherwise a policy that sets new_agreements.special_categories must allow it.",
            ACCEPT if allowed else None,
        )
    if agreement.minors == "included":
        yield found(
            "minors-included",
            "minors",
            "Contacts under 18 may take part. Children merit specific protection (GDPR recital 38); below 16, or 13 in "
            "some countries, their consent online is a parent's to give (Art. 8).",
            'Set minors to "excluded", and leave them out of the source.',
        )
    yield from _roles(agreement)
    if agreement.matching.shared_identifiers == "include":
        yield found(
            "shared-identifiers",
            "matching.shared_identifiers",
            "An address or number that several contacts hold takes part, so a pair may be of two different persons.",
            'Set matching.shared_identifiers to "exclude".',
        )


def _roles(agreement: Agreement) -> Iterator[Finding]:
    """What the roles of the parties ask for besides this agreement."""
    roles = {agreement.party(side).role for side in Side}
    if "joint controller" in roles:
        yield found(
            "roles",
            "parties",
            "Joint controllers need an arrangement that says who fulfils which duty, and make its essence available to "
            "the persons (GDPR Art. 26(1) and (2))"
            + ("." if len(roles) == 1 else "; here only one party calls itself one."),
            "Say in responsibilities who does what, and publish it; or correct parties.proposer.role and "
            "parties.partner.role.",
        )
    if "processor" in roles:
        yield found(
            "roles",
            "parties",
            "A processor acts on a controller's instructions alone, under a contract with the content of GDPR "
            "Art. 28(3), which this agreement does not have; here it would receive contacts for itself."
            if len(roles) > 1
            else "Both parties call themselves processors, so nobody is the controller (GDPR Art. 4(7) and 28).",
            "Conclude that contract besides this one, or correct parties.proposer.role and parties.partner.role.",
        )


def _sizes(basis: Basis) -> Iterator[Finding]:
    matching = basis.agreement.matching
    for name, key, value, least, usual in (
        ("set", "min_set_size", matching.min_set_size, LEAST_SET, USUAL_SET),
        ("overlap", "min_overlap", matching.min_overlap, LEAST_OVERLAP, USUAL_OVERLAP),
    ):
        what = "list" if name == "set" else "overlap"
        if value < least:
            yield found(
                f"no-minimum-{name}",
                f"matching.{key}",
                f"A minimum of {value:,} is none: the count of so few, in the {what}, tells about single persons.",
                f"Set matching.{key} to at least {least}; usual are {usual:,}.",
            )
        elif value < usual:
            yield found(
                f"small-{name}",
                f"matching.{key}",
                f"{value:,} is less than the usual minimum of {usual:,}; a small {what}'s count tells more.",
                f"Raise matching.{key} to {usual:,}.",
            )


def _fields(basis: Basis) -> Iterator[Finding]:
    everywhere = [(side, field) for side in Side for field in basis.agreement.sends(side)]
    longest = max(everywhere, key=lambda pair: pair[1].retention_days, default=None)
    if longest is not None:
        side, field = longest
        key = f"{side}_sends.{field.name}.retention_days"
        if field.retention_days > LONGEST_RETENTION_DAYS:
            yield found(
                "retention-without-end",
                key,
                f"{field.name} is kept for {field.retention_days:,} days. More than {LONGEST_RETENTION_DAYS:,} counts "
                "as without end (GDPR Art. 5(1)(e)).",
                "Lower retention_days to what the purpose needs.",
            )
        elif field.retention_days > LONG_RETENTION_DAYS:
            yield found(
                "long-retention",
                key,
                f"{field.name} is kept for {field.retention_days:,} days, longer than a year.",
                f"Lower retention_days to at most {LONG_RETENTION_DAYS}.",
            )
    sensitive = [
        f"{side}_sends.{field.name}" for side, field in everywhere if field.sensitivity == "sensitive"
    ]
    if sensitive:
        yield found(
            "sensitive-fields",
            sensitive[0],
            f"{', '.join(sensitive)}: the parties themselves call this sensitive.",
            "Leave it out, or make it coarser with a transform.",
        )


def _probing(probing: Probing) -> Iterator[Finding]:
    if probing.share is None or probing.country is None or probing.share < MUCH_PROBED:
        return
    share = f"{probing.share / 10_000:.0f} %"
    mend = (
        "Lower matching.items_per_30_days (or runs_per_30_days) to what the lists need, or shorten the term."
    )
    told = (
        f"Within the budgets a partner that lies about its list could test {probing.guesses:,} identifiers over the "
        f"term: {share} of all mobile numbers of {probing.country}."
    )
    if probing.share >= ALL_PROBED:
        yield found("everything-probed", "matching.items_per_30_days", told, mend)
    else:
        yield found("much-probed", "matching.items_per_30_days", told, mend)
