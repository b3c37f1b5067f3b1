"""The agreement document: what both sides sign and the software enforces (DESIGN §5).

The TOML a person writes and the canonical JSON both sides sign are the same model. Unknown keys are refused;
what is not permitted is prohibited.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mutuals.models.card import Hex32, Line, Paragraph

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Transform = Annotated[
    str,
    StringConstraints(
        pattern=r"^(none|year|month|lower|first_letter|round:[1-9][0-9]{0,8}|band:[0-9]{1,12}(,[0-9]{1,12}){0,19})$"
    ),
]

_TRANSFORMS: dict[str, tuple[str, ...]] = {
    "none": ("text", "integer", "decimal", "date", "boolean"),
    "year": ("date",),
    "month": ("date",),
    "lower": ("text",),
    "first_letter": ("text",),
    "round": ("integer", "decimal"),
    "band": ("integer", "decimal"),
}


class Side(StrEnum):
    """The two parties, by who drafted the agreement."""

    PROPOSER = "proposer"
    PARTNER = "partner"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.PARTNER if self is Side.PROPOSER else Side.PROPOSER


class AgreementState(StrEnum):
    """The life of an agreement, as one side sees it (DESIGN §5)."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    SUPERSEDED = (
        "superseded"  # a later version binds; what was received under this one is still kept by its terms
    )
    ENDED = "ended"
    CLOSED = "closed"
    REJECTED = "rejected"


class _Clause(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Party(_Clause):
    """One party: who it is, in which role and on which lawful basis it takes part."""

    organisation: Line
    fingerprint: Hex32
    role: Literal["independent controller", "joint controller", "processor"] = "independent controller"
    lawful_basis: Line
    contact: Line
    data_protection_officer: Line


class Responsibilities(_Clause):
    """Who is responsible for what; sentences for people."""

    access_control: Paragraph
    encryption: Paragraph
    breach_notification: Paragraph
    data_subject_requests: Paragraph


class Matching(_Clause):
    """How the overlap is found, and within which bounds. Sizes count items (identifiers), not contacts."""

    identifiers: tuple[Literal["email", "phone"], ...] = Field(min_length=1, max_length=2)
    profile: Slug
    profile_digest: Hex32
    engine: Slug = "x25519"
    min_set_size: int = Field(default=1000, ge=1)
    max_set_size: int = Field(default=1_000_000, ge=1, le=100_000_000)
    min_overlap: int = Field(default=25, ge=1, le=100_000_000)
    min_change_between_runs: int = Field(default=0, ge=0, le=100_000_000)
    runs_per_30_days: int = Field(default=4, ge=1, le=1000)
    items_per_30_days: int = Field(default=4_000_000, ge=1, le=100_000_000_000)
    pad_sizes: bool = False
    shared_identifiers: Literal["exclude", "include"] = "exclude"
    reveal_within_days: int = Field(default=14, ge=1, le=90)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_set_size > self.max_set_size:
            raise ValueError("min_set_size is larger than max_set_size")
        if len(set(self.identifiers)) != len(self.identifiers):
            raise ValueError("an identifier type is named twice")
        return self


class Permission(_Clause):
    """Whether each reveal and exchange needs an operator's authorisation, or a standing mandate will do."""

    reveal: Literal["authorisation", "mandate"] = "authorisation"
    exchange: Literal["authorisation", "mandate"] = "authorisation"


class ConsentRule(_Clause):
    """What a contact must have granted to take part.

    ``purpose`` must be among the granted purposes, granted at most ``max_age_days`` ago; with ``notice_required``
    the contact must have been notified, on or after ``notice_since`` where that is set.
    """

    purpose: Slug
    max_age_days: int = Field(default=730, ge=1, le=3650)
    notice_required: bool = True
    notice_since: date | None = None


class SharedField(_Clause):
    """One field that one side sends: type, category, sensitivity, transformation, retention, and who may use it."""

    name: Slug
    type: Literal["text", "integer", "decimal", "date", "boolean"] = "text"
    category: Slug = "contact"
    sensitivity: Literal["normal", "sensitive", "special"] = "normal"
    transform: Transform = "none"
    retention_days: int = Field(default=90, ge=1, le=3650)
    departments: tuple[Slug, ...] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _transform_fits(self) -> Self:
        name, _, argument = self.transform.partition(":")
        if self.type not in _TRANSFORMS[name]:
            raise ValueError(f"transform {name} needs a field of type {' or '.join(_TRANSFORMS[name])}")
        if name == "band":
            bounds = [int(bound) for bound in argument.split(",")]
            if any(low >= high for low, high in pairwise(bounds)):
                raise ValueError("the bounds of a band must ascend")
        return self


class Security(_Clause):
    """Measures, breach notice and attestation."""

    measures: Paragraph
    breach_notification_hours: int = Field(default=24, ge=1, le=72)
    breach_contact: Line
    attestation_every_days: int = Field(default=90, ge=1, le=366)


class Termination(_Clause):
    """How it ends before its last day, and how soon the deletion must be certified afterwards.

    ``notice_days`` bind whoever gives notice without a cause; with a cause either side may end it at once.
    """

    notice_days: int = Field(default=30, ge=0, le=365)
    certificate_within_days: int = Field(default=14, ge=1, le=90)


class Agreement(_Clause):
    """The whole document. ``proposer_sends`` and ``partner_sends`` are the fields per direction; one may be empty.

    An amendment has the next ``version`` and the digest it ``replaces``; ``runs_of_replaced`` says whether runs begun
    under that version may finish. ``vendors`` are the recipients' processors that may see what was received.
    """

    format: Literal["mutuals/v1/agreement"] = "mutuals/v1/agreement"
    title: Line
    version: int = Field(default=1, ge=1, le=10_000)
    replaces: Hex32 | None = None
    nonce: Hex32
    purpose: Paragraph
    prohibited_uses: tuple[Line, ...] = Field(default=(), max_length=50)
    valid_from: date
    valid_until: date
    governing_law: Line
    onward_transfer: Paragraph
    international_transfer: Paragraph
    liabilities: Paragraph
    parties: Parties
    responsibilities: Responsibilities
    matching: Matching
    permission: Permission = Permission()
    consent: ConsentRule
    security: Security
    termination: Termination = Termination()
    minors: Literal["excluded", "included"] = "excluded"
    vendors: tuple[Line, ...] = Field(default=(), max_length=50)
    runs_of_replaced: Literal["finish", "stop"] = "stop"
    proposer_sends: tuple[SharedField, ...] = Field(default=(), max_length=100)
    partner_sends: tuple[SharedField, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.valid_until < self.valid_from:
            raise ValueError("valid_until is before valid_from")
        for side in Side:
            names = [field.name for field in self.sends(side)]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{side}_sends names the field {twice} twice")
        if self.parties.proposer.fingerprint == self.parties.partner.fingerprint:
            raise ValueError("both parties have the same fingerprint")
        return self

    def sends(self, side: Side) -> tuple[SharedField, ...]:
        """The fields that ``side`` sends."""
        return self.proposer_sends if side is Side.PROPOSER else self.partner_sends

    def party(self, side: Side) -> Party:
        """The party on ``side``."""
        return self.parties.proposer if side is Side.PROPOSER else self.parties.partner

    def side_of(self, fingerprint: str) -> Side | None:
        """Which side the peer with this fingerprint (hex) is on, or nothing if it is no party."""
        for side in Side:
            if self.party(side).fingerprint == fingerprint:
                return side
        return None


class Parties(_Clause):
    """The two parties."""

    proposer: Party
    partner: Party


Agreement.model_rebuild()
