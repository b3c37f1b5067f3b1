"""A workbook's sheet as a table, read by fastexcel (the extra ``excel``): values as they were last calculated.

Numbers come without a point where they are whole, days as YYYY-MM-DD; what is text stays as it is, leading zeros too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources.blocks import input_fault, open_file
from mutuals.sources.formats.extent import refuse_unsound
from mutuals.sources.formats.frames import ROWS_AT_ONCE, sheets_of
from mutuals.sources.sheet import HEADINGS_HINT, Sheet

if TYPE_CHECKING:
    from fastexcel import ExcelReader

_MIDNIGHT = " 00:00:00"  # what a day without a time is read as


class ExcelFile:
    """See ``SheetFile``: the sheet called ``sheet``, or the first one.

    Raises MutualsError: INPUT_QUALITY where there is no such workbook or sheet, LOCAL where fastexcel is not installed.
    """

    def __init__(self, path: Path, trimmed: str, sheet: str | None = None) -> None:
        self.name = path.name
        open_file(path).close()
        refuse_unsound(path)
        reader = _reader(path)
        if not reader.sheet_names:
            raise input_fault(f"{path.name} has no sheet.", "Export it again, or save it as “CSV UTF-8”.")
        self.others = tuple(name for name in reader.sheet_names if name != (sheet or reader.sheet_names[0]))
        if sheet is not None and sheet not in reader.sheet_names:
            raise input_fault(
                f"{path.name} has no sheet “{sheet}”.",
                f"It has {', '.join(f'“{name}”' for name in reader.sheet_names)}.",
            )
        self.sheet = sheet or reader.sheet_names[0]
        self._reader = reader
        self._first = self._load(n_rows=1)
        cells = [] if self._first.is_empty() else [str(cell or "") for cell in self._first.row(0)]
        self.headings = tuple(cell.strip(trimmed) for cell in cells)
        self._rows = 0
        if not self.headings:
            raise input_fault(f"{self.name} is empty.", "The first row must hold the column headings.")
        if not any(self.headings):
            raise input_fault(f"{self.name}: row 1 is blank.", HEADINGS_HINT)

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``."""
        # All columns are loaded: where the first ones are empty, fastexcel numbers the ones asked for otherwise.
        whole = self._load()
        if not whole.head(1).equals(self._first):
            raise input_fault(f"{self.name} was changed while it was read.", "Repeat the command.")
        self._rows = len(whole) - 1
        frame = pl.DataFrame({str(column): whole.to_series(column) for column in columns})[1:]
        slices = (
            part.with_columns(pl.all().str.strip_suffix(_MIDNIGHT))
            for part in frame.iter_slices(ROWS_AT_ONCE)
        )
        yield from sheets_of(slices, columns, 2)

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._rows

    def _load(self, **what: Any) -> pl.DataFrame:
        """Rows from the sheet's first one on, even if it is blank."""
        try:
            sheet = self._reader.load_sheet(self.sheet, header_row=None, skip_rows=0, dtypes="string", **what)
            return pl.DataFrame(sheet)
        except Exception as error:
            raise _unreadable(self.name, error) from None


def _reader(path: Path) -> ExcelReader:
    try:
        import fastexcel
    except ImportError:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{path.name} is a workbook, and this installation cannot read workbooks.",
            hint="Install the extra: pip install 'mutuals[excel]'. Or save the sheet as “CSV UTF-8”.",
        ) from None
    try:
        return fastexcel.read_excel(path)
    except Exception as error:
        raise _unreadable(path.name, error) from None


def _unreadable(name: str, error: Exception) -> MutualsError:
    locked = "assword" in str(error)
    return input_fault(
        f"{name} {'is protected by a password' if locked else 'cannot be read as a workbook'}.",
        "Save the sheet as “CSV UTF-8”.",
    )
