"""A stolen home, its server running or not, and a copy of the store taken before the end: nothing received can be read.

A thousand recognisable values go from the left company to the right one; every file of the right one's home is
searched for each of them, in the clear, and what its files still hold is tried as a thief would.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.companies import QUICK, free_port
from support.pairing import PASSPHRASE, Pair, contact, deliver
from support.revealed import Snapshot, reveal_once

from mutuals.agreement.ending import terminate
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import unlock
from mutuals.models.agreement import AgreementState
from mutuals.obligations.retention import keep_retention
from mutuals.peer import Peer
from mutuals.runs.export import open_received
from mutuals.transport.connection import connect
from mutuals.transport.sync import sync_partner
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

COUNT = 1000
PLANTED = [f"PLANTED-{number:04d}-{secrets.token_hex(6)}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """The run is revealed and its records exchanged, once for all tests here."""
    left = [contact(f"L{i}", f"p{i}@example.com", city=PLANTED[i]) for i in range(COUNT)]
    right = [contact(f"R{i}", f"p{i}@example.com", score=str(i)) for i in range(COUNT)]
    root = tmp_path_factory.mktemp("planted")
    made = reveal_once(root / "before", left, right, endpoint=f"127.0.0.1:{free_port()}")
    return made.exchanged(root / "after")


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path / "homes") as pair:
        yield pair


def planted_in(home: Path) -> dict[str, int]:
    """How many planted values each file of a home holds, read raw."""
    found = {}
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if b"PLANTED-" in data:
            found[path.name] = sum(value.encode() in data for value in PLANTED)
    return found


def values_read(home: Path, run_id: str, now: object) -> set[str]:
    """What somebody who knows the operator's passphrase reads in a home. Raises MutualsError."""
    with Peer.open(home, lambda: now) as peer:  # type: ignore[arg-type, return-value]  # a clock that stands still
        with peer.store.transaction() as tx:
            row = tx.operators.get("anna")
        assert row is not None
        received = open_received(peer, run_id, unlock(row, PASSPHRASE))
        return {str(values["city"]) for _, values in received.rows}


def test_stolen_while_the_agreement_lives(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    home = pair.right.peer.home.root
    assert planted_in(pair.left.peer.home.root) == {"contacts.csv": COUNT}, (
        "the search must find what is there"
    )
    assert planted_in(home) == {}
    assert values_read(home, snapshot.run_id, snapshot.now) == set(PLANTED), (
        "the owner reads it, by passphrase"
    )
    stolen = Path(shutil.copytree(home, tmp_path / "stolen"))
    with Peer.open(stolen, pair.right.clock) as thief, thief.store.transaction() as tx:
        row = tx.operators.get("anna")
        assert row is not None
        for guess in (b"", b"password", PASSPHRASE.upper()):
            with pytest.raises(MutualsError) as refused:
                unlock(row, guess)
            assert refused.value.code is ErrorCode.NOT_ENTITLED


@pytest.mark.sqlite("copies the file")
def test_a_copy_of_the_store_from_before_opens_nothing_after_the_end(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    home = pair.right.peer.home.root
    before = Path(shutil.copy(home / "store.sqlite", tmp_path / "before.sqlite"))
    terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=True)
    deliver(pair.left, pair.right)
    report = keep_retention(pair.right.peer)
    assert not report.problems
    assert report.certificates[0].records_at_end == COUNT
    assert report.scan is not None
    assert report.scan.slices > 2 * COUNT
    assert planted_in(home) == {}
    restored = Path(shutil.copytree(home, tmp_path / "restored"))
    shutil.copy(before, restored / "store.sqlite")
    with pytest.raises(MutualsError) as refused:
        values_read(restored, snapshot.run_id, snapshot.now)
    assert refused.value.code is ErrorCode.RUN_STATE
    assert "destroyed" in refused.value.message
    share = restored / "keys" / "runs" / f"{snapshot.run_id}.key"
    share.write_bytes(secrets.token_bytes(32))
    share.chmod(0o600)
    with pytest.raises(MutualsError) as refused:
        values_read(restored, snapshot.run_id, snapshot.now)
    assert refused.value.code is ErrorCode.NOT_ENTITLED


def test_termination_reaches_a_running_server_which_destroys_by_itself(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    """Over real TLS: the server answers, destroys what was received without a passphrase, and certifies."""
    home = pair.right.peer.home.root
    endpoint = pair.right.peer.card.card.endpoint
    assert endpoint is not None
    log = ServerLog(pair.right.clock, home / "log" / "server.log", stderr=False)
    server = PeerServer(pair.right.peer, InlinePool(), endpoint, log=log, limits=QUICK)
    server.start()
    try:
        assert planted_in(home) == {}, "a home stolen from under a running server"
        terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=True)
        assert keep_retention(pair.left.peer).certificates
        with connect(pair.left.peer, pair.left.partner(), QUICK) as connection:
            deadline = time.monotonic() + 20
            while _state(pair) is not AgreementState.CLOSED and time.monotonic() < deadline:
                sync_partner(pair.left.peer, connection)
        assert _state(pair) is AgreementState.CLOSED
        assert planted_in(home) == {}
        assert not list((home / "keys" / "runs").iterdir())
    finally:
        server.stop(grace=0)
        log.close()
    with pair.right.peer.store.transaction() as tx:
        assert not tx.received.count(snapshot.run_id)
        assert not tx.keys.subjects("run:")


def _state(pair: Pair) -> AgreementState:
    with pair.left.peer.store.transaction() as tx:
        row = tx.agreements.get(pair.digest)
    assert row is not None
    return row.state
