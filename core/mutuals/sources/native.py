"""The native format: one contact a row, under the headings docs/sources.md documents or those a person
mapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from mutuals.normalisation import TRIMMED
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
from mutuals.sources.definition import STANDARD_COLUMNS, SourceDefinition, StandardColumn
from mutuals.sources.sheet import HEADINGS_HINT, Sheet, input_fault, read_csv

# An absent notice column means that nobody was notified, which is safe; an absent suppression column would
# mean that nobody objected, which is not.
_EVIDENCE = tuple(column for column in STANDARD_COLUMNS if column in EVIDENCE_SCHEMA)
_OPTIONAL: frozenset[StandardColumn] = frozenset({"notified_at", *_EVIDENCE})
_EITHER: tuple[StandardColumn, StandardColumn] = ("email", "phone")
_SEVERAL = ";"
_KEPT = dict.fromkeys(STANDARD_COLUMNS, "contacts") | {
    "row": "the row number",
    DATED_CONSENT: "consent",
    WITHDRAWN: "withdrawals",
}
_ISO_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


class NativeReader:
    """Reads the native CSV format."""

    def read(self, definition: SourceDefinition) -> ContactTable:
        """The contacts of ``definition``. Raises MutualsError (INPUT_QUALITY) where the file as a whole is
        unusable.
        """
        return contacts_from_sheet(read_csv(Path(definition.path), TRIMMED), definition)


def contacts_from_sheet(sheet: Sheet, definition: SourceDefinition) -> ContactTable:
    """Interpret a sheet's columns; any reader that can produce a Sheet can use it.

    Raises MutualsError (INPUT_QUALITY) where headings are missing or repeated, or contact ids are.
    """
    positions = _positions(sheet, definition)
    fields = _fields(sheet, set(positions.values()))
    evidence = [column for column in _EVIDENCE if column in positions]
    frame = sheet.cells.select(
        sheet.rows.alias("row"),
        *(_standard(column, positions.get(column)) for column in STANDARD_COLUMNS if column not in _EVIDENCE),
        *(_standard(column, positions[column]) for column in evidence),
        *_dated_consent(sheet, positions.get("consent")),
        *(
            _fault(column, positions.get(column))
            for column in ("contact_id", *_dates(evidence), "suppressed")
        ),
        *(pl.col(position).alias(f"field {position}") for position in fields.values()),
    )
    _refuse_duplicates(frame, sheet.name)
    faults = [name for name in frame.columns if name.startswith("fault ")]
    faulty = pl.any_horizontal(pl.col(name).is_not_null() for name in faults)
    bad = frame.filter(faulty)
    return ContactTable(
        frame=frame.filter(~faulty)
        .drop(faults)
        .rename({f"field {position}": heading for heading, position in fields.items()}),
        rejected=_rejected(bad, faults),
        field_names=tuple(fields),
        rejected_identifiers=bad.select("row", "email", "phone"),
        absent=tuple(column for column in STANDARD_COLUMNS if column not in positions),
    )


def _positions(sheet: Sheet, definition: SourceDefinition) -> dict[StandardColumn, str]:
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


def _refuse_missing(sheet: Sheet, definition: SourceDefinition, found: dict[StandardColumn, str]) -> None:
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


def _fields(sheet: Sheet, taken: set[str]) -> dict[str, str]:
    """Heading -> column of ``sheet.cells`` for the further columns. Columns without a heading are ignored."""
    fields = {h: str(i) for i, h in enumerate(sheet.headings) if h and str(i) not in taken}
    for heading in fields:
        if heading in _KEPT:
            raise input_fault(
                f"{sheet.name} has a column “{heading}” beside the one mapped to it."
                if heading in STANDARD_COLUMNS
                else f"{sheet.name} has a column “{heading}”, a name kept for {_KEPT[heading]}.",
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
        pl.when(cell.str.contains(_ISO_DATE)).then(cell).otherwise(None).str.to_date("%Y-%m-%d", strict=False)
    )


def _rejected(bad: pl.DataFrame, faults: list[str]) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(line["row"], name.removeprefix("fault "), RowFault(line[name]))
        for line in bad.select("row", *faults).iter_rows(named=True)
        for name in faults
        if line[name] is not None
    )


def _refuse_duplicates(frame: pl.DataFrame, name: str) -> None:
    repeated = (
        frame.filter(pl.col("contact_id") != "")
        .group_by("contact_id", maintain_order=True)
        .agg("row")
        .filter(pl.col("row").list.len() > 1)
    )
    if repeated.is_empty():
        return
    first, second = repeated["row"][0][:2]
    others = len(repeated) - 1
    more = (
        "" if not others else f" {others:,} more contact id{' is' if others == 1 else 's are'} repeated, too."
    )
    raise input_fault(
        f"{name} has the same contact_id in rows {first} and {second}.{more}",
        "Every contact needs an id of its own; merge or remove the repeated rows.",
    )
