"""Which categories the fields of the own sources fall into, as a first proposal for a person to correct.

By the words of a heading alone; no contact is looked at. What fits nothing is ``other``, so that nothing is missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mutuals.models.policy import Access

NOBODY = Access()

Sensitivity = Literal["normal", "sensitive", "special"]


@dataclass(frozen=True)
class CategoryDraft:
    """A category as it will stand in the file, for a person to correct."""

    name: str
    description: str
    fields: tuple[str, ...] = ()
    sensitivity: Sensitivity = "normal"
    collected_by: str = ""
    stored_by: str = ""
    shared_by: str = ""
    view: Access = NOBODY
    export: Access = NOBODY
    share: Access = NOBODY
    archive_after_days: int | None = 730
    delete_after_days: int = 1095


@dataclass(frozen=True)
class DepartmentDraft:
    """A department; what only the company knows is a blank until somebody fills it in."""

    name: str
    does: str = "<what this department does with the data>"
    contact: str = "<whom to ask there: name and address>"


@dataclass(frozen=True)
class PolicyDraft:
    """Everything ``policy_toml`` needs. ``today`` are sentences about who has access now, as comments."""

    organisation: str
    owner: str
    departments: tuple[DepartmentDraft, ...]
    categories: tuple[CategoryDraft, ...]
    today: tuple[str, ...] = field(default=())
    consent_collected: str = "<how consent is asked for, and by whom>"
    consent_kept: str = "<where the evidence is kept, and what it says>"
    withdrawal: str = "<how a person withdraws, and what happens then>"
    breach_contact: str = "<whom to call, at any hour>"


_KINDS: tuple[tuple[CategoryDraft, str], ...] = (
    (
        CategoryDraft(
            "special",
            "Health, belief, origin, politics, union membership, sexual life, genes, biometrics (GDPR Art. 9).",
            sensitivity="special",
        ),
        r"health|medical|diagnos|disab|allerg|religi|belief|ethnic|race|politic|union|sexual|orientation|biometric",
    ),
    (
        CategoryDraft("marketing_permissions", "What a contact agreed to or objected to, and when."),
        r"consent|opt_?(in|out)|notified|notice|suppress|unsubscri|newsletter|permission|objection|dnc|gdpr",
    ),
    (
        CategoryDraft("feedback", "What contacts think of us: surveys, scores, complaints."),
        r"feedback|survey|nps|csat|rating|score|review|satisf|complain|ticket",
    ),
    (
        CategoryDraft("sales_history", "What contacts bought, for how much, and what they are worth."),
        r"purchas|order|revenue|lifetime|ltv|spend|spent|invoice|sales|amount|basket|deal|contract|plan|tier|segment"
        r"|discount|product|renewal|customer_since|last_buy|value",
    ),
    (
        CategoryDraft("contact", "Who a contact is and how to reach them."),
        r"contact|record_?id|^id$|e_?mail|phone|mobile|tel\b|fax|name|title|salutation|company|organi[sz]ation|employer|job|position"
        r"|address|street|city|town|zip|post_?code|state|region|country|language|birth|age|gender|website|linkedin",
    ),
)
_OTHER = CategoryDraft("other", "Fields that fit none of the categories above; give each a better place.")
_ORDER = ("contact", "sales_history", "feedback", "marketing_permissions", "special", "other")
_ALWAYS = frozenset({"contact", "sales_history", "feedback", "marketing_permissions"})
PRIVATE = frozenset({"marketing_permissions", "special", "other"})
"""Categories that a proposal lets nobody export or share."""


def propose_categories(
    headings: Iterable[str], departments: Sequence[str], responsible: str
) -> tuple[CategoryDraft, ...]:
    """The usual categories with ``headings`` distributed over them, open to whoever has access today.

    ``departments`` are those whose operators read now; ``responsible`` answers for everything until somebody says
    better.
    """
    found: dict[str, list[str]] = {name: [] for name in _ORDER}
    seen: set[str] = set()
    for heading in headings:
        folded = heading.strip().casefold()
        if folded and folded not in seen:
            seen.add(folded)
            found[category_for(heading)].append(heading.strip())
    kinds = {kind.name: kind for kind, _ in _KINDS} | {_OTHER.name: _OTHER}
    return tuple(
        _opened(
            replace(
                kinds[name],
                fields=tuple(found[name]),
                collected_by=responsible,
                stored_by=responsible,
                shared_by=responsible,
            ),
            tuple(departments),
        )
        for name in _ORDER
        if found[name] or name in _ALWAYS
    )


def category_for(heading: str) -> str:
    """The name of the category that the words of ``heading`` suggest."""
    words = re.sub(r"[^a-z0-9]+", "_", heading.strip().casefold())
    return next((kind.name for kind, pattern in _KINDS if re.search(pattern, words)), _OTHER.name)


def _opened(category: CategoryDraft, departments: tuple[str, ...]) -> CategoryDraft:
    view = Access(departments=departments)
    if category.name in PRIVATE:
        return replace(
            category, view=view if category.name != "special" else Access(roles=("privacy_officer",))
        )
    return replace(
        category,
        view=view,
        export=Access(departments=departments, roles=("steward", "privacy_officer", "analyst")),
        share=Access(roles=("steward", "privacy_officer")),
    )
