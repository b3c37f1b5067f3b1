"""Bringing a store's tables up to date. Alembic is imported only where there is something to do."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.schema import REVISIONS

_MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps the environment of a running migration in a global.
_migrating = threading.Lock()


def migrate(engine: Engine) -> None:
    """Create the tables or bring them up to date, all or nothing. Two processes may try at once.

    Raises LOCAL where the store was written by a newer release or the database belongs to something else.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # There is no row to lock yet. The number is arbitrary, and this program's own.
            connection.execute(text("SELECT pg_advisory_xact_lock(7274786553)"))
        revision = _revision(connection)
        if revision == REVISIONS[-1]:
            return
        if revision is not None and revision not in REVISIONS:
            raise MutualsError(
                ErrorCode.LOCAL,
                f"The store was written by a newer release (schema {revision}, here {REVISIONS[-1]}).",
                hint="Install the newer release of mutuals.",
            )
        with _migrating:
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    """The schema the store has, or nothing where it is empty."""
    names = inspect(connection).get_table_names()
    if not names:
        return None
    versions = table("alembic_version", column("version_num"))
    found = connection.execute(select(versions.c.version_num)).scalar() if versions.name in names else None
    if found is None:
        raise MutualsError(
            ErrorCode.LOCAL,
            "The database holds tables that are not a mutuals store.",
            hint="Give the store a file or a database of its own.",
        )
    return str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
