"""What is over is destroyed without anybody's passphrase, completely, and certified only then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.pairing import Company, Pair, contact, deliver
from support.revealed import Snapshot, authorise_both, exchange, reveal_once

from mutuals.agreement.ending import terminate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import AgreementState, Side
from mutuals.obligations import retention
from mutuals.obligations.certificates import certificate_of, overdue_certificates
from mutuals.obligations.retention import keep_retention, plan_retention
from mutuals.runs.export import open_received, write_export
from mutuals.runs.keys import runs_with_keys

LEFT = [contact(f"L{i}", f"p{i}@example.com", city=f"City{i}") for i in range(5)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=f"{i}") for i in range(5)]
FIELDS = {
    "proposer_sends": (
        {"name": "city", "departments": ("marketing",), "retention_days": 10},
        {"name": "score", "type": "integer", "departments": ("marketing",), "retention_days": 30},
    ),
    "partner_sends": ({"name": "score", "type": "integer", "departments": ("marketing",)},),
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT, **FIELDS)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        authorise_both(pair, snapshot.run_id)
        assert not exchange(pair, snapshot.run_id).errors
        yield pair


def state(company: Company, digest: str) -> AgreementState:
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    assert row is not None
    return row.state


def end(pair: Pair) -> None:
    """The proposer ends the agreement at once; both sides know."""
    terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=True)
    deliver(pair.left, pair.right)


def test_after_the_end_both_sides_destroy_certify_and_close(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    write_export(
        pair.right.peer,
        open_received(pair.right.peer, snapshot.run_id, pair.right.keys),
        tmp_path / "out.csv",
        pair.right.keys,
    )
    end(pair)
    reports = [keep_retention(company.peer) for company in (pair.left, pair.right)]
    for report in reports:
        assert not report.problems
        assert report.scan is not None and report.scan.slices > 5 and not report.scan.found
    (mine,), (theirs,) = (report.certificates for report in reports)
    assert (mine.records_received, mine.records_at_end, mine.ended_by, mine.operator) == (
        5,
        5,
        "own termination",
        "anna",
    )
    assert (theirs.records_received, theirs.records_at_end, theirs.ended_by) == (
        10,
        10,
        "partner's termination",
    )
    assert [export.file for export in theirs.exports] == ["out.csv"]
    assert state(pair.left, pair.digest) is AgreementState.ENDED
    deliver(pair.left, pair.right)
    deliver(pair.right, pair.left)
    for company in (pair.left, pair.right):
        assert state(company, pair.digest) is AgreementState.CLOSED
        with company.peer.store.transaction() as tx:
            assert not runs_with_keys(tx) and not tx.received.count(snapshot.run_id)
            assert tx.sent.list(snapshot.run_id), "what was sent must be answered for longer"
        assert not list(company.peer.home.run_keys.iterdir())
        assert keep_retention(company.peer).idle
