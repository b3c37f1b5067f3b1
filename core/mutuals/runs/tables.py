"""Writing exported rows to a file: CSV or Parquet, complete or not at all, readable by its owner alone.

A CSV file is mostly opened in a spreadsheet, and a spreadsheet runs a cell that begins like a formula. The
cells are the partner's, so a text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break gets an
apostrophe before it, unless the caller asks for the raw text (OWASP, “CSV Injection”). Own contact ids are
written as they are, so that the file can be imported back. Parquet carries types and needs no guard; decimals
become 64-bit floats there.
"""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import IO, Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals.runs.transforms import Column, Value

Columns = Sequence[tuple[str, str, Column]]
"""Heading, field name and kind of each column after the contact id."""
Rows = Sequence[tuple[str, dict[str, Value]]]

CONTACT_ID = "contact_id"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def check_target(path: Path, *, force: bool) -> None:
    """Raise MutualsError (USAGE) where ``path`` cannot be exported to: kind of file, folder, or it exists."""
    if path.suffix.lower() not in _WRITERS:
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{path.name}” is neither .csv nor .parquet.",
            hint="Name it, say, campaign.csv.",
        )
    if not path.parent.is_dir():
        raise MutualsError(ErrorCode.USAGE, f"There is no folder {path.parent}.")
    if path.is_dir() or (path.exists() and not force):
        raise MutualsError(
            ErrorCode.USAGE, f"{path} exists.", hint="Name another file, or overwrite it with --force."
        )


def write_table(
    path: Path,
    columns: Columns,
    rows: Rows,
    *,
    force: bool = False,
    raw: bool = False,
    before_visible: Callable[[], None],
) -> None:
    """Write rows of own contact id and values by field name. ``before_visible`` runs once the data is on disk
    but before it has its name. Raises MutualsError (USAGE, LOCAL).
    """
    check_target(path, force=force)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            _WRITERS[path.suffix.lower()](stream, columns, rows, raw)
            stream.flush()
            os.fsync(stream.fileno())
        before_visible()
        os.replace(partial, path)
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written ({error.strerror}).") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_csv(stream: IO[bytes], columns: Columns, rows: Rows, raw: bool) -> None:
    text = _Utf8(stream)
    writer = csv.writer(text)
    writer.writerow([CONTACT_ID, *(heading for heading, _, _ in columns)])
    for contact, values in rows:
        writer.writerow([contact, *(_cell(values.get(name), kind, raw) for _, name, kind in columns)])


class _Utf8:
    """The text side of a binary stream, which stays open for its owner."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())


def _cell(value: Value | None, kind: Column, raw: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is Column.TEXT and not raw and str(value).startswith(_FORMULA):
        return f"'{value}"
    return str(value)


def _write_parquet(stream: IO[bytes], columns: Columns, rows: Rows, _raw: bool) -> None:
    import polars as pl

    kinds: dict[Column, Any] = {
        Column.TEXT: pl.String,
        Column.INTEGER: pl.Int64,
        Column.DECIMAL: pl.Float64,
        Column.DATE: pl.Date,
        Column.BOOLEAN: pl.Boolean,
    }
    names = [CONTACT_ID, *(heading for heading, _, _ in columns)]
    cells: list[list[Any]] = [[] for _ in names]
    for contact, values in rows:
        cells[0].append(contact)
        for column, (_, name, kind) in zip(cells[1:], columns, strict=True):
            column.append(_typed(values.get(name), kind))
    types = [pl.String, *(kinds[kind] for _, _, kind in columns)]
    data = [pl.Series(*column) for column in zip(names, cells, types, strict=True)]
    pl.DataFrame(data).write_parquet(stream)


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


_WRITERS: dict[str, Callable[[IO[bytes], Columns, Rows, bool], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
