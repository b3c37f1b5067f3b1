"""The native format: one contact a row, under the headings of docs/sources.md or those a person mapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import polars as pl

from mutuals.errors import MutualsError
from mutuals.normalisation import TRIMMED
from mutuals.sources.blocks import input_fault
from mutuals.sources.contact_ids import ContactIds
from mutuals.sources.contacts import (
    DATED_CONSENT,
    EVIDENCE_SCHEMA,
    STANDARD_SCHEMA,
    WITHDRAWN,
    ContactTable,
    Rejected,
    RowFault,
)
from mutuals.sources.dated_consent import dated, purpose_of, well_dated
from mutuals.sources.dates import ISO_DAY
from mutuals.sources.definition import STANDARD_COLUMNS, SourceDefinition, StandardColumn
from mutuals.sources.sheet import HEADINGS_HINT, CsvFile, Sheet, SheetFile

# An absent notice column means that nobody was notified, which is safe; an absent suppression column would
# mean that nobody objected, which is not.
_EVIDENCE = tuple(column for column in STANDARD_COLUMNS if column in EVIDENCE_SCHEMA)
_OPTIONAL: frozenset[StandardColumn] = frozenset({"notified_at", *_EVIDENCE})
_EITHER: tuple[StandardColumn, StandardColumn] = ("email", "phone")
_SEVERAL = ";"
KEPT_NAMES = dict.fromkeys(STANDARD_COLUMNS, "contacts") | {
    "row": "the row number",
    DATED_CONSENT: "consent",
    WITHDRAWN: "withdrawals",
}


class NativeReader:
    """Reads the native CSV format."""

    def open(self, definition: SourceDefinition, fields: Collection[str] | None = None) -> ContactBatches:
        """See ``Reader.open``."""
        return ContactBatches(CsvFile(Path(definition.path), TRIMMED), definition, fields)


class ContactBatches:
    """The contacts of a file whose columns were found; see ``mutuals.sources.readers.OpenSource``.

    Any reader that can produce a SheetFile can use it. Raises MutualsError (INPUT_QUALITY) where headings are missing
    or repeated and, where they must be ``unique``, after the last batch where contact ids are repeated.
    """

    def __init__(
        self,
        file: SheetFile,
        definition: SourceDefinition,
        fields: Collection[str] | None = None,
        *,
        unique: bool = True,
    ) -> None:
        self._file = file
        self._unique = unique
        try:
            self._positions = _positions(file, definition)
        except MutualsError:
            next(file.sheets([0]))  # rows of another width than the headings say better what is wrong
            raise
        further = _fields(file, set(self._positions.values()))
        self.headings = tuple(further)
        self.absent = tuple(column for column in STANDARD_COLUMNS if column not in self._positions)
        self._fields = {
            heading: position for heading, position in further.items() if fields is None or heading in fields
        }

    def expected_rows(self) -> int:
        """See ``OpenSource.expected_rows``."""
        return self._file.expected_rows()

    def __iter__(self) -> Iterator[ContactTable]:
        wanted = sorted({*map(int, self._positions.values()), *map(int, self._fields.values())})
        ids = ContactIds()
        for sheet in self._file.sheets(wanted):
            yield self._contacts(sheet, ids)
        if self._unique:
            ids.refuse_repeated(self._file.name)

    def _contacts(self, sheet: Sheet, ids: ContactIds) -> ContactTable:
        positions = self._positions
        evidence = [column for column in _EVIDENCE if column in positions]
        frame = sheet.cells.select(
            sheet.rows.alias("row"),
            *(
                _standard(column, positions.get(column))
                for column in STANDARD_COLUMNS
                if column not in _EVIDENCE
            ),
            *(_standard(column, positions[column]) for column in evidence),
            *_dated_consent(sheet, positions.get("consent")),
            *(
                _fault(column, positions.get(column))
                for column in ("contact_id", *_dates(evidence), "suppressed")
            ),
            *(pl.col(position).alias(f"field {position}") for position in self._fields.values()),
        )
        ids.add(frame["contact_id"], frame["row"])
        faults = [name for name in frame.columns if name.startswith("fault ")]
        faulty = frame.select(pl.any_horizontal(pl.col(name).is_not_null() for name in faults)).to_series()
        contacts = frame.drop(faults).rename(
            {f"field {position}": heading for heading, position in self._fields.items()}
        )
        fields = tuple(self._fields)
        if not faulty.any():
            return ContactTable(contacts, (), fields, absent=self.absent)
        bad = frame.filter(faulty)
        return ContactTable(
            frame=contacts.filter(~faulty),
            rejected=_rejected(bad, faults),
            field_names=fields,
            rejected_identifiers=bad.select("row", "email", "phone"),
            absent=self.absent,
        )


def _positions(sheet: SheetFile, definition: SourceDefinition) -> dict[StandardColumn, str]:
    repeated = sorted(heading for heading, count in Counter(sheet.headings).items() if heading and count > 1)
    if repeated:
        first = [number for number, heading in enumerate(sheet.headings, start=1) if heading == repeated[0]]
        raise input_fault(
            f"{sheet.name} has the same heading in columns {first[0]} and {first[1]}.",
            "Give every column a heading of its own.",
        )
    found = {
        column: str(sheet.headings.index(definition.heading(column)))
        for column in STANDARD_COLUMNS
        if definition.heading(column) in sheet.headings
    }
    _refuse_missing(sheet, definition, found)
    return found


def _refuse_missing(sheet: SheetFile, definition: SourceDefinition, found: dict[StandardColumn, str]) -> None:
    hint = 'Name the right heading with --map, for example --map {0}="Heading in the file".'
    if sum(map(bool, sheet.headings)) == 1:
        hint = HEADINGS_HINT
    if not any(column in found for column in _EITHER):
        email, phone = (definition.heading(column) for column in _EITHER)
        raise input_fault(f"{sheet.name} has no column “{email}” and none “{phone}”.", hint.format("email"))
    for column in STANDARD_COLUMNS:
        unmapped = column not in definition.columns
        if column in found or (unmapped and (column in _EITHER or column in _OPTIONAL)):
            continue
        raise input_fault(f"{sheet.name} has no column “{definition.heading(column)}”.", hint.format(column))


def _fields(sheet: SheetFile, taken: set[str]) -> dict[str, str]:
    """Heading -> column of ``sheet.cells`` for the further columns. Columns without a heading are ignored."""
    fields = {h: str(i) for i, h in enumerate(sheet.headings) if h and str(i) not in taken}
    for heading in fields:
        if heading in KEPT_NAMES:
            raise input_fault(
                f"{sheet.name} has a column “{heading}” beside the one mapped to it."
                if heading in STANDARD_COLUMNS
                else f"{sheet.name} has a column “{heading}”, a name kept for {KEPT_NAMES[heading]}.",
                "Rename that column in the file.",
            )
    return fields


def _dates(evidence: Iterable[StandardColumn]) -> tuple[StandardColumn, ...]:
    """The standard columns that hold a day."""
    found = tuple(column for column in evidence if EVIDENCE_SCHEMA[column] == pl.Date)
    return ("consent_at", "notified_at", *found)


def _dated_consent(sheet: Sheet, position: str | None) -> Iterator[pl.Expr]:
    """Where grants carry dates of their own: these, and the fault of a row in which one is not well written."""
    if position is None or not sheet.cells[position].str.contains("@", literal=True).any():
        return
    grants = _parts(_trimmed(position)).list.eval(dated(pl.element()))
    yield grants.alias(DATED_CONSENT)
    wrong = grants.list.eval(~well_dated(pl.element())).list.any()
    yield pl.when(wrong).then(pl.lit(RowFault.NOT_A_DATE.value)).otherwise(None).alias("fault consent")


def _parts(cell: pl.Expr) -> pl.Expr:
    part = pl.element().str.strip_chars(TRIMMED)
    return cell.str.split(_SEVERAL).list.eval(part.filter(part != ""))


def _standard(column: StandardColumn, position: str | None) -> pl.Expr:
    kind = (STANDARD_SCHEMA | EVIDENCE_SCHEMA)[column]
    if position is None:
        return pl.lit([] if kind == pl.List else None, dtype=kind).alias(column)
    cell = _trimmed(position)
    if kind == pl.List:
        cell = _parts(cell)
        if column == "consent":
            cell = cell.list.eval(purpose_of(pl.element()))
    elif kind == pl.Date:
        cell = _date(cell)
    elif kind == pl.Boolean:
        cell = cell.str.to_lowercase() == "true"
    elif column in EVIDENCE_SCHEMA:
        cell = pl.when(cell != "").then(cell).otherwise(None)
    return cell.alias(column)


def _fault(column: StandardColumn, position: str | None) -> pl.Expr:
    if position is None:
        return pl.lit(None, dtype=pl.String).alias(f"fault {column}")
    cell = _trimmed(position)
    if column == "contact_id":
        wrong, fault = cell == "", RowFault.EMPTY
    elif column == "suppressed":
        wrong, fault = ~cell.str.to_lowercase().is_in(["", "true", "false"]), RowFault.NOT_TRUE_OR_FALSE
    else:
        wrong, fault = (cell != "") & _date(cell).is_null(), RowFault.NOT_A_DATE
    return pl.when(wrong).then(pl.lit(fault.value)).otherwise(None).alias(f"fault {column}")


def _trimmed(position: str) -> pl.Expr:
    return pl.col(position).str.strip_chars(TRIMMED)


def _date(cell: pl.Expr) -> pl.Expr:
    return (
        pl.when(cell.str.contains(ISO_DAY)).then(cell).otherwise(None).str.to_date("%Y-%m-%d", strict=False)
    )


def _rejected(bad: pl.DataFrame, faults: list[str]) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(line["row"], name.removeprefix("fault "), RowFault(line[name]))
        for line in bad.select("row", *faults).iter_rows(named=True)
        for name in faults
        if line[name] is not None
    )
