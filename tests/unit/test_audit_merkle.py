"""Trees and proofs are those of RFC 6962: published vectors, a plain second implementation, and every wrong proof."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutuals.audit.merkle import (
    EMPTY_ROOT,
    BadProof,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

FILE = json.loads((Path(__file__).parents[1] / "vectors" / "rfc6962.json").read_text("utf-8"))
LEAVES = [bytes.fromhex(leaf) for leaf in FILE["leaves"]]
TREE = Tree(LEAVES)
SOME = hashlib.sha256(b"some").digest()


def hashes(values: list[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(value) for value in values)


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(plain_root(leaves[:k]), plain_root(leaves[k:]))


@pytest.mark.parametrize("case", FILE["cases"], ids=[case["name"] for case in FILE["cases"]])
def test_published_vectors(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    if "root" in expected:
        assert TREE.root(inputs["size"]).hex() == expected["root"]
        assert plain_root(LEAVES[: inputs["size"]]).hex() == expected["root"]
    elif "inclusion" in expected:
        proof = hashes(expected["inclusion"])
        assert TREE.inclusion(inputs["index"], inputs["size"]) == proof
        check_inclusion(LEAVES, inputs["index"], inputs["size"], proof)
    else:
        proof = hashes(expected["consistency"])
        assert TREE.consistency(inputs["old"], inputs["new"]) == proof
        check_consistency(TREE, inputs["old"], inputs["new"], proof)


def check_inclusion(leaves: list[bytes], index: int, size: int, proof: tuple[bytes, ...]) -> None:
    """The proof holds, and nothing near it does: the corruptions of transparency-dev/merkle's tests."""
    leaf, root = leaf_hash(leaves[index]), Tree(leaves).root(size)
    verify_inclusion(leaf, index, size, root, proof)
    wrong = [
        (leaf, index - 1, size, root, proof),
        (leaf, index + 1, size, root, proof),
        (leaf, index ^ 2, size, root, proof),
        (leaf, index, size * 2, root, proof),
        (leaf, index, size // 2, root, proof),
        (SOME, index, size, root, proof),
        (b"short", index, size, root, proof),
        (leaf, index, size, EMPTY_ROOT, proof),
        (leaf, index, size, SOME, proof),
        *((leaf, index, size, root, changed) for changed in corrupted(proof, root)),
    ]
    for probe in wrong:
        with pytest.raises(BadProof):
            verify_inclusion(*probe)


def check_consistency(tree: Tree, old: int, new: int, proof: tuple[bytes, ...]) -> None:
    """The proof holds, and nothing near it does."""
    before, after = tree.root(old), tree.root(new)
    verify_consistency(old, new, before, after, proof)
    wrong = [
        (old, new, SOME, after, proof),
        (old, new, before, SOME, proof),
        (old, new, b"short", after, proof),
        *((old, new, before, after, changed) for changed in corrupted(proof, before)),
        *((old, new, before, after, changed) for changed in corrupted(proof, after)),
    ]
    if proof:
        wrong += [
            (old, new, after, before, proof),
            (old - 1, new, before, after, proof),
            (old + 1, new, before, after, proof),
            (old ^ 2, new, before, after, proof),
            (old, new * 2, before, after, proof),
            (old, new // 2, before, after, proof),
            (new, old, after, before, proof),
            (old, new, before, after, ()),
        ]
    for probe in wrong:
        with pytest.raises(BadProof):
            verify_consistency(*probe)


def corrupted(proof: tuple[bytes, ...], root: bytes) -> list[tuple[bytes, ...]]:
    """Proofs that are too long, too short, or differ in one bit."""
    changed = [(*proof, b""), (*proof, root), (b"", *proof), (root, *proof)]
    if proof:
        changed += [proof[:-1], proof[1:], (proof[0], *proof)]
    for place, step in enumerate(proof):
        changed.append((*proof[:place], bytes([step[0] ^ 8]) + step[1:], *proof[place + 1 :]))
    return changed


@given(st.lists(st.binary(max_size=8), max_size=40), st.data())
def test_any_tree_proves_itself_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    tree = Tree(leaves)
    new = data.draw(st.integers(0, len(leaves)))
    old = data.draw(st.integers(0, new))
    assert tree.root(new) == plain_root(leaves[:new])
    verify_consistency(old, new, tree.root(old), tree.root(new), tree.consistency(old, new))
    if new:
        index = data.draw(st.integers(0, new - 1))
        leaf = leaf_hash(leaves[index])
        verify_inclusion(leaf, index, new, tree.root(new), tree.inclusion(index, new))
    if 0 < old < new:
        other = Tree([*leaves[: old - 1], leaves[old - 1] + b"x", *leaves[old:]])
        with pytest.raises(BadProof):
            verify_consistency(old, new, tree.root(old), other.root(new), other.consistency(old, new))


@pytest.mark.parametrize("size", [5, 7, 8])
def test_wrong_proofs_of_many_sizes_are_refused(size: int) -> None:
    for index in range(size):
        check_inclusion(LEAVES, index, size, TREE.inclusion(index, size))
        check_consistency(TREE, index + 1, size, TREE.consistency(index + 1, size))


def test_nothing_outside_of_the_tree_can_be_asked_for() -> None:
    for ask in (
        lambda: TREE.root(9),
        lambda: TREE.inclusion(8, 8),
        lambda: TREE.inclusion(0, 0),
        lambda: TREE.consistency(3, 2),
        lambda: TREE.consistency(1, 9),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            ask()


@pytest.mark.parametrize(
    ("old", "new", "before", "after", "proof"),
    [
        (1, 0, SOME, SOME, ()),
        (-1, 1, SOME, SOME, ()),
        (0, 0, SOME, EMPTY_ROOT, ()),
        (0, 1, SOME, SOME, ()),
        (0, 1, EMPTY_ROOT, SOME, (SOME,)),
        (1, 1, SOME, SOME, (SOME,)),
        (1, 2, SOME, SOME, ()),
    ],
)
def test_trivial_claims_are_checked_too(
    old: int, new: int, before: bytes, after: bytes, proof: tuple[bytes, ...]
) -> None:
    with pytest.raises(BadProof):
        verify_consistency(old, new, before, after, proof)
