"""Deleting by date, by operator and by run, and seeing to it that the file holds nothing of it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from store.samples import DAY, NOW, furnish, hexed, incoming, operator, outgoing, record

from mutuals.store.database import Store
from mutuals.store.engine import sqlite_url
from mutuals.store.raw import RawFile
from mutuals.store.rows import SentRow


def test_records_are_deleted_by_their_own_date(store: Store) -> None:
    first, later = replace(record(1), delete_after=NOW), replace(record(2), delete_after=NOW + DAY)
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2")
        tx.received.put([first, later, replace(first, run_id="R-2")])
        assert tx.received.expired(NOW) == [first, replace(first, run_id="R-2")]
        assert tx.received.expired(NOW - DAY) == []
        assert tx.received.destroy_expired("R-1", NOW) == 1
        assert tx.received.list("R-1") == [later]
        assert tx.received.count("R-2") == 1


def test_the_ledger_has_a_date_of_its_own(store: Store) -> None:
    rows = [SentRow("R-1", hexed("Globex"), hexed("Spring"), b"b", 1, NOW, NOW + n * DAY) for n in (0, 1)]
    with store.transaction() as tx:
        furnish(tx, "R-1")
        for row in rows:
            tx.sent.put(row)
        assert tx.sent.destroy_expired(NOW) == 1
        assert tx.sent.list("R-1") == rows[1:]


def test_envelopes_lose_their_records_and_keep_the_proof(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.envelopes.put_outgoing(outgoing(0))
        tx.envelopes.put_incoming(incoming(0))
        assert tx.envelopes.empty_outgoing("R-1") == 1
        assert tx.envelopes.empty_outgoing("R-1") == 0
        assert tx.envelopes.outgoing("R-1") == [replace(outgoing(0), records=b"")]
        assert tx.envelopes.destroy_incoming("R-1") == 1
        assert tx.envelopes.incoming("R-1") == []


def test_copies_of_a_key_go_one_by_one(store: Store) -> None:
    with store.transaction() as tx:
        for name in ("ada", "ben"):
            tx.operators.put(operator(name))
            tx.keys.put_wrapped("run:R-1", name, name.encode())
            tx.keys.put_wrapped("run_R-2", name, b"another prefix")
        assert tx.keys.blobs("run:R-1") == {"ada": b"ada", "ben": b"ben"}
        assert tx.keys.subjects("run:") == ["run:R-1"]
        assert tx.keys.subjects("run_") == ["run_R-2"], "no character of a prefix is a wildcard"
        assert tx.keys.destroy_copy("run:R-1", "ben") == 1
        assert tx.keys.destroy_copy("run:R-1", "ben") == 0
        assert tx.keys.blobs("run:R-1") == {"ada": b"ada"}


def test_a_sweep_that_could_not_be_done_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(sqlite_url(path))
    assert store.path == path
    assert store.sweep()
    assert store.sweep(again=True)

    def busy(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(store._engine, "raw_connection", busy)
        assert not store.sweep(again=True)
    assert store.sweep(again=True)
    store.close()


def test_raw_bytes_are_read_while_a_transaction_is_open_and_its_lock_stays(path: Path) -> None:
    """Closing the file by other means would drop the lock, and a second process could write in between."""
    store = Store.open(sqlite_url(path))
    with store.transaction() as tx:
        furnish(tx, "R-1")
    with store.transaction() as tx:
        tx.received.put([record(1)])
        for _ in range(2):
            with RawFile(path) as raw:
                assert raw.read(16) == b"SQLite format 3\0"
        assert _locked(path)
    assert not _locked(path)
    store.close()


def _locked(path: Path) -> bool:
    """Whether another process finds the store in use."""
    code = (
        "import sqlite3, sys\n"
        "try: sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError: sys.exit(7)\n"
    )
    return subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 7
