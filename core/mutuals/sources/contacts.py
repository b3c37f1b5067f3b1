"""A source as it was read: contacts with typed standard columns, and the rows that could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum, unique

import polars as pl

from mutuals.sources.mapping import DateOrder

# Every standard column of ContactTable.frame. ``row`` is the row a person sees in a spreadsheet; the heading
# is row 1.
STANDARD_SCHEMA: dict[str, pl.DataType] = {
    "row": pl.UInt32(),
    "contact_id": pl.String(),
    "email": pl.List(pl.String()),
    "phone": pl.List(pl.String()),
    "consent": pl.List(pl.String()),
    "consent_at": pl.Date(),
    "notified_at": pl.Date(),
    "suppressed": pl.Boolean(),
}
# What more a source may say of a consent (docs/sources.md); in the frame only where the file has the column.
EVIDENCE_SCHEMA: dict[str, pl.DataType] = {
    "consent_expires_at": pl.Date(),
    "consent_withdrawn_at": pl.Date(),
    "consent_basis": pl.String(),
    "consent_method": pl.String(),
    "consent_notice_version": pl.String(),
    "consent_evidence": pl.String(),
}
DATED_CONSENT = "mutuals dated consent"
"""The grants that carry dates of their own, as written (``newsletter@2026-01-03``); only where there are any."""
WITHDRAWN = "mutuals withdrawn"
"""True for contacts that ``mutuals revoke`` has taken out (``mutuals.consent``); only where that was looked up."""
IDENTIFIER_SCHEMA: dict[str, pl.DataType] = {
    name: STANDARD_SCHEMA[name] for name in ("row", "email", "phone")
}


@unique
class RowFault(StrEnum):
    """Why a row takes no part: a closed list, safe to show and to log."""

    EMPTY = "empty"
    NOT_A_DATE = "not_a_date"
    NOT_TRUE_OR_FALSE = "not_true_or_false"
    REPEATED = "repeated"


@dataclass(frozen=True)
class Rejected:
    """One fault of one row: ``column`` is the standard column at fault. The value itself is kept nowhere."""

    row: int
    column: str
    reason: RowFault


def _no_identifiers() -> pl.DataFrame:
    return pl.DataFrame(schema=IDENTIFIER_SCHEMA)


@dataclass(frozen=True, eq=False)
class ContactTable:
    """The contacts of a source.

    ``frame`` has a line per usable contact: STANDARD_SCHEMA, those of EVIDENCE_SCHEMA that the file has, perhaps
    DATED_CONSENT and WITHDRAWN, then every further column as text under its heading (``field_names``, in the
    file's order), as written. ``rejected`` lists the faults of the rows left
    out, and ``rejected_identifiers`` (IDENTIFIER_SCHEMA) what those rows hold: an identifier of theirs still
    counts as held when it is asked who shares it. ``absent`` names the standard columns the file does not have, and
    ``merged`` the rows that were made one contact, whose row is the first of them. ``dates`` is the order in which the
    further columns write days, where the source's mapping says so: an agreed field of days is read by it.
    """

    frame: pl.DataFrame
    rejected: tuple[Rejected, ...]
    field_names: tuple[str, ...]
    rejected_identifiers: pl.DataFrame = field(default_factory=_no_identifiers)
    absent: tuple[str, ...] = ()
    merged: tuple[tuple[int, ...], ...] = ()
    dates: DateOrder | None = None


def with_rows(table: ContactTable, chosen: pl.Series) -> ContactTable:
    """``table`` with those of its contacts for which ``chosen`` is true, and what it says of rejected rows."""
    return replace(table, frame=table.frame.filter(chosen))
