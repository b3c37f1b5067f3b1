"""How the columns of an export are to be understood: which identify, which object, and what grants consent.

    mapping = SourceMapping(layout="hubspot", contact_id="Record ID", emails=("Email",), phones=("Phone Number",))

A layout proposes a mapping, a person may correct it, and the source keeps it. What grants consent is in no layout: that
is a ``ConsentDecision`` which an operator takes and signs, and without one nobody has consented.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mutuals.models.agreement import Slug

Heading = Annotated[str, Field(min_length=1, max_length=500)]
Value = Annotated[str, Field(max_length=500)]
DateOrder = Literal["year-first", "day-first", "month-first"]
Duplicates = Literal["refuse", "merge", "leave-out"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectionRule(_Model):
    """When a cell of ``column`` says that the contact objects; values are compared trimmed and without case.

    The values of ``objects_if`` object and, where ``unknown_objects``, whatever is neither one of them nor of
    ``allows_if``. An empty cell objects only where ``objects_if`` names "".
    """

    column: Heading
    objects_if: tuple[Value, ...] = ()
    allows_if: tuple[Value, ...] = ()
    unknown_objects: bool = True

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.objects_if and not self.allows_if:
            raise ValueError("names no value")
        return self


class ConsentGrant(_Model):
    """``column`` holding one of ``values`` (trimmed, without case, several by ``;``) grants ``purpose``.

    The day it was given stands in ``given_at`` (a heading) or is ``given_on`` for all; without either it is unknown,
    and the contact not eligible.
    """

    purpose: Slug
    column: Heading
    values: tuple[Value, ...] = Field(min_length=1)
    given_at: Heading | None = None
    given_on: datetime.date | None = None


class ConsentFile(_Model):
    """A register of consent beside the contacts: one line a contact and purpose, joined by contact id.

    ``granted`` are the values of ``status`` that mean yes; anything else means no. Of several lines on one contact and
    purpose the latest ``date`` counts, and on the same day a no; a no without a date always counts, a yes without one
    never. ``dates`` as in SourceMapping. ``evidence`` is the heading of a reference to the proof.
    """

    path: str = Field(min_length=1)
    contact_id: Heading
    purpose: Heading
    status: Heading
    granted: tuple[Value, ...] = Field(min_length=1)
    date: Heading
    evidence: Heading | None = None
    dates: DateOrder | None = None


class ConsentDecision(_Model):
    """What a person decided once about consent, and who; ``act`` is the signed act (identity.acts), as evidence.

    ``notified_at`` is the heading, or ``notified_on`` the one day, of the notice about sharing.
    """

    grants: tuple[ConsentGrant, ...] = ()
    file: ConsentFile | None = None
    notified_at: Heading | None = None
    notified_on: datetime.date | None = None
    reason: str = Field(default="", max_length=2000)
    decided_by: str = ""
    decided_at: datetime.datetime | None = None
    act: dict[str, str] = Field(default_factory=dict)


class SourceMapping(_Model):
    """What the columns of one export mean.

    ``layout`` is the CRM's whose headings were recognised, or "generic". ``contact_id`` may be one of ``emails`` where
    the file has no id. ``emails`` and ``phones`` of a row all belong to its one contact. ``dates`` is the order in
    which the file writes a day; None where it writes none, or ISO 8601. ``duplicates`` says what becomes of rows with
    the same contact id.
    """

    layout: Slug
    contact_id: Heading
    emails: tuple[Heading, ...] = ()
    phones: tuple[Heading, ...] = ()
    objections: tuple[ObjectionRule, ...] = ()
    no_objections_because: str = Field(default="", max_length=2000)
    consent: ConsentDecision | None = None
    dates: DateOrder | None = None
    duplicates: Duplicates = "refuse"

    @model_validator(mode="after")
    def _identifies(self) -> Self:
        if not self.emails and not self.phones:
            raise ValueError("names no column of e-mail addresses and none of phone numbers")
        if bool(self.objections) == bool(self.no_objections_because.strip()):
            raise ValueError(
                "names columns of objections and a reason why there are none"
                if self.objections
                else "names no column of objections, and no reason why there is none"
            )
        return self
