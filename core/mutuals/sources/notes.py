"""Notes under the contacts of an export: the report's name, a copyright, a warning of confidentiality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from mutuals.sources.sheet import Sheet, SheetFile


class WithoutNotes:
    """``file`` without the rows at its end that follow a blank one and have content in their first column only."""

    def __init__(self, file: SheetFile) -> None:
        self.name = file.name
        self.headings = file.headings
        self._file = file

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._file.expected_rows()

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``; all columns are read, to tell a note."""
        wanted = [str(column) for column in columns]
        held: Sheet | None = None
        last = 1
        for sheet in self._file.sheets(range(len(self.headings))):
            whole = sheet if held is None else _both(held, sheet)
            notes = _notes_at_end(whole, last)
            sure = len(whole.rows) - notes
            held = Sheet(whole.cells[sure:], whole.rows[sure:])
            if sure:
                last = int(whole.rows[sure - 1])
            yield Sheet(whole.cells[:sure].select(wanted), whole.rows[:sure])


def _both(first: Sheet, second: Sheet) -> Sheet:
    return Sheet(pl.concat([first.cells, second.cells]), pl.concat([first.rows, second.rows]))


def _notes_at_end(sheet: Sheet, last: int) -> int:
    """How many rows at the end may be notes; ``last`` is the row before the first of ``sheet``."""
    only_first = sheet.cells.select(pl.all_horizontal(pl.all().exclude("0") == "")).to_series()
    others = (~only_first).arg_true()
    start = int(others[-1]) + 1 if len(others) else 0
    if start == len(sheet.rows):
        return 0
    before = pl.concat([pl.Series([last], dtype=pl.UInt32), sheet.rows[:-1]])
    after_blank = (sheet.rows - before > 1)[start:].arg_true()
    return len(sheet.rows) - start - int(after_blank[0]) if len(after_blank) else 0
