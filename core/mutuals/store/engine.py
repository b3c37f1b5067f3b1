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
"""How long a transaction waits for another one's, and a connection to be made, before it is given up."""

IDLE_SECONDS = 60
"""How long PostgreSQL lets a transaction hold the store whose process neither goes on nor has closed its connection:
one that was stopped, or whose machine is gone. Of one that was killed it learns at once."""

# EXTRA: no acknowledged commit is lost in a power cut. secure_delete: no deleted value stays on disk, which
# holds only with a rollback journal, so WAL is not an option. temp_store: nothing spills to a temporary file.
_PRAGMAS = (
    "PRAGMA synchronous=EXTRA",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
)

# Probes that find out within a minute that the other machine is gone, by libpq's names for them.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

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
        given = {"connect_timeout": BUSY_SECONDS, **_KEEPALIVES}
        options["connect_args"] = {name: value for name, value in given.items() if name not in url.query}
    try:
        engine = create_engine(
            url, pool_pre_ping=True, pool_timeout=BUSY_SECONDS, hide_parameters=True, **options
        )
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
        # A commit that was acknowledged is on the disk, also where the server's default is faster than that.
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{round(1000 * BUSY_SECONDS)}ms'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{round(1000 * IDLE_SECONDS)}ms'")
        for name, value in _KEEPALIVES.items():
            cursor.execute(f"SET tcp_{name} = {value}")
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


_BUSY = (
    f"was in use by another process for more than {BUSY_SECONDS} seconds",
    "Wait until the other command has finished, and try again.",
)
_LOST = (
    "lost its connection",
    "Nothing is left half done: see how things stand (mutuals status), and try again once the database answers.",
)
_AWAY = ("is being started or stopped", "Try again when the database is up.")

# Primary result codes of SQLite (https://www.sqlite.org/rescode.html), and what to tell a person.
_SQLITE_REASONS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
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

# The same for PostgreSQL's (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRES_REASONS: dict[str, tuple[str, str]] = {
    "55P03": _BUSY,  # lock_not_available: lock_timeout
    "25P03": (  # idle_in_transaction_session_timeout
        f"was held by this process for more than {IDLE_SECONDS} seconds, and taken from it",
        "Nothing is left half done: try again.",
    ),
    "57P01": _LOST,  # admin_shutdown
    "57P02": _LOST,  # crash_shutdown
    "57P03": _AWAY,  # cannot_connect_now
    "25006": ("cannot be written: the database is read-only", "Name the primary server, not a standby."),
    "42501": (
        "may not be used by this database user",
        "Make the user the owner of the database: ALTER DATABASE mutuals OWNER TO mutuals",
    ),
    "53100": ("cannot grow: the database's disk is full", "Make room, and try again."),
    "53300": (
        "has no connection to spare",
        "Raise max_connections, or stop what else uses the database.",
    ),
}

_PASSING = frozenset({"40001", "40P01", "57P01", "57P02", "57P03"})
"""What ends by itself: a conflict, a deadlock, a server that restarts."""


def is_passing(error: DBAPIError) -> bool:
    """Whether to begin the transaction again may help, which nobody has used yet."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _PASSING


def busy(engine: Engine) -> MutualsError:
    """The error where other threads of this process have all connections to the store."""
    reason, hint = _BUSY
    return MutualsError(ErrorCode.LOCAL, f"The store {_name(engine)} {reason}.", hint=hint)


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
    code = getattr(cause, "sqlite_errorcode", None)
    known = (
        _SQLITE_REASONS.get(code & 0xFF)
        if isinstance(code, int)
        else _POSTGRES_REASONS.get(str(getattr(cause, "sqlstate", None)))
    )
    if known is None and isinstance(error, DBAPIError) and error.connection_invalidated:
        known = _LOST
    reason, hint = known or (f"cannot be used: {said}", "Check the store with `mutuals doctor`.")
    return MutualsError(ErrorCode.LOCAL, f"The store {_name(engine)} {reason}.", hint=hint)


def _name(engine: Engine) -> str:
    """The file, or the URL without a password."""
    sqlite = engine.dialect.name == "sqlite"
    return str(engine.url.database) if sqlite else engine.url.render_as_string()


def _code_of(cause: BaseException | None) -> str:
    """The database's name for what happened (SQLite's, or the SQLSTATE), or else the kind of exception."""
    for name in ("sqlite_errorname", "sqlstate", "pgcode"):
        code = getattr(cause, name, None)
        if isinstance(code, str) and re.fullmatch(r"[A-Z0-9_]{1,40}", code):
            return code
    return type(cause).__name__
