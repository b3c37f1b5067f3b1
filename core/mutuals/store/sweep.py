"""Sweeping the file after an erasure, so that nothing erased can be read from it.

``secure_delete`` overwrites a deleted row where it lies, but not the copies that stayed in the gaps of pages when
SQLite moved the row while it was alive: of 10,800 rows deleted from busy tables, pieces of 11 were still in
the file. ``VACUUM`` rewrites the file from the rows that live. It cannot be part of a transaction, so the erasure
is counted in its transaction and the count swept is kept after the rewriting: what a crash or a busy store puts
off is made up for after the next erasure or when the store is next opened.
"""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from mutuals.store.engine import explain
from mutuals.store.schema import store_state
from mutuals.store.table import take_erasure

_logger = logging.getLogger(__name__)


def count_erasure(connection: Connection) -> bool:
    """At the end of a transaction: whether it erased something, which is then on record as not yet swept."""
    erased = take_erasure(connection)
    if erased:
        connection.execute(store_state.update().values(erasures=store_state.c.erasures + 1))
    return erased


def sweep(engine: Engine, *, again: bool = False) -> bool:
    """Rewrite the file if something was erased since that was last done, or ``again``; whether nothing is left to do.

    A failure is logged and made up for later. Other databases than SQLite reclaim space by themselves, when their
    administrator says.
    """
    if engine.dialect.name != "sqlite":
        return True
    try:
        with engine.begin() as connection:
            erasures, swept = connection.execute(select(store_state.c.erasures, store_state.c.swept)).one()
        if erasures == swept and not again:
            return True
        # A raw connection, because SQLAlchemy would begin a transaction.
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("VACUUM")
        finally:
            raw.close()
        with engine.begin() as connection:
            connection.execute(store_state.update().values(swept=erasures))
    except (DBAPIError, sqlite3.Error) as error:
        _logger.warning("The file was not swept after an erasure. %s", explain(engine, error).message)
        return False
    return True
