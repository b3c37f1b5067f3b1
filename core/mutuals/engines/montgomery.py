"""X25519 (RFC 7748) of many points under one key: the backends that can compute it, and the choice between them.

    backend = choose_backend()               # the fastest that runs on this machine
    products = backend.multiply(key, points)     # n × 32 bytes in, n × 32 bytes out

``cryptography`` runs everywhere. ``crypto_mb`` (Intel's multi-buffer library, in the extra ``mutuals[fast]``)
computes eight at once where the CPU has AVX-512 IFMA. It deviates from RFC 7748 where a 52-bit limb of u is all ones:
such points go to ``cryptography``, and of every call a random sample is computed twice.
"""

from __future__ import annotations

import ctypes
import secrets
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mutuals.errors import ErrorCode, MutualsError

SIZE = 32
"""Bytes of a scalar and of a u-coordinate."""

_LANES = 8
_SAMPLE = 2
_LIMB = np.uint64(2**52 - 1)
# A limb counts as nearly all ones where its upper 20 bits are: 5 in a million points, and a wide margin.
_LIMB_LIMIT = np.uint64(2**52 - 2**32)
_LAST_LIMB_LIMIT = np.uint64(2**47 - 2**27)
_SMALL_ORDER_STATUS = 4
_NEEDED = ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so")


class SmallOrder(ValueError):
    """A point whose product is zero, which no honest partner sends (RFC 7748 §6.1)."""


class Backend(Protocol):
    """Something that computes X25519."""

    @property
    def name(self) -> str:
        """The name by which it can be forced."""

    def multiply(self, key: bytes, points: bytes) -> bytes:
        """X25519(``key``, each of ``points``): n × 32 bytes in and out, in order.

        ``key`` is any 32 bytes, clamped as RFC 7748 §5 says. Raises SmallOrder.
        """


class CryptographyBackend:
    """X25519 of the package ``cryptography`` (OpenSSL), one after the other."""

    name = "cryptography"

    def multiply(self, key: bytes, points: bytes) -> bytes:
        """See ``Backend.multiply``."""
        exchange, load = X25519PrivateKey.from_private_bytes(key).exchange, X25519PublicKey.from_public_bytes
        try:
            return b"".join(
                [exchange(load(points[start : start + SIZE])) for start in range(0, len(points), SIZE)]
            )
        except ValueError as error:
            raise SmallOrder("a point is of small order") from error


Multiply8 = Callable[[bytes, bytes], tuple[bytes, int]]
"""Eight points (256 bytes) under one key: eight products and the library's status, a nibble for each lane."""


class CryptoMbBackend:
    """X25519 of Intel's crypto_mb, eight points at once.

    ``multiply8`` is the library's function, given in tests. Raises MutualsError (INTERNAL) from ``multiply`` where the
    sample computed twice differs, which ends the run: a wrong product would go unnoticed as a contact not found.
    """

    name = "crypto_mb"

    def __init__(self, multiply8: Multiply8 | None = None) -> None:
        self._multiply8 = multiply8 or _load_multiply8()
        self._exact = CryptographyBackend()

    def multiply(self, key: bytes, points: bytes) -> bytes:
        """See ``Backend.multiply``."""
        count = len(points) // SIZE
        if not count:
            return b""
        rows = np.frombuffer(points, np.uint8).reshape(count, SIZE)
        doubtful = has_full_limb(rows)
        lanes = np.zeros((-(-count // _LANES) * _LANES, SIZE), np.uint8)
        lanes[:, 0] = (
            9  # what fills the last eight, and stands in where another backend computes: the base point
        )
        lanes[:count][~doubtful] = rows[~doubtful]
        data, step = lanes.tobytes(), _LANES * SIZE
        parts = []
        for start in range(0, len(data), step):
            products, status = self._multiply8(key, data[start : start + step])
            _check(status)
            parts.append(products)
        found = np.frombuffer(bytearray(b"".join(parts)), np.uint8).reshape(-1, SIZE)[:count]
        again = np.union1d(
            np.flatnonzero(doubtful),
            np.array([secrets.randbelow(count) for _ in range(_SAMPLE)], dtype=np.int64),
        )
        exact = np.frombuffer(self._exact.multiply(key, rows[again].tobytes()), np.uint8).reshape(-1, SIZE)
        sampled = ~doubtful[again]
        if not np.array_equal(found[again][sampled], exact[sampled]):
            raise MutualsError(
                ErrorCode.INTERNAL,
                "crypto_mb computed a point that cryptography computes otherwise; the run was ended.",
                hint='Set x25519_backend = "cryptography" in config.toml, and report this CPU.',
            )
        found[again] = exact
        return found.tobytes()


def has_full_limb(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which u-coordinates, shape (n, 32), have a limb of (nearly) all ones in radix 2^52; shape (n,)."""
    w0, w1, w2, w3 = np.ascontiguousarray(rows).view("<u8").T
    limbs = (
        w0 & _LIMB,
        ((w0 >> np.uint64(52)) | (w1 << np.uint64(12))) & _LIMB,
        ((w1 >> np.uint64(40)) | (w2 << np.uint64(24))) & _LIMB,
        ((w2 >> np.uint64(28)) | (w3 << np.uint64(36))) & _LIMB,
    )
    last = (w3 >> np.uint64(16)) & np.uint64(2**47 - 1)
    full: npt.NDArray[np.bool_] = last >= _LAST_LIMB_LIMIT
    for limb in limbs:
        full = full | (limb >= _LIMB_LIMIT)
    return full


def backend_names() -> tuple[str, ...]:
    """The backends by name, the fastest first."""
    return tuple(_BACKENDS)


@cache
def choose_backend(name: str | None = None) -> Backend:
    """The backend of this name, or without one the fastest that runs here.

    Raises MutualsError (ENGINE_MISMATCH) where there is none of that name or it does not run on this machine.
    """
    if name is not None and name not in _BACKENDS:
        raise MutualsError(
            ErrorCode.ENGINE_MISMATCH,
            f"There is no X25519 backend called {name!r}.",
            hint=f"There are {' and '.join(_BACKENDS)}.",
        )
    if name is not None:
        return _BACKENDS[name]()
    try:
        return CryptoMbBackend()
    except MutualsError:
        return CryptographyBackend()


def _check(status: int) -> None:
    if not status:
        return
    if any((status >> (4 * lane)) & 0xF == _SMALL_ORDER_STATUS for lane in range(_LANES)):
        raise SmallOrder("a point is of small order")
    raise MutualsError(ErrorCode.INTERNAL, f"crypto_mb failed with status {status:#010x}.")


def _load_multiply8() -> Multiply8:
    """The library's function. Raises MutualsError (ENGINE_MISMATCH) saying what is missing."""
    folder = Path(sys.prefix) / "lib"  # where its wheel puts it
    if not (folder / "libcrypto_mb.so").is_file():
        raise _unavailable("the extra mutuals[fast] is not installed")
    try:
        # Its dependencies first and for all to see: it would look for them in the system's folders alone.
        for needed in _NEEDED:
            ctypes.CDLL(str(folder / needed), mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(str(folder / "libcrypto_mb.so"))
    except OSError:
        raise _unavailable("its library does not load") from None
    library.mbx_is_crypto_mb_applicable.restype = ctypes.c_int
    library.mbx_is_crypto_mb_applicable.argtypes = [ctypes.c_uint64]
    if not library.mbx_is_crypto_mb_applicable(0):
        raise _unavailable("this CPU has no AVX-512 IFMA")
    function = library.mbx_x25519_mb8
    pointers = ctypes.c_void_p * _LANES
    function.restype = ctypes.c_uint32
    function.argtypes = [pointers, pointers, pointers]

    def multiply8(key: bytes, points: bytes) -> tuple[bytes, int]:
        scalar = ctypes.create_string_buffer(key, SIZE)
        given = ctypes.create_string_buffer(points, _LANES * SIZE)
        found = ctypes.create_string_buffer(_LANES * SIZE)
        starts = range(0, _LANES * SIZE, SIZE)
        status = function(
            pointers(*(ctypes.addressof(found) + start for start in starts)),
            pointers(*(ctypes.addressof(scalar) for _ in starts)),
            pointers(*(ctypes.addressof(given) + start for start in starts)),
        )
        return found.raw, status

    return multiply8


def _unavailable(why: str) -> MutualsError:
    return MutualsError(
        ErrorCode.ENGINE_MISMATCH,
        f"The X25519 backend crypto_mb cannot run here: {why}.",
        hint="The backend cryptography computes the same, more slowly, on every machine.",
    )


_BACKENDS: dict[str, Callable[[], Backend]] = {
    "crypto_mb": CryptoMbBackend,
    "cryptography": CryptographyBackend,
}
