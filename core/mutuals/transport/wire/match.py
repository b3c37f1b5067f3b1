"""The messages of the match (DESIGN §6, steps 1 to 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.messages import (
    MAX_CHUNK_BYTES,
    VERSION,
    Blinded,
    Counted,
    Hello,
    MatchMessage,
    Resume,
    TagCommit,
    Tags,
)
from mutuals.transport.wire.fields import (
    DIGEST_BYTES,
    MAX_TIMESTAMP,
    MAX_U32,
    SIGNATURE_BYTES,
    check_length,
    exactly,
    fault,
    name,
    oneof_codec,
    within,
)
from mutuals.v1 import match_pb2

RECEIVING_KEY_BYTES = 1216
TAG_BYTES = 16


def _write(message: MatchMessage) -> dict[str, Message]:
    match message:
        case Hello(role=Role.INITIATOR):
            return {"open": _write_hello(message)}
        case Hello():
            return {"accept": _write_hello(message)}
        case Resume():
            return {"resume": _write_resume(message)}
        case Blinded():
            return {"blinded": match_pb2.Blinded(start=message.start, points=message.points)}
        case TagCommit():
            return {"tag_commit": match_pb2.TagCommit(commitment=message.commitment)}
        case Tags():
            return {"tags": match_pb2.Tags(start=message.start, tags=message.tags, nonce=message.nonce)}
        case Counted():
            return {"counted": match_pb2.Counted(signature=message.signature)}


def _write_hello(message: Hello) -> match_pb2.Hello:
    return match_pb2.Hello(
        version=message.version,
        agreement=message.agreement,
        engine=message.engine,
        profile=message.profile,
        profile_digest=message.profile_digest,
        set_size=message.set_size,
        initiator=message.initiator,
        responder=message.responder,
        nonce=message.nonce,
        receiving_key=message.receiving_key,
        sent_at=message.sent_at,
        signature=message.signature,
        count_only=message.count_only,
    )


def _read_hello(wire: match_pb2.Hello, role: Role) -> Hello:
    kind = "Open" if role is Role.INITIATOR else "Accept"
    if wire.version != VERSION:
        # Another version may well look different: say so, instead of finding fault with its fields.
        raise PartnerFault(
            ErrorCode.VERSION, f"The partner speaks version {wire.version} of the protocol, not {VERSION}."
        )
    return Hello(
        role=role,
        agreement=exactly(wire.agreement, DIGEST_BYTES, kind, "agreement"),
        engine=name(wire.engine, kind, "engine"),
        profile=name(wire.profile, kind, "profile"),
        profile_digest=exactly(wire.profile_digest, DIGEST_BYTES, kind, "profile_digest"),
        set_size=within(wire.set_size, 0, MAX_U32, kind, "set_size"),
        initiator=exactly(wire.initiator, DIGEST_BYTES, kind, "initiator"),
        responder=exactly(wire.responder, DIGEST_BYTES, kind, "responder"),
        nonce=exactly(wire.nonce, DIGEST_BYTES, kind, "nonce"),
        receiving_key=exactly(wire.receiving_key, RECEIVING_KEY_BYTES, kind, "receiving_key"),
        sent_at=within(wire.sent_at, 0, MAX_TIMESTAMP, kind, "sent_at"),
        count_only=wire.count_only,
        version=wire.version,
        signature=exactly(wire.signature, SIGNATURE_BYTES, kind, "signature"),
    )


def _read_open(wire: match_pb2.Hello) -> Hello:
    return _read_hello(wire, Role.INITIATOR)


def _read_accept(wire: match_pb2.Hello) -> Hello:
    return _read_hello(wire, Role.RESPONDER)


def _write_resume(message: Resume) -> match_pb2.Resume:
    return match_pb2.Resume(
        sid=message.sid,
        points=message.points,
        points_digest=message.points_digest,
        commitment=message.commitment,
        tags=message.tags,
        tags_digest=message.tags_digest,
        finished=message.finished,
    )


def _read_resume(wire: match_pb2.Resume) -> Resume:
    return Resume(
        sid=exactly(wire.sid, DIGEST_BYTES, "Resume", "sid"),
        points=within(wire.points, 0, MAX_U32, "Resume", "points"),
        points_digest=exactly(wire.points_digest, DIGEST_BYTES, "Resume", "points_digest"),
        commitment=_digest_or_nothing(wire.commitment, "commitment"),
        tags=within(wire.tags, 0, MAX_U32, "Resume", "tags"),
        tags_digest=_digest_or_nothing(wire.tags_digest, "tags_digest"),
        finished=wire.finished,
    )


def _digest_or_nothing(value: bytes, field: str) -> bytes:
    return exactly(value, DIGEST_BYTES, "Resume", field) if value else b""


def _read_blinded(wire: match_pb2.Blinded) -> Blinded:
    check_length(wire.points, 1, MAX_CHUNK_BYTES, "Blinded", "points")
    return Blinded(within(wire.start, 0, MAX_U32, "Blinded", "start"), wire.points)


def _read_tag_commit(wire: match_pb2.TagCommit) -> TagCommit:
    return TagCommit(exactly(wire.commitment, DIGEST_BYTES, "TagCommit", "commitment"))


def _read_tags(wire: match_pb2.Tags) -> Tags:
    # The first chunk opens the commitment and is sent even for an empty list; the others carry tags alone.
    first = wire.start == 0
    check_length(wire.tags, 0 if first else TAG_BYTES, MAX_CHUNK_BYTES, "Tags", "tags")
    if len(wire.tags) % TAG_BYTES:
        raise fault("Tags", f"tags is not a multiple of {TAG_BYTES} bytes")
    exactly(wire.nonce, DIGEST_BYTES if first else 0, "Tags", "nonce")
    return Tags(within(wire.start, 0, MAX_U32, "Tags", "start"), wire.tags, wire.nonce)


def _read_counted(wire: match_pb2.Counted) -> Counted:
    return Counted(exactly(wire.signature, SIGNATURE_BYTES, "Counted", "signature"))


_READERS: dict[str, Callable[[Any], MatchMessage]] = {
    "open": _read_open,
    "accept": _read_accept,
    "blinded": _read_blinded,
    "tag_commit": _read_tag_commit,
    "tags": _read_tags,
    "counted": _read_counted,
    "resume": _read_resume,
}
MATCH_REQUEST = oneof_codec(match_pb2.MatchRequest, "Match", _write, _READERS)
MATCH_RESPONSE = oneof_codec(match_pb2.MatchResponse, "Match", _write, _READERS)
