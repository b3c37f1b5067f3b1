"""A second implementation of the engines' curves, after docs/protocol.md and the RFCs: plain integers and hashlib.

It shares no code with the product. It is slow, leaks its keys through time, and is for comparing bytes, not for use.

    ENGINES["x25519"].blind(key, item)       # key and point in bytes, as an engine has them
"""

from __future__ import annotations

import hashlib
from typing import Protocol


class ReferenceEngine(Protocol):
    """One engine."""

    point_size: int

    def blind(self, key: bytes, item: bytes) -> bytes:
        """The point of an item (32 bytes)."""

    def reblind(self, key: bytes, point: bytes) -> bytes:
        """The partner's point under the own key. Raises AssertionError where it is none."""


# --- P-256 and the engine “openmined” -----------------------------------------------------------------------------

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Affine = tuple[int, int]


def hash_to_p256(item: bytes) -> Affine:
    """Try-and-rehash: the first x on the curve, with the even y."""
    x = oracle(item)
    while (y := square_root(x**3 + A * x + B)) is None:
        # The bytes of x have no leading zeros.
        x = oracle(x.to_bytes((x.bit_length() + 7) // 8, "big"))
    return x, y if y % 2 == 0 else P - y


def oracle(data: bytes) -> int:
    """512 bits reduced modulo p: SHA-256 twice, behind a counter of one byte that begins at 1."""
    return int.from_bytes(_sha(b"\x01" + data) + _sha(b"\x02" + data), "big") % P


def square_root(value: int) -> int | None:
    root = pow(value, (P + 1) // 4, P)
    return root if root * root % P == value % P else None


def encode_p256(point: Affine) -> bytes:
    x, y = point
    return bytes([2 + y % 2]) + x.to_bytes(32, "big")


def decode_p256(data: bytes) -> Affine:
    assert len(data) == 33
    assert data[0] in {2, 3}
    x = int.from_bytes(data[1:], "big")
    assert x < P
    y = square_root(x**3 + A * x + B)
    assert y is not None
    return x, y if y % 2 == data[0] - 2 else P - y


def multiply_p256(key: int, point: Affine) -> Affine:
    """Double and add in Jacobian coordinates; ``key`` is in 1 … n − 1."""
    x, y, z = 0, 1, 0
    for bit in f"{key:b}":
        x, y, z = _double(x, y, z)
        if bit == "1":
            x, y, z = _add(x, y, z, *point)
    inverse = pow(z, -1, P)
    return x * inverse**2 % P, y * inverse**3 % P


def _double(x: int, y: int, z: int) -> tuple[int, int, int]:
    yy = y * y % P
    s = 4 * x * yy % P
    m = (3 * x * x + A * pow(z, 4, P)) % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(x: int, y: int, z: int, x2: int, y2: int) -> tuple[int, int, int]:
    if z == 0:
        return x2, y2, 1
    h = (x2 * z * z - x) % P
    r = (y2 * z**3 - y) % P
    if h == 0:
        return _double(x, y, z) if r == 0 else (0, 1, 0)
    hh, hhh = h * h % P, h**3 % P
    x3 = (r * r - hhh - 2 * x * hh) % P
    return x3, (r * (x * hh - x3) - y * hhh) % P, z * h % P


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Openmined:
    """P-256; a key is a number below the order, big-endian."""

    point_size = 33

    def blind(self, key: bytes, item: bytes) -> bytes:
        return encode_p256(multiply_p256(int.from_bytes(key, "big"), hash_to_p256(item)))

    def reblind(self, key: bytes, point: bytes) -> bytes:
        return encode_p256(multiply_p256(int.from_bytes(key, "big"), decode_p256(point)))


# --- Curve25519 and the engine “x25519” ---------------------------------------------------------------------------

Q = 2**255 - 19
J = 486662
DST = b"mutuals/v1/curve25519_XMD:SHA-512_ELL2_NU_"


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """RFC 9380 §5.3.1 with SHA-512: 64 bytes of output, blocks of 128."""
    blocks = -(-length // 64)
    assert blocks <= 255
    assert len(dst) <= 255
    dst_prime = dst + bytes([len(dst)])
    b_0 = hashlib.sha512(bytes(128) + message + length.to_bytes(2, "big") + b"\x00" + dst_prime).digest()
    block = hashlib.sha512(b_0 + b"\x01" + dst_prime).digest()
    uniform = block
    for number in range(2, blocks + 1):
        mixed = bytes(one ^ other for one, other in zip(b_0, block, strict=True))
        block = hashlib.sha512(mixed + bytes([number]) + dst_prime).digest()
        uniform += block
    return uniform[:length]


def hash_to_field(message: bytes, dst: bytes) -> int:
    """RFC 9380 §5.2 for one element of the prime field; L = 48 (§8.5)."""
    return int.from_bytes(expand_message_xmd(message, dst, 48), "big") % Q


def is_square(value: int) -> bool:
    return pow(value, (Q - 1) // 2, Q) in (0, 1)


def inverse_or_zero(value: int) -> int:
    return pow(value, Q - 2, Q)


def map_to_curve_elligator2(u: int) -> int:
    """RFC 9380 §6.7.1 for curve25519 (J = 486662, K = 1, Z = 2): the x-coordinate, step by step as it stands there."""
    x1 = -J * inverse_or_zero(1 + 2 * u * u) % Q
    if x1 == 0:
        x1 = -J % Q
    gx1 = (x1**3 + J * x1**2 + x1) % Q
    x2 = (-x1 - J) % Q
    return x1 if is_square(gx1) else x2


def encode_to_curve(item: bytes, dst: bytes = DST) -> bytes:
    """RFC 9380 §3, without clear_cofactor; of the point the u-coordinate."""
    return map_to_curve_elligator2(hash_to_field(item, dst)).to_bytes(32, "little")


def x25519(scalar: bytes, u_coordinate: bytes) -> bytes:
    """RFC 7748 §5: the ladder as it stands there, swaps written out."""
    k = int.from_bytes(scalar, "little")
    k = k & ~7 & ~(128 << 8 * 31) | 64 << 8 * 31
    u = int.from_bytes(u_coordinate, "little") % 2**255
    x_1, x_2, z_2, x_3, z_3, swap = u, 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        k_t = k >> t & 1
        if swap ^ k_t:
            x_2, x_3, z_2, z_3 = x_3, x_2, z_3, z_2
        swap = k_t
        a, b = (x_2 + z_2) % Q, (x_2 - z_2) % Q
        aa, bb = a * a % Q, b * b % Q
        e = (aa - bb) % Q
        da, cb = (x_3 - z_3) * a % Q, (x_3 + z_3) * b % Q
        x_3, z_3 = (da + cb) ** 2 % Q, x_1 * (da - cb) ** 2 % Q
        x_2, z_2 = aa * bb % Q, e * (aa + 121665 * e) % Q
    if swap:
        x_2, z_2 = x_3, z_3
    return (x_2 * pow(z_2, Q - 2, Q) % Q).to_bytes(32, "little")


class X25519:
    """Curve25519; a key is any 32 bytes."""

    point_size = 32

    def blind(self, key: bytes, item: bytes) -> bytes:
        return x25519(key, encode_to_curve(item))

    def reblind(self, key: bytes, point: bytes) -> bytes:
        assert len(point) == 32
        assert int.from_bytes(point, "little") < Q
        product = x25519(key, point)
        assert product != bytes(32)  # a point of small order
        return product


ENGINES: dict[str, ReferenceEngine] = {"openmined": Openmined(), "x25519": X25519()}
