"""A run's key opens with store, share and passphrase together, and with no two of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.homes import CHEAP, make_peer, open_peer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.runs.keys import (
    new_receiving_key,
    open_receiving_key,
    runs_with_keys,
    store_receiving_key,
    subject,
    wrap_for_operator,
)
from mutuals.runs.shares import create_share, destroy_share, load_shares, rotate_shares, settle_shares
from mutuals.store.rows import AgreementRow, OperatorRow, PartnerRow

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUNS = ("R-00000001", "R-00000002")


@pytest.fixture(scope="module")
def rows() -> list[OperatorRow]:
    return [
        create_operator(name, ("steward",), "marketing", b"passphrase", kdf=CHEAP, now=NOW)
        for name in ("anna", "bert", "cleo")
    ]


@pytest.fixture(scope="module")
def operators(rows: list[OperatorRow]) -> dict[str, OperatorKeys]:
    return {row.name: unlock(row, b"passphrase") for row in rows}


@pytest.fixture
def peer(tmp_path: Path, rows: list[OperatorRow]) -> Iterator[Peer]:
    """A peer with two runs, whose keys anna and bert hold."""
    with open_peer(make_peer(tmp_path / "home")) as peer:
        with peer.store.transaction() as tx:
            for row in rows:
                tx.operators.put(row)
            tx.partners.put(PartnerRow("ff" * 32, "Right", b"", 1, b"", NOW))
            tx.agreements.put(
                AgreementRow(
                    "aa" * 32,
                    "A-1",
                    "T",
                    "ff" * 32,
                    Side.PROPOSER,
                    AgreementState.ACTIVE,
                    b"",
                    None,
                    {},
                    NOW,
                    NOW,
                )
            )
            for number, run_id in enumerate(RUNS):
                key = new_receiving_key(rows[:2])
                tx.runs.add(
                    Run(
                        run_id,
                        bytes([number]) * 32,
                        "aa" * 32,
                        "ff" * 32,
                        Role.INITIATOR,
                        "openmined",
                        RunState.DONE,
                        1,
                        1,
                        NOW,
                        key.public,
                        b"",
                    )
                )
                store_receiving_key(tx, run_id, key, create_share(peer, run_id))
        yield peer


def opened(peer: Peer, keys: OperatorKeys, run_id: str = RUNS[0]) -> bytes:
    with peer.store.transaction() as tx:
        run = tx.runs.get(run_id)
        assert run is not None
        return open_receiving_key(tx, run_id, run.own_receiving_key, keys, load_shares(peer, run_id))


def refused(peer: Peer, keys: OperatorKeys, run_id: str = RUNS[0]) -> ErrorCode:
    with pytest.raises(MutualsError) as caught:
        opened(peer, keys, run_id)
    return caught.value.code


def files(peer: Peer) -> list[str]:
    return sorted(path.name for path in peer.home.run_keys.iterdir())


def test_all_three_are_needed(peer: Peer, operators: dict[str, OperatorKeys]) -> None:
    private = opened(peer, operators["anna"])
    assert len(private) == 96
    assert opened(peer, operators["bert"]) == private
    assert refused(peer, operators["cleo"]) is ErrorCode.NOT_ENTITLED
    share = peer.home.run_keys / f"{RUNS[0]}.key"
    kept = share.read_bytes()
    other = (peer.home.run_keys / f"{RUNS[1]}.key").read_bytes()
    for wrong in (other, b"", kept[:-1], kept[::-1]):
        share.write_bytes(wrong)
        assert refused(peer, operators["anna"]) is ErrorCode.NOT_ENTITLED
    share.unlink()
    assert refused(peer, operators["anna"]) is ErrorCode.RUN_STATE


def test_copies_do_not_open_as_another_runs_or_operators(
    peer: Peer, operators: dict[str, OperatorKeys]
) -> None:
    with peer.store.transaction() as tx:
        mine = tx.keys.blobs(subject(RUNS[0]))
        tx.keys.put_wrapped(subject(RUNS[1]), "anna", mine["anna"])
        tx.keys.put_wrapped(subject(RUNS[0]), "anna", mine["bert"])
    assert refused(peer, operators["anna"], RUNS[0]) is ErrorCode.NOT_ENTITLED
    assert refused(peer, operators["anna"], RUNS[1]) is ErrorCode.NOT_ENTITLED


def test_files_are_private_and_gone_when_destroyed(peer: Peer, operators: dict[str, OperatorKeys]) -> None:
    assert peer.home.run_keys.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in peer.home.run_keys.iterdir())
    destroy_share(peer, RUNS[0])
    destroy_share(peer, RUNS[0])
    assert files(peer) == [f"{RUNS[1]}.key"]
    assert refused(peer, operators["anna"]) is ErrorCode.RUN_STATE
    assert opened(peer, operators["anna"], RUNS[1])


def test_a_share_is_overwritten_before_it_is_removed(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = peer.home.run_keys / f"{RUNS[0]}.key"
    before = path.read_bytes()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    destroy_share(peer, RUNS[0])
    assert path.read_bytes() != before
    assert len(path.read_bytes()) == len(before)


def test_what_no_run_needs_is_swept(peer: Peer, operators: dict[str, OperatorKeys]) -> None:
    with peer.store.transaction() as tx:
        create_share(peer, "R-0RPHAN00")  # and the process dies before the commit
        tx.keys.destroy(subject(RUNS[1]))  # and before the file goes
    (peer.home.run_keys / ".R-00000001.key.abcd").write_bytes(b"half written")
    assert settle_shares(peer) == 3
    assert files(peer) == [f"{RUNS[0]}.key"]
    assert opened(peer, operators["anna"])
    assert settle_shares(peer) == 0


def test_rotation_takes_an_operators_copies_away_without_a_passphrase(
    peer: Peer, operators: dict[str, OperatorKeys]
) -> None:
    private = opened(peer, operators["anna"])
    with peer.store.transaction() as tx:
        old = tx.keys.blobs(subject(RUNS[0]))["bert"]
        assert rotate_shares(tx, peer, {"anna", "cleo"}) == dict.fromkeys(RUNS, 1)
    assert opened(peer, operators["anna"]) == private, "also before the files are settled"
    settle_shares(peer)
    assert files(peer) == [f"{run}.key" for run in RUNS]
    assert opened(peer, operators["anna"]) == private
    assert refused(peer, operators["bert"]) is ErrorCode.NOT_ENTITLED
    with peer.store.transaction() as tx:  # not even with the copy from before
        tx.keys.put_wrapped(subject(RUNS[0]), "bert", old)
    assert refused(peer, operators["bert"]) is ErrorCode.NOT_ENTITLED


def test_rotation_that_fails_leaves_the_old_shares_in_force(
    peer: Peer, operators: dict[str, OperatorKeys]
) -> None:
    with suppress(RuntimeError), peer.store.transaction() as tx:
        rotate_shares(tx, peer, {"anna"})
        raise RuntimeError
    assert opened(peer, operators["bert"])
    settle_shares(peer)
    assert files(peer) == [f"{run}.key" for run in RUNS]
    assert opened(peer, operators["bert"])


def test_rotation_killed_while_the_files_are_settled_goes_on(
    peer: Peer, operators: dict[str, OperatorKeys], monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer.store.transaction() as tx:
        rotate_shares(tx, peer, {"anna"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            settle_shares(peer)
    assert opened(peer, operators["anna"]), "the old share is overwritten, the new one waits"
    settle_shares(peer)
    assert opened(peer, operators["anna"])
    assert files(peer) == [f"{run}.key" for run in RUNS]


def test_a_run_nobody_may_read_any_more_ends_with_the_rotation(
    peer: Peer, operators: dict[str, OperatorKeys]
) -> None:
    with peer.store.transaction() as tx:
        assert rotate_shares(tx, peer, ()) == dict.fromkeys(RUNS, 0)
        assert not runs_with_keys(tx)
    settle_shares(peer)
    assert files(peer) == []
    assert refused(peer, operators["anna"]) is ErrorCode.RUN_STATE


def test_who_holds_a_copy_can_give_one(peer: Peer, operators: dict[str, OperatorKeys]) -> None:
    private = opened(peer, operators["anna"])
    with peer.store.transaction() as tx:
        run, cleo = tx.runs.get(RUNS[0]), tx.operators.get("cleo")
        assert run is not None
        assert cleo is not None
        wrap_for_operator(tx, RUNS[0], run.own_receiving_key, private, load_shares(peer, RUNS[0]), cleo)
    assert opened(peer, operators["cleo"]) == private


def test_no_file_outside_of_the_folder_is_read(peer: Peer) -> None:
    assert load_shares(peer, "../signing") == ()
