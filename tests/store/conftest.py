"""Every test that asks for ``store`` runs on SQLite and, where there is one to start, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import postgres

from mutuals.store.database import Store
from mutuals.store.engine import sqlite_url


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database."""
    if request.param == "postgres" and (reason := postgres.missing()):
        pytest.skip(reason)
    return str(request.param)


@contextmanager
def _database(backend: str, folder: Path, **like: str) -> Iterator[str]:
    if backend == "sqlite":
        yield sqlite_url(folder / "store.db")
        return
    name = postgres.new_database(**like)
    yield postgres.url_of(name)
    postgres.drop_database(name)


@pytest.fixture
def url(backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, for each backend."""
    with _database(backend, tmp_path, like="template0") as made:
        yield made


@pytest.fixture
def store_url(backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of ``store``."""
    with _database(backend, tmp_path) as made:
        yield made


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store with nothing in it, for each backend."""
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite store may be made, for what only SQLite does."""
    return tmp_path / "store.db"
