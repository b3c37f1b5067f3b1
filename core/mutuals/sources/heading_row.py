"""Where the column headings stand, if not in row 1 but below a title or a line of instructions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mutuals.sources.definition import SourceDefinition
from mutuals.sources.formats.delimiters import CALLED, first_rows
from mutuals.sources.layouts import GENERIC, matching
from mutuals.sources.sheet import SheetFile

_ROWS_LOOKED_AT = 20


def row_of_headings(definition: SourceDefinition, file: SheetFile) -> int | None:
    """The first row after row 1 that has a heading of addresses or numbers, beside others; None where none has.

    Raises MutualsError (INPUT_QUALITY) where the file cannot be read.
    """
    rows = _csv_rows(definition) if definition.format == "csv" else _rows(file)
    for row, cells in rows:
        if (
            row > 1
            and len(cells) > 1
            and (matching(GENERIC.emails, cells) or matching(GENERIC.phones, cells))
        ):
            return row
    return None


def _csv_rows(definition: SourceDefinition) -> Iterator[tuple[int, list[str]]]:
    """A title may have misled about the delimiter, so each is tried."""
    for delimiter in CALLED:
        rows = first_rows(Path(definition.path), definition.encoding, delimiter, _ROWS_LOOKED_AT)
        yield from enumerate(([cell.strip() for cell in row] for row in rows), start=1)


def _rows(file: SheetFile) -> Iterator[tuple[int, list[str]]]:
    for sheet in file.sheets(range(len(file.headings))):
        head = sheet.cells.head(_ROWS_LOOKED_AT)
        for row, cells in zip(sheet.rows.head(_ROWS_LOOKED_AT), head.iter_rows(), strict=True):
            yield row, [cell.strip() for cell in cells]
        return
