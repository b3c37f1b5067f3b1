"""The policy as the company's readable document: every rule a sentence, marked where the software enforces it."""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.agreement.blocks import Block, Clause, Grid, Heading
from mutuals.models.policy import Category, Policy
from mutuals.policy.decide import describe_access
from mutuals.store.rows import PolicyRow
from mutuals.wording import counted

FOUR_EYES_WORDS = {
    "sign": "signing an agreement",
    "reveal": "a reveal",
    "exchange": "an exchange",
    "export": "an export",
    "terminate": "ending an agreement",
    "policy": "a new version of this policy",
}


def describe_policy(policy: Policy, row: PolicyRow | None = None) -> list[Block]:
    """The whole policy as blocks; with ``row`` also who approved it and when."""
    return [
        Clause("The software enforces this.", True),
        Clause("People must see to this: the software cannot enforce it.", False),
        Clause("This is not legal advice."),
        *_standing(policy, row),
        Heading("Departments"),
        Grid(
            ("Department", "What it does", "Contact"),
            tuple(
                (department.name, department.does, department.contact) for department in policy.departments
            ),
        ),
        *(block for category in policy.categories for block in _category(category)),
        *_consent(policy),
        *_agreements(policy),
        *_vendors(policy),
        *_breach(policy),
    ]


def _standing(policy: Policy, row: PolicyRow | None) -> Iterator[Block]:
    yield Clause(policy.owner, label="Answers for it")
    if row is None:
        yield Clause("A draft: nobody has approved it, and it is not in force.", label="State")
    else:
        yield Clause(
            f"Version {row.version}, approved by {row.operator} on {row.approved_at:%Y-%m-%d %H:%M} UTC, "
            f"digest {row.digest}.",
            label="State",
        )
    acts = ", ".join(FOUR_EYES_WORDS[act] for act in policy.four_eyes)
    yield Clause(
        f"Two operators for {acts}." if acts else "No act needs two operators.",
        enforced=True if acts else None,
        label="Four eyes",
    )
    yield Clause(
        f"A backup may hold what was deleted for {counted(policy.backups_expire_days, 'day')} more.",
        enforced=False,
        label="Backups",
    )


def _category(category: Category) -> Iterator[Block]:
    yield Heading(f"Data: {category.name}")
    yield Clause(category.description)
    if category.sensitivity != "normal":
        special = category.sensitivity == "special"
        yield Clause(
            "Special categories of personal data (GDPR Art. 9)." if special else "Sensitive.",
            label="Sensitivity",
        )
    yield Clause(", ".join(category.fields) or "No field of the own sources.", label="Fields")
    yield Clause(
        f"{category.collected_by} for collecting, {category.stored_by} for storing, {category.shared_by} for sharing.",
        enforced=False,
        label="Responsible",
    )
    yield Clause(
        f"{_capital(describe_access(category.view))}, of what partners sent. "
        "Who may see it inside the CRM is set there.",
        enforced=True,
        label="May view",
    )
    yield Clause(f"{_capital(describe_access(category.export))}.", enforced=True, label="May export")
    yield Clause(f"{_capital(describe_access(category.share))}.", enforced=True, label="May share")
    if category.archive_after_days is not None:
        yield Clause(
            f"After {counted(category.archive_after_days, 'day')}: {category.archive_means}",
            enforced=False,
            label="Archive",
        )
    yield Clause(
        f"After {counted(category.delete_after_days, 'day')} in the own systems. What partners sent is "
        "deleted as agreed.",
        enforced=False,
        label="Deletion",
    )


def _consent(policy: Policy) -> Iterator[Block]:
    consent = policy.consent
    yield Heading("Consent")
    yield Clause(consent.collected, enforced=False, label="Asked for")
    yield Clause(consent.kept, enforced=False, label="Kept")
    yield Clause(
        f"At most {counted(consent.max_age_days, 'day')}. Nobody takes part on an older one, whatever an "
        "agreement says.",
        enforced=True,
        label="Age",
    )
    yield Clause(consent.withdrawal, enforced=False, label="Withdrawal")


def _agreements(policy: Policy) -> Iterator[Block]:
    rules = policy.new_agreements
    yield Heading("New agreements")
    yield Clause("A risk assessment is made and signed first.", enforced=True)
    if rules.field_owner_approval:
        yield Clause("The department that owns a field approves that it is sent.", enforced=True)
    yield Clause(
        f"Nothing that is sent is kept longer than {counted(rules.max_retention_days, 'day')}.", enforced=True
    )
    yield Clause(f"Lists have at least {rules.min_set_size:,} identifiers.", enforced=True)
    if rules.purposes:
        yield Clause(f"Consent is for one of: {', '.join(rules.purposes)}.", enforced=True)
    yield Clause(
        "Special categories of data may be agreed."
        if rules.special_categories
        else "Special categories of data are never agreed.",
        enforced=not rules.special_categories or None,
    )


def _vendors(policy: Policy) -> Iterator[Block]:
    yield Heading("Vendors")
    yield Clause(policy.vendors.rules, enforced=False, label="Rules")
    yield Clause(", ".join(policy.vendors.approved) or "None.", enforced=True, label="Approved")


def _breach(policy: Policy) -> Iterator[Block]:
    yield Heading("In a breach")
    for number, step in enumerate(policy.breach.steps, 1):
        yield Clause(step, enforced=False, label=f"Step {number}")
    yield Clause(
        f"Within {counted(policy.breach.tell_within_hours, 'hour')}: {'; '.join(policy.breach.contacts)}.",
        enforced=False,
        label="Call",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
