"""Vectors of the wire: every message as Protobuf, next to its fields."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from mutuals.models.run import Role
from mutuals.protocol import messages
from mutuals.transport.wire import METHODS, Ping, Pong, SyncMessage
from support.vectors import Case, Json, VectorFile

_DIGEST, _SIGNATURE = b"\xd1" * 32, b"\x51" * 64
_DOCUMENT = messages.Document("acceptance", b'{"digest":"00"}', _SIGNATURE)
_RECEIPT = messages.Receipt(_DIGEST, False, "BAD_MESSAGE", _SIGNATURE)
_HEAD = messages.LogHead(
    agreement=b"\xa1" * 32,
    note=b"mutuals/\n9\n...",
    base=7,
    proof=(b"\xe1" * 32, b"\xe2" * 32),
    seen=b"mutuals/\n7\n...",
    refused=True,
)


def _hello(role: Role) -> messages.Hello:
    return messages.Hello(
        role=role,
        agreement=b"\xa1" * 32,
        engine="openmined",
        profile="strict-v1",
        profile_digest=b"\xa2" * 32,
        set_size=1000,
        initiator=b"\xa3" * 32,
        responder=b"\xa4" * 32,
        nonce=b"\xa5" * 32,
        receiving_key=b"\xa6" * 1216,
        sent_at=1_777_636_800,
        count_only=True,
        signature=_SIGNATURE,
    )


# Method, whether it is a request, and the message.
_EXAMPLES: dict[str, tuple[str, bool, Any]] = {
    "ping": ("Ping", True, Ping()),
    "pong": ("Ping", False, Pong(1, datetime(2026, 5, 1, 12, tzinfo=UTC), {"strict-v1": _DIGEST}, 3, 2)),
    "pong that does not say more": ("Ping", False, Pong(1, datetime(2026, 5, 1, 12, tzinfo=UTC))),
    "sync request": ("Sync", True, SyncMessage((_DOCUMENT,), (_RECEIPT,))),
    "sync response": ("Sync", False, SyncMessage((_DOCUMENT,), (_RECEIPT,))),
    "sync request, with heads of logs": ("Sync", True, SyncMessage((), (), (_HEAD,))),
    "sync response, no logs": ("Sync", False, SyncMessage((), (), ())),
    "open": ("Match", True, _hello(Role.INITIATOR)),
    "accept": ("Match", False, _hello(Role.RESPONDER)),
    "blinded": ("Match", True, messages.Blinded(2048, b"\x02" + b"\x11" * 32 + b"\x03" + b"\x22" * 32)),
    "tag commit": ("Match", True, messages.TagCommit(_DIGEST)),
    "tags, first": ("Match", True, messages.Tags(0, b"\x33" * 16 + b"\x44" * 16, _DIGEST)),
    "tags, later": ("Match", False, messages.Tags(8192, b"\x55" * 16)),
    "counted": ("Match", False, messages.Counted(_SIGNATURE)),
    "approve": ("Reveal", True, messages.Approve(_DIGEST, _SIGNATURE)),
    "positions": ("Reveal", False, messages.Positions(0, (3, 0, 300))),
    "confirm share": ("Reveal", True, messages.ConfirmShare(b"A" + b"\x66" * 32)),
    "confirm mac": ("Reveal", False, messages.ConfirmMac(_DIGEST)),
    "exchange start": ("Exchange", True, messages.ExchangeStart(_DIGEST)),
    "envelope": (
        "Exchange",
        False,
        messages.Envelope(
            b"\x00\x00\x00\x13header", _SIGNATURE, (messages.SealedRecord(4, (7, 9), 30, b"\x77" * 16),)
        ),
    ),
    "envelope ack": ("Exchange", True, messages.EnvelopeAck(_DIGEST, _SIGNATURE)),
    "exchange done": ("Exchange", False, messages.ExchangeDone(_DIGEST)),
}


def _make(inputs: Json) -> Json:
    (method,) = (method for method in METHODS if method.name == inputs["method"])
    codec = method.request if inputs["direction"] == "request" else method.response
    message = codec.decode(bytes.fromhex(inputs["bytes"]))
    assert codec.encode(message).hex() == inputs["bytes"]
    return {"message": type(message).__name__, "fields": _shown(message)}


def _cases() -> list[Case]:
    cases = []
    for name, (method_name, request, message) in _EXAMPLES.items():
        (method,) = (method for method in METHODS if method.name == method_name)
        codec = method.request if request else method.response
        inputs = {
            "method": method_name,
            "direction": "request" if request else "response",
            "bytes": codec.encode(message).hex(),
        }
        cases.append((name, "Read as these fields; written as these bytes.", inputs))
    return cases


def _shown(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {item.name: _shown(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _shown(member) for name, member in value.items()}
    if isinstance(value, tuple):
        return [_shown(member) for member in value]
    return int(value.timestamp()) if isinstance(value, datetime) else value


FILES = [VectorFile("wire", "Every message of every call as Protobuf.", _cases, _make)]
