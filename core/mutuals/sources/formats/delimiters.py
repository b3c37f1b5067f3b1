"""Which character separates the cells of a CSV file: the one that gives every row the same number of them."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mutuals.sources.blocks import input_fault, open_file
from mutuals.sources.definition import Delimiter, Encoding
from mutuals.sources.encodings import Utf8Stream

CALLED: dict[Delimiter, str] = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SAMPLE_BYTES = 256 << 10
_ROWS_LOOKED_AT = 100


def detect_delimiter(path: Path, encoding: Encoding) -> Delimiter:
    """The delimiter of the CSV file at ``path``, by its first rows.

    Where none gives rows of one length, it is the one that the headings have most of: the reader then says which row is
    at fault. Raises MutualsError (INPUT_QUALITY) where several do.
    """
    text, whole = sample(path, encoding)
    widths = {delimiter: _widths(text, delimiter, whole) for delimiter in CALLED}
    fitting = [delimiter for delimiter, found in widths.items() if len(found) == 1 and min(found) > 1]
    if len(fitting) > 1:
        either = " or ".join(CALLED[delimiter] for delimiter in fitting)
        raise input_fault(
            f"{path.name} could be separated by {either}.", "Say which: --delimiter comma, semicolon or tab."
        )
    if fitting:
        return fitting[0]
    headings = {delimiter: _first_width(text, delimiter) for delimiter in CALLED}
    return max(CALLED, key=lambda delimiter: headings[delimiter])


def first_rows(path: Path, encoding: Encoding, delimiter: Delimiter, most: int) -> list[list[str]]:
    """Up to ``most`` rows from the beginning of the file, of whatever width, as far as they can be told apart."""
    text, _ = sample(path, encoding)
    rows: list[list[str]] = []
    with suppress(csv.Error):
        rows.extend(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), most))
    return rows


def sample(path: Path, encoding: Encoding) -> tuple[str, bool]:
    """The beginning of the file, and whether it is all of it."""
    with open_file(path) as stream:
        reader = stream if encoding == "utf-8" else Utf8Stream(stream, encoding, path.name)
        data = bytearray()
        while len(data) < _SAMPLE_BYTES and (more := reader.read(_SAMPLE_BYTES)):
            data += more
    text = data.decode("utf-8", "ignore").removeprefix("\ufeff")
    return text, len(data) < _SAMPLE_BYTES


def _widths(text: str, delimiter: str, whole: bool) -> set[int]:
    """The numbers of cells of the first rows with content; none where they cannot be told apart.

    After a blank row, lines of one cell are notes at the end of an export.
    """
    found, after_blank, rows = set[int](), False, 0
    lines = text if whole else text[: text.rfind("\n") + 1]
    try:
        for record in csv.reader(io.StringIO(lines, newline=""), strict=True, delimiter=delimiter):
            if after_blank and len(record) == 1:
                return found
            after_blank = not any(record)
            if not after_blank:
                found.add(len(record))
                rows += 1
            if rows >= _ROWS_LOOKED_AT:
                return found
    except csv.Error as error:
        return found if not whole and "end of data" in str(error) else set()
    return found


def _first_width(text: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []))
    except csv.Error:
        return 0
