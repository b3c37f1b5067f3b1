"""A later version binds when both have signed it; runs of the old one finish or stop; crossings end alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.pairing import Company, Pair, contact
from support.versions import (
    Made,
    agree,
    amend,
    carry,
    copy_pair,
    make_pair,
    next_version,
    row_of,
    settle,
    state_of,
    states,
)

from mutuals.agreement.active import load_active, load_for_run, load_readable
from mutuals.agreement.chain import chain_of, current_of
from mutuals.agreement.document import agreement_bytes, agreement_digest
from mutuals.agreement.ending import terminate
from mutuals.agreement.lifecycle import withdraw
from mutuals.agreement.statements import make_statement
from mutuals.agreement.suspension import resume, suspend
from mutuals.canonical import parse_canonical
from mutuals.documents import take_document
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Permission, Side
from mutuals.models.run import RunState
from mutuals.runs.authorisation import authorise_reveal
from mutuals.runs.ending import end_due
from mutuals.signed_documents import sign_document

ROWS = {
    Side.PROPOSER: [contact(f"L{i}", f"p{i}@example.com") for i in range(3)],
    Side.PARTNER: [contact(f"R{i}", f"p{i}@example.com") for i in range(1, 4)],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_pair(tmp_path_factory.mktemp("pair"), ROWS)


@pytest.fixture
def pair(made: Made, tmp_path: Path) -> Iterator[Pair]:
    with copy_pair(made, tmp_path) as pair:
        yield pair


def refusal(company: Company, digest: str) -> str:
    with company.peer.store.transaction() as tx, pytest.raises(MutualsError) as caught:
        load_active(tx, digest, company.clock())
    assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("side", list(Side))
def test_either_side_may_amend_and_the_new_version_binds_at_both(pair: Pair, side: Side) -> None:
    proposer, partner = pair.sides[side], pair.sides[side.other]
    second = amend(proposer, pair.digest, title="Second version")
    carry(proposer, partner)
    assert states(pair, second) == ("proposed", "proposed")
    assert states(pair, pair.digest) == ("active", "active")
    agree(partner, second)
    assert (state_of(partner, pair.digest).value, state_of(partner, second).value) == ("superseded", "active")
    assert state_of(proposer, pair.digest).value == "active"
    carry(partner, proposer)
    assert states(pair, pair.digest) == ("superseded", "superseded")
    assert states(pair, second) == ("active", "active")
    for company in (proposer, partner):
        assert f"replaced by the later version {row_of(company, second).agreement_id}" in refusal(
            company, pair.digest
        )
        with company.peer.store.transaction() as tx:
            assert [row.digest for row in chain_of(tx, second)] == [pair.digest, second]
            assert [row.digest for row in chain_of(tx, pair.digest)] == [pair.digest, second]
            active = load_active(tx, second, company.clock(), own=company.peer.fingerprint.hex())
            assert load_readable(tx, pair.digest, company.clock()).digest == pair.digest
            assert [field.name for field in active.agreement.sends(active.own_side)] == [
                "city" if company is pair.left else "score"
            ]
    third = amend(partner, second, title="Third version")
    carry(partner, proposer)
    agree(proposer, third)
    settle(pair)
    assert states(pair, third) == ("active", "active")


@pytest.mark.parametrize("rule", ["finish", "stop"])
def test_runs_of_the_replaced_version_finish_or_stop(pair: Pair, rule: str) -> None:
    run, _ = pair.match()
    for company in pair.sides.values():
        authorise_reveal(company.peer, company.run(run.run_id), company.keys)
    second = amend(pair.right, pair.digest, runs_of_replaced=rule)
    carry(pair.right, pair.left)
    agree(pair.left, second)
    settle(pair)
    if rule == "finish":
        assert pair.reveal(run.run_id)[0].state is RunState.REVEALED
        pair.digest = second
        assert pair.match()[0].state is RunState.COUNTED
        return
    for company in pair.sides.values():
        stopped = company.run(run.run_id)
        assert stopped.state is RunState.STALE
        assert f"Amendment {row_of(company, second).agreement_id} stops" in (stopped.reason or "")
        assert stopped.spool_key is None
        with company.peer.store.transaction() as tx, pytest.raises(MutualsError) as caught:
            load_for_run(tx, stopped, company.clock())
        assert "stops the runs" in caught.value.message


def test_a_later_stop_also_stops_runs_of_the_version_before_the_last(pair: Pair) -> None:
    run, _ = pair.match()
    digest = pair.digest
    for rule in ("finish", "stop"):
        digest = amend(pair.left, digest, runs_of_replaced=rule)
        settle(pair)
        agree(pair.right, digest)
        settle(pair)
    assert {company.run(run.run_id).state for company in pair.sides.values()} == {RunState.STALE}


def test_a_partner_proposes_only_what_may_follow(pair: Pair) -> None:
    """Wrong number, nothing bound, another's, nothing replaced: refused, and nothing is stored."""
    good = next_version(pair.left, pair.digest)
    second = amend(pair.left, pair.digest)
    with pair.left.peer.store.transaction() as tx:
        document = tx.outbox.pending()[0]
    payload = parse_canonical(document.body)
    for changes, reason in (
        ({"version": 3}, "BAD_MESSAGE"),
        ({"version": 1}, "BAD_MESSAGE"),
        ({"version": 2, "replaces": None}, "BAD_MESSAGE"),
        ({"replaces": "00" * 32}, "AGREEMENT_UNKNOWN"),
        ({"replaces": second}, "AGREEMENT_UNKNOWN"),
        (
            {"valid_from": good.valid_from + timedelta(days=2)},
            "BAD_MESSAGE",
        ),  # tomorrow
    ):
        crafted = good.model_copy(update=changes)
        digest = agreement_digest(agreement_bytes(crafted))
        keys = pair.left.keys
        body, signature = make_statement(
            crafted,
            digest,
            Side.PROPOSER,
            pair.left.peer.signing_key,
            [(keys.name, "steward", keys.signing)],
            pair.left.clock(),
        )
        made = payload | {
            "agreement": parse_canonical(agreement_bytes(crafted)),
            "statement": parse_canonical(body),
            "signature": signature.hex(),
        }
        receipt = take_document(
            pair.right.peer, pair.right.partner(), sign_document(pair.left.peer, "proposal", made)
        )
        assert (receipt.accepted, receipt.reason) == (False, reason)
    with pair.right.peer.store.transaction() as tx:
        assert [row.digest for row in tx.agreements.list()] == [pair.digest]


def test_there_is_no_day_on_which_neither_version_is_in_force(pair: Pair) -> None:
    today = pair.left.clock().date()
    with pytest.raises(MutualsError) as caught:
        amend(pair.left, pair.digest, valid_from=today + timedelta(days=1))
    assert caught.value.code is ErrorCode.INPUT_QUALITY
    assert f"only from {today + timedelta(days=1)}" in caught.value.message
    assert f"valid_from = {today}" in str(caught.value.hint)
    digest = amend(pair.left, pair.digest, valid_from=today)
    settle(pair)
    agree(pair.right, digest)
    assert states(pair, digest) == ("proposed", "active")


def test_only_what_binds_is_amended(pair: Pair) -> None:
    second = amend(pair.left, pair.digest)
    settle(pair)
    agree(pair.right, second)
    settle(pair)
    with pytest.raises(MutualsError) as caught:
        amend(pair.left, pair.digest, title="Late")
    assert "which is superseded" in caught.value.message


def test_competing_amendments_of_one_side_are_void_once_one_binds(pair: Pair) -> None:
    first, second = amend(pair.left, pair.digest, title="One"), amend(pair.left, pair.digest, title="Two")
    settle(pair)
    agree(pair.right, second)
    assert state_of(pair.right, first).value == "rejected"
    settle(pair)
    assert states(pair, first) == ("rejected", "rejected")
    assert states(pair, second) == ("active", "active")
    with pytest.raises(MutualsError) as caught:
        agree(pair.right, first)
    assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE


def crossed(pair: Pair) -> tuple[str, str]:
    """Each side has accepted the other's amendment of the same version, and neither knows; lower digest first."""
    ours, theirs = amend(pair.left, pair.digest, title="Ours"), amend(pair.right, pair.digest, title="Theirs")
    settle(pair)
    agree(pair.left, theirs)
    agree(pair.right, ours)
    assert states(pair, ours) == ("rejected", "active")
    assert states(pair, theirs) == ("active", "rejected")
    return min(ours, theirs), max(ours, theirs)


def test_two_amendments_that_cross_end_alike(pair: Pair) -> None:
    run, _ = pair.match()
    wins, loses = crossed(pair)
    settle(pair)
    assert states(pair, wins) == ("active", "active")
    assert states(pair, loses) == ("rejected", "rejected")
    assert states(pair, pair.digest) == ("superseded", "superseded")
    for company in pair.sides.values():
        loser = row_of(company, loses)
        with company.peer.store.transaction() as tx:
            assert [row.digest for row in chain_of(tx, pair.digest)] == [pair.digest, wins]
            assert current_of(tx, loser).digest == wins
        assert company.run(run.run_id).state is RunState.STALE
    pair.digest = wins
    assert pair.match()[0].count == 2


def test_a_suspension_made_while_amendments_cross_is_not_lost(pair: Pair) -> None:
    wins, loses = crossed(pair)
    held = wins if state_of(pair.left, wins).value == "active" else loses
    with pair.left.peer.store.transaction() as tx:
        halt = suspend(tx, pair.left.peer, held, "Looking at it.", None, pair.left.keys)
    settle(pair)
    assert states(pair, wins) == ("suspended", "suspended")
    with pair.left.peer.store.transaction() as tx:
        resume(tx, pair.left.peer, wins, halt, pair.left.keys)
    settle(pair)
    assert states(pair, wins) == ("active", "active")


def test_a_termination_sent_while_amendments_cross_ends_them_all(pair: Pair) -> None:
    wins, loses = crossed(pair)
    company = next(one for one in pair.sides.values() if state_of(one, loses).value == "active")
    held = loses
    terminate(company.peer, held, "Enough.", company.keys, cause=True)
    end_due(company.peer)
    settle(pair)
    end_due(pair.left.peer)
    end_due(pair.right.peer)
    assert states(pair, wins) == ("ended", "ended")
    assert states(pair, pair.digest) == ("ended", "ended")


def test_an_acceptance_that_crosses_the_withdrawal_of_an_amendment_holds(pair: Pair) -> None:
    second = amend(pair.left, pair.digest)
    settle(pair)
    withdraw(pair.left.peer, second, "Changed our mind.", pair.left.keys)
    agree(pair.right, second)
    settle(pair)
    assert states(pair, second) == ("active", "active")
    assert states(pair, pair.digest) == ("superseded", "superseded")


def test_an_acceptance_that_comes_after_the_end_ends_the_amendment_there_too(pair: Pair) -> None:
    long = row_of(pair.left, pair.digest)
    second = amend(
        pair.left,
        pair.digest,
        valid_until=next_version(pair.left, pair.digest).valid_until.replace(year=2030),
    )
    settle(pair)
    agree(pair.right, second)
    pair.left.clock.now = pair.left.clock.now.replace(year=pair.left.clock.now.year + 1)
    assert end_due(pair.left.peer) == [long.digest]
    carry(pair.right, pair.left)
    assert state_of(pair.left, second).value == "ended"
    carry(pair.left, pair.right)
    assert states(pair, second) == ("ended", "ended")
    assert states(pair, pair.digest) == ("ended", "ended")


def test_notice_given_before_an_amendment_binds_stands(pair: Pair) -> None:
    second = amend(pair.left, pair.digest)
    settle(pair)
    ends_at = terminate(pair.right.peer, pair.digest, "We stop.", pair.right.keys, cause=False)
    agree(pair.right, second)
    settle(pair)
    assert {row_of(company, second).ends_at for company in pair.sides.values()} == {ends_at}


def test_an_amendment_of_a_suspended_agreement_begins_suspended(pair: Pair) -> None:
    second = amend(pair.left, pair.digest)
    settle(pair)
    with pair.right.peer.store.transaction() as tx:
        halt = suspend(tx, pair.right.peer, pair.digest, "A leak.", None, pair.right.keys)
    agree(pair.right, second)
    settle(pair)
    assert states(pair, second) == ("suspended", "suspended")
    assert "A leak." in refusal(pair.left, second)
    with pair.right.peer.store.transaction() as tx:
        resume(tx, pair.right.peer, second, halt, pair.right.keys)
    settle(pair)
    assert states(pair, second) == ("active", "active")


def test_the_mandate_of_the_new_version_is_its_own(pair: Pair) -> None:
    mandate = Permission(reveal="mandate")
    second = amend(pair.left, pair.digest, permission=mandate)
    settle(pair)
    agree(pair.right, second)
    with pair.right.peer.store.transaction() as tx:
        assert tx.authorisations.current("mandate", second, pair.right.clock()) is not None
        assert tx.authorisations.current("mandate", pair.digest, pair.right.clock()) is None
