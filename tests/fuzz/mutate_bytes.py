"""Any bytes, changed anywhere: what every other mutation ends with now and then."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

LONG = 256 << 10
"""Up to so many bytes a piece is repeated, once in a hundred times."""

TOKENS = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff" * 8,
    b"\x80" * 10,
    b"\n",
    b"\r\n",
    b"\r",
    b'"',
    b"'",
    b",",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "\u202e".encode(),
    b"\x1b[2J",
    b"{",
    b"[",
    b"-",
    b"1e999",
)

_Change = Callable[[random.Random, bytearray, Sequence[bytes]], bytearray]


def mutate_bytes(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """``data`` after one to eight changes."""
    piece = bytearray(data)
    for _ in range(1 + min(int(chance.expovariate(0.8)), 7)):
        piece = chance.choice(_CHANGES)(chance, piece, others)
    return bytes(piece)


def span(chance: random.Random, size: int, most: int = 64) -> tuple[int, int]:
    """Beginning and end of a short stretch of something that is ``size`` long."""
    start = chance.randint(0, size)
    return start, min(size, start + chance.randint(1, most))


def _flip(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    if piece:
        piece[chance.randrange(len(piece))] ^= 1 << chance.randrange(8)
    return piece


def _set(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    if piece:
        piece[chance.randrange(len(piece))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return piece


def _token(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    at = chance.randint(0, len(piece))
    piece[at : at + chance.choice((0, 0, 1, 4))] = chance.choice(TOKENS)
    return piece


def _noise(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    start, end = span(chance, len(piece), 16)
    piece[start:end] = chance.randbytes(chance.choice((end - start, chance.randint(0, 32))))
    return piece


def _cut(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    start, end = span(chance, len(piece))
    del piece[start:end]
    return piece


def _truncate(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    del piece[chance.randint(0, len(piece)) :]
    return piece


def _repeat(chance: random.Random, piece: bytearray, _: Sequence[bytes]) -> bytearray:
    start, end = span(chance, len(piece))
    times = chance.randint(1, 4)
    if chance.random() < 0.01 and end > start:
        times = LONG // (end - start)
    piece[start:start] = bytes(piece[start:end]) * times
    return piece


def _splice(chance: random.Random, piece: bytearray, others: Sequence[bytes]) -> bytearray:
    other = chance.choice(others)
    return piece[: chance.randint(0, len(piece))] + other[chance.randint(0, len(other)) :]


_CHANGES: tuple[_Change, ...] = (
    _flip,
    _flip,
    _set,
    _set,
    _token,
    _noise,
    _cut,
    _truncate,
    _repeat,
    _splice,
)
