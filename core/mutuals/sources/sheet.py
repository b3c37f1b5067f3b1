"""A CSV file as headings and cells, read strictly and in pieces: anything a spreadsheet would guess at is refused.

Python's csv module in strict mode decides what a record is. A parser that pads short rows or closes an open
quotation mark by itself would shift a person's consent into another column. Blocks in which the two cannot differ
(``mutuals.sources.plain_csv``) are read by the faster one of polars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import polars as pl

from mutuals.errors import MutualsError
from mutuals.sources.blocks import BLOCK_BYTES, Blocks, input_fault, open_file
from mutuals.sources.definition import Encoding
from mutuals.sources.encodings import Utf8Stream
from mutuals.sources.plain_csv import read_plain

_RECORDS_AT_ONCE = 10_000
HEADINGS_HINT = "The column headings must be in row 1; remove a title or a blank line above them."


@dataclass(frozen=True, eq=False)
class Sheet:
    """Some rows of a file, their cells as text.

    The columns of ``cells`` are those that were asked for, called by their position: "0", "1", …; ``rows`` (u32) is
    the row of each line as a spreadsheet counts: headings are row 1, a quoted line break does not count. Rows
    without any content are left out.
    """

    cells: pl.DataFrame
    rows: pl.Series


class SheetFile(Protocol):
    """What the interpretation of columns needs of a file; any reader that can offer this can use it."""

    @property
    def name(self) -> str:
        """The file's name, for errors."""

    @property
    def headings(self) -> tuple[str, ...]:
        """One for each column, trimmed."""

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """All rows in order, in pieces, of these columns (positions); read anew each time. At least one piece.

        Raises MutualsError (INPUT_QUALITY) with the row or line where the file is not what it should be.
        """

    def expected_rows(self) -> int:
        """About how many rows there are, judged by what was read so far; 0 where nothing was."""


class CsvFile:
    """A CSV file whose headings were read: separated by commas, in UTF-8 with or without BOM, if nothing else is said.

    Raises MutualsError (INPUT_QUALITY) with the file's name where it is not one. ``trimmed`` are the characters taken
    off both ends of a heading. Where it ``may_end_in_notes``, lines of one cell may follow the first row without any
    content, and come as rows whose other cells are empty.
    """

    def __init__(
        self,
        path: Path,
        trimmed: str,
        block_bytes: int = BLOCK_BYTES,
        *,
        delimiter: str = ",",
        encoding: Encoding = "utf-8",
        may_end_in_notes: bool = False,
    ) -> None:
        self.name = path.name
        self._path = path
        self._block_bytes = block_bytes
        self._delimiter = delimiter
        self._encoding = encoding
        self._may_end_in_notes = may_end_in_notes
        self._read = (0, 0)
        self._size = 0
        with open_file(path) as stream:
            text = _Text(self._blocks(stream))
            if text.at_end():
                raise _empty(self.name)
            self._first = next(_Records(text, self.name, delimiter))
            if not "".join(self._first).strip() and len(self._first) < 2 and text.is_blank():
                raise _empty(self.name)
        self.headings = tuple(heading.strip(trimmed) for heading in self._first)
        if not any(self.headings):
            raise input_fault(f"{self.name}: row 1 is blank.", HEADINGS_HINT)
        if len(self.headings) == 1 and delimiter == ",":
            _refuse_other_separator(self.headings, self.name)

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``."""
        with open_file(self._path) as stream:
            self._size = stream.seek(0, io.SEEK_END) // (2 if self._encoding.startswith("utf-16") else 1)
            stream.seek(0)
            blocks = self._blocks(stream)
            text = _Text(blocks)
            records = _Records(text, self.name, self._delimiter)
            end = _End(self._may_end_in_notes)
            if text.at_end() or next(records) != self._first:
                raise input_fault(f"{self.name} was changed while it was read.", "Repeat the command.")
            row, nothing = 2, True
            while not text.at_end():
                block = text.rest()
                plain = None if end.reached else self._plain(block, columns, row)
                if plain is not None:
                    cells, rows, row = plain
                    end.after_blank = not len(rows) or rows[-1] != row - 1
                    self._read = (row - 2, blocks.taken)
                    nothing = False
                    yield Sheet(cells, rows)
                    continue
                text.put_back(block)
                records = _Records(text, self.name, self._delimiter, row)
                for sheet in self._strict(records, columns, end):
                    self._read = (records.row - 2, blocks.taken)
                    nothing = False
                    yield sheet
                row = records.row
        if nothing:  # a source without contacts has columns all the same
            yield _sheet([], [], columns)

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        rows, taken = self._read
        return max(rows, rows * self._size // taken) if taken else 0

    def _blocks(self, stream: BinaryIO) -> Blocks:
        text = stream if self._encoding == "utf-8" else Utf8Stream(stream, self._encoding, self.name)
        return Blocks(text, self.name, self._block_bytes)

    def _plain(
        self, block: bytes, columns: Sequence[int], row: int
    ) -> tuple[pl.DataFrame, pl.Series, int] | None:
        return read_plain(block, len(self.headings), columns, row, self._delimiter)

    def _strict(self, records: _Records, columns: Sequence[int], end: _End) -> Iterator[Sheet]:
        """The records of one block, and of those into which its last one reaches."""
        width = len(self.headings)
        numbered = _numbered(records, width, self.name, end)
        while lines := list(islice(numbered, _RECORDS_AT_ONCE)):
            rows, cells = zip(*lines, strict=True)
            yield _sheet(rows, cells, columns)


class _Text:
    """The text of a file as lines for the csv module, which reads on for as long as a quotation mark is open."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._stream = io.StringIO()
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line:
            self.put_back(self._blocks.take())
            line = self._stream.readline()
        if not line:
            raise StopIteration
        return line

    def block_is_read(self) -> bool:
        """True where no line of the present block is left."""
        return self._stream.tell() >= self._length

    def at_end(self) -> bool:
        """True where no line is left at all."""
        if self.block_is_read():
            self.put_back(self._blocks.take())
        return self.block_is_read()

    def is_blank(self) -> bool:
        """True where nothing but white space is left."""
        while not self.at_end():
            if self.rest().strip():
                return False
        return True

    def rest(self) -> bytes:
        """What is left of the present block, taken out."""
        return self._stream.read().encode()

    def put_back(self, block: bytes) -> None:
        """Make this the present block."""
        text = block.decode()
        self._stream, self._length = io.StringIO(text, newline=""), len(text)


class _Records:
    """The records of the present block of ``text``, read strictly; ``row`` is the number of the next one."""

    def __init__(self, text: _Text, name: str, delimiter: str, row: int = 1) -> None:
        self._text = text
        self._reader = csv.reader(text, strict=True, delimiter=delimiter)
        self._name = name
        self.row = row

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        if self._text.block_is_read():
            raise StopIteration
        try:
            record = next(self._reader)
        except csv.Error as error:
            raise _malformed(error, self.row, self._name) from None
        self.row += 1
        return record


def _malformed(error: csv.Error, row: int, name: str) -> MutualsError:
    text = str(error)
    if "end of data" in text:
        return input_fault(f"{name}, row {row}: a quotation mark is opened and never closed.")
    if "field limit" in text:
        return input_fault(
            f"{name}, row {row}: a cell is longer than {csv.field_size_limit():,} characters.",
            "Most often a quotation mark is opened and never closed.",
        )
    return input_fault(
        f"{name}, row {row}: a quoted cell goes on after its closing quotation mark.",
        'Inside a quoted cell, write a quotation mark twice: "".',
    )


@dataclass
class _End:
    """Where the notes at the end of a file begin, if it may have any."""

    possible: bool
    after_blank: bool = False
    reached: bool = False

    def takes(self, record: list[str]) -> bool:
        """Whether a record of another width than the headings is one of the notes."""
        self.reached |= self.possible and self.after_blank and len(record) == 1
        return self.reached and not any(record[1:])


def _numbered(records: _Records, width: int, name: str, end: _End) -> Iterator[tuple[int, list[str]]]:
    """The records with content and their rows."""
    for record in records:
        row = records.row - 1
        blank = not any(record)
        if not blank and len(record) == width and not (end.reached and any(record[1:])):
            yield row, record
        elif not blank and end.takes(record):
            yield row, (record + [""] * width)[:width]
        elif end.reached and not blank:
            raise input_fault(
                f"{name}, row {row} holds contacts again, below notes that begin after a blank row.",
                "Remove the notes, or the blank row.",
            )
        elif not blank:
            raise input_fault(
                f"{name}, row {row} has {_count(len(record))} where the headings have {width}.",
                _width_hint(len(record), width),
            )
        end.after_blank = blank


def _sheet(rows: Sequence[int], records: Sequence[Sequence[str]], columns: Sequence[int]) -> Sheet:
    cells = {
        str(column): pl.Series([record[column] for record in records], dtype=pl.String) for column in columns
    }
    return Sheet(pl.DataFrame(cells), pl.Series("row", rows, dtype=pl.UInt32))


def _empty(name: str) -> MutualsError:
    return input_fault(f"{name} is empty.", "The first row must hold the column headings.")


def _width_hint(cells: int, width: int) -> str:
    """What most often makes a row longer or shorter than the headings."""
    quotes = "Put quotation marks around cells that hold a comma or a line break."
    if width == 1:
        return HEADINGS_HINT
    if cells == 1:
        return f"{quotes} If it stands below the last contact, such as the day of the export, take it out."
    return f"{quotes} {HEADINGS_HINT}" if cells > width else quotes


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _refuse_other_separator(headings: tuple[str, ...], name: str) -> None:
    for separator, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if any(separator in heading for heading in headings):
            raise input_fault(f"{name} is separated by {called}.", "Save it separated by commas.")
