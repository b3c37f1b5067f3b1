"""Messages survive the wire unchanged, and nothing else gets through it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.envelopes import MAX_RECORDS_PER_ENVELOPE
from mutuals.protocol.messages import (
    MAX_CHUNK_BYTES,
    Approve,
    Blinded,
    ConfirmMac,
    ConfirmShare,
    Counted,
    Document,
    Envelope,
    EnvelopeAck,
    ExchangeDone,
    ExchangeStart,
    Hello,
    Positions,
    Receipt,
    SealedRecord,
    TagCommit,
    Tags,
)
from mutuals.transport.wire import (
    EXCHANGE,
    MATCH,
    METHODS,
    PING,
    REVEAL,
    SYNC,
    Codec,
    Method,
    Ping,
    Pong,
    SyncMessage,
)
from mutuals.transport.wire.documents import MAX_DOCUMENTS, MAX_PROFILES
from mutuals.v1 import document_pb2, exchange_pb2, match_pb2, peer_pb2, reveal_pb2

WIRE_CLASSES: dict[str, tuple[type[Message], type[Message]]] = {
    "Ping": (peer_pb2.PingRequest, peer_pb2.PingResponse),
    "Sync": (document_pb2.SyncRequest, document_pb2.SyncResponse),
    "Match": (match_pb2.MatchRequest, match_pb2.MatchResponse),
    "Reveal": (reveal_pb2.RevealRequest, reveal_pb2.RevealResponse),
    "Exchange": (exchange_pb2.ExchangeRequest, exchange_pb2.ExchangeResponse),
}

u32 = st.integers(0, 2**32 - 1)
name = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)


def of(size: int) -> st.SearchStrategy[bytes]:
    """Byte strings of one size; long ones repeat a short pattern, so that they are cheap."""
    if size <= 64:
        return st.binary(min_size=size, max_size=size)
    return st.binary(min_size=4, max_size=4).map(lambda seed: (seed * (size // 4 + 1))[:size])


def hello(role: Role) -> st.SearchStrategy[Hello]:
    return st.builds(
        Hello,
        role=st.just(role),
        agreement=of(32),
        engine=name,
        profile=name,
        profile_digest=of(32),
        set_size=u32,
        initiator=of(32),
        responder=of(32),
        nonce=of(32),
        receiving_key=of(1216),
        sent_at=st.integers(0, 2**37),
        count_only=st.booleans(),
        signature=of(64),
    )


def match(role: Role) -> st.SearchStrategy[Any]:
    return st.one_of(
        hello(role),
        st.builds(Blinded, u32, st.binary(min_size=1, max_size=99)),
        st.builds(TagCommit, of(32)),
        st.builds(Tags, st.just(0), st.integers(0, 9).flatmap(lambda n: of(16 * n)), of(32)),
        st.builds(Tags, st.integers(1, 2**32 - 1), st.integers(1, 9).flatmap(lambda n: of(16 * n))),
        st.builds(Counted, of(64)),
    )


reveal = st.one_of(
    st.builds(Approve, of(32), of(64)),
    st.builds(Positions, u32, st.lists(u32, min_size=1, max_size=50).map(tuple)),
    st.builds(ConfirmShare, of(33)),
    st.builds(ConfirmMac, of(32)),
)
record = st.builds(
    SealedRecord,
    u32,
    st.lists(u32, max_size=5).map(tuple),
    st.integers(1, 3650),
    st.binary(min_size=16, max_size=80),
)
exchange_request = st.one_of(
    st.builds(ExchangeStart, of(32)),
    st.builds(Envelope, st.binary(min_size=1, max_size=99), of(64), st.lists(record, max_size=5).map(tuple)),
    st.builds(EnvelopeAck, of(32), of(64)),
)
exchange_response = exchange_request | st.builds(ExchangeDone, of(32))
document = st.builds(Document, name, st.binary(min_size=1, max_size=99), of(64))
receipt = st.one_of(
    st.builds(Receipt, of(32), st.just(True), st.just(""), of(64)),
    st.builds(Receipt, of(32), st.just(False), st.sampled_from([code.value for code in ErrorCode]), of(64)),
)
sync = st.builds(
    SyncMessage, st.lists(document, max_size=4).map(tuple), st.lists(receipt, max_size=4).map(tuple)
)
moment = st.integers(0, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))

CODECS: list[tuple[Codec[Any], st.SearchStrategy[Any]]] = [
    (PING.request, st.just(Ping())),
    (PING.response, st.builds(Pong, u32, moment, st.dictionaries(name, of(32), max_size=3), u32, u32)),
    (SYNC.request, sync),
    (SYNC.response, sync),
    (MATCH.request, match(Role.INITIATOR)),
    (MATCH.response, match(Role.RESPONDER)),
    (REVEAL.request, reveal),
    (REVEAL.response, reveal),
    (EXCHANGE.request, exchange_request),
    (EXCHANGE.response, exchange_response),
]
DIRECTIONS = [f"{method.name} {way}" for method in METHODS for way in ("request", "response")]


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=DIRECTIONS)
def test_messages_survive_the_wire(codec: Codec[Any], messages: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(messages)
    def check(message: Any) -> None:
        assert codec.decode(codec.encode(message)) == message

    check()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_any_bytes_are_a_message_or_the_partners_fault(method: Method[Any, Any]) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=300))
    def check(data: bytes) -> None:
        for codec in (method.request, method.response):
            with suppress(PartnerFault):
                codec.decode(data)

    check()


@pytest.mark.parametrize(("codec", "messages"), CODECS, ids=DIRECTIONS)
def test_altered_messages_are_messages_or_the_partners_fault(
    codec: Codec[Any], messages: st.SearchStrategy[Any]
) -> None:
    """Closer to real ones than random bytes: cut, doubled, or with some bytes replaced."""

    @settings(max_examples=60, deadline=None)
    @given(messages, st.data())
    def check(message: Any, data: st.DataObject) -> None:
        real = bytearray(codec.encode(message))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(real)))
            real[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
        with suppress(PartnerFault):
            codec.decode(bytes(real))

    check()


NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
OPEN = Hello(
    role=Role.INITIATOR,
    agreement=b"a" * 32,
    engine="openmined",
    profile="strict-v1",
    profile_digest=b"p" * 32,
    set_size=5,
    initiator=b"i" * 32,
    responder=b"r" * 32,
    nonce=b"n" * 32,
    receiving_key=b"k" * 1216,
    sent_at=1_700_000_000,
    signature=b"s" * 64,
)
RECORD = SealedRecord(1, (2,), 30, b"c" * 20)

BAD: dict[str, tuple[Codec[Any], Any]] = {
    "short digest": (MATCH.request, replace(OPEN, agreement=b"a" * 31)),
    "long digest": (MATCH.request, replace(OPEN, profile_digest=b"a" * 33)),
    "missing nonce": (MATCH.request, replace(OPEN, nonce=b"")),
    "receiving key of another kind": (MATCH.request, replace(OPEN, receiving_key=b"k" * 32)),
    "more items than positions can name": (MATCH.request, replace(OPEN, set_size=2**32)),
    "time beyond the calendar": (MATCH.request, replace(OPEN, sent_at=2**60)),
    "engine with a control character": (MATCH.request, replace(OPEN, engine="open\x1b[2J")),
    "engine with a line break at the end": (MATCH.request, replace(OPEN, engine="openmined\n")),
    "endless engine": (MATCH.request, replace(OPEN, engine="e" * 64)),
    "empty chunk": (MATCH.request, Blinded(0, b"")),
    "chunk over the limit": (MATCH.request, Blinded(0, b"p" * (MAX_CHUNK_BYTES + 1))),
    "chunk beyond all positions": (MATCH.request, Blinded(2**33, b"p")),
    "half a tag": (MATCH.request, Tags(0, b"t" * 24, b"n" * 32)),
    "first tags without nonce": (MATCH.request, Tags(0, b"t" * 16)),
    "later tags with a nonce": (MATCH.request, Tags(1, b"t" * 16, b"n" * 32)),
    "short commitment": (MATCH.request, TagCommit(b"c")),
    "short signature": (MATCH.request, Counted(b"s" * 63)),
    "no positions": (REVEAL.request, Positions(0, ())),
    "too many positions": (REVEAL.request, Positions(0, (1,) * (MAX_CHUNK_BYTES // 4 + 1))),
    "share of another size": (REVEAL.request, ConfirmShare(b"s" * 32)),
    "short MAC": (REVEAL.request, ConfirmMac(b"m" * 31)),
    "run id of another size": (EXCHANGE.request, ExchangeStart(b"s" * 31)),
    "header over the limit": (EXCHANGE.request, Envelope(b"h" * 4097, b"s" * 64, ())),
    "envelope without signature": (EXCHANGE.request, Envelope(b"h", b"", ())),
    "too many records": (
        EXCHANGE.request,
        Envelope(b"h", b"s" * 64, (RECORD,) * (MAX_RECORDS_PER_ENVELOPE + 1)),
    ),
    "ciphertext without tag": (
        EXCHANGE.request,
        Envelope(b"h", b"s" * 64, (replace(RECORD, ciphertext=b"c"),)),
    ),
    "kept for ever": (EXCHANGE.request, Envelope(b"h", b"s" * 64, (replace(RECORD, retention_days=0),))),
    "profile with a control character": (PING.response, Pong(1, NOON, {"uid2\x1b[2J": b"d" * 32})),
    "profile with a short digest": (PING.response, Pong(1, NOON, {"uid2-v1": b"d" * 31})),
    "too many profiles": (
        PING.response,
        Pong(1, NOON, {f"p{i}": b"d" * 32 for i in range(MAX_PROFILES + 1)}),
    ),
    "card beyond all numbers": (PING.response, Pong(1, NOON, card=2**63)),
    "document without body": (SYNC.request, SyncMessage((Document("proposal", b"", b"s" * 64),))),
    "document of no kind": (SYNC.request, SyncMessage((Document("", b"{}", b"s" * 64),))),
    "too many documents": (
        SYNC.request,
        SyncMessage((Document("proposal", b"{}", b"s" * 64),) * (MAX_DOCUMENTS + 1)),
    ),
    "accepted with a reason": (SYNC.request, SyncMessage((), (Receipt(b"d" * 32, True, "X", b"s" * 64),))),
    "refused without a reason": (SYNC.request, SyncMessage((), (Receipt(b"d" * 32, False, "", b"s" * 64),))),
    "reason in free text": (
        SYNC.request,
        SyncMessage((), (Receipt(b"d" * 32, False, "jane@example.com", b"s" * 64),)),
    ),
}


def test_a_profile_named_twice_is_the_partners_fault() -> None:
    one = peer_pb2.ProfileDigest(name="uid2-v1", digest=b"d" * 32)
    with pytest.raises(PartnerFault):
        PING.response.decode(peer_pb2.PingResponse(version=1, profiles=[one, one]).SerializeToString())


@pytest.mark.parametrize("case", BAD)
def test_wrong_shapes_are_the_partners_fault(case: str) -> None:
    codec, message = BAD[case]
    with pytest.raises(PartnerFault) as refused:
        codec.decode(codec.encode(message))
    assert refused.value.code is ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("method", METHODS[2:], ids=lambda method: method.name)
def test_an_empty_message_is_the_partners_fault(method: Method[Any, Any]) -> None:
    for codec in (method.request, method.response):
        with pytest.raises(PartnerFault):
            codec.decode(b"")


def test_another_version_is_told_apart_from_a_malformed_message() -> None:
    with pytest.raises(PartnerFault) as refused:
        MATCH.request.decode(MATCH.request.encode(replace(OPEN, version=2, nonce=b"n" * 64)))
    assert refused.value.code is ErrorCode.VERSION


def test_sentences_do_not_quote_what_was_sent() -> None:
    with pytest.raises(PartnerFault) as refused:
        MATCH.request.decode(MATCH.request.encode(replace(OPEN, engine="jane@example.com")))
    assert "jane" not in refused.value.message


def test_every_method_is_in_the_service_and_the_other_way_round() -> None:
    service = peer_pb2.DESCRIPTOR.services_by_name["PeerService"]
    assert {method.name for method in METHODS} == {method.name for method in service.methods}
    for method in service.methods:
        request, response = WIRE_CLASSES[method.name]
        assert (method.input_type, method.output_type) == (request.DESCRIPTOR, response.DESCRIPTOR)
