"""A SQLite store's files: who may read them, what stays in them, and what is said when they fail."""

from __future__ import annotations

import os
import random
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from store.samples import furnish, record, run, undone

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import RunState
from mutuals.store import database, engine
from mutuals.store.database import Store
from mutuals.store.engine import sqlite_url
from mutuals.store.sweep import sweep


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask under which carelessly made files are for everyone."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_the_file_and_its_journal_are_the_owners_alone(path: Path) -> None:
    store = Store.open(sqlite_url(path))
    with store.transaction() as tx:
        furnish(tx)
        journal = path.with_name(path.name + "-journal")
        assert (_mode(path), _mode(journal)) == (0o600, 0o600)
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nothing_deleted_stays_in_the_file(path: Path) -> None:
    store = Store.open(sqlite_url(path))
    key, short, long = secrets.token_bytes(48), secrets.token_bytes(48), secrets.token_bytes(20_000)
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.keys.put_wrapped("run:R-1", "ada", key)
        tx.received.put([record(0, ciphertext=short), record(1, ciphertext=long)])
    assert all(value[:32] in path.read_bytes() for value in (key, short, long))
    with store.transaction() as tx:
        tx.keys.destroy("run:R-1")
        tx.received.destroy("R-1")
    store.close()
    left = path.read_bytes()
    # Every 16-byte piece, since a large value is spread over pages.
    for value in (key, short, long):
        assert not any(value[start : start + 16] in left for start in range(0, len(value), 16))


def _state(path: Path) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    erasures, swept = connection.execute("SELECT erasures, swept FROM store_state").fetchone()
    connection.close()
    return erasures, swept


def test_no_copy_of_what_was_deleted_stays_in_a_busy_file(path: Path) -> None:
    """SQLite leaves copies of rows that it moves; with this seed and without sweeping, one would be found."""
    chance = random.Random(0)
    names = [f"R-{number}" for number in range(6)]
    rows = [
        replace(record(rank, ciphertext=chance.randbytes(chance.choice([24, 60, 200, 800]))), run_id=name)
        for name in names
        for rank in range(60)
    ]
    chance.shuffle(rows)
    store = Store.open(sqlite_url(path))
    with store.transaction() as tx:
        furnish(tx, *names)
    with store.transaction() as tx:
        tx.received.put(rows)
    for name in names[:5]:
        with store.transaction() as tx:
            assert tx.received.destroy(name) == 60
    store.close()
    content = path.read_bytes()
    left = {content[start : start + 8] for start in range(len(content) - 7)}
    for row in rows:
        pieces = {row.ciphertext[start : start + 8] for start in range(len(row.ciphertext) - 7)}
        assert (not pieces.isdisjoint(left)) == (row.run_id == "R-5")


def test_a_destroyed_spool_key_is_swept_from_the_file(path: Path) -> None:
    store = Store.open(sqlite_url(path))
    key = secrets.token_bytes(32)
    with store.transaction() as tx:
        furnish(tx)
        tx.runs.add(replace(run(), spool_key=key))
    assert key in path.read_bytes()
    with store.transaction() as tx:
        tx.runs.update("R-1", {RunState.MATCHING}, spool_key=None)
    assert key not in path.read_bytes()
    assert _state(path) == (1, 1)
    store.close()


def test_a_sweep_that_did_not_happen_is_made_up_for_when_the_store_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "sweep", lambda _: None)  # as if the power went after the commit
    store = Store.open(sqlite_url(path))
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.overlaps.put("R-1", b"sealed")
    with store.transaction() as tx:
        tx.overlaps.destroy("R-1")
    assert _state(path) == (1, 0)
    monkeypatch.undo()
    Store.open(sqlite_url(path)).close()
    assert _state(path) == (1, 1)


def test_a_sweep_that_fails_is_logged_and_stays_due(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    Store.open(sqlite_url(path)).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE store_state SET erasures = 1")
    other.execute("BEGIN IMMEDIATE")
    sweep(engine.create_store_engine(sqlite_url(path)))
    other.execute("ROLLBACK")
    other.close()
    assert "was not swept" in caplog.text
    assert "in use by another process" in caplog.text
    assert _state(path) == (1, 0)


def test_an_erasure_that_is_rolled_back_needs_no_sweep(path: Path) -> None:
    store = Store.open(sqlite_url(path))
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.overlaps.put("R-1", b"sealed")
    with undone(store) as tx:
        tx.overlaps.destroy("R-1")
    store.close()
    assert _state(path) == (0, 0)


def test_no_connection_is_left_open(path: Path) -> None:
    store = Store.open(sqlite_url(path))
    with store.transaction() as tx:
        furnish(tx)
    store.close()
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    targets = [os.readlink(link) for link in descriptors.iterdir() if link.is_symlink() and link.exists()]
    assert str(path) not in targets


def test_every_connection_has_the_settings_that_durability_and_deletion_need(path: Path) -> None:
    made = engine.create_store_engine(sqlite_url(path))
    with made.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "delete",
        "synchronous": 3,
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_a_store_in_use_by_another_process_is_said_to_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    store = Store.open(sqlite_url(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(MutualsError, match="in use by another process") as locked, store.transaction():
        pass
    assert locked.value.code is ErrorCode.LOCAL
    other.execute("ROLLBACK")
    other.close()
    with store.transaction() as tx:
        furnish(tx)


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    start = b"this is not a database, whatever its name says" * 50
    path.write_bytes(start)
    with pytest.raises(MutualsError, match="is not a database") as refused:
        Store.open(sqlite_url(path))
    assert refused.value.code is ErrorCode.LOCAL
    assert path.read_bytes() == start


def test_a_damaged_store_is_said_to_be(path: Path) -> None:
    Store.open(sqlite_url(path)).close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(MutualsError, match="is damaged") as refused:
        Store.open(sqlite_url(path))
    assert refused.value.code is ErrorCode.LOCAL


def test_a_missing_folder_is_said_to_be(path: Path) -> None:
    with pytest.raises(MutualsError, match="cannot be created") as refused:
        Store.open(sqlite_url(path / "store.db"))
    assert refused.value.code is ErrorCode.LOCAL


def test_a_store_without_a_file_is_refused() -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///store.db?mode=ro"):
        with pytest.raises(MutualsError) as refused:
            Store.open(url)
        assert refused.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("name", ["a b%20c.db", "käse?.db", "x#y.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    Store.open(sqlite_url(tmp_path / name)).close()
    assert (tmp_path / name).stat().st_size > 0
