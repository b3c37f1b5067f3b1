"""What a partner may tell of a breach, and what it must not: every document is treated as crafted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.pairing import Company, Pair, contact, deliver, paired

from mutuals.canonical import canonical_json
from mutuals.documents import sign_document, take_document
from mutuals.errors import PartnerFault
from mutuals.identity.acts import sign_act
from mutuals.models.agreement import AgreementState, Side
from mutuals.obligations import breach_received
from mutuals.obligations.breach import Changes, Opening, open_breach, update_breach
from mutuals.obligations.breach_received import (
    receive_breach_closed,
    receive_breach_notice,
    receive_breach_update,
)
from mutuals.obligations.breach_record import find_breach
from mutuals.obligations.breach_report import BREACH_NOTICE, BREACH_UPDATE, REPORT_ACT, report_to
from mutuals.protocol.messages import Document

HANDLERS = (receive_breach_notice, receive_breach_update, receive_breach_closed)
ROWS = {
    Side.PROPOSER: [contact("L0", "one@example.com")],
    Side.PARTNER: [contact("R0", "one@example.com")],
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Left has a breach that right knows; tests leave right's store as it was, or use breaches of their own."""
    with paired(tmp_path_factory.mktemp("crafted"), ROWS) as pair:
        yield pair


@pytest.fixture(scope="module")
def report(pair: Pair) -> dict[str, Any]:
    """A sound report of left's, as JSON."""
    opening = Opening("A list was lost.", pair.left.clock(), agreements=(pair.digest,), suspend=False)
    breach = open_breach(pair.left.peer, opening, pair.left.keys)
    deliver(pair.left, pair.right)
    with pair.left.peer.store.transaction() as tx:
        row = tx.agreements.get(pair.digest)
    assert row is not None
    return report_to(breach, [row], "").model_dump(mode="json")


def body_of(
    company: Company, facts: dict[str, Any], act: str = REPORT_ACT, subject: str | None = None
) -> bytes:
    signed = sign_act(company.keys, act, subject or str(facts["breach_id"]), facts, company.clock())
    return canonical_json(dict(signed.evidence()))


def take(company: Company, handler: Any, body: bytes) -> None:
    """Run a handler and undo what it did."""
    partner = company.partner()
    with company.peer.store.transaction() as tx:
        handler(tx, company.peer, partner, body)
        raise _Undone


class _Undone(Exception):
    pass


def told(pair: Pair) -> int:
    with pair.right.peer.store.transaction() as tx:
        return len([row for row in tx.breaches.list() if row.partner])


def test_a_sound_notice_is_taken_once(pair: Pair, report: dict[str, Any]) -> None:
    fresh = {**report, "breach_id": "B-00000000"}
    with pytest.raises(_Undone):
        take(pair.right, receive_breach_notice, body_of(pair.left, fresh))
    with pytest.raises(PartnerFault, match="before"):
        take(pair.right, receive_breach_notice, body_of(pair.left, report))


CRAFTED: dict[str, dict[str, Any]] = {
    "an unknown agreement": {"agreements": ["00" * 32]},
    "no agreement": {"agreements": []},
    "an agreement twice": "twice",
    "an unknown run": {"runs": ["R-00000000"]},
    "a text beyond bounds": {"what": "a" * 2001},
    "an empty text": {"what": ""},
    "a text that steers a terminal": {"what": "a\x1b[2J"},
    "a text that runs backwards": {"measures": "a\u202eb"},
    "a person's address": {"what": "jane@example.com was lost"},
    "a contact with two lines": {"contact": "a\nb"},
    "a number below zero": {"received_records": -1},
    "a key it must not have": {"extra": 1},
    "another format": {"format": "mutuals/v1/breach"},
    "an id of another form": {"breach_id": "B-1"},
    "an id that steers the store": {"breach_id": "B-00000000@x"},
    "a moment without a zone": {"aware_at": "2026-01-01T00:00:00"},
    "a moment to come": {"aware_at": "2199-01-01T00:00:00Z"},
    "an update in place of a notice": {"revision": 1, "news": "More."},
    "the end in place of a notice": {"state": "closed"},
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_notice_is_refused(pair: Pair, report: dict[str, Any], name: str) -> None:
    change = CRAFTED[name] if isinstance(CRAFTED[name], dict) else {"agreements": report["agreements"] * 2}
    before = told(pair)
    with pytest.raises(PartnerFault) as caught:
        take(
            pair.right,
            receive_breach_notice,
            body_of(pair.left, {"breach_id": "B-00000001", **report, **change}),
        )
    assert "example.com" not in caught.value.message
    assert told(pair) == before


def test_a_notice_about_another_partners_agreement_is_refused(
    pair: Pair, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever relays it is not who the agreement is with."""
    stranger = replace(pair.right.partner(), fingerprint="ab" * 32)
    body = body_of(pair.left, {**report, "breach_id": "B-00000002"})
    with (
        pair.right.peer.store.transaction() as tx,
        pytest.raises(PartnerFault, match="not with this partner"),
    ):
        receive_breach_notice(tx, pair.right.peer, stranger, body)


def test_what_the_operator_did_not_sign_is_refused(pair: Pair, report: dict[str, Any]) -> None:
    fresh = {**report, "breach_id": "B-00000003"}
    for body in (
        body_of(pair.left, fresh, act="agreement.suspend"),
        body_of(pair.left, fresh, subject="B-00000004"),
        body_of(pair.left, fresh).replace(b"A list", b"B list"),
        body_of(pair.left, fresh)[:-1],
        b'{"act":"x"}',
        b"[" * 100_000,
        b"a" * 300_000,
    ):
        with pytest.raises(PartnerFault):
            take(pair.right, receive_breach_notice, body)


def test_news_of_an_unknown_or_closed_breach_and_old_news_are_refused(
    pair: Pair, report: dict[str, Any]
) -> None:
    news = {**report, "revision": 1, "news": "More."}
    for crafted, handler in (
        ({**news, "breach_id": "B-00000005"}, receive_breach_update),
        ({**news, "revision": 0}, receive_breach_update),
        ({**news, "news": ""}, receive_breach_update),
        ({**news, "state": "closed"}, receive_breach_update),
        (news, receive_breach_closed),
        ({**news, "state": "closed", "breach_id": "B-00000005"}, receive_breach_closed),
    ):
        with pytest.raises(PartnerFault):
            take(pair.right, handler, body_of(pair.left, crafted))
    with pytest.raises(_Undone):
        take(pair.right, receive_breach_update, body_of(pair.left, news))
    partner = pair.right.partner()
    with pair.right.peer.store.transaction() as tx:
        receive_breach_update(tx, pair.right.peer, partner, body_of(pair.left, news))
    pair.left.clock.now += timedelta(seconds=1)
    with pytest.raises(PartnerFault, match="came before"):
        take(pair.right, receive_breach_update, body_of(pair.left, {**news, "news": "Other words."}))


def test_a_notice_suspends_nothing_by_itself(pair: Pair, report: dict[str, Any]) -> None:
    with pair.right.peer.store.transaction() as tx:
        row = tx.agreements.get(pair.digest)
        assert row is not None
        assert row.state is AgreementState.ACTIVE
        assert tx.suspensions.list() == []


def test_the_same_document_again_gets_the_same_receipt_and_changes_nothing(
    pair: Pair, report: dict[str, Any]
) -> None:
    fresh = {**report, "breach_id": "B-00000006"}
    signed = sign_act(pair.left.keys, REPORT_ACT, "B-00000006", fresh, pair.left.clock())
    document = sign_document(pair.left.peer, BREACH_NOTICE, dict(signed.evidence()))
    receipts = [take_document(pair.right.peer, pair.right.partner(), document) for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert receipts[0].accepted
    wrong = Document(BREACH_UPDATE, document.body, document.signature)
    assert not take_document(pair.right.peer, pair.right.partner(), wrong).accepted


def test_a_partner_cannot_take_the_place_of_an_own_breach(pair: Pair, report: dict[str, Any]) -> None:
    opening = Opening("Ours.", pair.right.clock(), agreements=(pair.digest,), suspend=False)
    own = open_breach(pair.right.peer, opening, pair.right.keys)
    partner = pair.right.partner()
    with pair.right.peer.store.transaction() as tx:
        receive_breach_notice(
            tx, pair.right.peer, partner, body_of(pair.left, {**report, "breach_id": own.breach_id})
        )
        row, breach = find_breach(tx, own.breach_id)
        assert (row.partner, breach.what) == (None, "Ours.")
    changes = Changes("Still ours.")
    assert update_breach(pair.right.peer, own.breach_id, changes, pair.right.keys).what == "Ours."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_partner_signs_is_taken_or_refused_and_nothing_else(
    pair: Pair, report: dict[str, Any], data: st.DataObject
) -> None:
    facts = {**report, "breach_id": data.draw(st.sampled_from([report["breach_id"], "B-00000007"]))}
    facts |= data.draw(
        st.dictionaries(st.sampled_from([*report, "other"]), JSON, min_size=1, max_size=3), label="changes"
    )
    subject = str(facts["breach_id"])[:100].strip() or "B"
    try:
        body = body_of(pair.left, facts, subject=subject if subject.isprintable() else "B")
    except ValueError:
        return  # not a value that canonical JSON can write
    with pytest.raises((PartnerFault, _Undone)):
        take(pair.right, data.draw(st.sampled_from(HANDLERS)), body)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_come_are_refused(pair: Pair, report: dict[str, Any], data: st.DataObject) -> None:
    whole = body_of(pair.left, {**report, "breach_id": "B-00000008"})
    sound = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        sound[data.draw(st.integers(0, len(sound) - 1))] ^= data.draw(st.integers(1, 255))
    assume(bytes(sound) != whole)
    with pytest.raises(PartnerFault):
        take(pair.right, receive_breach_notice, bytes(sound))


def test_a_partner_cannot_flood_us(
    pair: Pair, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def notice(number: int) -> bytes:
        return body_of(pair.left, {**report, "breach_id": f"B-1{number:07}"})

    def end(number: int) -> bytes:
        over = {"revision": 1, "news": "Over.", "state": "closed"}
        return body_of(pair.left, {**report, "breach_id": f"B-1{number:07}", **over})

    def open_and_close(number: int) -> None:
        take_for_good(pair.right, receive_breach_notice, notice(number))
        take_for_good(pair.right, receive_breach_closed, end(number))

    def fill(take_one: Callable[[int], None], first: int) -> int:
        """How many were taken before one was refused."""
        for number in range(first, first + 20):
            try:
                take_one(number)
            except PartnerFault:
                return number - first
        raise AssertionError("nothing was refused")

    with pair.right.peer.store.transaction() as tx:
        for row in tx.breaches.list(open_only=True):
            tx.breaches.close(row.breach_id, pair.right.clock())
    before = told(pair)
    monkeypatch.setattr(breach_received, "MAX_OPEN", 3)
    monkeypatch.setattr(breach_received, "MAX_IN_30_DAYS", 6 + before)
    assert fill(lambda number: take_for_good(pair.right, receive_breach_notice, notice(number)), 0) == 3
    for number in range(3):
        take_for_good(pair.right, receive_breach_closed, end(number))
    fill(open_and_close, 3)
    assert told(pair) <= 6 + before
    pair.right.clock.now += timedelta(days=31)
    open_and_close(9999)


def take_for_good(company: Company, handler: Any, body: bytes) -> None:
    partner = company.partner()
    with company.peer.store.transaction() as tx:
        handler(tx, company.peer, partner, body)
