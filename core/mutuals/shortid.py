"""Short names for people: a letter and eight characters of a digest, as in ``R-7Q3K2M9X``.

Crockford's base 32 (no I, L, O, U), so that a name survives being read out.
"""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHARACTERS = 8


def short_id(prefix: str, digest: bytes) -> str:
    """``prefix``, a dash, and the first 40 bits of ``digest`` in eight characters."""
    value = int.from_bytes(digest[:5], "big")
    characters = [_ALPHABET[(value >> shift) & 31] for shift in range(5 * (_CHARACTERS - 1), -1, -5)]
    return f"{prefix}-{''.join(characters)}"
