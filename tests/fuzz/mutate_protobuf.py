"""Protobuf messages, changed field by field along their descriptors, and written in ways that no library would.

Encoding: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from fuzz.mutate_bytes import mutate_bytes
from fuzz.target import Mutate

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
_NUMBERS = (0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
_TEXTS = (
    b"",
    b"\xff",
    b"\xed\xa0\x80",
    b"a\0b",
    b"\x1b[2J",
    "\u202e".encode(),
    b"A" * 63,
    b"a" * 64,
    b"x25519",
    b"proposal",
    b"BAD_MESSAGE",
    b"LOCAL",
)
_LONG = 600 << 10


@dataclass
class _Field:
    """A field as it is written: ``value`` an integer, bytes, or the fields of a message; ``raw`` in place of it all."""

    number: int
    kind: int
    value: int | bytes | list[_Field]
    message: Descriptor | None = None
    raw: bytes | None = None


def protobuf(descriptor: Descriptor) -> Mutate:
    """Mutations of messages of this type."""

    def mutate(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
        fields = _read(data, descriptor)
        for _ in range(1 + min(int(chance.expovariate(1.0)), 5)):
            _change(chance, fields, descriptor, others)
        written = _write(chance, fields)
        return mutate_bytes(chance, written, others) if chance.random() < 0.2 else written

    return mutate


def varint(number: int, longer: int = 0) -> bytes:
    """``number`` in base 128, with ``longer`` bytes more than it needs."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    if longer:
        written[-1] |= 0x80
        written += b"\x80" * (longer - 1) + b"\0"
    return bytes(written)


# --- reading a seed -------------------------------------------------------------------------------------------------


def _read(data: bytes, descriptor: Descriptor) -> list[_Field]:
    """The fields of a sound message, by hand: a library would put them in order and drop what it does not know."""
    known = descriptor.fields_by_number
    fields: list[_Field] = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            fields.append(_Field(number, kind, value))
        elif kind == _BYTES:
            size, at = _read_varint(data, at)
            content, at = data[at : at + size], at + size
            field = known.get(number)
            inner = (
                field.message_type
                if field is not None and field.type == FieldDescriptor.TYPE_MESSAGE
                else None
            )
            fields.append(_Field(number, kind, content if inner is None else _read(content, inner), inner))
        else:
            raise ValueError("no message of ours has such a field")
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


# --- writing it -----------------------------------------------------------------------------------------------------


def _write(chance: random.Random, fields: list[_Field]) -> bytes:
    return b"".join(_write_field(chance, field) for field in fields)


def _write_field(chance: random.Random, field: _Field) -> bytes:
    if field.raw is not None:
        return field.raw
    key = varint(field.number << 3 | field.kind)
    value = field.value
    if field.kind == _VARINT:
        return key + varint(value if isinstance(value, int) else len(value))
    content = _write(chance, value) if isinstance(value, list) else value
    if isinstance(content, int):
        content = (content & 2**64 - 1).to_bytes(8, "little")
    if field.kind == _FIXED64:
        return key + content[:8].ljust(8, b"\0")
    if field.kind == _FIXED32:
        return key + content[:4].ljust(4, b"\0")
    if field.kind in (_GROUP, _END_GROUP):
        return key + content + (varint(field.number << 3 | _END_GROUP) if chance.random() < 0.7 else b"")
    return key + varint(len(content)) + content


# --- changing it ----------------------------------------------------------------------------------------------------


def _change(
    chance: random.Random, fields: list[_Field], descriptor: Descriptor, others: Sequence[bytes]
) -> None:
    """One change, in the message itself or in one inside of it."""
    inner = [field for field in fields if isinstance(field.value, list)]
    if inner and chance.random() < 0.8:
        field = chance.choice(inner)
        if field.message is not None and isinstance(field.value, list):
            _change(chance, field.value, field.message, others)
            return
    if not fields:
        _add(chance, fields, descriptor)
        return
    at = chance.randrange(len(fields))
    chance.choice(_CHANGES)(chance, fields, at, descriptor)


def _add(chance: random.Random, fields: list[_Field], descriptor: Descriptor) -> None:
    known = list(descriptor.fields)
    number = (
        chance.choice(known).number
        if known and chance.random() < 0.8
        else chance.choice((0, 19, 1000, 2**29 - 1))
    )
    kind = chance.choice((_VARINT, _BYTES, _BYTES, chance.randrange(8)))
    value: int | bytes = (
        chance.choice(_NUMBERS) if kind == _VARINT else chance.randbytes(chance.choice((0, 1, 32, 64)))
    )
    fields.insert(chance.randint(0, len(fields)), _Field(number, kind, value))


def _extend(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    _add(chance, fields, descriptor)


def _drop(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    del fields[at]


def _double(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    times = chance.choice((1, 1, 2, 64, 65, 128, 501)) if chance.random() < 0.1 else 1
    fields[at:at] = [fields[at]] * times


def _move(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    fields.insert(chance.randrange(len(fields)), fields.pop(at))


def _rename(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    known = list(descriptor.fields)
    field = fields[at]
    fields[at] = _Field(chance.choice(known).number if known else 2, field.kind, field.value, field.message)


def _retype(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    field = fields[at]
    fields[at] = _Field(field.number, chance.randrange(8), field.value, field.message)


def _revalue(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    field = fields[at]
    value = field.value
    if isinstance(value, int):
        value = chance.choice((*_NUMBERS, value + 1, max(value - 1, 0), chance.getrandbits(64)))
    elif isinstance(value, bytes):
        value = _other_bytes(chance, value)
    else:
        value = chance.randbytes(chance.randint(0, 64))
    fields[at] = _Field(field.number, field.kind, value, field.message)


def _other_bytes(chance: random.Random, value: bytes) -> bytes:
    match chance.randrange(8):
        case 0:
            return b""
        case 1:
            return value[:-1]
        case 2:
            return value + chance.randbytes(1)
        case 3:
            return chance.randbytes(len(value))
        case 4:
            return value * 2
        case 5 if chance.random() < 0.02:
            return (value or b"a") * (_LONG // max(len(value), 1))
        case 6:
            return bytes(len(value))
    return chance.choice(_TEXTS)


def _misname(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    """A varint longer than it need be, or longer than any may be; a length that is not there; a lone end of a group."""
    field = fields[at]
    key = varint(field.number << 3 | field.kind, chance.choice((0, 0, 1, 4, 9)))
    number = varint(chance.choice(_NUMBERS), chance.choice((0, 1, 5, 10)))
    content = field.value if isinstance(field.value, bytes) else b""
    fields[at] = _Field(
        field.number, field.kind, 0, raw=key + number + content[: chance.choice((0, 8, 4096))]
    )


def _nest(chance: random.Random, fields: list[_Field], at: int, descriptor: Descriptor) -> None:
    """The field inside of itself, deeper than a parser may go."""
    field = fields[at]
    kind = chance.choice((_BYTES, _BYTES, _GROUP))
    content = _write(chance, [field])
    for _ in range(chance.choice((1, 2, 10, 99, 101, 500))):
        key, end = varint(field.number << 3 | kind), varint(field.number << 3 | _END_GROUP)
        content = key + varint(len(content)) + content if kind == _BYTES else key + content + end
        if len(content) > _LONG:
            break
    fields[at] = _Field(field.number, _BYTES, 0, raw=content)


_CHANGES: tuple[Callable[[random.Random, list[_Field], int, Descriptor], None], ...] = (
    _revalue,
    _revalue,
    _revalue,
    _revalue,
    _drop,
    _double,
    _move,
    _rename,
    _retype,
    _misname,
    _nest,
    _extend,
)
