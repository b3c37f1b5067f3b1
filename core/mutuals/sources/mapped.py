"""A table under a CRM's headings, seen as one in the native format: what a mapping says, applied cell by cell.

So whatever the native format promises (docs/sources.md) holds for every mapped file too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import polars as pl

from mutuals.normalisation import TRIMMED
from mutuals.sources.blocks import input_fault
from mutuals.sources.consent_file import read_register
from mutuals.sources.dates import is_iso, iso_day
from mutuals.sources.mapping import ConsentDecision, ConsentGrant, ObjectionRule, SourceMapping
from mutuals.sources.native import KEPT_NAMES
from mutuals.sources.sheet import Sheet, SheetFile

_UNREADABLE = "?"  # stands in a dated grant for a day that cannot be read: the row is then not_a_date


class MappedFile:
    """``file`` under the native headings, and its further columns under their own.

    Not among these are the contact's id and identifiers, headings that occur twice and names kept by the native format;
    what says who objects or consents is, since an agreement may share it, and a decision may not end an exchange.
    Raises MutualsError (INPUT_QUALITY) where a column of the mapping is missing or there twice.
    """

    def __init__(self, file: SheetFile, mapping: SourceMapping) -> None:
        self.name = file.name
        self._file = file
        self._mapping = mapping
        self._at = {heading: position for position, heading in enumerate(file.headings) if heading}
        counts = Counter(file.headings)
        require_headings(file, mapping)
        self._standard = _Standard(mapping, self._at)
        taken = {mapping.contact_id, *mapping.emails, *mapping.phones, *KEPT_NAMES}
        further = [h for h in file.headings if h and counts[h] == 1 and h not in taken]
        self.headings = (*self._standard.names, *further)

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._file.expected_rows()

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``."""
        own = len(self._standard.names)
        standard = {str(column): self.headings[column] for column in columns if column < own}
        further = {str(column): self._at[self.headings[column]] for column in columns if column >= own}
        wanted = self._standard.positions(standard.values()) | set(further.values())
        for sheet in self._file.sheets(sorted(wanted)):
            made = self._standard.cells(sheet.cells, tuple(standard.values()))
            cells = made.select(
                *(pl.col(name).alias(column) for column, name in standard.items()),
                *(sheet.cells[str(position)].alias(column) for column, position in further.items()),
            )
            yield Sheet(cells, sheet.rows)


def used_headings(mapping: SourceMapping) -> tuple[str, ...]:
    """Every heading that ``mapping`` reads, once."""
    decision = mapping.consent or ConsentDecision()
    named = [
        mapping.contact_id,
        *mapping.emails,
        *mapping.phones,
        *(rule.column for rule in mapping.objections),
        *(heading for grant in decision.grants for heading in (grant.column, grant.given_at) if heading),
        *([decision.notified_at] if decision.notified_at else []),
    ]
    return tuple(dict.fromkeys(named))


def require_headings(file: SheetFile, mapping: SourceMapping) -> None:
    """Raises MutualsError (INPUT_QUALITY) where ``file`` does not have every column of ``mapping`` just once."""
    counts = Counter(file.headings)
    for heading in used_headings(mapping):
        _require(heading, counts[heading], file.name)


def _require(heading: str, count: int, name: str) -> None:
    if count == 0:
        raise input_fault(
            f"{name} has no column “{heading}”, which its mapping reads.",
            "Export it again with that column, or map it anew: mutuals source add NAME --path FILE --replace",
        )
    if count > 1:
        raise input_fault(
            f"{name} has {count} columns “{heading}”.", "Give every column a heading of its own."
        )


class _Standard:
    """The native columns, made of those of a file. ``names`` are those it has."""

    def __init__(self, mapping: SourceMapping, at: dict[str, int]) -> None:
        self._mapping = mapping
        self._at = at
        self._decision = decided = mapping.consent or ConsentDecision()
        self._register: pl.DataFrame | None = None
        self._alone = len(decided.grants) == 1 and decided.file is None
        there = {
            "contact_id": True,
            "email": bool(mapping.emails),
            "phone": bool(mapping.phones),
            "consent": True,
            "consent_at": True,
            "notified_at": decided.notified_at is not None or decided.notified_on is not None,
            "suppressed": True,
            "consent_evidence": decided.file is not None and decided.file.evidence is not None,
        }
        self.names = tuple(name for name, has in there.items() if has)

    def positions(self, names: Collection[str]) -> set[int]:
        """The positions in the file of what the native columns ``names`` are made of."""
        return {self._at[heading] for name in ("contact_id", *names) for heading in self._headings(name)}

    def cells(self, cells: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
        """The native columns ``names`` of some rows, as text."""
        makers = {
            "contact_id": lambda: self._cell(cells, self._mapping.contact_id),
            "email": lambda: self._joined(cells, self._mapping.emails),
            "phone": lambda: self._joined(cells, self._mapping.phones),
            "consent": lambda: self._consent(cells),
            "consent_at": lambda: self._consent_at(cells),
            "notified_at": lambda: self._notified_at(cells),
            "suppressed": lambda: self._suppressed(cells),
            "consent_evidence": lambda: self._registered(cells, "consent_evidence"),
        }
        return pl.DataFrame({name: makers[name]() for name in names})

    def _cell(self, cells: pl.DataFrame, heading: str) -> pl.Series:
        return cells[str(self._at[heading])]

    def _joined(self, cells: pl.DataFrame, headings: Sequence[str]) -> pl.Series:
        if len(headings) == 1:
            return self._cell(cells, headings[0])
        return cells.select(pl.concat_str([str(self._at[h]) for h in headings], separator=";")).to_series()

    def _suppressed(self, cells: pl.DataFrame) -> pl.Series:
        objecting = _all(cells, value=False)
        for rule in self._mapping.objections:
            objecting |= objects(self._cell(cells, rule.column), rule)
        return _text(objecting, "true", "false")

    def _consent(self, cells: pl.DataFrame) -> pl.Series:
        """The purposes granted; with their days, unless there is but one grant and ``consent_at`` has its day."""
        parts = [self._grant(cells, grant) for grant in self._decision.grants]
        if self._decision.file is not None:
            parts.append(self._registered(cells, "consent"))
        if not parts:
            return _text(_all(cells, value=False), "", "")
        return pl.select(pl.concat_str(parts, separator=";")).to_series()

    def _grant(self, cells: pl.DataFrame, grant: ConsentGrant) -> pl.Series:
        granted = _granted(self._cell(cells, grant.column), grant)
        if self._alone:
            return _text(granted, grant.purpose, "")
        day = self._given(cells, grant)
        readable = is_iso(day)
        dated = (
            pl.when(readable)
            .then(pl.lit(f"{grant.purpose}@") + day)
            .when(day == "")
            .then(pl.lit(grant.purpose))
            .otherwise(pl.lit(f"{grant.purpose}@{_UNREADABLE}"))
        )
        return pl.select(pl.when(granted).then(dated).otherwise(pl.lit(""))).to_series()

    def _consent_at(self, cells: pl.DataFrame) -> pl.Series:
        if not self._alone:
            return _text(_all(cells, value=False), "", "")
        grant = self._decision.grants[0]
        granted = _granted(self._cell(cells, grant.column), grant)
        day = self._given(cells, grant)
        return pl.select(pl.when(granted).then(day).otherwise(pl.lit(""))).to_series()

    def _given(self, cells: pl.DataFrame, grant: ConsentGrant) -> pl.Series:
        if grant.given_at is not None:
            return iso_day(self._cell(cells, grant.given_at), self._mapping.dates)
        day = "" if grant.given_on is None else grant.given_on.isoformat()
        return _text(_all(cells, value=True), day, "")

    def _notified_at(self, cells: pl.DataFrame) -> pl.Series:
        if self._decision.notified_at is not None:
            return iso_day(self._cell(cells, self._decision.notified_at), self._mapping.dates)
        day = self._decision.notified_on
        return _text(_all(cells, value=day is not None), day.isoformat() if day else "", "")

    def _registered(self, cells: pl.DataFrame, column: str) -> pl.Series:
        if self._register is None:
            if self._decision.file is None:
                raise ValueError("no consent file was decided on")
            self._register = read_register(self._decision.file)
        ids = self._cell(cells, self._mapping.contact_id).str.strip_chars(TRIMMED)
        known = pl.DataFrame({"contact_id": ids}).join(
            self._register, on="contact_id", how="left", maintain_order="left"
        )
        return known[column].fill_null("")

    def _headings(self, name: str) -> list[str]:
        mapping = self._mapping
        if name == "contact_id":
            return [mapping.contact_id]
        if name in {"email", "phone"}:
            return list(mapping.emails if name == "email" else mapping.phones)
        if name == "suppressed":
            return [rule.column for rule in mapping.objections]
        if name in {"consent", "consent_at"}:
            grants = self._decision.grants
            return [heading for grant in grants for heading in (grant.column, grant.given_at) if heading]
        return [self._decision.notified_at] if name == "notified_at" and self._decision.notified_at else []


def _all(cells: pl.DataFrame, *, value: bool) -> pl.Series:
    return pl.repeat(value, len(cells), dtype=pl.Boolean, eager=True)


def _text(chosen: pl.Series, yes: str, no: str) -> pl.Series:
    return pl.select(pl.when(chosen).then(pl.lit(yes)).otherwise(pl.lit(no))).to_series()


def _granted(cells: pl.Series, grant: ConsentGrant) -> pl.Series:
    values = [value.strip().lower() for value in grant.values]
    lowered = cells.str.strip_chars(TRIMMED).str.to_lowercase()
    whole = lowered.is_in(values)
    if not lowered.str.contains(";", literal=True).any():
        return whole
    part = pl.element().str.strip_chars(TRIMMED)
    among = lowered.str.split(";").list.eval(part.is_in(values)).list.any()
    return whole | among


def objects(cells: pl.Series, rule: ObjectionRule) -> pl.Series:
    """Which of ``cells`` (strings) object, by ``rule``."""
    lowered = cells.str.strip_chars(TRIMMED).str.to_lowercase()
    named = lowered.is_in([value.strip().lower() for value in rule.objects_if])
    if not rule.unknown_objects:
        return named
    allowed = lowered.is_in(["", *(value.strip().lower() for value in rule.allows_if)])
    return named | ~allowed
