"""Fingerprints as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.words import fingerprint_matches, fingerprint_words

fingerprints = st.binary(min_size=32, max_size=32)


@given(fingerprints)
def test_words_stand_for_the_fingerprint_they_came_from(fingerprint: bytes) -> None:
    words = fingerprint_words(fingerprint)
    assert len(words) == 12
    assert fingerprint_matches(" ".join(words), fingerprint)
    assert fingerprint_matches(fingerprint.hex(), fingerprint)


@given(fingerprints, fingerprints)
def test_words_stand_for_no_other_fingerprint(one: bytes, other: bytes) -> None:
    same = one[:16] == other[:16]
    assert fingerprint_matches(" ".join(fingerprint_words(one)), other) is same
    assert fingerprint_matches(one.hex(), other) is (one == other)


def test_known_words() -> None:
    """BIP-39, test vector 7f7f…: "legal winner thank year …"."""
    expected = "legal winner thank year wave sausage worth useful legal winner thank yellow"
    assert " ".join(fingerprint_words(b"\x7f" * 16 + bytes(16))) == expected


@given(fingerprints)
def test_how_a_person_writes_them_does_not_matter(fingerprint: bytes) -> None:
    words = fingerprint_words(fingerprint)
    numbered = "\n".join(f"{number:>2}. {word.upper()}" for number, word in enumerate(words, start=1))
    assert fingerprint_matches(numbered, fingerprint)
    assert fingerprint_matches(", ".join(words), fingerprint)
    pairs = ":".join(fingerprint.hex().upper()[at : at + 2] for at in range(0, 64, 2))
    assert fingerprint_matches(pairs, fingerprint)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("legal winer thank", "“winer” is not one of the words"),
        ("legal winner thank", "this has 3 words"),
        ("", "this has 0 words"),
        ("7f7f", "is not one of the words|has 0 words|has 1 words"),
    ],
)
def test_text_that_is_no_fingerprint_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(MutualsError, match=sentence) as caught:
        fingerprint_matches(text, bytes(32))
    assert caught.value.code is ErrorCode.USAGE


def test_a_fingerprint_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        fingerprint_words(bytes(16))
