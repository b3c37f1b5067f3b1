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
_SHORT = 8


def items_for(agreement: bytes, identifiers: Sequence[str]) -> Rows:
    """The items of ``identifiers`` under the agreement with this digest (32 bytes): (n, 32), in the same order.

    Each is ``digest(Context.ITEM, agreement, identifier)``.
    """
    copy = hashlib.sha256(frame(Context.ITEM, agreement)).copy
    length = _LENGTH.pack
    digests = []
    for data in map(str.encode, identifiers):
        state = copy()
        state.update(length(len(data)) + data)
        digests.append(state.digest())
    return as_rows(b"".join(digests), ITEM_SIZE)


def random_order(count: int, randbytes: RandomBytes = os.urandom) -> npt.NDArray[np.int64]:
    """A random permutation of ``range(count)``: positions sorted by 64 random bits each.

    Two equal keys among a million have a chance of 1 in 30 million, and then only those two keep their order.
    """
    return np.argsort(np.frombuffer(randbytes(count * 8), np.uint64), kind="stable").astype(np.int64)


def as_rows(data: bytes | memoryview, width: int) -> Rows:
    """``data`` as rows of ``width`` bytes, without a copy. Raises ValueError where it does not divide."""
    return np.frombuffer(data, np.uint8).reshape(-1, width)


def row_keys(rows: Rows) -> npt.NDArray[np.bytes_]:
    """``rows`` as an array that NumPy sorts and compares byte by byte (dtype ``S<width>``).

    A single element taken from it lacks trailing zero bytes, because NumPy takes them for padding; comparing rows
    of equal width is exact all the same.
    """
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").ravel()


def all_distinct(rows: Rows) -> bool:
    """True where no row occurs twice."""
    keys = short_keys(rows)
    twice = repeated(keys.copy())
    return not len(twice) or distinct_in_full(rows[np.isin(keys, twice)])


def short_keys(rows: Rows) -> npt.NDArray[np.uint64]:
    """The last eight bytes of each row (all of it, where it is shorter) as one number, shape (n,).

    Equal rows have equal short keys, and sorting these takes an eighth of the time that sorting rows takes; what has
    equal short keys is then compared in full (``distinct_in_full``).
    """
    width = rows.shape[1]
    if width >= _SHORT:
        return np.ascontiguousarray(rows[:, width - _SHORT :]).view("<u8").ravel()
    wide = np.zeros((len(rows), _SHORT), np.uint8)
    wide[:, :width] = rows
    return wide.view("<u8").ravel()


def repeated(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The numbers that occur more than once. Sorts ``keys`` in place."""
    keys.sort()
    again: npt.NDArray[np.bool_] = keys[1:] == keys[:-1]
    return keys[1:][again]


def distinct_in_full(rows: Rows) -> bool:
    """As ``all_distinct``, byte by byte; slower, and the same for rows somebody has chosen."""
    keys = np.sort(row_keys(rows))
    return not bool((keys[1:] == keys[:-1]).any())


def ascending_order(rows: Rows) -> npt.NDArray[np.int64]:
    """The positions of ``rows`` in ascending order of their bytes."""
    keys = leading_keys(rows)
    order = np.argsort(keys)
    keys = keys[order]
    if (keys[1:] == keys[:-1]).any():
        order = np.argsort(row_keys(rows), kind="stable")
    return order.astype(np.int64, copy=False)


def leading_keys(rows: Rows) -> npt.NDArray[np.uint64]:
    """The first eight bytes of each row as one number, shape (n,): rows in ascending order have ascending ones."""
    return np.ascontiguousarray(rows[:, :_SHORT]).view(">u8").ravel().astype(np.uint64)
