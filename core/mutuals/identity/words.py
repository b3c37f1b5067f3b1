"""A fingerprint as twelve words that two people can read to each other (BIP-39 English word list).

The words carry the first 128 bits of the fingerprint (and BIP-39's four checksum bits). To pass for another
peer an attacker needs a key with the same words: a second preimage of 128 bits.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mnemonic import Mnemonic

WORDS = 12
_BYTES = 16


def fingerprint_words(fingerprint: bytes) -> tuple[str, ...]:
    """The twelve words of a fingerprint (32 bytes). Raises ValueError for another length."""
    if len(fingerprint) != 32:
        raise ValueError("a fingerprint has 32 bytes")
    return tuple(_list().to_mnemonic(fingerprint[:_BYTES]).split())


def fingerprint_matches(text: str, fingerprint: bytes) -> bool:
    """Whether ``text``, as a person gave it, stands for ``fingerprint``: twelve words or 64 hex digits.

    Case, spaces, line breaks, hyphens, commas, colons and the words' numbers do not matter. Raises
    MutualsError (USAGE) where the text is neither, naming the word that is wrong.
    """
    compact = "".join(text.lower().replace(":", " ").split())
    if len(compact) == 64 and all(letter in "0123456789abcdef" for letter in compact):
        return bytes.fromhex(compact) == fingerprint
    words = [part for part in "".join(c if c.isalpha() else " " for c in text.lower()).split() if part]
    known = set(_list().wordlist)
    for word in words:
        if word not in known:
            raise MutualsError(
                ErrorCode.USAGE,
                f"“{word[:40]}” is not one of the words a fingerprint can have.",
                hint="Check the spelling against what they read to you.",
            )
    if len(words) != WORDS:
        raise MutualsError(
            ErrorCode.USAGE,
            f"A fingerprint has {WORDS} words or 64 hex digits; this has {len(words)} words.",
            hint='For example: --fingerprint "word word word …"',
        )
    return tuple(words) == fingerprint_words(fingerprint)


@cache
def _list() -> Mnemonic:
    from mnemonic import Mnemonic

    return Mnemonic("english")
