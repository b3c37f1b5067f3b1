"""Engine ``x25519``: items hashed to Curve25519 (RFC 9380), blinded by X25519 (RFC 7748); DESIGN §6, docs/adr/0012.

A point is a u-coordinate, 32 bytes, little-endian. X25519(a, X25519(b, u)) = X25519(b, X25519(a, u)), which is all that
the match needs. Any key is a multiple of the cofactor, so that whatever a cheat adds of small order vanishes, and the
match aborts on the equal products (step 5).
"""

from __future__ import annotations

import os

import numpy as np

from mutuals.engines.hash_to_curve import encode_to_curve
from mutuals.engines.montgomery import SIZE, SmallOrder, choose_backend
from mutuals.errors import ErrorCode, PartnerFault

# The canonical u-coordinates of points of small order, on the curve and on its twist (RFC 7748 §7; 0 and p − 1 have
# order 2 or 4, 1 has order 4, the last two have order 8).
_SMALL_ORDER = tuple(
    value.to_bytes(SIZE, "little")
    for value in (
        0,
        1,
        2**255 - 20,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)
_TOP, _FULL, _LOW = np.uint64(2**63 - 1), np.uint64(2**64 - 1), np.uint64(2**64 - 19)


class X25519Engine:
    """Curve25519 through X25519. ``backend`` forces one of ``mutuals.engines.montgomery``.

    Raises MutualsError (ENGINE_MISMATCH) where that backend does not run here.
    """

    name = "x25519"
    point_size = SIZE

    def __init__(self, backend: str | None = None) -> None:
        self._forced = backend
        if backend is not None:
            choose_backend(backend)

    @property
    def backend(self) -> str:
        """What computes the curve arithmetic."""
        return choose_backend(self._forced).name

    def generate_key(self) -> bytes:
        """A fresh scalar, 32 bytes."""
        return os.urandom(SIZE)

    def blind(self, key: bytes, items: bytes) -> bytes:
        """See ``Engine.blind``."""
        return choose_backend(self._forced).multiply(key, encode_to_curve(items))

    def reblind(self, key: bytes, points: bytes) -> bytes:
        """See ``Engine.reblind``."""
        self.check_points(points)
        try:
            return choose_backend(self._forced).multiply(key, points)
        except SmallOrder as error:
            raise _fault("a point of small order") from error

    def check_points(self, points: bytes) -> None:
        """See ``Engine.check_points``: 32 bytes, bit 255 clear, u < p, not of small order."""
        if len(points) % SIZE:
            raise PartnerFault(ErrorCode.BAD_MESSAGE, f"The partner's points are not {SIZE} bytes each.")
        words = np.frombuffer(points, "<u8").reshape(-1, 4)
        top = words[:, 3]
        if (top > _TOP).any():
            raise _fault("a point with bit 255 set")
        beyond = (top == _TOP) & (words[:, 2] == _FULL) & (words[:, 1] == _FULL) & (words[:, 0] >= _LOW)
        if beyond.any():
            raise _fault("a point whose coordinate is not reduced")
        for value in _SMALL_ORDER_WORDS:
            if (words == value).all(axis=1).any():
                raise _fault("a point of small order")


_SMALL_ORDER_WORDS = tuple(np.frombuffer(value, "<u8") for value in _SMALL_ORDER)


def _fault(what: str) -> PartnerFault:
    return PartnerFault(ErrorCode.BAD_MESSAGE, f"The partner sent {what}.")
