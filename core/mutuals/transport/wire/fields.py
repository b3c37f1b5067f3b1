"""The checks every field of the wire goes through, and how bytes become a message.

Each check takes the kind of message and the name of the field for its sentence, returns the value, and raises
PartnerFault (BAD_MESSAGE) otherwise. The sentence never quotes what was in the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from mutuals.errors import ErrorCode, PartnerFault

DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
MAX_U32 = 2**32 - 1
MAX_TIMESTAMP = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")

T = TypeVar("T")


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How messages of one kind are written and read; ``decode`` raises PartnerFault alone."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


def fault(kind: str, what: str) -> PartnerFault:
    """The error for a malformed message of ``kind``; ``what`` is a clause without data."""
    return PartnerFault(ErrorCode.BAD_MESSAGE, f"The partner sent a malformed {kind} message: {what}.")


def exactly(value: bytes, size: int, kind: str, field: str) -> bytes:
    """``value`` if it has ``size`` bytes."""
    if len(value) != size:
        raise fault(kind, f"{field} has {len(value)} bytes instead of {size}")
    return value


def within(value: int, low: int, high: int, kind: str, field: str) -> int:
    """``value`` if it lies between ``low`` and ``high``, both included."""
    if not low <= value <= high:
        raise fault(kind, f"{field} is out of range")
    return value


def check_length(value: Sequence[Any], low: int, high: int, kind: str, field: str) -> None:
    """Refuse bytes or repeated fields with fewer than ``low`` or more than ``high`` entries."""
    if not low <= len(value) <= high:
        raise fault(kind, f"the length of {field} is out of range")


def name(value: str, kind: str, field: str) -> str:
    """``value`` if it is a short name of the kind that engines, profiles and documents have."""
    if not _NAME.fullmatch(value):
        raise fault(kind, f"{field} is not a name")
    return value


def fields_codec(
    wire: type[Any], kind: str, write: Callable[[T], dict[str, Any]], read: Callable[[Any], T]
) -> Codec[T]:
    """A codec for the generated class ``wire``: ``write`` gives its fields, ``read`` checks a parsed one."""

    def encode(message: T) -> bytes:
        data: bytes = wire(**write(message)).SerializeToString()
        return data

    def decode(data: bytes) -> T:
        try:
            parsed = wire.FromString(data)
        except DecodeError as error:
            raise fault(kind, "it cannot be parsed") from error
        return read(parsed)

    return Codec(encode, decode)


def oneof_codec(
    wire: type[Any],
    kind: str,
    write: Callable[[T], dict[str, Message]],
    readers: dict[str, Callable[[Any], T]],
) -> Codec[T]:
    """A codec for a generated class with one ``oneof message``; ``readers`` has one check for each member."""

    def read(parsed: Any) -> T:
        member = parsed.WhichOneof("message")
        if member is None:
            raise fault(kind, "it is empty")
        return readers[member](getattr(parsed, member))

    return fields_codec(wire, kind, write, read)
