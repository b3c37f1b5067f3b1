"""Withdrawing a contact: used no more here, deleted there unopened, and nobody withdraws what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlaps import ranks_by_contact
from support.pairing import Company, Pair, contact, deliver
from support.revealed import Snapshot, authorise_both, exchange, reveal_once

from mutuals.agreement.active import load_for_run
from mutuals.canonical import canonical_json
from mutuals.crypto.hpke import open_sealed
from mutuals.documents import take_document
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, frame
from mutuals.identity.accountability import open_accountability
from mutuals.identity.acts import verify_act
from mutuals.models.run import Role, RunState
from mutuals.obligations.revocation import overdue_revocations
from mutuals.obligations.revocation_document import Reason, make_revocation, revocation_id
from mutuals.obligations.revoke import carry_out, lift_revocation, plan_revocation
from mutuals.protocol import exchange as protocol
from mutuals.protocol.messages import Document, Envelope, Receipt
from mutuals.protocol.sealing import RecordKeys
from mutuals.runs.authorisation import authorise_reveal
from mutuals.runs.export import open_received, write_export
from mutuals.runs.ledger import open_ledger
from mutuals.runs.outgoing import keep_outgoing, prepare_outgoing
from mutuals.runs.preview import preview_exchange
from mutuals.runs.spool import load_overlap
from mutuals.signed_documents import sign_document

SHARED = range(5)
LEFT = [
    contact(f"L{i}", f"person{i}@gmail.com", f"+4915112340{i:03}", city=f"City {i}") for i in (*SHARED, 30)
]
RIGHT = [contact(f"R{i}", f"person{i}@gmail.com", f"+4915112340{i:03}", score=str(i)) for i in (*SHARED, 20)]
FIELDS = {
    "proposer_sends": (
        {"name": "city", "departments": ("marketing",), "retention_days": 10},
        {"name": "score", "type": "integer", "departments": ("marketing",), "retention_days": 30},
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT, **FIELDS)


@pytest.fixture
def revealed(made: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with made.copy(tmp_path) as pair:
        yield pair


@pytest.fixture(scope="module")
def exchanged(made: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root = tmp_path_factory.mktemp("exchanged")
    return made.exchanged(root)


@pytest.fixture
def pair(exchanged: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with exchanged.copy(tmp_path) as pair:
        yield pair


def revoke(company: Company, *contacts: str, reason: Reason = "withdrawal") -> Any:
    return carry_out(
        company.peer, plan_revocation(company.peer, contacts, reason, company.keys), company.keys
    )


def exported(company: Company, run_id: str) -> set[str]:
    return {own for own, _ in open_received(company.peer, run_id, company.keys).rows}


def ranks_of(pair: Pair, run_id: str) -> dict[str, tuple[int, ...]]:
    """Ranks by own contact of the left side, before or after the exchange."""
    run = pair.left.run(run_id)
    if run.spool_key is not None:
        return ranks_by_contact(load_overlap(pair.left.peer, run))
    with pair.left.peer.store.transaction() as tx:
        (entry,) = open_ledger(tx, pair.left.peer, pair.left.keys)
    return {own: sent.ranks for own, sent in entry.contacts.items()}


def stored(company: Company, run_id: str) -> list[tuple[int, ...]]:
    with company.peer.store.transaction() as tx:
        return tx.received.ranks(run_id)


def send(sender: Company, receiver: Company, kind: str, payload: dict[str, Any]) -> Receipt:
    return take_document(receiver.peer, receiver.partner(), sign_document(sender.peer, kind, payload))


def crafted(pair: Pair, run_id: str, named: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    """A revocation by the left side, with some keys replaced after the id was made, or before where ``sid``."""
    run = pair.left.run(run_id)
    sid = bytes.fromhex(changes.pop("sid", run.sid.hex()))
    made = make_revocation(pair.left.peer.fingerprint, sid, named, "withdrawal", pair.left.clock())
    return made.model_dump(mode="json") | changes


def test_the_partner_deletes_unopened_and_acknowledges(pair: Pair, made: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "campaign.csv"
    right = pair.right
    write_export(right.peer, open_received(right.peer, made.run_id, right.keys), path, right.keys)
    done = revoke(pair.left, "L1")
    assert [(len(item.contacts), len(item.ranks)) for item in done.recipients] == [(1, 2)]
    assert len(stored(right, made.run_id)) == 10
    deliver(pair.left, right)
    assert len(stored(right, made.run_id)) == 8
    assert exported(right, made.run_id) == {"R0", "R2", "R3", "R4"}
    with right.peer.store.transaction() as tx:
        (row,) = tx.revocations.list(made.run_id)
        assert (row.own, row.deleted, row.ranks) == (False, 2, done.recipients[0].ranks)
        told = [item.text for item in tx.notifications.unread("anna", right.keys.roles)]
        entries = json.dumps([entry.body for entry in tx.log.entries(pair.digest)])
    assert any(str(path) in text and "5 rows, by anna" in text for text in told)
    assert not [text for text in (*told, entries) if "L1" in text or "person1" in text]
    with pair.left.peer.store.transaction() as tx:
        assert [item.answered_at for item in tx.revocations.list()] == [None]
        assert overdue_revocations(tx, pair.left.clock() + timedelta(days=4)) == tx.revocations.list()
        assert overdue_revocations(tx, pair.left.clock()) == []
    deliver(right, pair.left)
    with pair.left.peer.store.transaction() as tx:
        (row,) = tx.revocations.list()
        assert (row.own, row.deleted, row.answered_at) == (True, 2, pair.left.clock())
        assert overdue_revocations(tx, pair.left.clock() + timedelta(days=4)) == []
        assert "1 file" in tx.notifications.unread("anna", pair.left.keys.roles)[-1].text


def test_who_did_it_is_signed_and_the_contact_only_sealed(pair: Pair) -> None:
    revoke(pair.left, "L1", reason="objection")
    peer = pair.left.peer
    with peer.store.transaction() as tx:
        (entry,) = [entry for entry in tx.log.entries() if entry.event == "contact.revoked"]
        private = open_accountability(tx, pair.left.keys, peer.accountability_public)
        (row,) = tx.revocations.list()
    signature = bytes.fromhex(entry.body["act_signature"])
    act = verify_act(entry.body["act"].encode(), signature, pair.left.keys.signing.public.raw)
    assert (act.act, act.operator, act.facts["reason"]) == ("contact.revoke", "anna", "objection")
    assert act.facts["revocations"] == [row.revocation_id]
    assert row.sealed is not None
    for subject, sealed in (("log", bytes.fromhex(entry.body["sealed"])), (row.revocation_id, row.sealed)):
        info = frame(Context.REVOCATION, "contacts", subject)
        assert json.loads(open_sealed(private, info, sealed)) == ["L1"]
    assert "L1" not in json.dumps(entry.body)


def test_a_contact_that_no_source_has_any_longer_is_found_in_the_ledger(pair: Pair, made: Snapshot) -> None:
    pair.left.write([row for row in LEFT if row["contact_id"] != "L2"])
    plan = plan_revocation(pair.left.peer, ["L2", "L30", "typo"], "erasure", pair.left.keys)
    assert (plan.unknown, plan.identifiers) == (
        ("typo",),
        {("email", "person30@gmail.com"), ("phone", "+4915112340030")},
    )
    assert [item.contacts for item in plan.recipients] == [("L2",)]
    carry_out(pair.left.peer, plan, pair.left.keys)
    deliver(pair.left, pair.right)
    assert exported(pair.right, made.run_id) == {"R0", "R1", "R3", "R4"}
    again = plan_revocation(pair.left.peer, ["L2"], "erasure", pair.left.keys)
    assert (again.recipients, again.unknown) == ((), ())


def test_a_waiting_reveal_goes_stale_and_a_waiting_exchange_leaves_the_contact_out(
    revealed: Pair, made: Snapshot
) -> None:
    counted, _ = revealed.match()
    authorise_both(revealed, made.run_id)
    plan = plan_revocation(revealed.left.peer, ["L0"], "withdrawal", revealed.left.keys)
    assert plan.recipients == ()
    carry_out(revealed.left.peer, plan, revealed.left.keys)
    error = exchange(revealed, made.run_id).errors[Role.INITIATOR]
    assert isinstance(error, MutualsError)
    assert error.code is ErrorCode.PREVIEW_CHANGED
    preview = preview_exchange(revealed.left.peer, made.run_id)
    assert preview.outgoing.withheld == {"withdrawn": 1}
    assert "L0" not in preview.outgoing.sent
    # Under another id and with the address written otherwise, the next list does not bring the person back.
    revealed.left.write([*LEFT[1:], contact("NEW", "Person.0+x@GMAIL.com")])
    for side in revealed.sides.values():
        authorise_reveal(side.peer, side.run(counted.run_id), side.keys)
    with pytest.raises(MutualsError) as caught:
        revealed.reveal(counted.run_id)
    assert caught.value.code is ErrorCode.STALE
    assert revealed.left.run(counted.run_id).state is RunState.STALE


def test_a_withdrawal_while_an_exchange_is_being_prepared_stops_it(revealed: Pair, made: Snapshot) -> None:
    authorise_both(revealed, made.run_id)
    left, run = revealed.left, revealed.left.run(made.run_id)
    with left.peer.store.transaction() as tx:
        active = load_for_run(tx, run, left.clock(), own=left.peer.fingerprint.hex())
    prepared = prepare_outgoing(left.peer, run, active)
    revoke(left, "L1")
    with pytest.raises(MutualsError) as caught:
        keep_outgoing(left.peer, run, prepared)
    assert caught.value.code is ErrorCode.PREVIEW_CHANGED
    assert left.run(made.run_id).state is RunState.REVEALED


def test_others_with_the_same_address_are_named_and_a_lifted_one_comes_back(pair: Pair) -> None:
    pair.left.write([*LEFT, contact("TWIN", "Person1@gmail.com")])
    plan = plan_revocation(pair.left.peer, ["L1"], "withdrawal", pair.left.keys)
    assert plan.sharing == ("TWIN",)
    carry_out(pair.left.peer, plan, pair.left.keys)
    assert lift_revocation(pair.left.peer, ["L1"], pair.left.keys) == 3
    assert lift_revocation(pair.left.peer, ["L1"], pair.left.keys) == 0


def test_a_correction_tells_the_partner_and_lets_the_contact_take_part_again(
    pair: Pair, made: Snapshot
) -> None:
    revoke(pair.left, "L1", reason="correction")
    deliver(pair.left, pair.right)
    assert exported(pair.right, made.run_id) == {"R0", "R2", "R3", "R4"}
    with pair.left.peer.store.transaction() as tx:
        assert tx.suppressions.list() == []


def test_a_source_that_cannot_be_read_does_not_hold_a_withdrawal_up(pair: Pair) -> None:
    pair.left.path.unlink()
    plan = plan_revocation(pair.left.peer, ["L1"], "withdrawal", pair.left.keys, agreement=pair.digest)
    assert list(plan.unreadable) == ["crm"]
    assert len(plan.recipients) == 1


@pytest.mark.parametrize("role", ["auditor", "steward", "analyst"])
def test_only_who_answers_for_contacts_withdraws_them(pair: Pair, role: str) -> None:
    with pytest.raises(MutualsError) as caught:
        plan_revocation(pair.left.peer, ["L1"], "withdrawal", replace(pair.left.keys, roles=(role,)))
    assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_before_the_envelopes_are_all_in_what_comes_later_is_dropped(
    revealed: Pair, made: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_RECORDS_PER_ENVELOPE", 2)
    authorise_both(revealed, made.run_id)
    last = ranks_of(revealed, made.run_id)
    late = max(last.values())

    def withdrawn_meanwhile(message: Any) -> list[Any]:
        if isinstance(message, Envelope) and not stored(revealed.right, made.run_id):
            assert send(
                revealed.left, revealed.right, "revocation", crafted(revealed, made.run_id, (late[0],))
            ).accepted
        return [message]

    assert not exchange(revealed, made.run_id, {Role.INITIATOR: withdrawn_meanwhile}).errors
    assert revealed.right.run(made.run_id).state is RunState.DONE
    assert late not in stored(revealed.right, made.run_id)
    assert len(exported(revealed.right, made.run_id)) == 4


def test_a_partner_withdraws_only_what_it_sent(pair: Pair, made: Snapshot) -> None:
    ranks = ranks_of(pair, made.run_id)
    count = pair.left.run(made.run_id).count or 0
    good = ranks["L1"]
    before = stored(pair.right, made.run_id)
    refused: list[tuple[dict[str, Any], ErrorCode]] = [
        (crafted(pair, made.run_id, good, sid="ab" * 32), ErrorCode.RUN_UNKNOWN),
        (crafted(pair, made.run_id, (count,)), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, id="cd" * 32), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, ranks=[]), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, ranks=[good[0], good[0]]), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, ranks=[-1]), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, ranks=[True]), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, ranks=list(range(10_001))), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, reason="spite"), ErrorCode.BAD_MESSAGE),
        (crafted(pair, made.run_id, good, more=1), ErrorCode.BAD_MESSAGE),
    ]
    for payload, code in refused:
        receipt = send(pair.left, pair.right, "revocation", payload)
        assert (receipt.accepted, receipt.reason) == (False, code.value), payload
    assert stored(pair.right, made.run_id) == before
    assert send(pair.left, pair.right, "revocation", crafted(pair, made.run_id, (good[0],))).accepted
    assert len(stored(pair.right, made.run_id)) == len(before) - 2
    replayed = crafted(pair, made.run_id, (good[0],))
    assert send(pair.left, pair.right, "revocation", replayed).accepted
    pair.left.clock.now += timedelta(seconds=1)
    assert send(pair.left, pair.right, "revocation", crafted(pair, made.run_id, good)).accepted
    assert len(stored(pair.right, made.run_id)) == len(before) - 2


def test_what_was_deleted_meanwhile_is_not_written(pair: Pair, made: Snapshot, tmp_path: Path) -> None:
    opened = open_received(pair.right.peer, made.run_id, pair.right.keys)
    revoke(pair.left, "L1")
    deliver(pair.left, pair.right)
    with pytest.raises(MutualsError) as caught:
        write_export(pair.right.peer, opened, tmp_path / "campaign.csv", pair.right.keys)
    assert caught.value.code is ErrorCode.RUN_STATE
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_withdrawing_one_record_hides_no_fault_in_another_envelope(
    revealed: Pair, made: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_RECORDS_PER_ENVELOPE", 2)
    true_digest = RecordKeys.plaintext_digest

    def signs_another(keys: RecordKeys, number: int, plaintexts: Iterable[bytes]) -> bytes:
        texts = list(plaintexts)
        return true_digest(keys, number, [b"{}", *texts[1:]] if number == 1 else texts)

    monkeypatch.setattr(RecordKeys, "plaintext_digest", signs_another)
    authorise_both(revealed, made.run_id)
    ranks = ranks_of(revealed, made.run_id)
    exchange(revealed, made.run_id)
    monkeypatch.setattr(RecordKeys, "plaintext_digest", true_digest)
    first = min(ranks.values())
    assert send(revealed.left, revealed.right, "revocation", crafted(revealed, made.run_id, first)).accepted
    with pytest.raises(PartnerFault):
        open_received(revealed.right.peer, made.run_id, revealed.right.keys)


def test_pairs_of_which_no_record_came_cannot_be_withdrawn(revealed: Pair, made: Snapshot) -> None:
    revealed.left.write([row | {"consent": ""} if row["contact_id"] == "L3" else row for row in LEFT])
    authorise_both(revealed, made.run_id)
    ranks = ranks_of(revealed, made.run_id)
    exchange(revealed, made.run_id)
    for chosen in (ranks["L3"], tuple(sorted(ranks["L3"] + ranks["L1"]))):
        receipt = send(revealed.left, revealed.right, "revocation", crafted(revealed, made.run_id, chosen))
        assert receipt.reason == "BAD_MESSAGE"
    assert send(
        revealed.left, revealed.right, "revocation", crafted(revealed, made.run_id, ranks["L1"])
    ).accepted
    receipt = send(revealed.left, revealed.right, "revocation", crafted(revealed, made.run_id, ranks["L3"]))
    assert receipt.reason == "BAD_MESSAGE"


def test_after_retention_has_deleted_records_a_withdrawal_is_still_answered(
    pair: Pair, made: Snapshot
) -> None:
    with pair.right.peer.store.transaction() as tx:
        tx.received.destroy(made.run_id)
    revoke(pair.left, "L1")
    deliver(pair.left, pair.right)
    deliver(pair.right, pair.left)
    with pair.left.peer.store.transaction() as tx:
        assert [row.deleted for row in tx.revocations.list()] == [0]


def test_answers_nobody_asked_for_are_refused(pair: Pair) -> None:
    done = revoke(pair.left, "L1")
    identity = done.documents[0][1]
    for payload in (
        {"id": "ab" * 32, "deleted": 1, "exports": 0},
        {"id": identity, "deleted": -1, "exports": 0},
        {"id": identity, "deleted": True, "exports": 0},
        {"id": identity, "deleted": 1},
    ):
        assert not send(pair.right, pair.left, "revocation-done", payload).accepted
    # Nor does our own revocation's id make one of the partner's.
    with pair.left.peer.store.transaction() as tx:
        (row,) = tx.revocations.list()
    assert row.revocation_id == identity
    assert identity != revocation_id(
        pair.right.peer.fingerprint, pair.left.run(row.run_id).sid, row.ranks, "withdrawal", row.at
    )
    assert not send(
        pair.left, pair.right, "revocation-done", {"id": identity, "deleted": 1, "exports": 0}
    ).accepted


@pytest.fixture(scope="module")
def shared(exchanged: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with exchanged.copy(tmp_path_factory.mktemp("shared")) as pair:
        yield pair


VALUES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5)


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(["revocation", "revocation-done"]),
    changes=st.dictionaries(
        st.sampled_from(["id", "sid", "ranks", "reason", "at", "deleted", "exports"]),
        VALUES | st.lists(st.integers(-1, 2**40), max_size=4),
        max_size=3,
    ),
    keep=st.booleans(),
)
def test_nothing_crafted_deletes_or_breaks_anything(
    shared: Pair, made: Snapshot, kind: str, changes: dict[str, Any], keep: bool
) -> None:
    base = crafted(shared, made.run_id, (0,)) if keep else {}
    payload = base | changes
    before = stored(shared.right, made.run_id)
    if payload == crafted(shared, made.run_id, (0,)):
        return
    receipt = send(shared.left, shared.right, kind, payload)
    assert not receipt.accepted
    assert receipt.reason in {"BAD_MESSAGE", "RUN_UNKNOWN"}
    assert stored(shared.right, made.run_id) == before


def test_bytes_that_are_no_document_are_refused(shared: Pair) -> None:
    for body in (b"", b"[]", b'{"id": 1}', canonical_json({"id": "x" * 64}), b"[" * 60_000):
        signature = shared.left.peer.signing_key.sign(frame(Context.DOCUMENT, "revocation", body))
        document = Document("revocation", body, signature)
        assert not take_document(shared.right.peer, shared.right.partner(), document).accepted
