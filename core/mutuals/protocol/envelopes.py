"""An envelope's bytes: header, records, digests (docs/protocol.md, “Envelopes”).

The header is one framed string and is transmitted exactly as it was signed. It commits to the sealed records,
to their plaintext, and to the envelope before it, so that a stored envelope is evidence of what was sent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from mutuals.framing import Context, digest, frame
from mutuals.models.run import Role
from mutuals.protocol.messages import SealedRecord
from mutuals.protocol.sealing import SEALED_SECRET_BYTES, TAG_BYTES

DIGEST_BYTES = 32
RECEIVING_KEY_ID_BYTES = 16
NO_PREVIOUS = bytes(DIGEST_BYTES)
"""In place of the previous envelope's digest, in the first one."""

MAX_RECORDS_PER_ENVELOPE = 500
MAX_BATCH_BYTES = 128 * 1024
MAX_RECORD_BYTES = 112 * 1024

_UNSIGNED_32 = struct.Struct(">I")
_ONE_RANK = struct.Struct(">IIII")
"""Length, rank, no further ranks, class: what comes before the ciphertext of nearly every record."""


@dataclass(frozen=True)
class EnvelopeHeader:
    """What the sender signs about one envelope.

    Digests, fingerprints and sid have 32 bytes. ``direction`` is the sender's role in the run,
    ``receiving_key`` the 16-byte id of the key the records are sealed to. ``number`` counts envelopes from 0;
    of the direction's ``total`` records this envelope holds ``count``, from record ``start`` on.
    ``sealed_secret`` comes with number 0 only.
    """

    agreement: bytes
    sid: bytes
    direction: Role
    sender: bytes
    recipient: bytes
    receiving_key: bytes
    number: int
    last: bool
    total: int
    start: int
    count: int
    previous: bytes
    batch: bytes
    plaintext: bytes
    sealed_secret: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """The bytes that are signed and transmitted."""
        return frame(
            Context.ENVELOPE,
            self.agreement,
            self.sid,
            self.direction.value,
            self.sender,
            self.recipient,
            self.receiving_key,
            self.number,
            int(self.last),
            self.total,
            self.start,
            self.count,
            self.previous,
            self.batch,
            self.plaintext,
            self.sealed_secret,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> EnvelopeHeader:
        """Read exactly what ``to_bytes`` writes. Raises ValueError for anything else."""
        parts = _split(data)
        if len(parts) != len(_HEADER_SIZES) + 1 or parts[0] != Context.ENVELOPE.encode():
            raise ValueError("not an envelope header")
        sizes = dict(zip(_HEADER_SIZES, parts[1:], strict=True))
        for name, expected in _HEADER_SIZES.items():
            if len(sizes[name]) not in expected:
                raise ValueError(f"the {name} of an envelope header has the wrong length")
        try:
            direction = Role(sizes["direction"].decode("ascii"))
        except ValueError as error:
            raise ValueError("the direction of an envelope header is not a role") from error
        number, last, total, start, count = (
            int.from_bytes(sizes[name], "big") for name in ("number", "last", "total", "start", "count")
        )
        if last > 1:
            raise ValueError("the last flag of an envelope header is neither 0 nor 1")
        return cls(
            agreement=sizes["agreement"],
            sid=sizes["sid"],
            direction=direction,
            sender=sizes["sender"],
            recipient=sizes["recipient"],
            receiving_key=sizes["receiving_key"],
            number=number,
            last=bool(last),
            total=total,
            start=start,
            count=count,
            previous=sizes["previous"],
            batch=sizes["batch"],
            plaintext=sizes["plaintext"],
            sealed_secret=sizes["sealed_secret"],
        )


_DIGEST = (DIGEST_BYTES,)
_INTEGER = (8,)
_HEADER_SIZES: dict[str, tuple[int, ...]] = {
    "agreement": _DIGEST,
    "sid": _DIGEST,
    "direction": tuple(len(role.value) for role in Role),
    "sender": _DIGEST,
    "recipient": _DIGEST,
    "receiving_key": (RECEIVING_KEY_ID_BYTES,),
    "number": _INTEGER,
    "last": _INTEGER,
    "total": _INTEGER,
    "start": _INTEGER,
    "count": _INTEGER,
    "previous": _DIGEST,
    "batch": _DIGEST,
    "plaintext": _DIGEST,
    "sealed_secret": (0, SEALED_SECRET_BYTES),
}


def receiving_key_id(public: bytes) -> bytes:
    """The 16 bytes by which headers name a run receiving key (1,216 bytes)."""
    return digest(Context.RECEIVING_KEY, public)[:RECEIVING_KEY_ID_BYTES]


def batch_digest(records: Sequence[SealedRecord] | bytes) -> bytes:
    """Digest over sealed records with their ranks and classes, in order; 32 bytes.

    Records come as they are, or as ``encode_records`` wrote them, which is the field that is hashed.
    """
    encoded = records if isinstance(records, bytes) else encode_records(records)
    return digest(Context.ENVELOPE_BATCH, encoded)


def envelope_digest(header: bytes, records: Sequence[SealedRecord] | bytes) -> bytes:
    """Digest over header and records, as in ``batch_digest``; 32 bytes.

    It is what is acknowledged, and what the next envelope names.
    """
    encoded = records if isinstance(records, bytes) else encode_records(records)
    return digest(Context.ENVELOPE_DIGEST, header, encoded)


def ack_bytes(sid: bytes, envelope: bytes) -> bytes:
    """What the receiver signs to acknowledge the envelope with this digest."""
    return frame(Context.ENVELOPE_ACK, sid, envelope)


def encode_records(records: Sequence[SealedRecord]) -> bytes:
    """Sealed records as one byte string, for the digests and the store: each with its length before it."""
    parts = []
    for record in records:
        also, ciphertext = record.also, record.ciphertext
        if also:
            ranks = struct.pack(f">II{len(also)}I", record.rank, len(also), *also)
            parts.append(_UNSIGNED_32.pack(len(ranks) + 4 + len(ciphertext)) + ranks)
            parts.append(_UNSIGNED_32.pack(record.retention_days))
        else:
            parts.append(_ONE_RANK.pack(12 + len(ciphertext), record.rank, 0, record.retention_days))
        parts.append(ciphertext)
    return b"".join(parts)


def decode_records(data: bytes) -> tuple[SealedRecord, ...]:
    """What ``encode_records`` wrote. Raises ValueError for anything else."""
    return tuple(_parse_record(part) for part in _split(data))


def _parse_record(data: bytes) -> SealedRecord:
    try:
        rank, others = struct.unpack_from(">II", data)
        also = struct.unpack_from(f">{others}I", data, 8)
        (retention_days,) = _UNSIGNED_32.unpack_from(data, 8 + 4 * others)
    except struct.error as error:
        raise ValueError("a sealed record is cut short") from error
    ciphertext = data[12 + 4 * others :]
    if len(ciphertext) < TAG_BYTES:
        raise ValueError("a sealed record is cut short")
    return SealedRecord(rank, also, retention_days, ciphertext)


def _split(data: bytes) -> list[bytes]:
    """The length-prefixed parts that ``data`` consists of. Raises ValueError where they do not end with it."""
    parts = []
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise ValueError("a length is cut short")
        (length,) = _UNSIGNED_32.unpack_from(data, position)
        position += 4
        if position + length > len(data):
            raise ValueError("a field is cut short")
        parts.append(data[position : position + length])
        position += length
    return parts
