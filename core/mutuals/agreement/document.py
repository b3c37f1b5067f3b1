"""The agreement as bytes: what is signed, and the digest and short name it is known by.

data = agreement_bytes(agreement)
digest = agreement_digest(data)          # 64 hex digits
assert parse_agreement(data) == agreement
agreement_id(digest)                     # "A-7Q3K2M9X"
"""

from __future__ import annotations

import json
from functools import lru_cache

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.framing import Context, digest
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import Agreement
from mutuals.shortid import short_id


def agreement_bytes(agreement: Agreement) -> bytes:
    """The canonical JSON (RFC 8785) of ``agreement``: every key present, defaults written out."""
    return canonical_json(agreement)


def agreement_digest(data: bytes) -> str:
    """SHA-256 in hex over ``frame(AGREEMENT, data)``; the digest both sides sign."""
    return digest(Context.AGREEMENT, data).hex()


def terms_digest(agreement: Agreement) -> str:
    """SHA-256 in hex over the terms of ``agreement``: all of it but what the software fills in at proposing.

    A draft, the proposal made of it and the partner's copy have the same terms, whatever the nonce; so has an
    amendment, whichever version it will be. A risk assessment and an owner's approval are about terms.
    """
    terms = agreement.model_dump(mode="json", exclude={"nonce", "version", "replaces"})
    return digest(Context.TERMS, canonical_json(terms)).hex()


def agreement_id(digest_hex: str) -> str:
    """The short name for people: ``A-`` and the digest's first 40 bits. It may collide; the digest does not."""
    return short_id("A", bytes.fromhex(digest_hex))


@lru_cache(maxsize=64)
def parse_agreement(data: bytes) -> Agreement:
    """The agreement whose canonical bytes ``data`` are. The same bytes are looked at once: an exchange asks for its
    agreement before every envelope.

    Raises ValueError (with a fixed text, never the content) unless ``data`` is canonical, every key is known and
    valid, no text holds characters that disguise it, and writing the agreement again gives the same bytes: one
    agreement has one byte form.
    """
    try:
        parse_canonical(data)
        agreement = Agreement.model_validate_json(data, strict=True)
        same = agreement_bytes(agreement) == data
        _refuse_disguised_text(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("not an agreement document") from error
    if not same:
        raise ValueError("not an agreement document in its one byte form")
    return agreement


def _refuse_disguised_text(data: bytes) -> None:
    """Every text is shown to people who decide by it. Canonical JSON escapes control characters, so undo that."""
    stack: list[object] = [json.loads(data)]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str) and deceptive_character(value, lines=True):
            raise ValueError("a text holds a control or invisible character")
