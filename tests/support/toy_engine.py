"""A commutative cipher that is fast, tiny and worthless as one: powers modulo a safe prime of 62 bits."""

from __future__ import annotations

import os
from collections.abc import Callable

from mutuals.errors import ErrorCode, PartnerFault

# p = 2q + 1 with q prime: squares form a group of prime order q, so that every key below q is a permutation of it.
P = 4611686018427377339
Q = (P - 1) // 2


class ToyEngine:
    """See ``mutuals.engines.base.Engine``; a point is 8 bytes."""

    name = "toy"
    point_size = 8
    backend = None

    def generate_key(self) -> bytes:
        return (int.from_bytes(os.urandom(16), "big") % (Q - 1) + 1).to_bytes(8, "big")

    def blind(self, key: bytes, items: bytes) -> bytes:
        return _each(items, 32, lambda item: pow(item % P, 2 * int.from_bytes(key, "big"), P))

    def reblind(self, key: bytes, points: bytes) -> bytes:
        return _each(points, 8, lambda point: pow(point, int.from_bytes(key, "big"), P))

    def check_points(self, points: bytes) -> None:
        if len(points) % 8 or any(
            int.from_bytes(points[i : i + 8], "big") >= P for i in range(0, len(points), 8)
        ):
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner sent a point that is not canonical.")


def _each(data: bytes, size: int, power: Callable[[int], int]) -> bytes:
    rows = (int.from_bytes(data[start : start + size], "big") for start in range(0, len(data), size))
    return b"".join(power(row).to_bytes(8, "big") for row in rows)
