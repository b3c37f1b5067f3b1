"""The risk assessment one side makes before it signs: a data-protection impact assessment (GDPR Art. 35(7)).

It describes what is planned, weighs necessity, names risks with likelihood, severity and the reason of each, and the
measures; and it holds findings, which block the signature, must be accepted by name with a reason, or are for
information. It is canonical JSON (RFC 8785), so numbers are whole: shares are parts in a million.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mutuals.models.agreement import Side, Slug
from mutuals.models.card import Hex32, Line, Paragraph
from mutuals.models.moment import Moment

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


class Weight(StrEnum):
    """What a finding asks for: a change, a person's acceptance by name, or nothing but to be read."""

    BLOCKS = "blocks"
    ACCEPT = "accept"
    NOTE = "note"


class Level(StrEnum):
    """How likely, or how severe."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Part):
    """One finding. ``name`` is what a person accepts it by; ``clause`` the key of the agreement or policy it is about.

    ``mend`` says what would make it go away; ``accepted`` is the reason a person gave for living with it.
    """

    name: Slug
    weight: Weight
    clause: Line
    sentence: Paragraph
    mend: Paragraph
    accepted: Reason | None = None

    @property
    def open(self) -> bool:
        """True where it keeps the agreement from being signed."""
        return self.weight is Weight.BLOCKS or (self.weight is Weight.ACCEPT and self.accepted is None)


class Volumes(_Part):
    """The own source in numbers; ``excluded`` and ``withheld`` count by reason, as matching would now."""

    contacts: Count
    unusable_rows: Count
    eligible: Count
    identifiers: Count
    excluded: dict[str, Count] = Field(default_factory=dict)
    withheld: dict[str, Count] = Field(default_factory=dict)
    granted: Count
    """Contacts that granted the agreed purpose at all, however long ago."""
    birth_column: Line | None = None
    minors: Count = 0
    """Eligible contacts under 18 by that column."""


class Probing(_Part):
    """How many guesses a partner that lies about its list could test within the budgets (DESIGN §3).

    ``guesses`` over the whole term, ``per_30_days`` in any 30 days. ``numbers`` is about how many mobile numbers
    ``country`` has, ``share`` how many of a million of them the guesses would cover; nothing where phones are not
    matched or the source has no country.
    """

    per_30_days: Count
    guesses: Count
    country: Country | None = None
    numbers: Count | None = None
    share: Count | None = None


class FieldGroup(_Part):
    """One field alone, after its transformation: how many values it takes and how few contacts share one."""

    name: Slug
    values: Count
    smallest: Count


class Anonymity(_Part):
    """k-anonymity (Sweeney 2002) of the fields this side sends, over all its eligible contacts.

    Contacts are in one group where every agreed field has the same value after its transformation. ``smallest`` is
    the size of the smallest group (k), ``below_5`` counts the contacts in groups of fewer than five, ``alone`` those
    that are the only one of their group.
    """

    contacts: Count
    groups: Count
    smallest: Count
    below_5: Count
    alone: Count
    fields: tuple[FieldGroup, ...]


class OwnedField(_Part):
    """A field that this side sends: its column, the department that owns it by the policy, and who approved it."""

    name: Slug
    heading: Line
    owner: Slug | None = None
    approved_by: Line | None = None


class Risk(_Part):
    """One risk to the persons: how likely and how severe it is and why, and what is done about it."""

    name: Slug
    description: Paragraph
    likelihood: Level
    severity: Level
    reason: Paragraph
    measures: tuple[Paragraph, ...]


class Assessment(_Part):
    """The whole assessment by one side. ``terms`` is the digest of the agreement's terms (without its nonce).

    ``policy`` is the digest of the policy in force; ``source`` and ``mapping`` (field to heading) are what it was
    made with and what must be bound when the agreement is signed. Description, necessity and measures are the
    sentences of GDPR Art. 35(7)(a), (b) and (d); ``risks`` are (c).
    """

    format: Literal["mutuals/v1/assessment"] = "mutuals/v1/assessment"
    terms: Hex32
    title: Line
    side: Side
    partner: Hex32
    policy: Hex32 | None = None
    policy_version: int | None = None
    source: Slug | None = None
    mapping: dict[Slug, Line] = Field(default_factory=dict)
    volumes: Volumes | None = None
    probing: Probing
    anonymity: Anonymity | None = None
    fields: tuple[OwnedField, ...] = ()
    description: tuple[Paragraph, ...] = ()
    necessity: tuple[Paragraph, ...] = ()
    risks: tuple[Risk, ...] = ()
    measures: tuple[Paragraph, ...] = ()
    findings: tuple[Finding, ...] = ()
    made_at: Moment

    @property
    def open(self) -> tuple[Finding, ...]:
        """What keeps the agreement from being signed."""
        return tuple(finding for finding in self.findings if finding.open)
