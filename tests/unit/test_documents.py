"""Documents from a partner: verified, handled once, receipted; what fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreements import Pair, make_homes, open_copy
from support.homes import NOW

from mutuals import documents
from mutuals.canonical import canonical_json
from mutuals.crypto.signing import BadSignature, SigningKey
from mutuals.documents import (
    document_id,
    enqueue,
    make_receipt,
    parse_receipt,
    receipt_bytes,
    sign_document,
    take_document,
    verify_document,
    verify_receipt,
)
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, frame
from mutuals.identity.partners import partner_key
from mutuals.protocol.messages import Document


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_homes(tmp_path_factory.mktemp("homes"))


@pytest.fixture
def pair(homes: tuple[Path, Path], tmp_path: Path) -> Iterator[Pair]:
    with open_copy(homes, tmp_path) as pair:
        yield pair


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Bodies of the kind ``note`` that were handled, in order; ``bad`` is refused, ``broken`` fails."""
    bodies: list[bytes] = []

    def note(tx: object, _peer: object, _partner: object, body: bytes) -> None:
        tx.log.append(None, "note", {}, NOW)  # type: ignore[attr-defined]
        if b"bad" in body:
            raise PartnerFault(ErrorCode.AGREEMENT_UNKNOWN, "Nothing is known of it.")
        if b"broken" in body:
            raise MutualsError(ErrorCode.LOCAL, "The disk is full.")
        bodies.append(body)

    monkeypatch.setitem(documents.HANDLERS, "note", note)
    return bodies


def events(pair: Pair) -> list[str]:
    with pair.globex.tx() as tx:
        return [entry.event for entry in tx.log.entries() if entry.event in {"note", "document.refused"}]


def test_document_is_handled_once_and_receipted_alike(pair: Pair, handled: list[bytes]) -> None:
    document = sign_document(pair.acme.peer, "note", {"number": 1})
    receipts = [take_document(pair.globex.peer, pair.globex.partner(), document) for _ in range(3)]
    assert handled == [canonical_json({"number": 1})]
    assert receipts[0] == receipts[1] == receipts[2]
    assert receipts[0].accepted
    assert receipts[0].reason == ""
    assert receipts[0].document.hex() == document_id("note", document.body)
    verify_receipt(partner_key(pair.acme.partner()), receipts[0])
    assert events(pair) == ["note"]


def test_refusal_undoes_the_handler_and_stays(pair: Pair, handled: list[bytes]) -> None:
    document = sign_document(pair.acme.peer, "note", {"bad": 1})
    receipts = [take_document(pair.globex.peer, pair.globex.partner(), document) for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert not receipts[0].accepted
    assert receipts[0].reason == "AGREEMENT_UNKNOWN"
    assert events(pair) == ["document.refused"]


def test_own_failure_is_no_receipt_and_leaves_nothing(pair: Pair, handled: list[bytes]) -> None:
    document = sign_document(pair.acme.peer, "note", {"broken": 1})
    with pytest.raises(MutualsError, match="disk is full"):
        take_document(pair.globex.peer, pair.globex.partner(), document)
    assert events(pair) == []
    with pair.globex.tx() as tx:
        assert tx.inbox.seen(document_id("note", document.body)) is None


def test_forged_signature_does_not_block_the_true_document(pair: Pair, handled: list[bytes]) -> None:
    document = sign_document(pair.acme.peer, "note", {"number": 2})
    for signature in (
        b"",
        b"\0" * 64,
        pair.globex.peer.signing_key.sign(frame(Context.DOCUMENT, "note", document.body)),
    ):
        receipt = take_document(
            pair.globex.peer, pair.globex.partner(), replace(document, signature=signature)
        )
        assert (receipt.accepted, receipt.reason) == (False, "BAD_MESSAGE")
    assert handled == []
    assert take_document(pair.globex.peer, pair.globex.partner(), document).accepted


def test_unknown_kind_waits_for_a_release_that_knows_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    document = sign_document(pair.acme.peer, "novelty", {})
    with pytest.raises(MutualsError) as caught:
        take_document(pair.globex.peer, pair.globex.partner(), document)
    assert caught.value.code is ErrorCode.VERSION
    monkeypatch.setitem(documents.HANDLERS, "novelty", lambda *_: None)
    assert take_document(pair.globex.peer, pair.globex.partner(), document).accepted


def test_kind_and_body_are_signed_together(pair: Pair) -> None:
    document = sign_document(pair.acme.peer, "note", {})
    key = pair.acme.peer.signing_key.public
    verify_document(key, document)
    for changed in (
        replace(document, kind="not"),
        replace(document, body=b"{ }"),
        replace(document, kind="note{", body=b"}"),
    ):
        with pytest.raises(BadSignature):
            verify_document(key, changed)


def test_outbox_keeps_a_document_once(pair: Pair) -> None:
    document = sign_document(pair.acme.peer, "note", {"number": 3})
    partner = pair.acme.partner().fingerprint
    with pair.acme.tx() as tx:
        assert enqueue(tx, pair.acme.peer, partner, document) == enqueue(
            tx, pair.acme.peer, partner, document
        )
    assert pair.acme.outgoing() == [document]


def test_receipt_survives_the_store_and_is_bound_to_all_it_says() -> None:
    key = SigningKey(b"\7" * 32)
    receipt = make_receipt(key, b"\1" * 32, accepted=False, reason="BAD_MESSAGE")
    assert parse_receipt(receipt_bytes(receipt)) == receipt
    verify_receipt(key.public, receipt)
    for change in (
        {"accepted": True},
        {"reason": "BUSY"},
        {"document": b"\2" * 32},
        {"signature": b"\0" * 64},
    ):
        with pytest.raises(BadSignature):
            verify_receipt(key.public, replace(receipt, **change))  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(["proposal", "acceptance", "rejection"]), body=st.binary(max_size=80))
def test_any_signed_bytes_get_a_receipt(shared: Pair, kind: str, body: bytes) -> None:
    signature = shared.acme.peer.signing_key.sign(frame(Context.DOCUMENT, kind, body))
    receipt = take_document(shared.globex.peer, shared.globex.partner(), Document(kind, body, signature))
    assert not receipt.accepted


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["proposal", "acceptance", "rejection"]),
    payload=st.dictionaries(
        st.sampled_from(
            ["agreement", "statement", "signature", "digest", "reason", "operator", "rejected_at"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=4,
        ),
    ),
)
def test_any_canonical_payload_gets_a_receipt(shared: Pair, kind: str, payload: dict[str, object]) -> None:
    document = sign_document(shared.acme.peer, kind, payload)
    assert not take_document(shared.globex.peer, shared.globex.partner(), document).accepted


@pytest.fixture(scope="module")
def shared(homes: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with open_copy(homes, tmp_path_factory.mktemp("shared")) as pair:
        yield pair
