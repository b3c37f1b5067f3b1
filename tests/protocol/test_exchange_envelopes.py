"""What the receiver accepts: the sender's own envelopes in order, once, unchanged, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.crypto.hpke import generate_keypair
from mutuals.crypto.signing import SigningKey
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol import exchange
from mutuals.protocol.envelopes import (
    EnvelopeHeader,
    ack_bytes,
    batch_digest,
    encode_records,
    envelope_digest,
    receiving_key_id,
)
from mutuals.protocol.exchange import EnvelopeReceiver, Flow, PlainRecord, seal_envelopes, verify_ack
from mutuals.protocol.messages import Envelope, EnvelopeAck, SealedRecord
from mutuals.protocol.sealing import RecordKeys, open_secret
from mutuals.runs.records import preview_digest

VECTOR = Path(__file__).parent.parent / "vectors" / "envelope.json"
SENDER, RECIPIENT, STRANGER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
RECEIVING = generate_keypair()
SECRET = b"\x07" * 32
FLOW = Flow(
    agreement=b"\xaa" * 32,
    sid=b"\xbb" * 32,
    direction=Role.INITIATOR,
    sender=SENDER.public.fingerprint,
    recipient=RECIPIENT.public.fingerprint,
    receiving_key=RECEIVING.public,
    retention_classes=frozenset({30, 90}),
    pairs=40,
)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_RECORDS_PER_ENVELOPE", 3)


def receiver(flow: Flow = FLOW) -> EnvelopeReceiver:
    return EnvelopeReceiver(flow, SENDER.public, RECIPIENT)


def record(rank: int, *also: int, days: int = 90) -> PlainRecord:
    return PlainRecord(rank, also, days, b'{"rank":%d}' % rank)


def seal(records: Sequence[PlainRecord], flow: Flow = FLOW) -> list[Envelope]:
    sealed = seal_envelopes(flow, records, secret=SECRET, signing_key=SENDER)
    return [envelope.message() for envelope in sealed]


RECORDS = [record(rank, days=days) for rank in range(4) for days in (30, 90)]


@cache
def sealed_once() -> list[Envelope]:
    return seal(RECORDS)


def reseal(envelope: Envelope, key: SigningKey = SENDER, **changes: Any) -> Envelope:
    """The envelope as a cheating sender would make it: changed, and signed again."""
    records = changes.pop("records", envelope.records)
    header = EnvelopeHeader.from_bytes(envelope.header)
    header = replace(header, **{"batch": batch_digest(records), "count": len(records), **changes})
    return Envelope(header.to_bytes(), key.sign(header.to_bytes()), tuple(records))


def refused(receiver: EnvelopeReceiver, envelope: Envelope) -> str:
    with pytest.raises(PartnerFault) as caught:
        receiver.receive(envelope)
    assert caught.value.code is ErrorCode.BAD_MESSAGE
    return caught.value.message


def test_everything_sealed_arrives_and_opens() -> None:
    envelopes, taker = seal(RECORDS), receiver()
    assert len(envelopes) == 3
    arrived: list[SealedRecord] = []
    for envelope in envelopes:
        assert not taker.complete
        accepted = taker.receive(envelope)
        verify_ack(FLOW, envelope_digest(envelope.header, envelope.records), accepted.ack, RECIPIENT.public)
        arrived.extend(accepted.records)
    assert taker.complete
    assert (taker.records, taker.contacts, taker.pairs) == (8, 4, 4)
    first = EnvelopeHeader.from_bytes(envelopes[0].header)
    keys = RecordKeys(
        FLOW.sid,
        FLOW.direction,
        open_secret(RECEIVING.private, FLOW.sid, FLOW.direction, first.sealed_secret),
    )
    opened = [keys.open(item.rank, item.retention_days, item.ciphertext) for item in arrived]
    assert opened == [item.plaintext for item in RECORDS]
    assert keys.plaintext_digest(0, opened[:3]) == first.plaintext


def test_no_record_at_all_is_still_one_signed_envelope() -> None:
    (envelope,) = seal([])
    taker = receiver()
    accepted = taker.receive(envelope)
    assert taker.complete
    assert accepted.header.total == 0
    assert (taker.records, taker.contacts) == (0, 0)


def test_large_records_make_more_envelopes() -> None:
    records = [PlainRecord(rank, (), 90, bytes(100_000)) for rank in range(3)]
    assert len(seal(records)) == 3
    with pytest.raises(ValueError, match="too large"):
        seal([PlainRecord(0, (), 90, bytes(200_000))])


def test_records_out_of_order_are_not_sealed() -> None:
    with pytest.raises(ValueError, match="ascend"):
        seal([record(2), record(1)])


def test_the_same_envelope_again_gets_the_same_acknowledgement() -> None:
    envelopes, taker = seal(RECORDS), receiver()
    first = taker.receive(envelopes[0])
    taker.receive(envelopes[1])
    again = taker.receive(envelopes[0])
    assert again.ack == first.ack
    assert (first.new, again.new) == (True, False)
    assert taker.records == 6


def test_the_same_number_with_other_bytes_is_refused() -> None:
    envelopes, taker = seal(RECORDS), receiver()
    taker.receive(envelopes[0])
    other = seal([record(9), *RECORDS[2:]][1:])[0]
    assert "second time" in refused(taker, other)
    assert "second time" in refused(taker, reseal(envelopes[0], plaintext=bytes(32)))


def test_a_receiver_goes_on_where_another_one_stopped() -> None:
    envelopes, taker = seal(RECORDS), receiver()
    kept = [taker.receive(envelope) for envelope in envelopes[:2]]
    heir = receiver()
    heir.restore(
        [(envelope.header, accepted.digest) for envelope, accepted in zip(envelopes, kept, strict=False)],
        [item for accepted in kept for item in accepted.records],
    )
    assert heir.receive(envelopes[1]).ack == kept[1].ack
    assert "order" in refused(receiver(), envelopes[2])
    heir.receive(envelopes[2])
    assert heir.complete
    assert (heir.records, heir.contacts, heir.pairs) == (8, 4, 4)


def test_a_signature_by_anyone_else_is_refused() -> None:
    (envelope, *_) = seal(RECORDS)
    assert "signature" in refused(receiver(), reseal(envelope, key=STRANGER))
    assert "signature" in refused(receiver(), replace(envelope, signature=bytes(64)))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 255))
def test_any_changed_byte_of_a_header_is_refused(position: int, mask: int) -> None:
    first, envelope, *_ = sealed_once()
    header = bytearray(envelope.header)
    header[position % len(header)] ^= mask
    taker = receiver()
    taker.receive(first)
    assert "signature" in refused(taker, replace(envelope, header=bytes(header)))
    taker.receive(envelope)


ANOTHER: dict[str, Any] = {
    "agreement": bytes(32),
    "sid": bytes(32),
    "direction": Role.RESPONDER,
    "sender": STRANGER.public.fingerprint,
    "recipient": STRANGER.public.fingerprint,
    "receiving_key": bytes(16),
}


@pytest.mark.parametrize("field", ANOTHER)
def test_an_envelope_made_for_anything_else_is_refused(field: str) -> None:
    (envelope, *_) = seal(RECORDS)
    assert "made for another" in refused(receiver(), reseal(envelope, **{field: ANOTHER[field]}))


CHAIN: dict[str, dict[str, Any]] = {
    "number skipped": {"number": 2},
    "previous digest": {"previous": bytes(32)},
    "total changed": {"total": 9},
    "total beyond the overlap": {"total": 81},
    "start": {"start": 2},
    "last too early": {"last": True},
    "secret again": {"sealed_secret": bytes(1168)},
    "no records": {"records": ()},
}


@pytest.mark.parametrize("name", CHAIN)
def test_a_broken_chain_is_refused(name: str) -> None:
    envelopes, taker = seal(RECORDS), receiver()
    taker.receive(envelopes[0])
    refused(taker, reseal(envelopes[1], **CHAIN[name]))
    taker.receive(envelopes[1])
    refused(taker, reseal(envelopes[2], last=False))
    refused(taker, reseal(envelopes[2], records=envelopes[2].records[:1]))
    taker.receive(envelopes[2])
    refused(taker, reseal(envelopes[2], number=3, start=8, total=8))


def test_the_secret_must_come_with_the_first_envelope() -> None:
    (envelope, *_) = seal(RECORDS)
    assert "secret" in refused(receiver(), reseal(envelope, sealed_secret=b""))


def test_records_other_than_those_signed_are_refused() -> None:
    (envelope, *_) = seal(RECORDS)
    swapped = (envelope.records[1], envelope.records[0], envelope.records[2])
    for records in (swapped, envelope.records[:2], (*envelope.records, envelope.records[0])):
        assert "other records" in refused(receiver(), replace(envelope, records=records))
    for change in (
        {"rank": 5},
        {"also": (7,)},
        {"retention_days": 7},
        {"ciphertext": bytes(30)},
    ):
        changed = (*envelope.records[:2], replace(envelope.records[2], **change))
        assert "other records" in refused(receiver(), replace(envelope, records=changed))


def sealed(rank: int, *also: int, days: int = 90) -> SealedRecord:
    return SealedRecord(rank, also, days, bytes(20))


BAD_RECORDS: dict[str, Sequence[SealedRecord]] = {
    "rank outside the overlap": [sealed(40)],
    "further rank outside the overlap": [sealed(1, 40)],
    "class not agreed": [sealed(1, days=91)],
    "ranks descend": [sealed(2), sealed(1)],
    "record twice": [sealed(1), sealed(1)],
    "classes descend": [sealed(1, days=90), sealed(1, days=30)],
    "classes with other ranks": [sealed(1, days=30), sealed(1, 2, days=90)],
    "further rank not above": [sealed(2, 1)],
    "further rank itself": [sealed(2, 2)],
    "further ranks descend": [sealed(1, 4, 3)],
    "rank taken": [sealed(1, 3), sealed(3)],
    "further rank taken": [sealed(1, 4), sealed(2, 4)],
    "too short": [replace(sealed(1), ciphertext=bytes(15))],
    "too long": [replace(sealed(1), ciphertext=bytes(200_000))],
    "too many": [sealed(rank) for rank in range(4)],
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_records_that_break_the_rules_are_refused(name: str) -> None:
    records = tuple(BAD_RECORDS[name])
    (envelope,) = seal([record(1)])
    taker = receiver()
    refused(taker, reseal(envelope, records=records, total=len(records)))
    taker.receive(envelope)
    assert (taker.contacts, taker.records) == (1, 1)


def test_ranks_stay_disjoint_across_envelopes() -> None:
    envelopes, taker = seal([record(0, 9), *(record(rank) for rank in range(1, 5))]), receiver()
    taker.receive(envelopes[0])
    refused(taker, reseal(envelopes[1], records=(sealed(9), sealed(10))))
    refused(taker, reseal(envelopes[1], records=(sealed(1), sealed(10))))
    refused(taker, reseal(envelopes[1], records=(sealed(3), sealed(4, 9))))
    taker.receive(envelopes[1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=12), st.integers(0, 20))
def test_no_order_of_envelopes_but_the_right_one_completes(order: list[int], size: int) -> None:
    envelopes = seal([record(rank) for rank in range(size)])
    taker = receiver()
    expected = 0
    for number in order:
        if number >= len(envelopes):
            continue
        if number > expected:
            refused(taker, envelopes[number])
        else:
            assert taker.receive(envelopes[number]).new == (number == expected)
            expected = max(expected, number + 1)
    assert taker.complete == (expected == len(envelopes))


def test_a_forged_or_foreign_acknowledgement_is_refused() -> None:
    (envelope, *_) = seal(RECORDS)
    digest = envelope_digest(envelope.header, envelope.records)
    good = receiver().receive(envelope).ack
    forgeries: list[Callable[[], EnvelopeAck]] = [
        lambda: replace(good, signature=bytes(64)),
        lambda: replace(good, envelope=bytes(32)),
        lambda: EnvelopeReceiver(FLOW, SENDER.public, STRANGER).receive(envelope).ack,
        lambda: EnvelopeAck(digest, RECIPIENT.sign(envelope.header)),
    ]
    for forge in forgeries:
        with pytest.raises(PartnerFault):
            verify_ack(FLOW, digest, forge(), RECIPIENT.public)
    verify_ack(FLOW, digest, good, RECIPIENT.public)


def test_the_published_vector_comes_out() -> None:
    vector = json.loads(VECTOR.read_text(encoding="utf-8"))
    given, expected = vector["inputs"], vector["expected"]
    sid, direction = bytes.fromhex(given["sid"]), Role(given["direction"])
    sender, recipient = (SigningKey(bytes.fromhex(given[f"{who}_seed"])) for who in ("sender", "recipient"))
    keys = RecordKeys(sid, direction, bytes.fromhex(given["secret"]))
    records = [
        PlainRecord(item["rank"], tuple(item["also"]), item["retention_days"], item["plaintext"].encode())
        for item in given["records"]
    ]
    sealed = [
        SealedRecord(r.rank, r.also, r.retention_days, keys.seal(r.rank, r.retention_days, r.plaintext))
        for r in records
    ]
    header = EnvelopeHeader(
        agreement=bytes.fromhex(given["agreement"]),
        sid=sid,
        direction=direction,
        sender=sender.public.fingerprint,
        recipient=recipient.public.fingerprint,
        receiving_key=receiving_key_id(bytes.fromhex(given["receiving_key"])),
        number=given["number"],
        last=given["last"],
        total=given["total"],
        start=given["start"],
        count=len(records),
        previous=bytes.fromhex(given["previous"]),
        batch=batch_digest(sealed),
        plaintext=keys.plaintext_digest(given["number"], [record.plaintext for record in records]),
    )
    envelope = envelope_digest(header.to_bytes(), sealed)
    assert {
        "ciphertexts": [record.ciphertext.hex() for record in sealed],
        "receiving_key_id": header.receiving_key.hex(),
        "batch": header.batch.hex(),
        "plaintext": header.plaintext.hex(),
        "header": header.to_bytes().hex(),
        "signature": sender.sign(header.to_bytes()).hex(),
        "envelope": envelope.hex(),
        "ack": ack_bytes(sid, envelope).hex(),
        "ack_signature": recipient.sign(ack_bytes(sid, envelope)).hex(),
        "stored_records": encode_records(sealed).hex(),
        "preview": preview_digest(bytes.fromhex(given["preview_key"]), sid, direction, records).hex(),
    } == expected
