"""Connections to the database; SQLite is set up for privacy and durability (DESIGN §8, §11)."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from mutuals.errors import ErrorCode, MutualsError

BUSY_SECONDS = 10

# EXTRA: no acknowledged commit is lost in a power cut. secure_delete: no deleted value stays on disk, which
# holds only with a rollback journal, so WAL is not an option. temp_store: nothing spills to a temporary file.
_PRAGMAS = (
    "PRAGMA synchronous=EXTRA",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
)

# A commit that was acknowledged is on the disk, also where the server's default is faster than that.
_SESSION = ("SET synchronous_commit = on", f"SET lock_timeout = '{BUSY_SECONDS}s'")

# Closing a file drops every lock this process holds on it, so no thread may be between creating the file and
# closing it while another one has it open in SQLite.
_creating = threading.Lock()


def sqlite_url(path: Path) -> str:
    """The URL of the SQLite store in the file ``path``, whatever characters its name has."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def create_store_engine(url: str) -> Engine:
    """An engine for ``url``; a SQLite file is created, empty, for its owner only. Raises USAGE and LOCAL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise MutualsError(
            ErrorCode.USAGE, "The store's URL is not one.", hint="It looks like sqlite:////folder/store.db."
        ) from error
    # hide_parameters keeps values out of exceptions, hence out of every log.
    if parsed.get_backend_name() != "sqlite":
        return _server_engine(parsed)
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise MutualsError(
            ErrorCode.USAGE, "The store needs a file.", hint="Its URL looks like sqlite:////folder/store.db."
        )
    _create_private(Path(parsed.database))
    engine = create_engine(
        parsed, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _server_engine(url: URL) -> Engine:
    """Set up for PostgreSQL, whatever the server's own defaults are.

    READ COMMITTED, because only there does a statement that follows the lock see what the lock's last holder wrote;
    REPEATABLE READ would see the store as it was before waiting, and charge a budget twice.
    """
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        options["isolation_level"] = "READ COMMITTED"
    if url.drivername == "postgresql+psycopg":
        options["use_native_hstore"] = False  # saves asking the server for a type that is not used
    try:
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True, **options)
    except (ArgumentError, ImportError) as error:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no driver for a store of the kind {url.drivername}.",
            hint="Install the driver that the URL names, or use a sqlite URL.",
        ) from error
    if url.get_backend_name() == "postgresql":
        event.listen(engine, "connect", _prepare_session)
    return engine


def _prepare_session(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Durable whatever the server's default; and as on SQLite, waiting for another process ends some time."""
    cursor = connection.cursor()
    try:
        cursor.execute("SHOW server_encoding")
        if cursor.fetchone() != ("UTF8",):
            raise MutualsError(
                ErrorCode.LOCAL,
                "The store's database does not keep text as UTF-8.",
                hint="Make another: CREATE DATABASE mutuals ENCODING 'UTF8' TEMPLATE template0",
            )
        for setting in _SESSION:
            cursor.execute(setting)
    finally:
        cursor.close()
    connection.commit()


def _create_private(path: Path) -> None:
    """Create the file with mode 0600 before SQLite does with the umask's; the journal takes over the mode."""
    try:
        with _creating:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"The store {path} cannot be created: {error.strerror}.",
            hint="Check that the folder exists and is yours.",
        ) from error


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver must not begin transactions by itself: it would begin them late and deferred.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=DELETE")
        if cursor.fetchone() != ("delete",):
            raise sqlite3.OperationalError("the rollback journal cannot be set up")
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    finally:
        cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # Taking the write lock at once: a transaction that has read can then never fail to write.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# Primary result codes of SQLite (https://www.sqlite.org/rescode.html), and what to tell a person.
_SQLITE_REASONS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        f"was in use by another process for more than {BUSY_SECONDS} seconds",
        "Wait until the other command has finished, and try again.",
    ),
    sqlite3.SQLITE_NOTADB: ("is not a database, or is damaged", "Restore it from a backup."),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "Restore it from a backup."),
    sqlite3.SQLITE_PERM: ("may not be opened", "Check that the file and its folder are yours."),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Check that the file and its folder are there and yours."),
    sqlite3.SQLITE_READONLY: (
        "cannot be written",
        "Check that the file and its folder are yours and writable.",
    ),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", "Make room, and try again."),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "Check the disk."),
}


def explain(engine: Engine, error: DBAPIError | sqlite3.Error) -> MutualsError:
    """What ``error`` means, as one sentence: LOCAL, or INTERNAL where a row broke a rule of the schema.

    A driver's own words may quote the values of the statement it refused, so they are repeated only where there
    was no statement: about a connection that could not be made. Otherwise the database's code for it must do.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    connecting = isinstance(error, DBAPIError) and error.statement is None
    said = str(cause).partition("\n")[0] if connecting else _code_of(cause)
    if isinstance(error, IntegrityError):
        return MutualsError(ErrorCode.INTERNAL, f"A row broke a rule of the store: {said}.")
    name = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
    code = getattr(cause, "sqlite_errorcode", None)
    reason, hint = _SQLITE_REASONS.get(
        code & 0xFF if isinstance(code, int) else -1,
        (f"cannot be used: {said}", "Check the store with `mutuals doctor`."),
    )
    return MutualsError(ErrorCode.LOCAL, f"The store {name} {reason}.", hint=hint)


def _code_of(cause: BaseException | None) -> str:
    """The database's name for what happened (SQLite's, or the SQLSTATE), or else the kind of exception."""
    for name in ("sqlite_errorname", "sqlstate", "pgcode"):
        code = getattr(cause, name, None)
        if isinstance(code, str) and re.fullmatch(r"[A-Z0-9_]{1,40}", code):
            return code
    return type(cause).__name__
