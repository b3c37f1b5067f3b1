"""The engines' curves as a cheat sees them: points that pass, and points that must not.

Plain arithmetic of its own, so that what it says about torsion and twists is not what the product says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from support.toy_engine import P as TOY_P


@dataclass(frozen=True)
class Curve:
    """Bytes of a point, and points that nobody knows the logarithm of, without end, from a number on."""

    size: int
    fresh: Callable[[int], Iterator[bytes]]

    def split(self, points: bytes) -> list[bytes]:
        """The points one by one."""
        return [points[at : at + self.size] for at in range(0, len(points), self.size)]


# --- P-256: y² = x³ − 3x + b over p (SEC 2), engine “openmined” -----------------------------------------------------

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def square_root(x: int) -> int | None:
    """y with (x, y) on the curve, or nothing."""
    square = (x**3 - 3 * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    return y if y * y % P == square else None


def off_curve() -> bytes:
    """33 bytes in the right form that are no point."""
    x = next(x for x in range(1, 100) if square_root(x) is None)
    return b"\x02" + x.to_bytes(32, "big")


def on_curve(start: int = 1) -> Iterator[bytes]:
    """Points of P-256."""
    return (b"\x02" + x.to_bytes(32, "big") for x in count(start) if square_root(x) is not None)


def negated(point: bytes) -> bytes:
    """−P: the same x, the other prefix."""
    return bytes([point[0] ^ 1]) + point[1:]


def uncompressed(point: bytes) -> bytes:
    """The 65-byte form."""
    y = square_root(int.from_bytes(point[1:], "big"))
    assert y is not None
    if y % 2 != point[0] % 2:
        y = P - y
    return b"\x04" + point[1:] + y.to_bytes(32, "big")


# --- Curve25519: v² = u³ + A·u² + u over q (RFC 7748), engine “x25519” ----------------------------------------------

Q = 2**255 - 19
A = 486662
ORDER_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
OTHER_OF_ORDER_8 = 39382357235489614581723060781553021112529911719440698176882885853963445705823


def u_bytes(u: int) -> bytes:
    """A u-coordinate as it travels."""
    return u.to_bytes(32, "little")


def v_of(u: int) -> int | None:
    """v with (u, v) on the curve; nothing where u belongs to the twist."""
    square = (u**3 + A * u**2 + u) % Q
    v = pow(square, (Q + 3) // 8, Q)
    if v * v % Q != square:
        v = v * pow(2, (Q - 1) // 4, Q) % Q
    return v if v * v % Q == square else None


def u_coordinates(start: int = 2) -> Iterator[bytes]:
    """Points of Curve25519."""
    return (u_bytes(u) for u in count(max(start, 2)) if v_of(u) is not None)


def on_the_twist(start: int = 2) -> Iterator[bytes]:
    """Coordinates that are none of the curve's."""
    return (u_bytes(u) for u in count(start) if v_of(u) is None)


def plus_torsion(point: bytes, order: int) -> bytes:
    """The point and a point of this small order (2, 4 or 8), added: another coordinate, the same under every key."""
    u1, u2 = int.from_bytes(point, "little"), {2: 0, 4: 1, 8: ORDER_8}[order]
    v1, v2 = v_of(u1), v_of(u2)
    assert v1 is not None
    assert v2 is not None
    slope = (v2 - v1) * pow(u2 - u1, -1, Q)
    return u_bytes((slope * slope - A - u1 - u2) % Q)


# --- both -----------------------------------------------------------------------------------------------------------

CURVES = {
    "openmined": Curve(33, on_curve),
    "x25519": Curve(32, u_coordinates),
    "toy": Curve(8, lambda start: (pow(x, 2, TOY_P).to_bytes(8, "big") for x in count(start + 1))),
}
