"""The store: opening it, and transactions on it.

    store = Store.open(url)            # creates or migrates it
    with store.transaction() as tx:    # all or nothing
        tx.log.append(None, "opened", {}, now)
    store.close()

A transaction has the whole store to itself, in all threads and processes: ``BEGIN IMMEDIATE`` on SQLite, a
lock on the one row of ``store_state`` elsewhere; threads of one process take turns. So repositories may read and then
write what follows from it (budgets, log numbers) in plain SQL. What was read in an earlier transaction may have
changed: whoever acts on it reads it again. Keep transactions short, and do no I/O inside (docs/adr/0003-store.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store import turns
from mutuals.store.agreements import Agreements
from mutuals.store.approvals import Approvals
from mutuals.store.assessments import Assessments
from mutuals.store.authorisations import Authorisations
from mutuals.store.breaches import Breaches
from mutuals.store.budgets import Budgets
from mutuals.store.certificates import Attestations, Certificates
from mutuals.store.checkpoints import Checkpoints
from mutuals.store.engine import busy, create_store_engine, explain, is_passing
from mutuals.store.envelopes import Envelopes
from mutuals.store.exports import Exports
from mutuals.store.keys import Keys
from mutuals.store.log import Log
from mutuals.store.migrate import migrate
from mutuals.store.notifications import Notifications
from mutuals.store.operators import Operators
from mutuals.store.outbox import Inbox, Outbox
from mutuals.store.overlaps import Overlaps
from mutuals.store.partners import Partners
from mutuals.store.policies import Policies
from mutuals.store.received import Received
from mutuals.store.revocations import Revocations
from mutuals.store.runs import Runs
from mutuals.store.schema import store_state
from mutuals.store.sent import Sent
from mutuals.store.sources import Sources
from mutuals.store.suppressions import Suppressions
from mutuals.store.suspensions import Suspensions
from mutuals.store.sweep import count_erasure, sweep
from mutuals.store.turns import NoTurn, Turns

T = TypeVar("T")

_PAUSES = (0.1, 0.3, 0.9, 2.7)
"""Seconds before each further attempt to begin something while a database server restarts."""


class Transaction:
    """What can be read and changed, one repository per kind of row; valid inside its ``with`` block only."""

    def __init__(self, connection: Connection) -> None:
        self.partners = Partners(connection)
        self.operators = Operators(connection)
        self.keys = Keys(connection)
        self.sources = Sources(connection)
        self.agreements = Agreements(connection)
        self.runs = Runs(connection)
        self.budgets = Budgets(connection)
        self.authorisations = Authorisations(connection)
        self.outbox = Outbox(connection)
        self.inbox = Inbox(connection)
        self.envelopes = Envelopes(connection)
        self.received = Received(connection)
        self.overlaps = Overlaps(connection)
        self.sent = Sent(connection)
        self.exports = Exports(connection)
        self.log = Log(connection)
        self.assessments = Assessments(connection)
        self.approvals = Approvals(connection)
        self.policies = Policies(connection)
        self.suppressions = Suppressions(connection)
        self.revocations = Revocations(connection)
        self.suspensions = Suspensions(connection)
        self.breaches = Breaches(connection)
        self.certificates = Certificates(connection)
        self.attestations = Attestations(connection)
        self.notifications = Notifications(connection)
        self.checkpoints = Checkpoints(connection)


class Store:
    """An open store. Any thread may use it; each transaction belongs to the thread that began it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closed = False
        self._here = threading.local()
        self._turns = Turns()

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the store at ``url`` (SQLAlchemy form), creating it or bringing its tables up to date.

        Raises USAGE for a URL that names no usable database, LOCAL where the database cannot be opened, is
        damaged, or was written by a newer release.
        """
        engine = create_store_engine(url)
        try:
            with _explained(engine):
                _patiently(lambda: migrate(engine))
            sweep(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: committed at the end of the block, rolled back if the block raises.

        Raises LOCAL where the database fails; INTERNAL where a row breaks a rule of the schema, where the
        store is closed, or inside another transaction of this thread (it would wait for itself).
        """
        if self._closed:
            raise MutualsError(ErrorCode.INTERNAL, "The store is closed.")
        if getattr(self._here, "busy", False):
            raise MutualsError(ErrorCode.INTERNAL, "A transaction was begun inside another one.")
        self._here.busy = True
        erased = False
        try:
            with (
                _explained(self._engine),
                self._turns.turn(turns.TURN_SECONDS),
                _begun(self._engine) as connection,
            ):
                yield Transaction(connection)
                erased = count_erasure(connection)
        finally:
            self._here.busy = False
        if erased:
            sweep(self._engine)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store; other databases have none that this peer could look into."""
        name = self._engine.url.database
        return Path(name) if name and self._engine.dialect.name == "sqlite" else None

    def sweep(self, *, again: bool = False) -> bool:
        """Rewrite the file if something erased may lie in it, or in any case ``again``; whether nothing can any more.

        False where another process held the store for too long; call it again. Outside of a transaction.
        """
        return sweep(self._engine, again=again)

    def close(self) -> None:
        """Close every connection; a transaction under way in another thread ends its own by itself."""
        self._closed = True
        self._engine.dispose()


@contextmanager
def _begun(engine: Engine) -> Iterator[Connection]:
    """A connection with a transaction that has the store, committed or rolled back at the end.

    What fails in between is not tried again, since only the caller knows what its block did besides.
    """
    with _patiently(lambda: _begin(engine)) as connection:
        yield connection
        connection.commit()


def _patiently(attempt: Callable[[], T]) -> T:
    """What ``attempt`` returns, which may be tried again for a few seconds where the database server restarts."""
    for pause in _PAUSES:
        try:
            return attempt()
        except DBAPIError as error:
            if not is_passing(error):
                raise
        time.sleep(pause)
    return attempt()


def _begin(engine: Engine) -> Connection:
    connection = engine.connect()
    try:
        connection.begin()
        if connection.dialect.name != "sqlite":
            connection.execute(select(store_state.c.id).with_for_update()).all()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    """Turn what the database raises into MutualsError."""
    try:
        yield
    except DBAPIError as error:
        raise explain(engine, error) from error
    except StatementError as error:
        # A value that a column type refused (a naive datetime): the ValueError itself, not its wrapper.
        raise (error.orig or error) from None
    except (NoConnectionFree, NoTurn) as error:
        raise busy(engine) from error
    except SQLAlchemyError as error:
        raise MutualsError(
            ErrorCode.INTERNAL, f"The store was used wrongly: {type(error).__name__}."
        ) from error
