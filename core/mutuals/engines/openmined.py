"""Engine ``openmined``: the OpenMined PSI library, P-256, used as a commutative cipher (DESIGN §6 and §11).

``CreateRequest`` blinds and ``ProcessRequest`` reblinds under the same key. The library's set-up message and
``GetIntersection`` are not used, and it never parses a protobuf of the partner's: a hostile one can abort, hang or
mislead it. This is the only module that imports the library. One of its objects in two threads corrupts the heap,
so every call makes its own, and calls happen in worker processes (``mutuals.engines.workers``).
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from mutuals.engines.base import ITEM_SIZE
from mutuals.errors import ErrorCode, MutualsError, PartnerFault

POINT_SIZE = 33
# p = 2^256 − 2^224 + 2^192 + 2^96 − 1 (SEC 2, secp256r1), as four 64-bit words, most significant first.
_P_WORDS = (0xFFFFFFFF00000001, 0x0000000000000000, 0x00000000FFFFFFFF, 0xFFFFFFFFFFFFFFFF)


class OpenMinedEngine:
    """P-256 through openmined-psi. Raises MutualsError (ENGINE_MISMATCH) on a platform without its wheel."""

    name = "openmined"
    point_size = POINT_SIZE
    backend = None

    def __init__(self) -> None:
        if importlib.util.find_spec("private_set_intersection") is None:
            raise MutualsError(
                ErrorCode.ENGINE_MISMATCH,
                "The engine openmined cannot run here: openmined-psi has no wheel for this platform.",
                hint="It runs on Linux x86-64 (glibc 2.35 or later) and on macOS with Apple silicon.",
            )

    def generate_key(self) -> bytes:
        """A fresh P-256 scalar, 32 bytes."""
        key: bytes = _library().client.CreateWithNewKey(True).GetPrivateKeyBytes()
        return key

    def blind(self, key: bytes, items: bytes) -> bytes:
        """See ``Engine.blind``: hash to the curve, then multiply by ``key``."""
        if len(items) % ITEM_SIZE:
            raise ValueError(f"items are {ITEM_SIZE} bytes each")
        client = _library().client.CreateFromKey(key, True)
        request = client.CreateRequest(_split(items, ITEM_SIZE))
        return _joined(request.encrypted_elements, len(items) // ITEM_SIZE)

    def reblind(self, key: bytes, points: bytes) -> bytes:
        """See ``Engine.reblind``. The request is built here, from points whose form was checked."""
        self.check_points(points)
        psi = _library()
        request = psi.Request(reveal_intersection=True, encrypted_elements=_split(points, POINT_SIZE))
        server = psi.server.CreateFromKey(key, True)
        try:
            response = server.ProcessRequest(request)
        except RuntimeError as error:
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE, "The partner sent a point that is not on the curve."
            ) from error
        return _joined(response.encrypted_elements, len(points) // POINT_SIZE)

    def check_points(self, points: bytes) -> None:
        """See ``Engine.check_points``: 33 bytes, prefix 02 or 03, x < p (SEC 1, compressed form)."""
        if len(points) % POINT_SIZE:
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE, f"The partner's points are not {POINT_SIZE} bytes each."
            )
        rows = np.frombuffer(points, np.uint8).reshape(-1, POINT_SIZE)
        if not np.isin(rows[:, 0], (2, 3)).all():
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE, "The partner sent a point that is not in compressed form."
            )
        words = np.ascontiguousarray(rows[:, 1:]).view(">u8").astype(np.uint64)
        below = np.zeros(len(rows), dtype=bool)
        for word, limit in reversed(list(zip(words.T, _P_WORDS, strict=True))):
            below = (word < np.uint64(limit)) | ((word == np.uint64(limit)) & below)
        if not below.all():
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE, "The partner sent a point whose coordinate is not reduced."
            )


def _library() -> Any:
    """The library, loaded at first use: it costs 0.1 s and only workers need it."""
    import private_set_intersection.python as psi

    return psi


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _joined(elements: Any, count: int) -> bytes:
    points = b"".join(elements)
    if len(elements) != count or len(points) != count * POINT_SIZE:
        raise MutualsError(
            ErrorCode.INTERNAL, "openmined-psi returned another number of points than asked for."
        )
    return points
