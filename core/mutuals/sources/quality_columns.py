"""What each column of a source is taken for, and what those that nobody named look like.

Looked at are the first HEAD_ROWS rows with content. Of a cell nothing is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from mutuals.normalisation import TRIMMED
from mutuals.normalisation.email import PLAIN_ADDRESS
from mutuals.sources.dates import DatesSeen, look_at_dates
from mutuals.sources.definition import STANDARD_COLUMNS, SourceDefinition
from mutuals.sources.mapping import ObjectionRule, SourceMapping
from mutuals.sources.sheet import SheetFile

HEAD_ROWS = 10_000
_NUMBER = r"^(?:[+(0][0-9 ()./-]{5,}[0-9]|[0-9]{3}[ .-][0-9]{3}[ .-][0-9]{4})$"
_A_DAY = r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}"
_MOSTLY = 0.8
_ENOUGH_TO_REPEAT = 10
_VALUES_SHOWN = 4
_COUNTRY = re.compile(
    r"(.*[ _:.-])?(country([ /_-]?(region|code))?|countrycode|nation|land|ländercode|pays|país|paese)( \(text only\))?",
    re.IGNORECASE,
)
_COUNTRY_API = re.compile(r"(mailing|other|billing|person)?country(code)?", re.IGNORECASE)

Looks = Literal["email", "phone", "country", ""]


@dataclass(frozen=True)
class Column:
    """One column: its ``heading``, what it is taken for (``role``) and that in words (``says``).

    ``role`` is a standard column of the native format, "objects", "grants", "given_at", "field" or "ignored".
    """

    heading: str
    role: str
    says: str


@dataclass(frozen=True)
class Seen:
    """Of the rows looked at, ``filled`` hold something under ``heading``, ``matching`` of these what it ``looks``
    like.
    """

    heading: str
    looks: Looks
    filled: int
    matching: int


@dataclass(frozen=True)
class Head:
    """The first ``rows`` of a file: its columns that look like something, and the order of the days in those used."""

    rows: int
    seen: tuple[Seen, ...]
    dates: DatesSeen

    def looking_like(self, looks: Looks) -> tuple[Seen, ...]:
        """Those columns."""
        return tuple(seen for seen in self.seen if seen.looks == looks)


def columns_of(definition: SourceDefinition, headings: tuple[str, ...]) -> tuple[Column, ...]:
    """Each column of a file with these headings, in its order."""
    counts = Counter(headings)
    roles = dict(_native(definition) if definition.mapping is None else _mapped(definition.mapping))
    found = []
    for heading in headings:
        if not heading:
            found.append(Column("", "ignored", "no heading, so it is ignored"))
        elif heading in roles:
            found.append(Column(heading, *roles[heading]))
        elif counts[heading] > 1:
            found.append(Column(heading, "ignored", "there twice, so neither is read"))
        elif definition.mapping is not None and heading in (*STANDARD_COLUMNS, "row"):
            found.append(Column(heading, "ignored", "a name of the native format, so it is ignored"))
        else:
            found.append(Column(heading, "field", "a field that an agreement may share"))
    return tuple(found)


_NATIVE_WORDS = {
    "contact_id": "the contact’s id",
    "email": "e-mail addresses, separated by ;",
    "phone": "phone numbers, separated by ;",
    "consent": "the purposes granted, separated by ;",
    "consent_at": "since when they are",
    "notified_at": "when the contact was told about the sharing",
    "suppressed": "objects where it says true; does not where it says false or nothing; any other word rejects the row",
    "consent_expires_at": "the last day on which consent holds",
    "consent_withdrawn_at": "when consent was withdrawn",
    "consent_basis": "evidence: the lawful basis",
    "consent_method": "evidence: how consent was given",
    "consent_notice_version": "evidence: which notice was seen",
    "consent_evidence": "evidence: where the proof lies",
}


def _native(definition: SourceDefinition) -> Iterator[tuple[str, tuple[str, str]]]:
    for column in STANDARD_COLUMNS:
        role = "objects" if column == "suppressed" else column
        yield definition.heading(column), (role, _NATIVE_WORDS[column])


def _mapped(mapping: SourceMapping) -> Iterator[tuple[str, tuple[str, str]]]:
    decision = mapping.consent
    if decision is not None:
        if decision.notified_at is not None:
            yield decision.notified_at, ("notified_at", _NATIVE_WORDS["notified_at"])
        for grant in decision.grants:
            if grant.given_at is not None:
                yield grant.given_at, ("given_at", f"since when {grant.purpose} is granted")
        for grant in decision.grants:
            values = " or ".join(f"“{value}”" for value in grant.values)
            yield (
                grant.column,
                ("grants", f"grants {grant.purpose} where it says {values}; nothing else does"),
            )
    for rule in mapping.objections:
        yield rule.column, ("objects", polarity(rule))
    for heading in mapping.phones:
        yield heading, ("phone", "phone numbers")
    for heading in mapping.emails:
        yield heading, ("email", "e-mail addresses")
    also = " and e-mail address" if mapping.contact_id in mapping.emails else ""
    yield mapping.contact_id, ("contact_id", f"the contact’s id{also}")


def polarity(rule: ObjectionRule) -> str:
    """Which values of its column object, and which do not."""
    objects = [value for value in rule.objects_if if value]
    allows = [value for value in rule.allows_if if value and value not in rule.objects_if]
    yes = ([_listed(objects)] if objects else []) + (["any word not known"] if rule.unknown_objects else [])
    no = ([] if "" in rule.objects_if else ["is empty"]) + ([f"says {_listed(allows)}"] if allows else [])
    if "" in rule.objects_if:
        yes.append("nothing")
    return f"objects where it says {' or '.join(yes)}; not where it {' or '.join(no) or 'says anything else'}"


def _listed(values: list[str]) -> str:
    return ", ".join(values[:_VALUES_SHOWN]) + (" …" if len(values) > _VALUES_SHOWN else "")


def look_at_head(file: SheetFile, columns: tuple[Column, ...]) -> Head:
    """The first rows of ``file``, whose columns are ``columns``.

    Raises MutualsError (INPUT_QUALITY) as reading does.
    """
    positions = range(len(columns))
    sheets: list[pl.DataFrame] = []
    rows = 0
    for sheet in file.sheets(positions):
        sheets.append(sheet.cells.head(HEAD_ROWS - rows))
        rows += len(sheets[-1])
        if rows >= HEAD_ROWS:
            break
    cells = pl.concat(sheets).select(pl.all().str.strip_chars(TRIMMED))
    seen, dates = [], DatesSeen()
    for position, column in enumerate(columns):
        values = cells[str(position)]
        if column.role == "field":
            found = _seen(column.heading, values)
            seen += [found] if found.looks else []
        elif column.role in {"given_at", "notified_at"}:
            dates += look_at_dates(values)
    return Head(rows, tuple(seen), dates)


def _seen(heading: str, values: pl.Series) -> Seen:
    filled = values.filter(values != "")
    if not len(filled):
        return Seen(heading, "", 0, 0)
    if _COUNTRY.fullmatch(heading) or _COUNTRY_API.fullmatch(heading):
        return Seen(heading, "country", len(filled), len(filled))
    # Where one value stands in many rows it is that of an owner, an account or a switchboard.
    if len(filled) >= _ENOUGH_TO_REPEAT and 2 * filled.n_unique() < len(filled):
        return Seen(heading, "", len(filled), 0)
    first = filled.str.split(";").list.first().str.strip_chars(TRIMMED)
    addresses = int(first.str.contains(PLAIN_ADDRESS).sum())
    numbers = int((first.str.contains(_NUMBER) & ~first.str.contains(_A_DAY)).sum())
    looks: Looks = "email" if addresses >= numbers else "phone"
    matching = max(addresses, numbers)
    return Seen(heading, looks if matching >= _MOSTLY * len(filled) else "", len(filled), matching)
