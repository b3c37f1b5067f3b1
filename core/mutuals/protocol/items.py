"""From identifiers to the items that enter the match (DESIGN §6, "Item").

    items = items_for(agreement_digest, ["email:jane@example.com", ...])      # (n, 32) bytes
    order = random_order(len(items))                                          # fresh for every run

An item is bound to the agreement, so that lists of two agreements cannot be compared. Items, like points and
tags, are kept as one contiguous array: a million of them are one object.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mutuals.engines.base import ITEM_SIZE
from mutuals.framing import Context, frame

Rows = npt.NDArray[np.uint8]
"""Shape (n, width): n byte strings of the same width, one after the other."""

RandomBytes = Callable[[int], bytes]
"""Gives as many random bytes as asked for; ``os.urandom`` outside of tests."""

_LENGTH = struct.Struct(">I")


def items_for(agreement: bytes, identifiers: Sequence[str]) -> Rows:
    """The items of ``identifiers`` under the agreement with this digest (32 bytes): (n, 32), in the same order.

    Each is ``digest(Context.ITEM, agreement, identifier)``.
    """
    start = hashlib.sha256(frame(Context.ITEM, agreement))
    digests = []
    for identifier in identifiers:
        data = identifier.encode()
        state = start.copy()
        state.update(_LENGTH.pack(len(data)) + data)
        digests.append(state.digest())
    return as_rows(b"".join(digests), ITEM_SIZE)


def random_order(count: int, randbytes: RandomBytes = os.urandom) -> npt.NDArray[np.int64]:
    """A random permutation of ``range(count)``: positions sorted by 64 random bits each.

    Two equal keys among a million have a chance of 1 in 30 million, and then only those two keep their order.
    """
    return np.argsort(np.frombuffer(randbytes(count * 8), np.uint64), kind="stable").astype(np.int64)


def as_rows(data: bytes, width: int) -> Rows:
    """``data`` as rows of ``width`` bytes, without a copy. Raises ValueError where it does not divide."""
    return np.frombuffer(data, np.uint8).reshape(-1, width)


def row_keys(rows: Rows) -> npt.NDArray[np.bytes_]:
    """``rows`` as an array that NumPy sorts and compares byte by byte (dtype ``S<width>``).

    A single element taken from it lacks trailing zero bytes, because NumPy takes them for padding; comparing rows
    of equal width is exact all the same.
    """
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").ravel()


def all_distinct(*lists: Rows) -> bool:
    """True where no row occurs twice, be it within one list or in two of them."""
    keys = np.sort(np.concatenate([row_keys(rows) for rows in lists]))
    return not bool((keys[1:] == keys[:-1]).any())
