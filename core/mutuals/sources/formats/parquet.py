"""A Parquet file as a table: every cell as text, a list joined by ``;``. Nested and binary columns are empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from mutuals.sources.blocks import input_fault, open_file
from mutuals.sources.formats.frames import ROWS_AT_ONCE, sheets_of
from mutuals.sources.sheet import Sheet


class ParquetFile:
    """See ``SheetFile``. Raises MutualsError (INPUT_QUALITY) where the file is not Parquet."""

    def __init__(self, path: Path, trimmed: str) -> None:
        self.name = path.name
        self._path = path
        open_file(path).close()
        try:
            self._scan = pl.scan_parquet(path, glob=False)
            self._columns = self._scan.collect_schema().names()
            self._rows = int(self._scan.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError):
            raise self._unreadable() from None
        self.headings = tuple(column.strip(trimmed) for column in self._columns)

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``."""
        yield from sheets_of(self._frames([self._columns[column] for column in columns]), columns, 2)

    def _frames(self, columns: list[str]) -> Iterator[pl.DataFrame]:
        for start in range(0, self._rows, ROWS_AT_ONCE):
            try:
                yield self._scan.select(columns).slice(start, ROWS_AT_ONCE).collect()
            except (pl.exceptions.PolarsError, OSError):
                raise self._unreadable() from None

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._rows

    def _unreadable(self) -> Exception:
        return input_fault(
            f"{self.name} cannot be read as Parquet.", "Export it again, or save it as “CSV UTF-8”."
        )
