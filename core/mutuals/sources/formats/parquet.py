"""A Parquet file as a table: every cell as text, a list joined by ``;``. Nested and binary columns are empty.

Of a damaged file polars may believe that a page holds 2^60 values, and then its allocator ends the process, whatever is
caught. So a file is read to its end in a process of its own first, once for as long as it stays the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from mutuals.sources.blocks import input_fault, open_file
from mutuals.sources.formats.frames import ROWS_AT_ONCE, sheets_of
from mutuals.sources.sheet import Sheet

_READ_ALL = f"""
import sys
import polars as pl
file = pl.scan_parquet(sys.argv[1], glob=False)
for start in range(0, file.select(pl.len()).collect().item(), {ROWS_AT_ONCE}):
    file.slice(start, {ROWS_AT_ONCE}).collect()
"""
_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


class ParquetFile:
    """See ``SheetFile``. Raises MutualsError (INPUT_QUALITY) where the file is not Parquet."""

    def __init__(self, path: Path, trimmed: str) -> None:
        self.name = path.name
        self._path = path
        with open_file(path) as stream:
            status = os.fstat(stream.fileno())
        if not _is_whole(path, status.st_ino, status.st_size, status.st_mtime_ns):
            raise self._unreadable()
        try:
            self._scan = pl.scan_parquet(path, glob=False)
            self._columns = self._scan.collect_schema().names()
            self._rows = int(self._scan.select(pl.len()).collect().item())
        except _FAULTS:
            raise self._unreadable() from None
        self.headings = tuple(column.strip(trimmed) for column in self._columns)

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``."""
        yield from sheets_of(self._frames([self._columns[column] for column in columns]), columns, 2)

    def _frames(self, columns: list[str]) -> Iterator[pl.DataFrame]:
        for start in range(0, self._rows, ROWS_AT_ONCE):
            try:
                yield self._scan.select(columns).slice(start, ROWS_AT_ONCE).collect()
            except _FAULTS:
                raise self._unreadable() from None

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._rows

    def _unreadable(self) -> Exception:
        return input_fault(
            f"{self.name} cannot be read as Parquet.", "Export it again, or save it as “CSV UTF-8”."
        )


@lru_cache(maxsize=64)
def _is_whole(path: Path, inode: int, size: int, changed_at: int) -> bool:
    """Whether all of the file can be read; the numbers tell one state of it from another."""
    reading = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-c", _READ_ALL, str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return reading.returncode == 0
