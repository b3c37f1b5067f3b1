"""The short name of a preview, by which people compare what they saw: ``3f2a-91c0-77de-0b12``.

It is the beginning of the preview's digest (``records.preview_digest``), an HMAC under the run's own key, which the
store destroys with the run: without that key nobody can tell by it whether a guessed record is among those sent.
"""

from __future__ import annotations

import re

_BYTES = 8
_GROUP = 4


def preview_id(digest: bytes) -> str:
    """The short name of the preview with this digest (32 bytes): 16 hex digits in four groups."""
    digits = digest[:_BYTES].hex()
    return "-".join(digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP))


def names_preview(given: str, known: str | bytes) -> bool:
    """Whether ``given``, as a person typed it, names a preview: by its short name, or by all 64 digits.

    ``known`` is the preview's digest (32 bytes), or where that is gone its short name.
    """
    digits = re.sub(r"[\s-]", "", given).lower()
    if isinstance(known, bytes):
        return digits in {known[:_BYTES].hex(), known.hex()}
    return len(digits) in {2 * _BYTES, 64} and digits[: 2 * _BYTES] == known.replace("-", "")
