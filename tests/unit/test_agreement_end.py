"""Stopping: suspension by either side, termination with notice or a cause, the last day, withdrawal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.assessed import propose, sign_off
from support.pairing import Company, Pair, agreement_between, contact
from support.versions import Made, agree, amend, carry, copy_pair, make_pair, row_of, settle, state_of, states

from mutuals.agreement.active import load_active, load_for_run, load_readable
from mutuals.agreement.diff import base_of
from mutuals.agreement.ending import terminate
from mutuals.agreement.lifecycle import reject, withdraw
from mutuals.agreement.suspension import open_suspensions, resume, suspend
from mutuals.agreement.terminated import termination_of
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.documents import take_document
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.models.agreement import AgreementState, Permission, Side
from mutuals.models.run import RunState
from mutuals.protocol.messages import Receipt
from mutuals.runs.ending import end_due
from mutuals.runs.keys import subject
from mutuals.runs.signing import counter
from mutuals.signed_documents import sign_document
from mutuals.store.rows import AgreementRow, CertificateRow

ROWS = {
    Side.PROPOSER: [contact(f"L{i}", f"p{i}@example.com") for i in range(3)],
    Side.PARTNER: [contact(f"R{i}", f"p{i}@example.com") for i in range(1, 4)],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("pair")
    return make_pair(root, ROWS, permission=Permission(reveal="mandate", exchange="mandate"))


@pytest.fixture
def pair(made: Made, tmp_path: Path) -> Iterator[Pair]:
    with copy_pair(made, tmp_path) as pair:
        yield pair


def halt(company: Company, digest: str, reason: str = "A complaint.") -> str:
    with company.peer.store.transaction() as tx:
        return suspend(tx, company.peer, digest, reason, None, company.keys)


def lift(company: Company, digest: str, suspension: str) -> AgreementState:
    with company.peer.store.transaction() as tx:
        return resume(tx, company.peer, digest, suspension, company.keys)


def told(company: Company) -> list[str]:
    with company.peer.store.transaction() as tx:
        return [row.text for row in tx.notifications.unread("anna", company.keys.roles)]


def rows_of(company: Company) -> list[AgreementRow]:
    with company.peer.store.transaction() as tx:
        return tx.agreements.list()


def later(pair: Pair, **by: int) -> None:
    pair.left.clock.now += timedelta(**by)


def new_proposal(pair: Pair, title: str = "Another", **changes: Any) -> str:
    agreement = agreement_between(pair.left, pair.right, title=title, nonce="22" * 32, **changes)
    digest = propose(pair.left.peer, agreement, "crm", {}, pair.left.keys)
    settle(pair)
    return digest


# --- suspension ---------------------------------------------------------------------------------------------------


def test_it_is_suspended_while_either_side_has_a_suspension_open(pair: Pair) -> None:
    run, _ = pair.match()
    first = halt(pair.left, pair.digest)
    settle(pair)
    second = halt(pair.right, pair.digest, "A breach.")
    settle(pair)
    assert states(pair, pair.digest) == ("suspended", "suspended")
    for company in pair.sides.values():
        held = company.run(run.run_id)
        with company.peer.store.transaction() as tx:
            for gate in (
                lambda tx=tx, company=company: load_active(tx, pair.digest, company.clock()),
                lambda tx=tx, company=company, held=held: load_for_run(tx, held, company.clock()),
                lambda tx=tx, company=company: load_readable(tx, pair.digest, company.clock()),
            ):
                with pytest.raises(MutualsError) as caught:
                    gate()
                assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE
                assert "A complaint." in caught.value.message
                assert "A breach." in caught.value.message
    with pytest.raises(MutualsError):
        pair.match()
    assert lift(pair.left, pair.digest, first) is AgreementState.SUSPENDED
    settle(pair)
    assert states(pair, pair.digest) == ("suspended", "suspended")
    assert lift(pair.right, pair.digest, second) is AgreementState.ACTIVE
    settle(pair)
    assert states(pair, pair.digest) == ("active", "active")
    assert pair.reveal(run.run_id)[0].state is RunState.REVEALED
    assert any("was suspended by Right SA: A breach." in text for text in told(pair.left))
    assert any("was resumed by Right SA" in text for text in told(pair.left))


def test_nobody_lifts_the_other_sides_suspension(pair: Pair) -> None:
    suspension = halt(pair.left, pair.digest)
    settle(pair)
    with pytest.raises(MutualsError) as caught:
        lift(pair.right, pair.digest, suspension)
    assert caught.value.code is ErrorCode.USAGE
    note = {"suspension": suspension}
    assert crafted(pair, "resumption", "agreement.resume", note).reason == "BAD_MESSAGE"
    assert states(pair, pair.digest) == ("suspended", "suspended")
    with pytest.raises(MutualsError):
        lift(pair.left, pair.digest, "00" * 16)


def test_only_signatories_suspend(pair: Pair) -> None:
    with pair.left.peer.store.transaction() as tx:
        tx.operators.disable("anna", pair.left.clock())
    with pytest.raises(MutualsError) as caught:
        halt(pair.left, pair.digest)
    assert caught.value.code is ErrorCode.NOT_ENTITLED
    assert state_of(pair.left, pair.digest).value == "active"


# --- termination --------------------------------------------------------------------------------------------------


def test_with_notice_it_runs_on_until_then(pair: Pair) -> None:
    company, other = pair.right, pair.left
    run, _ = pair.match()
    ends_at = terminate(company.peer, pair.digest, "No longer needed.", company.keys, cause=False)
    assert ends_at == company.clock() + timedelta(days=30)
    settle(pair)
    assert row_of(other, pair.digest).ends_at == ends_at
    later(pair, days=30, seconds=-1)
    assert end_due(pair.left.peer) == []
    with other.peer.store.transaction() as tx:
        load_active(tx, pair.digest, other.clock())
    later(pair, seconds=1)
    for one in pair.sides.values():
        with one.peer.store.transaction() as tx, pytest.raises(MutualsError) as caught:
            load_active(tx, pair.digest, one.clock())
        assert "terminated with effect from" in caught.value.message
        assert end_due(one.peer) == [pair.digest]
        assert end_due(one.peer) == []
        held = one.run(run.run_id)
        assert held.state is RunState.STALE
        assert "ended: It was terminated." in (held.reason or "")
        with one.peer.store.transaction() as tx:
            row = tx.agreements.get(pair.digest)
            assert row is not None
            assert (row.state, row.ended_at) == (AgreementState.ENDED, one.clock())
            assert tx.authorisations.current("mandate", pair.digest, one.clock()) is None
            assert tx.keys.wrapped(subject(run.run_id), "anna") is None
        assert not list(one.peer.home.spool.iterdir())
        assert any("has ended. It was terminated." in text for text in told(one))


def test_with_a_cause_it_ends_at_once_on_both_sides(pair: Pair) -> None:
    run, _ = pair.match()
    terminate(pair.right.peer, pair.digest, "They sold it on.", pair.right.keys, cause=True)
    assert end_due(pair.right.peer) == [pair.digest]
    settle(pair)
    assert states(pair, pair.digest) == ("ended", "ended")
    assert pair.left.run(run.run_id).state is RunState.STALE
    assert any("They sold it on." in text for text in told(pair.left))
    with pytest.raises(MutualsError) as caught:
        terminate(pair.left.peer, pair.digest, "Us too.", pair.left.keys, cause=True)
    assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE


def test_it_is_told_by_whom_it_was_terminated(pair: Pair) -> None:
    terminate(pair.right.peer, pair.digest, "They sold it on.", pair.right.keys, cause=True)
    carry(pair.right, pair.left)
    for company, by in ((pair.right, "anna"), (pair.left, pair.right.peer.name)):
        row = row_of(company, pair.digest)
        with company.peer.store.transaction() as tx:
            sentence = termination_of(tx, row)
        assert sentence is not None
        assert sentence.startswith(f"by {by} on ")
        assert sentence.endswith("They sold it on.")


def test_the_earlier_of_two_ends_counts_whoever_set_it(pair: Pair) -> None:
    first = terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=False)
    later(pair, days=2)
    second = terminate(pair.right.peer, pair.digest, "So do we.", pair.right.keys, cause=False)
    assert second > first
    settle(pair)
    assert {row_of(company, pair.digest).ends_at for company in pair.sides.values()} == {first}
    assert terminate(pair.left.peer, pair.digest, "Again.", pair.left.keys, cause=False) == first
    assert [row.kind for row in outbox(pair.left)] == []
    terminate(pair.left.peer, pair.digest, "A breach.", pair.left.keys, cause=True)
    settle(pair)
    assert state_of(pair.right, pair.digest).value == "ended"


def test_the_last_day_ends_it_without_anybody(pair: Pair) -> None:
    later(pair, days=101)
    for company in pair.sides.values():
        assert end_due(company.peer) == [pair.digest]
        assert row_of(company, pair.digest).reason == "Its term is over."


def test_a_half_revealed_run_stays_for_a_person_to_look_at(pair: Pair) -> None:
    run, _ = pair.match()
    with pair.left.peer.store.transaction() as tx:
        tx.runs.update(run.run_id, {RunState.COUNTED}, state=RunState.REVEALING)
    terminate(pair.left.peer, pair.digest, "Stop.", pair.left.keys, cause=True)
    end_due(pair.left.peer)
    assert pair.left.run(run.run_id).state is RunState.HALF_REVEALED


def test_a_termination_before_the_acceptance_counts_once_that_is_in(pair: Pair) -> None:
    digest = new_proposal(pair)
    agree(pair.right, digest)
    terminate(pair.right.peer, digest, "On second thought.", pair.right.keys, cause=True)
    acceptance, termination = outbox(pair.right)
    for row in (termination, acceptance):
        receipt = take_document(
            pair.left.peer,
            pair.left.partner(),
            sign_document(pair.right.peer, row.kind, parse_canonical(row.body)),
        )
        assert receipt.accepted
    with pair.left.peer.store.transaction() as tx, pytest.raises(MutualsError) as caught:
        load_active(tx, digest, pair.left.clock())
    assert "terminated" in caught.value.message
    assert end_due(pair.left.peer) == [digest]


@pytest.mark.parametrize("how", ["superseded", "ended", "terminated", "certificate"])
def test_a_state_edited_back_to_active_revives_nothing(pair: Pair, how: str) -> None:
    digest, company = pair.digest, pair.left
    if how == "superseded":
        amend(company, digest)
        settle(pair)
        agree(pair.right, next(row.digest for row in rows_of(pair.right) if row.replaces == digest))
        settle(pair)
        assert state_of(company, digest) is AgreementState.SUPERSEDED
    elif how == "certificate":
        with company.peer.store.transaction() as tx:
            tx.certificates.put(CertificateRow(digest, Side.PARTNER, b"body", b"signature", company.clock()))
    else:
        terminate(company.peer, digest, "Over.", company.keys, cause=True)
        settle(pair)
        if how == "ended":
            assert end_due(company.peer) == [digest]
    for other in pair.sides.values() if how != "certificate" else [company]:
        with other.peer.store.transaction() as tx:
            tx.agreements.set_state(digest, AgreementState.ACTIVE, other.clock())
            tx.agreements.set_end(digest, ends_at=None, ended_at=None)
            for gate in (load_active, load_readable):
                with pytest.raises(MutualsError, match="the store marks it as active, but") as caught:
                    gate(tx, digest, other.clock())
                assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE


# --- withdrawal and counter-proposal ------------------------------------------------------------------------------


def test_a_withdrawn_proposal_can_no_longer_be_accepted(pair: Pair) -> None:
    digest = new_proposal(pair)
    for _ in range(2):
        withdraw(pair.left.peer, digest, "The campaign is off.", pair.left.keys)
    settle(pair)
    assert states(pair, digest) == ("rejected", "rejected")
    assert row_of(pair.right, digest).reason == "Withdrawn: The campaign is off."
    with pytest.raises(MutualsError) as caught:
        agree(pair.right, digest)
    assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE


def test_an_acceptance_that_crosses_the_withdrawal_holds_and_later_ones_do_not(pair: Pair) -> None:
    crossing, honest = new_proposal(pair, "Crossing"), new_proposal(pair, "Honest")
    for digest in (crossing, honest):
        withdraw(pair.left.peer, digest, "Off.", pair.left.keys)
    agree(pair.right, crossing)
    receipts = carry(pair.left, pair.right)
    assert [(receipt.accepted, receipt.reason) for receipt in receipts] == [
        (False, "AGREEMENT_FORBIDS"),
        (True, ""),
    ]
    settle(pair)
    assert states(pair, crossing) == ("active", "active")
    with pair.right.peer.store.transaction() as tx:  # a partner that accepts what it knows to be withdrawn
        tx.agreements.set_state(honest, AgreementState.PROPOSED, pair.right.clock())
    agree(pair.right, honest)
    assert [receipt.accepted for receipt in carry(pair.right, pair.left)] == [False]
    assert state_of(pair.left, honest).value == "rejected"


def test_only_the_own_open_proposal_is_withdrawn(pair: Pair) -> None:
    digest = new_proposal(pair)
    for company, reference, code in (
        (pair.right, digest, ErrorCode.USAGE),
        (pair.left, pair.digest, ErrorCode.AGREEMENT_NOT_ACTIVE),
    ):
        with pytest.raises(MutualsError) as caught:
            withdraw(company.peer, reference, "No.", company.keys)
        assert caught.value.code is code
    assert crafted(pair, "withdrawal", "agreement.withdraw", {"reason": "x"}, digest).reason == (
        "AGREEMENT_UNKNOWN"
    )
    reject(pair.right.peer, digest, "No.", pair.right.keys)
    withdraw(pair.left.peer, digest, "Off.", pair.left.keys)
    settle(pair)
    assert states(pair, digest) == ("rejected", "rejected")


def test_a_counter_proposal_rejects_and_is_linked_on_both_sides(pair: Pair) -> None:
    digest = new_proposal(pair)
    theirs = agreement_between(pair.right, pair.left, title="Our way", nonce="33" * 32)
    sign_off(pair.right.peer, pair.right.keys, theirs)
    keys = pair.right.keys
    made = counter(pair.right.peer, digest, theirs, "crm", {}, keys, reason="Too long.").digest
    settle(pair)
    assert states(pair, digest) == ("rejected", "rejected")
    assert states(pair, made) == ("proposed", "proposed")
    identity = row_of(pair.left, made).agreement_id
    assert row_of(pair.left, digest).reason == f"Too long.\nThe counter-proposal {identity} takes its place."
    row = row_of(pair.left, made)
    with pair.left.peer.store.transaction() as tx:
        base = base_of(tx, row)
    assert base is not None
    assert base.digest == digest
    with pair.right.peer.store.transaction() as tx:
        assert tx.log.entries(digest)[-1].body == {"by": made}
        assert tx.log.entries(made)[0].body["counters"] == digest
    agree(pair.left, made)
    settle(pair)
    assert states(pair, made) == ("active", "active")


# --- crafted ------------------------------------------------------------------------------------------------------


def crafted(pair: Pair, kind: str, act: str, facts: dict[str, Any], digest: str | None = None) -> Receipt:
    """What the proposer answers to a document that its partner's operator has signed."""
    about = digest or pair.digest
    signed = sign_act(pair.right.keys, act, about, facts, pair.right.clock())
    payload = {"digest": about, **facts, "act": signed.body.decode(), "act_signature": signed.signature.hex()}
    return take_document(pair.left.peer, pair.left.partner(), sign_document(pair.right.peer, kind, payload))


def outbox(company: Company) -> list[Any]:
    with company.peer.store.transaction() as tx:
        return tx.outbox.pending()


@pytest.mark.parametrize(
    ("kind", "act", "facts"),
    [
        ("suspension", "agreement.suspend", {"suspension": "zz", "reason": "x", "breach": None}),
        ("suspension", "agreement.suspend", {"suspension": "00" * 16, "reason": "", "breach": None}),
        ("suspension", "agreement.suspend", {"suspension": "00" * 16, "reason": "a\u202eb", "breach": None}),
        ("suspension", "agreement.resume", {"suspension": "00" * 16, "reason": "x", "breach": None}),
        ("suspension", "agreement.suspend", {"suspension": "00" * 16, "reason": "x"}),
        (
            "termination",
            "agreement.terminate",
            {"reason": "x", "cause": 1, "ends_at": "2027-01-01T00:00:00Z"},
        ),
        (
            "termination",
            "agreement.terminate",
            {"reason": "x", "cause": True, "ends_at": "0001-01-01T00:00:00+14:00"},
        ),
        ("termination", "agreement.terminate", {"reason": "x", "cause": True, "ends_at": "soon"}),
        (
            "termination",
            "agreement.suspend",
            {"reason": "x", "cause": True, "ends_at": "2027-01-01T00:00:00Z"},
        ),
        ("withdrawal", "agreement.withdraw", {"reason": 7}),
    ],
)
def test_what_is_not_as_it_must_be_changes_nothing(
    pair: Pair, kind: str, act: str, facts: dict[str, Any]
) -> None:
    receipt = crafted(pair, kind, act, facts)
    assert (receipt.accepted, receipt.reason) == (False, "BAD_MESSAGE")
    row = row_of(pair.left, pair.digest)
    assert (row.state, row.ends_at) == (AgreementState.ACTIVE, None)


def test_documents_about_somebody_elses_agreement_are_refused(pair: Pair) -> None:
    for kind, act, facts in (
        ("suspension", "agreement.suspend", {"suspension": "00" * 16, "reason": "x", "breach": None}),
        (
            "termination",
            "agreement.terminate",
            {"reason": "x", "cause": True, "ends_at": "2027-01-01T00:00:00Z"},
        ),
        ("resumption", "agreement.resume", {"suspension": "00" * 16}),
    ):
        assert crafted(pair, kind, act, facts, "00" * 32).reason == "AGREEMENT_UNKNOWN"


def test_an_end_in_the_past_takes_effect_now_and_one_far_off_not_later_than_ours(pair: Pair) -> None:
    ours = terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=False)
    far = {"reason": "x", "cause": False, "ends_at": "9999-12-31T23:59:59Z"}
    assert crafted(pair, "termination", "agreement.terminate", far).accepted
    assert row_of(pair.left, pair.digest).ends_at == ours
    past = {"reason": "x", "cause": True, "ends_at": "0001-01-01T00:00:00Z"}
    assert crafted(pair, "termination", "agreement.terminate", past).accepted
    row = row_of(pair.left, pair.digest)
    assert (row.state, row.ends_at, row.ended_at) == (
        AgreementState.ENDED,
        pair.left.clock(),
        pair.left.clock(),
    )


def test_a_flood_of_suspensions_is_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mutuals.agreement.suspension.MAX_OPEN_SUSPENSIONS", 2)
    answers = [
        crafted(
            pair,
            "suspension",
            "agreement.suspend",
            {"suspension": f"{number:032x}", "reason": "x", "breach": None},
        ).accepted
        for number in range(3)
    ]
    assert answers == [True, True, False]
    with pair.left.peer.store.transaction() as tx:
        assert len(open_suspensions(tx, pair.digest)) == 2


NOTES = {
    "suspension": {"suspension": "00" * 16, "reason": "x", "breach": None},
    "resumption": {"suspension": "00" * 16},
    "termination": {"reason": "x", "cause": True, "ends_at": "2027-01-01T00:00:00Z"},
    "withdrawal": {"reason": "x"},
}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_mutilated_document_is_taken_or_breaks_anything(one_pair: Pair, data: st.DataObject) -> None:
    """One key changed, missing or added, in a document that its peer signed: refused, and nothing changes."""
    kind = data.draw(st.sampled_from(sorted(NOTES)))
    act = {
        "suspension": "suspend",
        "resumption": "resume",
        "termination": "terminate",
        "withdrawal": "withdraw",
    }
    facts = NOTES[kind]
    signed = sign_act(
        one_pair.right.keys, f"agreement.{act[kind]}", one_pair.digest, facts, one_pair.right.clock()
    )
    payload: dict[str, Any] = {
        "digest": one_pair.digest,
        **facts,
        "act": signed.body.decode(),
        "act_signature": signed.signature.hex(),
    }
    key = data.draw(st.sampled_from([*sorted(payload), "more"]))
    value = data.draw(
        st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=8), st.just([]), st.just({}))
    )
    if payload.get(key, ...) == value:
        return
    changed = payload | {key: value}
    if data.draw(st.booleans()) and key in payload:
        del changed[key]
    document = sign_document(one_pair.right.peer, kind, changed)
    assert canonical_json(parse_canonical(document.body)) == document.body
    receipt = take_document(one_pair.left.peer, one_pair.left.partner(), document)
    assert not receipt.accepted
    row = row_of(one_pair.left, one_pair.digest)
    assert (row.state, row.ends_at) == (AgreementState.ACTIVE, None)


@pytest.fixture(scope="module")
def one_pair(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with copy_pair(made, tmp_path_factory.mktemp("one")) as pair:
        yield pair
