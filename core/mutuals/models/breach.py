"""A breach of personal data: what is known of it, what was done, and what a partner is told (DESIGN §5).

The record is what Art. 33(5) GDPR asks a controller to keep: the facts of the breach, its effects and the remedial
action. Its facts are those that Art. 33(3) (a) to (d) asks a notice for. Numbers count contacts and records; no field
names a person whose data it is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mutuals.models.card import Hex32, Line
from mutuals.models.moment import Moment

MAX_TEXT = 2000
MAX_UPDATES = 100
MAX_AGREEMENTS = 100
MAX_RUNS = 500

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_TEXT)]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
BreachId = Annotated[str, StringConstraints(pattern=r"^B-[0-9A-HJKMNP-TV-Z]{8}$")]
RunId = Annotated[str, StringConstraints(pattern=r"^R-[0-9A-HJKMNP-TV-Z]{8}$")]
Count = Annotated[int, Field(ge=0, le=2**48)]


class BreachKind(StrEnum):
    """The three kinds of breach (EDPB Guidelines 9/2022, section I.B.2; Art. 4(12) GDPR)."""

    CONFIDENTIALITY = "confidentiality"  # disclosed or accessed without right
    INTEGRITY = "integrity"  # altered without right
    AVAILABILITY = "availability"  # lost, destroyed, or out of reach


class BreachState(StrEnum):
    """Whether it is still being dealt with."""

    OPEN = "open"
    CLOSED = "closed"


Whose = Literal["sent", "received"]
"""Whose data: the teller's own contacts that it ``sent``, or the records that it ``received`` from the partner."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BreachFacts(_Part):
    """What is known; an empty text or nothing where it is not known yet, which Art. 33(4) GDPR allows for.

    ``aware_at`` is when it was discovered, and starts the 72 hours of Art. 33(1). ``agreements`` are digests.
    ``sent_contacts`` counts own contacts that were sent, each once per run, ``received_records`` the partner's records.
    """

    breach_id: BreachId
    what: Said
    kinds: tuple[BreachKind, ...] = Field(min_length=1, max_length=3)
    aware_at: Moment
    began_at: Moment | None = None
    whose: tuple[Whose, ...] = Field(min_length=1, max_length=2)
    agreements: tuple[Hex32, ...] = Field(min_length=1, max_length=MAX_AGREEMENTS)
    runs: tuple[RunId, ...] = Field(default=(), max_length=MAX_RUNS)
    data_categories: tuple[Line, ...] = Field(default=(), max_length=100)
    person_categories: tuple[Line, ...] = Field(default=(), max_length=20)
    sent_contacts: Count | None = None
    received_records: Count | None = None
    consequences: Text = ""
    measures: Text = ""
    contact: Line


class BreachReport(BreachFacts):
    """What one partner is told, limited to its agreements: the notice (``revision`` 0), then updates and the end."""

    format: Literal["mutuals/v1/breach-report"] = "mutuals/v1/breach-report"
    revision: int = Field(ge=0, le=MAX_UPDATES + 1)
    state: BreachState
    news: Text = ""


class BreachUpdate(_Part):
    """Something that became known or was done, in the words of an operator."""

    revision: int = Field(ge=1, le=MAX_UPDATES + 1)
    at: Moment
    operator: Line
    text: Said


class Told(_Part):
    """A partner that was told, by which document (id, hex), and by when the agreement's hours ask for it."""

    partner: Hex32
    kind: Literal["breach-notice", "breach-update", "breach-closed"]
    document: Hex32
    due_at: Moment


class Halt(_Part):
    """A suspension that this breach made."""

    agreement: Hex32
    suspension: Line


class RunCount(_Part):
    """What one run under an agreement moved: own contacts sent, and the partner's records held when it was opened."""

    run: RunId
    agreement: Hex32
    sent: Count
    received: Count


class Duty(_Part):
    """Whether people were told: when, or why not. Both are empty while that is undecided."""

    told_at: Moment | None = None
    why_not: Text = ""

    @property
    def settled(self) -> bool:
        """Whether it was done, or a reason was given why not."""
        return self.told_at is not None or bool(self.why_not)


class Breach(BreachFacts):
    """A breach as this side keeps it: an own one, or one that a partner told of (then without ``told`` and ``halts``).

    ``authority`` and ``persons`` are the duties of Art. 33(1) and 34(1) GDPR, ``partners`` the agreements' own.
    ``untold`` are partners (fingerprints) that could not be told over the wire, because they were removed.
    """

    format: Literal["mutuals/v1/breach"] = "mutuals/v1/breach"
    operator: Line
    recorded_at: Moment
    revision: int = Field(default=0, ge=0, le=MAX_UPDATES + 1)
    state: BreachState = BreachState.OPEN
    updates: tuple[BreachUpdate, ...] = Field(default=(), max_length=MAX_UPDATES + 1)
    counts: tuple[RunCount, ...] = Field(default=(), max_length=MAX_RUNS)
    told: tuple[Told, ...] = Field(default=(), max_length=MAX_AGREEMENTS * (MAX_UPDATES + 2))
    untold: tuple[Hex32, ...] = Field(default=(), max_length=MAX_AGREEMENTS)
    halts: tuple[Halt, ...] = Field(default=(), max_length=MAX_AGREEMENTS)
    authority: Duty = Duty()
    persons: Duty = Duty()
    partners: Duty = Duty()
