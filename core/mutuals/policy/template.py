"""The commented ``policy.toml`` a person starts from. Blanks in angle brackets are refused until filled in.

text = policy_toml(PolicyDraft(organisation="Acme Ltd", owner="...", departments=(...), categories=(...)))
"""

from __future__ import annotations

import json

from mutuals.models.policy import Access
from mutuals.policy.proposal import CategoryDraft, DepartmentDraft, PolicyDraft


def policy_toml(draft: PolicyDraft) -> str:
    """The file. It parses as it is; approval names each blank by its key."""
    parts = [_HEAD.format(organisation=_comment(draft.organisation))]
    if draft.today:
        parts.append("# Who has access today:\n" + "\n".join(f"#   {_comment(line)}" for line in draft.today))
    parts.append(
        _GENERAL.format(
            title=_quote(f"CRM data-ownership policy of {draft.organisation}"[:200]),
            owner=_quote(draft.owner),
            collected=_quote(draft.consent_collected),
            kept=_quote(draft.consent_kept),
            withdrawal=_quote(draft.withdrawal),
            breach_contact=_quote(draft.breach_contact),
        )
    )
    parts.append(_DEPARTMENTS + "\n".join(_department(department) for department in draft.departments))
    parts.append(_CATEGORIES + "\n".join(_category(category) for category in draft.categories))
    return "\n\n".join(parts) + "\n"


def _department(department: DepartmentDraft) -> str:
    return (
        "[[departments]]\n"
        f"name = {_quote(department.name)}\n"
        f"does = {_quote(department.does)}\n"
        f"contact = {_quote(department.contact)}\n"
    )


def _category(category: CategoryDraft) -> str:
    lines = [
        "[[categories]]",
        f"name = {_quote(category.name)}",
        f"description = {_quote(category.description)}",
        f"fields = {_list(category.fields)}",
        f"sensitivity = {_quote(category.sensitivity)}",
        *(f"{key} = {_quote(getattr(category, key))}" for key in ("collected_by", "stored_by", "shared_by")),
        *(f"{key} = {_access(getattr(category, key))}" for key in ("view", "export", "share")),
    ]
    if category.archive_after_days is not None:
        lines += [
            f"archive_after_days = {category.archive_after_days}",
            'archive_means = "Taken out of daily use; only the department that stores it can look it up."',
        ]
    return "\n".join([*lines, f"delete_after_days = {category.delete_after_days}", ""])


def _access(access: Access) -> str:
    named = (("departments", access.departments), ("roles", access.roles))
    inner = ", ".join(f"{key} = {_list(values)}" for key, values in named if values)
    return f"{{ {inner} }}" if inner else "{}"


def _list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(_quote(value) for value in values) + "]"


def _quote(text: str) -> str:
    # JSON's escapes are TOML's, and \x7f has to be escaped in TOML alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


_HEAD = """\
# The CRM data-ownership policy of {organisation}: which department owns which data, and who may do what with it.
#
# Replace every text in <angle brackets>. What each key means: docs/policy.md
# Look at it as your colleagues will:  mutuals policy show --draft
# Compare it with your sources and agreements:  mutuals policy check
# Put it in force:  mutuals policy approve
#
# What is not permitted is prohibited: a field in no category is neither exported nor shared."""

_GENERAL = """\
title = {title}
# Who answers for this policy.
owner = {owner}
# Acts that need two operators: "sign", "reveal", "exchange", "export", "terminate", "policy".
four_eyes = []
# How long a backup of this peer's home may still hold what was deleted; deletion certificates state it.
backups_expire_days = 30

[consent]
collected = {collected}
kept = {kept}
# Nobody takes part on an older one, whatever an agreement says: mutuals source check NAME --agreement ID
max_age_days = 730
withdrawal = {withdrawal}

[vendors]
rules = "A vendor sees data only under a written processing contract (GDPR Art. 28), and only what it needs."
# By name; an agreement that names another vendor is reported by: mutuals policy check
approved = []

[breach]
steps = [
  "Whoever notices tells the contacts below at once, by telephone.",
  "The privacy officer runs mutuals breach open, which stops what must stop and tells the partners.",
  "The privacy officer decides at once whether the authority must be told, which is done within 72 hours of knowing \
of the breach (GDPR Art. 33), and whether the persons concerned must be (Art. 34).",
]
contacts = [{breach_contact}]
tell_within_hours = 24

[new_agreements]
# Whether the department that owns a category must approve each field of it before it is promised to a partner.
field_owner_approval = true
max_retention_days = 365
min_set_size = 100
# Consent purposes that agreements may name; none means any.
purposes = []
# Whether fields of special categories (GDPR Art. 9) may be agreed at all.
special_categories = false"""

_DEPARTMENTS = """\
# ---- Departments: named as operators (mutuals operator list) and agreements name them.

"""

_CATEGORIES = """\
# ---- Categories: view, export and share take departments, roles, or both; both means that both must fit.
# Agreements name categories too: received fields of category "contact" are exported as this policy says.

"""
