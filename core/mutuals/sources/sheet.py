"""A CSV file as headings and cells, read strictly: anything a spreadsheet would guess at is refused here.

Python's csv module is used in strict mode. A parser that pads short rows or closes an open quotation mark by
itself would shift a person's consent into another column.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from mutuals.errors import ErrorCode, MutualsError

_CHUNK_ROWS = 50_000
_UTF8_HINT = "Save it as “CSV UTF-8”."
HEADINGS_HINT = "The column headings must be in row 1; remove a title or a blank line above them."


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file's cells as text.

    ``headings`` are trimmed, one for each column of ``cells``, whose own columns are called "0", "1", …;
    ``rows`` (u32) is the row of each line as a spreadsheet counts: headings are row 1, a quoted line break
    does not count. Rows without any content are left out.
    """

    name: str
    headings: tuple[str, ...]
    cells: pl.DataFrame
    rows: pl.Series


def input_fault(message: str, hint: str | None = None) -> MutualsError:
    """The error for a file that cannot be used (exit code 7)."""
    return MutualsError(ErrorCode.INPUT_QUALITY, message, hint=hint)


def read_csv(path: Path, trimmed: str) -> Sheet:
    """Read a comma-separated UTF-8 file, with or without BOM.

    Raises MutualsError (INPUT_QUALITY) with the file's name and the row or line where it is not one.
    """
    text = _decoded(_bytes(path), path.name)
    if not text.strip():
        raise input_fault(f"{path.name} is empty.", "The first row must hold the column headings.")
    records = _records(text, path.name)
    headings = tuple(heading.strip(trimmed) for heading in next(records)[1])
    if not any(headings):
        raise input_fault(f"{path.name}: row 1 is blank.", HEADINGS_HINT)
    if len(headings) == 1:
        _refuse_other_separator(headings, path.name)
    cells, rows = _cells(records, len(headings), path.name)
    return Sheet(path.name, headings, cells, rows)


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise input_fault(f"{path} is a folder, not a file.")
        if path.exists() and not path.is_file():
            raise input_fault(f"{path} is not a regular file.")
        return path.read_bytes()
    except FileNotFoundError:
        raise input_fault(f"There is no file {path}.", "Check the path, or add the source again.") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "its path is not valid"
        raise input_fault(f"{path} cannot be read: {why}.") from None


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise input_fault(f"{name} is UTF-16, not UTF-8.", _UTF8_HINT)
    nul = data.find(b"\0")
    if nul >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise input_fault(
            f"{name} holds a zero byte in line {line}: it is not a UTF-8 text file.", _UTF8_HINT
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise input_fault(f"{name} is not UTF-8: line {line} holds other bytes.", _UTF8_HINT) from None


def _records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    row = 0
    while True:
        row += 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _malformed(error, row, name) from None
        yield row, record


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


def _cells(records: Iterator[tuple[int, list[str]]], width: int, name: str) -> tuple[pl.DataFrame, pl.Series]:
    schema = {"row": pl.UInt32(), **{str(column): pl.String() for column in range(width)}}
    chunks = [pl.DataFrame(schema=schema)]
    lines = _lines(records, width, name)
    while chunk := list(islice(lines, _CHUNK_ROWS)):
        chunks.append(pl.DataFrame(chunk, schema=schema, orient="row"))
    frame = pl.concat(chunks)
    return frame.drop("row"), frame["row"]


def _lines(
    records: Iterator[tuple[int, list[str]]], width: int, name: str
) -> Iterator[tuple[int | str, ...]]:
    for row, record in records:
        if len(record) == width and any(record):
            yield row, *record
        elif any(record):
            raise input_fault(
                f"{name}, row {row} has {_count(len(record))} where the headings have {width}.",
                _width_hint(len(record), width),
            )


def _width_hint(cells: int, width: int) -> str:
    """What most often makes a row longer or shorter than the headings."""
    quotes = "Put quotation marks around cells that hold a comma or a line break."
    if width == 1:
        return HEADINGS_HINT
    return f"{quotes} {HEADINGS_HINT}" if cells > width else quotes


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _refuse_other_separator(headings: tuple[str, ...], name: str) -> None:
    for separator, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if any(separator in heading for heading in headings):
            raise input_fault(f"{name} is separated by {called}.", "Save it separated by commas.")
