"""The messages of the reveal (DESIGN §6, steps 13 to 19)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from mutuals.protocol.messages import (
    MAX_CHUNK_BYTES,
    Approve,
    ConfirmMac,
    ConfirmShare,
    Positions,
    RevealMessage,
)
from mutuals.transport.wire.fields import (
    DIGEST_BYTES,
    MAX_U32,
    SIGNATURE_BYTES,
    check_length,
    exactly,
    oneof_codec,
    within,
)
from mutuals.v1 import reveal_pb2

SPAKE2_SHARE_BYTES = 33  # a side marker and a point of Ed25519
MAX_POSITIONS = MAX_CHUNK_BYTES // 4


def _write(message: RevealMessage) -> dict[str, Message]:
    match message:
        case Approve():
            return {"approve": reveal_pb2.Approve(sid=message.sid, signature=message.signature)}
        case Positions():
            return {"positions": reveal_pb2.Positions(start=message.start, positions=message.positions)}
        case ConfirmShare():
            return {"confirm_share": reveal_pb2.ConfirmShare(share=message.share)}
        case ConfirmMac():
            return {"confirm_mac": reveal_pb2.ConfirmMac(mac=message.mac)}


def _read_approve(wire: reveal_pb2.Approve) -> Approve:
    return Approve(
        sid=exactly(wire.sid, DIGEST_BYTES, "Approve", "sid"),
        signature=exactly(wire.signature, SIGNATURE_BYTES, "Approve", "signature"),
    )


def _read_positions(wire: reveal_pb2.Positions) -> Positions:
    check_length(wire.positions, 1, MAX_POSITIONS, "Positions", "positions")
    return Positions(within(wire.start, 0, MAX_U32, "Positions", "start"), tuple(wire.positions))


def _read_confirm_share(wire: reveal_pb2.ConfirmShare) -> ConfirmShare:
    return ConfirmShare(exactly(wire.share, SPAKE2_SHARE_BYTES, "ConfirmShare", "share"))


def _read_confirm_mac(wire: reveal_pb2.ConfirmMac) -> ConfirmMac:
    return ConfirmMac(exactly(wire.mac, DIGEST_BYTES, "ConfirmMac", "mac"))


_READERS: dict[str, Callable[[Any], RevealMessage]] = {
    "approve": _read_approve,
    "positions": _read_positions,
    "confirm_share": _read_confirm_share,
    "confirm_mac": _read_confirm_mac,
}
REVEAL_REQUEST = oneof_codec(reveal_pb2.RevealRequest, "Reveal", _write, _READERS)
REVEAL_RESPONSE = oneof_codec(reveal_pb2.RevealResponse, "Reveal", _write, _READERS)
