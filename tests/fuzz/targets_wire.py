"""What comes over the wire: every request and answer, the details of an error, and the framed bytes inside of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.message import Message

from fuzz.mutate_bytes import mutate_bytes
from fuzz.mutate_protobuf import protobuf
from fuzz.target import Ready, Target
from mutuals.audit.notes import cosign_note, sign_note
from mutuals.crypto.signing import SigningKey
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.messages import (
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
    LogHead,
    Positions,
    Receipt,
    Resume,
    SealedRecord,
    TagCommit,
    Tags,
)
from mutuals.protocol.sealing import SEALED_SECRET_BYTES
from mutuals.transport.status import ERROR_METADATA, from_rpc_error, to_wire
from mutuals.transport.wire import METHODS, Codec, Ping, Pong, SyncMessage
from mutuals.v1 import document_pb2, error_pb2, exchange_pb2, match_pb2, peer_pb2, reveal_pb2

_DIGEST, _OTHER, _SIGNATURE = b"\x11" * 32, b"\x22" * 32, b"\x33" * 64
_KEY = SigningKey(b"\x07" * 32)
_NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def _note() -> bytes:
    text = "mutuals/v1/log\n7\nERERERERERERERERERERERERERERERERERERERERERE=\n"
    lines = (sign_note(text, _KEY, "mutuals/v1/log"), cosign_note(text, _KEY, "mutuals/v1/cosigner", _NOW))
    return (text + "\n" + "".join(line.line() for line in lines)).encode()


def header(number: int = 0) -> EnvelopeHeader:
    """The header of an envelope."""
    return EnvelopeHeader(
        agreement=_DIGEST,
        sid=_OTHER,
        direction=Role.INITIATOR,
        sender=_DIGEST,
        recipient=_OTHER,
        receiving_key=b"\x44" * 16,
        number=number,
        last=number > 0,
        total=7,
        start=number,
        count=2,
        previous=bytes(32),
        batch=_DIGEST,
        plaintext=_OTHER,
        sealed_secret=b"" if number else b"\x55" * SEALED_SECRET_BYTES,
    )


def _hello(role: Role) -> Hello:
    return Hello(
        role=role,
        agreement=_DIGEST,
        engine="x25519",
        profile="strict-v1",
        profile_digest=_OTHER,
        set_size=1000,
        initiator=_DIGEST,
        responder=_OTHER,
        nonce=b"\x66" * 32,
        receiving_key=b"\x77" * 1216,
        sent_at=1_780_000_000,
        count_only=role is Role.RESPONDER,
        signature=_SIGNATURE,
    )


_RECORDS = (SealedRecord(0, (3, 5), 30, b"\x88" * 60), SealedRecord(1, (), 3650, b"\x99" * 16))
_EXCHANGE = (
    ExchangeStart(_DIGEST),
    Envelope(header().to_bytes(), _SIGNATURE, _RECORDS),
    Envelope(header(1).to_bytes(), _SIGNATURE, ()),
    EnvelopeAck(_DIGEST, _SIGNATURE),
)
_MATCH = (
    Blinded(0, b"\xaa" * 33 * 4),
    Blinded(1000, b"\xaa" * 32),
    TagCommit(_DIGEST),
    Tags(0, b"\xbb" * 64, _OTHER),
    Tags(4, b"\xbb" * 16),
    Counted(_SIGNATURE),
    Resume(_DIGEST, 20, _OTHER, _DIGEST, 3, _OTHER),
    Resume(_DIGEST, 0, _OTHER, b"", 0, b"", finished=True),
)
_REVEAL = (
    Approve(_DIGEST, _SIGNATURE),
    Positions(0, (5, 1, 4_000_000_000, 0)),
    ConfirmShare(b"\x41" + b"\xcc" * 32),
    ConfirmMac(_DIGEST),
)
_SYNC = (
    SyncMessage(),
    SyncMessage(
        documents=(
            Document("proposal", b'{"a":1}', _SIGNATURE),
            Document("run-ended", b"{}", _SIGNATURE),
        ),
        receipts=(
            Receipt(_DIGEST, True, "", _SIGNATURE),
            Receipt(_OTHER, False, ErrorCode.BAD_MESSAGE.value, _SIGNATURE),
        ),
    ),
    SyncMessage(
        heads=(
            LogHead(_DIGEST, _note(), 3, (_DIGEST, _OTHER), _note()),
            LogHead(_OTHER, b"", 0, (), b"", True),
        )
    ),
)
_PONG = (Pong(1, _NOW), Pong(1, _NOW, {"strict-v1": _DIGEST, "uid2-v1": _OTHER}, 3, 2))

_MESSAGES: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
    "Ping": ((Ping(),), _PONG),
    "Sync": (_SYNC, _SYNC),
    "Match": ((_hello(Role.INITIATOR), *_MATCH), (_hello(Role.RESPONDER), *_MATCH)),
    "Reveal": (_REVEAL, _REVEAL),
    "Exchange": (_EXCHANGE, (*_EXCHANGE, ExchangeDone(_DIGEST))),
}
_CLASSES: dict[str, tuple[type[Message], type[Message]]] = {
    "Ping": (peer_pb2.PingRequest, peer_pb2.PingResponse),
    "Sync": (document_pb2.SyncRequest, document_pb2.SyncResponse),
    "Match": (match_pb2.MatchRequest, match_pb2.MatchResponse),
    "Reveal": (reveal_pb2.RevealRequest, reveal_pb2.RevealResponse),
    "Exchange": (exchange_pb2.ExchangeRequest, exchange_pb2.ExchangeResponse),
}


def _codec(codec: Codec[Any], messages: Sequence[Any]) -> Callable[[], Ready]:
    return lambda: Ready([codec.encode(message) for message in messages], codec.decode)


def _wire() -> list[Target]:
    found = []
    for method in METHODS:
        codecs = (method.request, method.response)
        for part, codec, messages, kind in zip(
            ("request", "response"), codecs, _MESSAGES[method.name], _CLASSES[method.name], strict=True
        ):
            name = f"wire.{method.name.lower()}.{part}"
            found.append(
                Target(name, _codec(codec, messages), protobuf(kind.DESCRIPTOR), (PartnerFault,), everyday=25)
            )
    return found


class _Failed(grpc.RpcError, grpc.Call):  # type: ignore[misc]  # the stubs' classes are untyped
    """A call that a partner ended, with these trailers."""

    def __init__(self, detail: bytes, status: grpc.StatusCode) -> None:
        self._detail = detail
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._detail.decode("latin-1")

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return ((ERROR_METADATA, self._detail),)


def _error_details() -> Ready:
    """As the calling side reads why its call was refused; the last byte chooses gRPC's own status."""
    statuses = list(grpc.StatusCode)
    seeds = [value for code in ErrorCode for _, value in to_wire(MutualsError(code, "Why.")).trailers]
    seeds += [error_pb2.ErrorDetail(code=code.value).SerializeToString() for code in ErrorCode]

    def parse(data: bytes) -> None:
        status = statuses[len(data) % len(statuses)]
        told = from_rpc_error(_Failed(data, status), "Right SA")
        if not isinstance(told, MutualsError):
            raise TypeError("no error of ours")
        raise (
            told if told.code is not ErrorCode.INTERNAL else MutualsError(ErrorCode.BAD_MESSAGE, told.message)
        )

    return Ready(seeds, parse)


TARGETS = (
    *_wire(),
    Target("wire.error", _error_details, protobuf(error_pb2.ErrorDetail.DESCRIPTOR)),
    Target(
        "envelope.header",
        lambda: Ready([header().to_bytes(), header(1).to_bytes()], EnvelopeHeader.from_bytes),
        mutate_bytes,
        (ValueError,),
    ),
)
