"""A breach of personal data, on both sides: what stops, who is told, which clock runs, and what is never written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import Company, Pair, contact, deliver
from support.revealed import Snapshot, authorise_both, exchange, reveal_once

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import verify_act
from mutuals.models.agreement import AgreementState
from mutuals.models.breach import Breach, BreachKind, BreachState
from mutuals.obligations.breach import (
    Changes,
    Closing,
    Opening,
    close_breach,
    open_breach,
    plan_breach,
    update_breach,
)
from mutuals.obligations.breach_affected import write_affected
from mutuals.obligations.breach_record import find_breach
from mutuals.obligations.breach_standing import BreachStanding, open_breaches, standing
from mutuals.runs.export import open_received

WHAT = "A laptop with exported campaign lists was stolen."
LEFT = [contact(f"L{i}", f"planted{i}@example.com", city=f"Planted {i}") for i in range(4)]
RIGHT = [contact(f"R{i}", f"planted{i}@example.com", score=str(i)) for i in range(4)]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root = tmp_path_factory.mktemp("breach")
    revealed = reveal_once(root / "revealed", LEFT, RIGHT)
    with revealed.copy(root / "done") as pair:
        authorise_both(pair, revealed.run_id)
        assert not exchange(pair, revealed.run_id).errors
    return Snapshot(root / "done", revealed.run_id, revealed.digest, revealed.now)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


def opened(pair: Pair, **changes: Any) -> Breach:
    values = {"what": WHAT, "aware_at": pair.left.clock(), "agreements": (pair.digest,), **changes}
    return open_breach(pair.left.peer, Opening(**values), pair.left.keys)


def stands(company: Company, reference: str) -> BreachStanding:
    with company.peer.store.transaction() as tx:
        row, _ = find_breach(tx, reference)
        return standing(tx, row, company.clock())


def state(company: Company, digest: str) -> AgreementState:
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    assert row is not None
    return row.state


def refused(call: Callable[[], object]) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        call()
    return caught.value


def test_a_breach_suspends_both_sides_and_nothing_can_be_matched_or_read(
    pair: Pair, snapshot: Snapshot
) -> None:
    breach = opened(pair)
    assert state(pair.left, pair.digest) is AgreementState.SUSPENDED
    deliver(pair.left, pair.right)
    assert state(pair.right, pair.digest) is AgreementState.SUSPENDED
    for company in pair.sides.values():
        for act in (
            lambda company=company: open_received(company.peer, snapshot.run_id, company.keys),
            lambda: pair.match(),
        ):
            assert refused(act).code is ErrorCode.AGREEMENT_NOT_ACTIVE
        assert stands(company, breach.breach_id).suspended == (breach_agreement(company),)


def breach_agreement(company: Company) -> str:
    with company.peer.store.transaction() as tx:
        return tx.agreements.list()[0].agreement_id
