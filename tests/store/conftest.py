"""Every test that asks for ``store`` runs against each backend; ``MUTUALS_TEST_STORE_URL`` adds one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine

from mutuals.store.database import Store
from mutuals.store.engine import sqlite_url

OTHER = os.environ.get("MUTUALS_TEST_STORE_URL")


def _wipe(url: str) -> None:
    engine = create_engine(url)
    everything = MetaData()
    everything.reflect(engine)
    everything.drop_all(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "other"] if OTHER else ["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, for each backend."""
    if request.param == "sqlite" or OTHER is None:
        return sqlite_url(tmp_path / "store.db")
    _wipe(OTHER)
    return OTHER


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store, for each backend."""
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite store may be made, for what only SQLite does."""
    return tmp_path / "store.db"
