"""Writing exported rows to a file: CSV or Parquet, complete or not at all, readable by its owner alone.

A CSV file is mostly opened in a spreadsheet, and a spreadsheet runs a cell that begins like a formula. The
cells are the partner's, so where a spreadsheet could take a text for a formula an apostrophe goes before that, unless
the caller asks for the raw text (OWASP, “CSV Injection”). That is at its beginning, and also after a comma, semicolon,
tab or line break in it, because a spreadsheet set to another separator cuts the cell there. A plain number with a sign,
such as +49 30 901820, runs nothing and stays as it is. Own contact ids and own columns are written as they are, so that
the file can be imported back. Parquet carries types and needs no guard; decimals become 64-bit floats there.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.files import is_there
from mutuals.runs.transforms import Column, Value
from mutuals.runs.whole_file import write_whole

Columns = Sequence[tuple[str, str, Column]]
"""Heading, field name and kind of each column after the contact id."""
Rows = Iterable[tuple[str, Mapping[str, Value]]]

CONTACT_ID = "contact_id"
_FORMULA = re.compile(r'(?:^|(?<=[,;\t\r\n]))"*[=+\-@＝＋－＠]|^[\t\r\n]')
_SIGNED_NUMBER = re.compile(r"[+-][0-9 .()/-]*")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Style:
    """How a file is written: the heading of the ids, and for CSV the separator and whether it begins with a byte order
    mark; ``raw`` leaves out the guard against formulas, as do the columns (field names) in ``verbatim`` by themselves.
    ``facts`` go into a Parquet file's metadata.
    """

    contact: str = CONTACT_ID
    delimiter: str = ","
    mark: bool = False
    raw: bool = False
    verbatim: frozenset[str] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict)


def check_target(path: Path, *, force: bool) -> None:
    """Raise MutualsError (USAGE) where ``path`` cannot be exported to: kind of file, folder, or it exists."""
    if path.suffix.lower() not in _WRITERS:
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{path.name}” is neither .csv nor .parquet.",
            hint="Name it, say, campaign.csv.",
        )
    if not os.path.isdir(path.parent):
        raise MutualsError(
            ErrorCode.USAGE, f"There is no folder {path.parent}.", hint="Create it, or name another."
        )
    if os.path.isdir(path) or (is_there(path) and not force):
        raise exists(path)


def exists(path: Path) -> MutualsError:
    """The refusal to overwrite."""
    return MutualsError(
        ErrorCode.USAGE, f"{path} exists.", hint="Name another file, or overwrite it with --force."
    )


def write_table(
    path: Path,
    columns: Columns,
    rows: Rows,
    *,
    force: bool = False,
    style: Style | None = None,
    before_visible: Callable[[], None],
) -> int:
    """Write rows of own contact id and values by field name; how many cells were guarded against being run.

    ``before_visible`` runs once the data is on disk but before it has its name. Raises MutualsError (USAGE, LOCAL).
    """
    check_target(path, force=force)
    write = _WRITERS[path.suffix.lower()]
    chosen = style or Style()
    try:
        return write_whole(
            path,
            lambda stream: write(stream, columns, rows, chosen),
            force=force,
            before_visible=before_visible,
        )
    except FileExistsError as error:
        raise exists(path) from error
    except OSError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{path} cannot be written ({error.strerror}); nothing of it is left.",
            hint="Make room, or name a file in another folder with --out.",
        ) from error


def disarm(text: str) -> str:
    """``text`` such that no spreadsheet takes a part of it for a formula."""
    if _SIGNED_NUMBER.fullmatch(text):
        return text
    return _FORMULA.sub(lambda found: f"'{found[0]}", text)


def _write_csv(stream: IO[bytes], columns: Columns, rows: Rows, style: Style) -> int:
    text = _Utf8(stream)
    if style.mark:
        text.write(_BYTE_ORDER_MARK)
    writer = csv.writer(text, delimiter=style.delimiter)
    writer.writerow([style.contact, *(heading for heading, _, _ in columns)])
    guards = [
        kind is Column.TEXT and not style.raw and name not in style.verbatim for _, name, kind in columns
    ]
    guarded = 0
    for contact, values in rows:
        line = [contact]
        for (_, name, _), guard in zip(columns, guards, strict=True):
            cell = _cell(values.get(name))
            safe = disarm(cell) if guard else cell
            guarded += safe != cell
            line.append(safe)
        writer.writerow(line)
    return guarded


class _Utf8:
    """The text side of a binary stream, which stays open for its owner."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())


def _cell(value: Value | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _write_parquet(stream: IO[bytes], columns: Columns, rows: Rows, style: Style) -> int:
    import polars as pl

    kinds: dict[Column, Any] = {
        Column.TEXT: pl.String,
        Column.INTEGER: pl.Int64,
        Column.DECIMAL: pl.Float64,
        Column.DATE: pl.Date,
        Column.BOOLEAN: pl.Boolean,
    }
    names = [style.contact, *(heading for heading, _, _ in columns)]
    cells: list[list[Any]] = [[] for _ in names]
    for contact, values in rows:
        cells[0].append(contact)
        for column, (_, name, kind) in zip(cells[1:], columns, strict=True):
            column.append(_typed(values.get(name), kind))
    types = [pl.String, *(kinds[kind] for _, _, kind in columns)]
    data = [pl.Series(*column) for column in zip(names, cells, types, strict=True)]
    pl.DataFrame(data).write_parquet(cast("IO[bytes]", _Whole(stream)), metadata=dict(style.facts) or None)
    return 0


class _Whole:
    """A stream of which polars does not take the file from under Python, so that a full disk is an OSError."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        if name == "fileno":
            raise AttributeError(name)
        return getattr(self._stream, name)


def _typed(value: Value | None, kind: Column) -> Any:
    if value is None:
        return None
    match kind:
        case Column.DECIMAL:
            return float(value)
        case Column.DATE:
            return date.fromisoformat(str(value))
        case _:
            return value


_WRITERS: dict[str, Callable[[IO[bytes], Columns, Rows, Style], int]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
