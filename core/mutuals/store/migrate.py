"""Making a store's tables, or bringing those of an earlier release up to date.

A new store gets the tables as they are now; Alembic, which is slow to import, is for stores that hold something. That
both ways lead to the same tables is a test.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text
from sqlalchemy.schema import CreateTable

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.schema import REVISIONS, metadata, store_state

_MIGRATIONS = Path(__file__).parent / "migrations"

# As Alembic makes it.
_versions = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), nullable=False, primary_key=True)
)

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
        if revision is None:
            _create(connection)
            return
        if connection.dialect.name == "postgresql":
            # As every transaction begins. Else one that has the store could wait for a table that a migration has.
            connection.execute(select(store_state.c.id).with_for_update()).all()
        with _migrating:
            upgrade(connection)


def _revision(connection: Connection) -> str | None:
    """The schema the store has, or nothing where it is empty."""
    names = inspect(connection).get_table_names()
    if not names:
        return None
    found = connection.execute(select(_versions.c.version_num)).scalar() if _versions.name in names else None
    if found is None:
        raise MutualsError(
            ErrorCode.LOCAL,
            "The database holds tables that are not a mutuals store.",
            hint="Give the store a file or a database of its own.",
        )
    return str(found)


def _create(connection: Connection) -> None:
    """All tables as of the last revision, in an empty database."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(store_state.insert().values(id=1, erasures=0, swept=0))
    connection.execute(CreateTable(_versions))
    connection.execute(_versions.insert().values(version_num=REVISIONS[-1]))


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Every migration up to ``revision`` that the database has not had yet, from the first for an empty one."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
