"""Merkle trees as in RFC 6962 §2.1: roots, inclusion and consistency proofs, and their verification (RFC 9162 §2.1).

    tree = Tree([b"first", b"second", b"third"])
    proof = tree.consistency(2, 3)
    verify_consistency(2, 3, tree.root(2), tree.root(3), proof)

Hashes are SHA-256, 32 bytes; leaves are counted from 0. Proofs are tuples of hashes. Nothing is read or remembered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
MAX_PROOF = 128
"""No proof over fewer than 2^64 leaves is longer than twice the height of their tree."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

Proof = tuple[bytes, ...]


class BadProof(ValueError):
    """The proof does not show what it should; the text is a clause."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf: SHA-256(00 ‖ leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree over ``leaves``, which answers for itself at any earlier size, too."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        # _levels[h][i] is the root of the complete subtree over leaves i·2^h … (i+1)·2^h − 1.
        self._levels: list[list[bytes]] = [[leaf_hash(leaf) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    def root(self, size: int | None = None) -> bytes:
        """The root over the first ``size`` leaves, or all. Raises ValueError where there are fewer."""
        wanted = self._within(self.size if size is None else size)
        return self._hash(0, wanted) if wanted else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> Proof:
        """The proof that leaf ``index`` is in the tree of ``size`` leaves (RFC 6962 §2.1.1). Raises ValueError."""
        if not 0 <= index < self._within(size):
            raise ValueError("there is no such leaf")
        return tuple(self._path(index, 0, size))

    def consistency(self, old: int, new: int) -> Proof:
        """The proof that the tree of ``new`` leaves begins with that of ``old`` (RFC 6962 §2.1.2).

        Raises ValueError.
        """
        if not 0 <= old <= self._within(new):
            raise ValueError("a tree does not shrink")
        if old in (0, new):
            return ()
        return tuple(self._subproof(old, 0, new, whole=True))

    def _within(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError("there are not as many leaves")
        return size

    def _hash(self, start: int, size: int) -> bytes:
        if size & (size - 1) == 0:
            height = size.bit_length() - 1
            return self._levels[height][start >> height]
        left = _split(size)
        return node_hash(self._hash(start, left), self._hash(start + left, size - left))

    def _path(self, index: int, start: int, size: int) -> list[bytes]:
        if size == 1:
            return []
        left = _split(size)
        if index < left:
            return [*self._path(index, start, left), self._hash(start + left, size - left)]
        return [*self._path(index - left, start + left, size - left), self._hash(start, left)]

    def _subproof(self, old: int, start: int, size: int, *, whole: bool) -> list[bytes]:
        if old == size:
            return [] if whole else [self._hash(start, size)]
        left = _split(size)
        if old <= left:
            return [
                *self._subproof(old, start, left, whole=whole),
                self._hash(start + left, size - left),
            ]
        return [
            *self._subproof(old - left, start + left, size - left, whole=False),
            self._hash(start, left),
        ]


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the leaf with hash ``leaf`` is number ``index`` of the ``size`` under ``root`` (RFC 9162 §2.1.3.2).

    Raises BadProof.
    """
    if not 0 <= index < size:
        raise BadProof("there is no such leaf")
    _check_hashes((leaf, root, *proof))
    fn, sn = index, size - 1
    found = leaf
    for step in proof:
        if sn == 0:
            raise BadProof("the proof is too long")
        if fn & 1 or fn == sn:
            found = node_hash(step, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, step)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise BadProof("the proof is too short")
    if found != root:
        raise BadProof("the leaf is not under this root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of ``new`` leaves begins with that of ``old`` leaves (RFC 9162 §2.1.4.2). Raises BadProof."""
    if not 0 <= old <= new:
        raise BadProof("the new tree is smaller than the old one")
    _check_hashes((old_root, new_root, *proof))
    if old in (0, new):
        _verify_trivial(old, new, old_root, new_root, proof)
        return
    if not proof:
        raise BadProof("the proof is too short")
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if sn == 0:
            raise BadProof("the proof is too long")
        if fn & 1 or fn == sn:
            before, after = node_hash(step, before), node_hash(step, after)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            after = node_hash(after, step)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise BadProof("the proof is too short")
    if before != old_root or after != new_root:
        raise BadProof("the new tree does not begin with the old one")


def _verify_trivial(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """From nothing, or from the same size: there is nothing to prove."""
    if proof:
        raise BadProof("the proof is too long")
    if old_root != (new_root if old == new else EMPTY_ROOT):
        raise BadProof("the two roots of one size differ")


def _split(size: int) -> int:
    """The largest power of two below ``size`` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise BadProof("something in it is no hash")
