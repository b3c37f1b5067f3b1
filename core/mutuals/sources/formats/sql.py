"""A table or SELECT of a database as a table, read in one transaction that cannot write.

The URL holds no password: the driver finds one where its makers say (PGPASSWORD, ``~/.pgpass``), as for the store.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources.blocks import input_fault
from mutuals.sources.formats.frames import ROWS_AT_ONCE, sheets_of
from mutuals.sources.sheet import Sheet

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

_PASSWORDS = frozenset({"password", "sslpassword"})  # as parameters of a URL
_STATES = {
    "08": "it cannot be reached",
    "0A000": "that is no query that only reads",
    "22": "a value is not of the type it is read as",
    "28": "it lets this user not in",
    "25006": "the query would write",
    "3D000": "there is no such database",
    "42501": "this user may not read that",
    "42601": "the query is not well written",
    "42703": "there is no such column",
    "42P01": "there is no such table",
    "57014": "it stopped the query",
    "SQLITE_READONLY": "the query would write",
}
"""What a person is told of an error, by SQLSTATE (PostgreSQL, appendix A), its class, or SQLite's name of it."""
_SELECT = re.compile(r"\s*(?:--[^\n]*\n\s*)*(select|with)\b", re.IGNORECASE)


class SqlTable:
    """See ``SheetFile``; ``table`` may be ``schema.table``, ``query`` is the text of one SELECT.

    Raises MutualsError: USAGE for a URL or query that cannot be, INPUT_QUALITY where the database does not answer it,
    LOCAL where its driver is not installed.
    """

    def __init__(self, url: str, trimmed: str, table: str | None, query: str | None) -> None:
        self._engine = _engine(url)
        self._statement = _statement(self._engine, table, query)
        self.name = f"{table or 'the query'} in {self._engine.url.database or url}"
        self._rows = 0
        with self._reading() as connection, self._result(connection) as result:
            self._columns = list(result.keys())
        self.headings = tuple(column.strip(trimmed) for column in self._columns)

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``."""
        yield from sheets_of(self._frames(columns), columns, 2)

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._rows

    def _frames(self, columns: Sequence[int]) -> Iterator[pl.DataFrame]:
        self._rows = 0
        with self._reading() as connection, self._result(connection) as result:
            for part in result.partitions(ROWS_AT_ONCE):
                cells = list(zip(*part, strict=True))
                self._rows += len(part)
                yield pl.DataFrame(
                    {str(c): pl.Series([_text(v) for v in cells[c]], dtype=pl.String) for c in columns}
                )

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError

        try:
            with self._engine.connect() as connection:
                if self._engine.dialect.name == "postgresql":
                    connection.execute(text("SET TRANSACTION READ ONLY"))
                elif self._engine.dialect.name == "sqlite":
                    connection.execute(text("PRAGMA query_only = ON"))
                yield connection
                connection.rollback()
        except DBAPIError as error:
            raise input_fault(
                f"{self.name} cannot be read from the database: {_reason(error)}.",
                "Try the same SELECT in the database's own shell.",
            ) from None

    @contextmanager
    def _result(self, connection: Connection) -> Iterator[CursorResult[Any]]:
        result = connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE).execute(
            self._statement
        )
        try:
            yield result
        finally:
            result.close()


def database_url(text: str) -> str:
    """``text``, a database's URL, as it may be kept.

    Raises MutualsError (USAGE) where it is none, holds a password, or names a database that cannot be read.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except ArgumentError:
        raise MutualsError(
            ErrorCode.USAGE,
            "That is not a database's URL.",
            hint="Write it as postgresql://user@host/database.",
        ) from None
    if url.password is not None or not _PASSWORDS.isdisjoint(url.query):
        raise MutualsError(
            ErrorCode.USAGE,
            "A source's URL may not hold a password.",
            hint="Put it where the driver looks: PGPASSWORD, or ~/.pgpass.",
        )
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise MutualsError(
            ErrorCode.USAGE, f"This release reads SQLite and PostgreSQL, not {url.get_backend_name()}."
        )
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url.render_as_string()


def _engine(url: str) -> Any:
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.pool import NullPool

    kept = make_url(database_url(url))
    if kept.get_backend_name() == "sqlite" and not (kept.database and os.path.isfile(kept.database)):
        raise input_fault(f"There is no SQLite database {kept.database or '(in memory)'}.")
    try:
        return create_engine(kept, poolclass=NullPool)
    except ImportError:
        raise MutualsError(
            ErrorCode.LOCAL,
            "This installation cannot reach PostgreSQL.",
            hint="Install the extra: pip install 'mutuals[postgres]'",
        ) from None


def _statement(engine: Any, table: str | None, query: str | None) -> Any:
    from sqlalchemy import text

    if (table is None) == (query is None):
        raise MutualsError(ErrorCode.USAGE, "Of a database, either --table or --query says what to read.")
    if table is not None:
        quote = engine.dialect.identifier_preparer.quote_identifier
        return text(f"SELECT * FROM {'.'.join(quote(part) for part in table.split('.'))}")  # noqa: S608 - quoted
    wanted = (query or "").strip().rstrip(";")
    if not _SELECT.match(wanted) or ";" in re.sub(r"'[^']*'|\"[^\"]*\"", "", wanted):
        raise MutualsError(
            ErrorCode.USAGE, "The query is not one SELECT.", hint="It may begin with WITH or SELECT."
        )
    return text(wanted.replace(":", r"\:"))


def _text(value: object) -> str:
    """A value as text: no point in whole numbers, days and times as ISO 8601; nested and binary ones are empty."""
    if value is None or isinstance(value, bytes | memoryview | dict):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set):
        return ";".join(map(_text, value))
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return (
            str(int(value))
            if value == int(value)
            else f"{value:f}"
            if isinstance(value, Decimal)
            else str(value)
        )
    return str(value)


def _reason(error: Any) -> str:
    """What the database calls it in a person's words, and nothing of what it holds."""
    from sqlalchemy.exc import OperationalError

    state = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    if state is None:
        return "it cannot be reached" if isinstance(error, OperationalError) else type(error.orig).__name__
    known = _STATES.get(state) or _STATES.get(state[:2])
    return f"{known} ({state})" if known else str(state)
