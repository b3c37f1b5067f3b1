"""Hashing items to Curve25519: RFC 9380 ``encode_to_curve``, suite ``curve25519_XMD:SHA-512_ELL2_NU_``.

    points = encode_to_curve(items)        # n × 32 bytes in, n × 32 bytes of little-endian u-coordinates out

Only the u-coordinate of Q is computed and the cofactor is not cleared: an X25519 scalar is a multiple of 8 and clears
it (DESIGN §6). Hashing straight to a u-coordinate would be cheaper, and would tell of every contact whether its point
lies on the curve or on the twist. GMP does the arithmetic, one inversion serves a whole batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import gmpy2

from mutuals.engines.base import ITEM_SIZE

DST = b"mutuals/v1/curve25519_XMD:SHA-512_ELL2_NU_"

_P = gmpy2.mpz(2**255 - 19)
_J = gmpy2.mpz(486662)
_J2 = _J * _J
_L = 48  # ceil((ceil(log2 p) + 128) / 8), RFC 9380 §8.5
_BLOCK = 128  # bytes of a SHA-512 block
_BATCH = 1024  # items that share an inversion; more gains nothing measurable


def encode_to_curve(items: bytes, dst: bytes = DST) -> bytes:
    """The u-coordinates, little-endian, of ``items`` (n × 32 bytes); n × 32 bytes in the same order."""
    if len(items) % ITEM_SIZE:
        raise ValueError(f"items are {ITEM_SIZE} bytes each")
    step = _BATCH * ITEM_SIZE
    batches = (items[start : start + step] for start in range(0, len(items), step))
    return b"".join(map_to_curve(hash_to_field(_split(batch), dst)) for batch in batches)


def hash_to_field(messages: Iterable[bytes], dst: bytes = DST) -> list[Any]:
    """One element of the field (``mpz``) a message: RFC 9380 §5.2 with ``expand_message_xmd`` over SHA-512 (§5.3.1).

    48 bytes are one block of output, so the loop of the RFC runs once. ``dst`` is at most 255 bytes.
    """
    dst_prime = dst + bytes([len(dst)])
    after_message, after_first = _L.to_bytes(2, "big") + b"\x00" + dst_prime, b"\x01" + dst_prime
    padded, sha512, to_integer, p = hashlib.sha512(bytes(_BLOCK)), hashlib.sha512, gmpy2.mpz.from_bytes, _P
    elements = []
    for message in messages:
        first = padded.copy()
        first.update(message + after_message)
        block = sha512(first.digest() + after_first).digest()
        elements.append(to_integer(block[:_L], "big") % p)
    return elements


def map_to_curve(elements: list[Any]) -> bytes:
    """Elligator 2 (RFC 9380 §6.7.1, Z = 2) of field elements: u-coordinates as 32 little-endian bytes each.

    With d = 1 + 2u² the two candidates are x1 = −J/d and x2 = −x1 − J, and x1 is the one to take where
    x1³ + J·x1² + x1 is a square, or, multiplied by the square d⁴, where −J·d·(J² − J²·d + d²) is one; that needs no
    inversion. d is never 0, for −1/2 is no square in this field.
    """
    p, j, j2, jacobi = _P, _J, _J2, gmpy2.jacobi
    running = gmpy2.mpz(1)
    denominators, products, first = [], [], []
    for u in elements:
        d = (1 + 2 * u * u) % p
        first.append(jacobi(-j * d * (j2 - j2 * d + d * d), p) >= 0)
        products.append(running)
        denominators.append(d)
        running = running * d % p
    inverse = gmpy2.invert(running, p)
    found = []
    for index in range(len(denominators) - 1, -1, -1):  # Montgomery's trick: one inversion for all
        x1 = -j * inverse * products[index] % p
        inverse = inverse * denominators[index] % p
        found.append((x1 if first[index] else (-x1 - j) % p).to_bytes(32, "little"))
    found.reverse()
    return b"".join(found)


def _split(items: bytes) -> Iterable[bytes]:
    return (items[start : start + ITEM_SIZE] for start in range(0, len(items), ITEM_SIZE))
