"""The deletion certificate: what one side says about the destruction of what it received (DESIGN §8)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mutuals.models.agreement import Side
from mutuals.models.card import Hex32, Line, Paragraph
from mutuals.models.moment import Moment

MAX_EXPORTS = 500
"""So many exports are named in a certificate; all are counted."""

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Search(_Part):
    """The raw search of the home after the deletion: so many files and bytes, for so many slices of what was destroyed.

    ``found`` counts the files in which one was found, and is 0 in every certificate.
    """

    files: Count
    size_bytes: Count
    slices: Count
    found: Literal[0]


class ExportedFile(_Part):
    """A file that left the store before: its name without folders, who wrote it, and what is in it."""

    file: Line
    operator: Line
    rows: Count
    fields: tuple[Line, ...] = Field(max_length=100)
    at: Moment


class Certificate(_Part):
    """One side's certificate for all ``versions`` (digests, oldest first) of the agreement; ``agreement`` is the last.

    ``ended_by`` says what ended it and, for a termination, ``operator`` who signed it on this side. ``triggered_by``
    says whether the server's timer or a command destroyed. ``records_received`` counts those of finished exchanges
    over the whole life, ``records_at_end`` those that were still held. ``backups_expire_on`` is the day from which no
    backup of the home can hold what was deleted, as this side's policy says, or nothing where it has none.
    ``exports`` are files that this side's people must delete; ``exports_in_all`` counts them.
    """

    format: Literal["mutuals/v1/deletion-certificate"] = "mutuals/v1/deletion-certificate"
    agreement: Hex32
    versions: tuple[Hex32, ...] = Field(min_length=1, max_length=1000)
    side: Side
    organisation: Line
    fingerprint: Hex32
    ended_at: Moment
    ended_by: Literal["expiry", "own termination", "partner's termination"]
    operator: Line | None
    triggered_by: Literal["server", "command"]
    runs: Count
    records_received: Count
    records_at_end: Count
    method: tuple[Line, ...] = Field(min_length=1, max_length=20)
    search: Search
    backups_expire_on: date | None
    exports: tuple[ExportedFile, ...] = Field(max_length=MAX_EXPORTS)
    exports_in_all: Count
    statement: Paragraph
    certified_at: Moment

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.versions[-1] != self.agreement or len(set(self.versions)) != len(self.versions):
            raise ValueError("the versions do not end with the agreement, or name one twice")
        if self.exports_in_all < len(self.exports) or self.certified_at < self.ended_at:
            raise ValueError("fewer exports than named, or certified before the end")
        return self
