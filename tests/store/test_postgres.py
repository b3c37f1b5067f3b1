"""What only a server can do to a store: have other defaults, restart, drop a connection, run out of them."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.exc import OperationalError
from store.samples import NOW, digest, furnish, hexed
from support import postgres
from support.companies import Company, set_up

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.home import Home
from mutuals.store import database, engine
from mutuals.store.database import Store
from mutuals.store.rows import BudgetUsage
from mutuals.transport.sync import sync_partner


@pytest.fixture
def url() -> Iterator[str]:
    """A database with the tables of a store."""
    if reason := postgres.missing():
        pytest.skip(reason)
    name = postgres.new_database()
    yield postgres.url_of(name)
    postgres.drop_database(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """The store in it."""
    opened = Store.open(url)
    yield opened
    opened.close()


def ask(store: Store, question: str) -> Any:
    """What the server answers in a transaction of the store."""
    with store.transaction() as tx:
        return tx.log._connection.exec_driver_sql(question).scalar()


def other(url: str, statement: str) -> None:
    """What an administrator does on another connection."""
    administrator = engine.create_store_engine(url)
    with administrator.begin() as connection:
        connection.exec_driver_sql(statement)
    administrator.dispose()


# --- settings ----------------------------------------------------------------------------------------------------


def test_the_session_decides_whatever_the_defaults_of_the_server_are(url: str) -> None:
    for setting in (
        "default_transaction_isolation = 'serializable'",
        "synchronous_commit = off",
        "lock_timeout = 0",
        "idle_in_transaction_session_timeout = 0",
    ):
        other(url, f"ALTER DATABASE {make_url(url).database} SET {setting}")
    store = Store.open(url)
    shown = {
        name: ask(store, f"SHOW {name}")
        for name in (
            "transaction_isolation",
            "synchronous_commit",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        )
    }
    store.close()
    assert shown == {
        "transaction_isolation": "read committed",
        "synchronous_commit": "on",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
    }


def test_connections_probe_for_a_machine_that_is_gone_unless_the_url_says_otherwise(url: str) -> None:
    def parameters(url: str) -> dict[str, str]:
        made = engine.create_store_engine(url)
        with made.connect() as connection:
            found = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        made.dispose()
        return {name: value for name, value in found.items() if name.startswith(("keep", "connect"))}

    assert parameters(url) == {
        "connect_timeout": "10",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
    }
    own = make_url(url).update_query_dict({"keepalives_idle": "7", "connect_timeout": "3"})
    changed = parameters(own.render_as_string())
    assert (changed["keepalives_idle"], changed["connect_timeout"]) == ("7", "3")


# --- a connection that breaks, or is not to be had ---------------------------------------------------------------


def test_a_connection_lost_in_a_transaction_is_a_sentence_and_the_next_one_works(
    url: str, store: Store
) -> None:
    with store.transaction() as tx:
        furnish(tx)

    def lose_it() -> None:
        with store.transaction() as tx:
            tx.budgets.charge(hexed("Globex"), hexed("Spring"), digest("lost"), 5, NOW)
            own = tx.log._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            other(url, f"SELECT pg_terminate_backend({own})")
            tx.log.append(None, "lost", {}, NOW)

    with pytest.raises(MutualsError, match="lost its connection") as lost:
        lose_it()
    assert lost.value.code is ErrorCode.LOCAL
    with store.transaction() as tx:
        assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(0, 0)
        assert tx.log.append(None, "after", {}, NOW) == 1


def test_connections_that_broke_between_transactions_are_not_noticed(url: str, store: Store) -> None:
    assert ask(store, "SELECT 1") == 1
    other(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ask(store, "SELECT 1") == 1


def test_a_transaction_that_nobody_goes_on_with_loses_the_store(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a process that was stopped, or whose machine is gone."""
    monkeypatch.setattr(engine, "IDLE_SECONDS", 0.1)
    idle = Store.open(url)

    def append() -> int:
        with store.transaction() as tx:
            return tx.log.append(None, "went on", {}, NOW)

    def idle_too_long() -> None:
        with idle.transaction() as tx, ThreadPoolExecutor(1) as thread:
            tx.log.append(None, "idle", {}, NOW)
            assert thread.submit(append).result() == 1
            tx.log.append(None, "too late", {}, NOW)

    with pytest.raises(MutualsError, match="was held by this process for more than"):
        idle_too_long()
    idle.close()
    with store.transaction() as tx:
        assert [entry.event for entry in tx.log.entries()] == ["went on"]


def test_threads_that_have_all_connections_are_told_of_in_a_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    store = Store.open(url)
    taken = [store._engine.connect() for _ in range(15)]
    with pytest.raises(MutualsError, match="was in use by another process") as refused, store.transaction():
        pass
    assert refused.value.code is ErrorCode.LOCAL
    for connection in taken:
        connection.close()
    assert ask(store, "SELECT 1") == 1
    store.close()


def test_a_database_that_is_read_only_as_a_standby_is_is_said_to_be(url: str) -> None:
    other(url, f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = on")
    store = Store.open(url)
    with pytest.raises(MutualsError, match="the database is read-only"), store.transaction():
        pass
    store.close()


# --- beginning again ---------------------------------------------------------------------------------------------


class Refused(Exception):
    """As a driver reports it."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("FATAL: the words of the server")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "times", "attempts", "outcome"),
    [
        ("57P03", 2, 3, None),
        ("57P01", 4, 5, None),
        ("40P01", 1, 2, None),
        ("40001", 1, 2, None),
        ("57P03", 99, 5, "is being started or stopped"),
        ("55P03", 99, 1, "was in use by another process for more than 10 seconds"),
        ("53300", 99, 1, "has no connection to spare"),
        ("42501", 99, 1, "may not be used by this database user"),
        ("28P01", 99, 1, "cannot be used"),
    ],
)
def test_a_transaction_is_begun_again_a_few_times_where_that_may_help(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sqlstate: str,
    times: int,
    attempts: int,
    outcome: str | None,
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    begin, tried, pauses = database._begin, [], []

    def refuse(made: Any) -> Any:
        tried.append(made)
        if len(tried) <= times:
            raise OperationalError("SELECT", None, Refused(sqlstate))
        return begin(made)

    monkeypatch.setattr(database, "_begin", refuse)
    monkeypatch.setattr(database.time, "sleep", pauses.append)

    def append() -> int:
        with store.transaction() as tx:
            return tx.log.append(None, "begun", {}, NOW)

    if outcome is None:
        assert append() == 1
    else:
        with pytest.raises(MutualsError, match=outcome) as refused:
            append()
        assert refused.value.code is ErrorCode.LOCAL
        assert refused.value.hint
    assert len(tried) == attempts
    assert sum(pauses) <= 5
    store.close()


# --- a server of its own -----------------------------------------------------------------------------------------


class Server:
    """A PostgreSQL that a test may stop."""

    def __init__(self) -> None:
        parent = "/dev/shm" if postgres.room() else "/tmp"  # noqa: S108 - a folder of our own, with a short name
        self._folder = Path(parent) / f"mutuals-pg-{secrets.token_hex(8)}"
        self._folder.mkdir(mode=0o700)
        postgres.start(self._folder)

    @property
    def url(self) -> str:
        """The URL of its first database."""
        made = URL.create(
            "postgresql+psycopg", "mutuals", database="postgres", query={"host": str(self._folder)}
        )
        return made.render_as_string()

    def stop(self) -> None:
        """As a power cut does."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Again."""
        self._control("-w", "-l", str(self._folder / "log"), "start")

    def remove(self) -> None:
        """For good."""
        self.stop()
        shutil.rmtree(self._folder)

    def _control(self, *arguments: str) -> None:
        postgres.run("pg_ctl", "-s", "-D", str(self._folder / "data"), *arguments)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One that no other test uses."""
    if reason := postgres.missing(wheel=True):
        pytest.skip(reason)
    server = Server()
    yield server
    server.remove()


def test_a_peers_server_outlives_a_restart_of_the_database(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Home.store_url

    def store_url(home: Home, config: Any) -> str:
        return own_server.url if home.root.name == "acme" else configured(home, config)

    monkeypatch.setattr(Home, "store_url", store_url)
    acme, beta = set_up(tmp_path / "acme", "Acme Ltd"), set_up(tmp_path / "beta", "Beta SA", reachable=False)
    acme.knows(beta)
    beta.knows(acme)

    def called() -> str:
        with beta.call(acme) as connection:
            try:
                sync_partner(beta.peer, connection)
            except MutualsError as error:
                return error.code.value
        return "answered"

    with acme.serving():
        assert called() == "answered"
        own_server.stop()
        assert called() != "answered"
        with pytest.raises(MutualsError, match="The store postgresql") as down, acme.peer.store.transaction():
            pass
        assert (down.value.code, "\n" in down.value.message) == (ErrorCode.LOCAL, False)
        own_server.start()
        assert called() == "answered"
    _close(acme, beta)


def _close(*companies: Company) -> None:
    for company in companies:
        company.peer.close()


def test_a_dump_put_back_is_the_same_store(url: str, store: Store) -> None:
    if reason := postgres.missing(wheel=True):
        pytest.skip(reason)
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.log.append(None, "kept", {}, NOW)
        runs = tx.runs.list()
    dump = subprocess.run(
        [postgres.program("pg_dump"), "--no-owner", _libpq(url)], check=True, capture_output=True
    ).stdout
    name = postgres.new_database(like="template0")
    restored = postgres.url_of(name)
    subprocess.run(
        [postgres.program("psql"), "-q", "-v", "ON_ERROR_STOP=1", _libpq(restored)],
        input=dump,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    again = Store.open(restored)
    with again.transaction() as tx:
        assert tx.runs.list() == runs
        assert tx.log.append(None, "after", {}, NOW) == 2
    again.close()
    postgres.drop_database(name)


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
