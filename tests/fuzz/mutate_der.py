"""DER in PEM, changed element by element (X.690), with lengths that fit: nothing else gets past the first byte."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from fuzz.mutate_bytes import mutate_bytes

_CONSTRUCTED = 0x20
_TAGS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0xA0, 0xA3, 0x82, 0x1F)
_CONTENTS = (
    b"",
    b"\0",
    b"\xff",
    b"\x7f" * 20,
    b"\x80" + b"\0" * 19,
    b"\xff" * 40,
    b"000101000000Z",
    b"99991231235959Z",
    b"20260101000000",
    b"500101000000Z",
    b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
    b"\x55\x1d\x11",
    b"\x55\x1d\x13",
    b"\x80\x80\x80\x80\x01",
)


@dataclass
class _Element:
    """A tag, and what it holds: bytes, or other elements."""

    tag: int
    content: bytes = b""
    inner: list[_Element] = field(default_factory=list)

    def encode(self) -> bytes:
        content = b"".join(one.encode() for one in self.inner) if self.inner else self.content
        return bytes([self.tag]) + _length(len(content)) + content


def mutate_pem(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A PEM file with other DER in it, or another PEM file around it."""
    if chance.random() < 0.15:
        return mutate_bytes(chance, data, others)
    first, *lines = data.strip().split(b"\n")
    der = base64.b64decode(b"".join(lines[:-1]))
    if chance.random() < 0.15:
        der = mutate_bytes(
            chance, der, [base64.b64decode(b"".join(one.strip().split(b"\n")[1:-1])) for one in others]
        )
    else:
        elements = _read(der)
        for _ in range(1 + min(int(chance.expovariate(1.0)), 4)):
            _change(chance, elements)
        der = b"".join(element.encode() for element in elements)
    coded = base64.b64encode(der)
    rows = [coded[start : start + 64] for start in range(0, len(coded), 64)]
    return b"\n".join([first, *rows, lines[-1]]) + b"\n"


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(written)]) + written


def _read(data: bytes) -> list[_Element]:
    """The elements of sound DER with tags of one byte."""
    found = []
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(data[at : at + more], "big"), at + more
        content, at = data[at : at + size], at + size
        found.append(_Element(tag, content, _read(content) if tag & _CONSTRUCTED else []))
    return found


def _lists(elements: list[_Element]) -> list[list[_Element]]:
    return [elements, *(some for one in elements if one.inner for some in _lists(one.inner))]


def _change(chance: random.Random, elements: list[_Element]) -> None:
    some = chance.choice(_lists(elements))
    if not some:
        return
    at = chance.randrange(len(some))
    one = some[at]
    match chance.randrange(8):
        case 0:
            del some[at]
        case 1:
            some.insert(chance.randint(0, len(some)), one)
        case 2:
            some[at] = _Element(chance.choice(_TAGS), one.content, one.inner)
        case 3:
            some[at] = _Element(one.tag, chance.choice(_CONTENTS))
        case 4:
            other = chance.choice(chance.choice([each for each in _lists(elements) if each] or [some]))
            some[at] = _Element(other.tag, other.encode()[2:] if other.inner else other.content)
        case 5:
            some[at] = _Element(one.tag, one.encode())
        case 6 if chance.random() < 0.05:
            deep = one.encode()
            for _ in range(chance.choice((20, 200))):
                deep = b"\x30" + _length(len(deep)) + deep
            some[at] = _Element(one.tag, deep)
        case _ if not one.inner:
            content = bytearray(one.content)
            if content:
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            some[at] = _Element(one.tag, bytes(content))
