"""Blocks of CSV on which polars and Python's csv module in strict mode cannot differ, read by polars.

Such a block holds only rows of the right number of cells, each on one line; a cell that has a quotation mark begins
and ends with one, and has those inside it doubled. Whatever else a block holds, ``read_plain`` declines it, and the
csv module decides. That both agree is a property test.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

_LINE_END, _RETURN, _QUOTE = b'\n\r"'

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]


def read_plain(
    block: bytes, width: int, columns: Sequence[int], row: int, delimiter: str = ","
) -> tuple[pl.DataFrame, pl.Series, int] | None:
    """The cells of ``columns`` (positions, out of ``width``) of a block of whole lines, the first being ``row``.

    Returns the cells, the row of each line of them (u32), and the row that follows; None where the csv module has to
    decide. Rows without any content are left out.
    """
    if width < 2 or not columns or block.startswith(codecs.BOM_UTF8):  # polars would take the mark away
        return None
    data = np.frombuffer(block, np.uint8)
    separator = ord(delimiter)
    quotes = np.flatnonzero(data == _QUOTE)
    if len(quotes) and not _well_quoted(data, quotes, separator):
        return None
    if b"\r" in block:
        returns = np.flatnonzero(data == _RETURN)
        if _inside(quotes, returns).any() or block.count(b"\r\n") != len(returns):
            return None
        return read_plain(block.replace(b"\r\n", b"\n"), width, columns, row, delimiter)
    ends = np.flatnonzero(data == _LINE_END)
    if _inside(quotes, ends).any():
        return None
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    separators = np.flatnonzero(data == separator)
    separators = separators[~_inside(quotes, separators)]
    if not _regular(starts, ends, separators, width) or int((ends - starts).max()) >= csv.field_size_limit():
        return None
    marks = np.searchsorted(quotes, ends) - np.searchsorted(quotes, starts)
    blank = ends - starts == width - 1 + marks
    if (blank & (marks > 0)).any():  # nothing in it but "", or else cells that are quotation marks
        return None
    cells = pl.read_csv(
        block,
        has_header=False,
        schema={str(position): pl.String() for position in range(width)},
        columns=sorted(columns),
        separator=delimiter,
        quote_char='"' if len(quotes) else None,
        empty_string_is_null=False,
    ).select(map(str, columns))
    rows = pl.Series("row", np.arange(row, row + len(ends), dtype=np.uint32))
    if len(cells) != len(rows):  # never, by the above; a row more or fewer would be somebody else's consent
        return None
    if blank.any():
        kept = pl.Series(~blank)
        cells, rows = cells.filter(kept), rows.filter(kept)
    return cells, rows, row + len(ends)


def _well_quoted(data: Bytes, quotes: Positions, separator: int) -> bool:
    """True where every other mark opens a cell and the next one closes it, or both are a doubled one inside it."""
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = data[np.maximum(opening - 1, 0)]
    after = data[np.minimum(closing + 1, len(data) - 1)]
    doubled = closing[:-1] + 1 == opening[1:]
    starts = (opening == 0) | (before == separator) | (before == _LINE_END)
    ends = (closing == len(data) - 1) | (after == separator) | (after == _LINE_END) | (after == _RETURN)
    return bool(starts[0] and ends[-1] and (starts[1:] | doubled).all() and (ends[:-1] | doubled).all())


def _inside(quotes: Positions, positions: Positions) -> npt.NDArray[np.bool_]:
    """Which of ``positions`` are between an opening mark and the one that closes it."""
    if not len(quotes):
        return np.zeros(len(positions), dtype=np.bool_)
    inside: npt.NDArray[np.bool_] = np.searchsorted(quotes, positions) % 2 == 1
    return inside


def _regular(starts: Positions, ends: Positions, separators: Positions, width: int) -> bool:
    """True where every line has one separator less than ``width``."""
    if len(separators) != len(ends) * (width - 1):
        return False
    by_line = separators.reshape(len(ends), width - 1)
    return bool((by_line[:, 0] >= starts).all() and (by_line[:, -1] < ends).all())
