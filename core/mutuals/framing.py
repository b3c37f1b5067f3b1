"""The one way byte strings are built for hashing, signing, key derivation and associated data.

    frame(Context.SID, open_bytes, accept_bytes)  ->  len32(context) ‖ context ‖ len32(f1) ‖ f1 ‖ ...

Every such string starts with its context, so that no string made for one purpose can serve another; every field
is preceded by its length as an unsigned 32-bit big-endian integer, so that fields cannot run into each other.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from enum import StrEnum, unique

_LENGTH = struct.Struct(">I")


@unique
class Context(StrEnum):
    """Every context string in use, with a vector for each in ``tests/vectors/contexts.json``."""

    ITEM = "mutuals/v1/item"
    OPEN = "mutuals/v1/open"
    ACCEPT = "mutuals/v1/accept"
    SID = "mutuals/v1/sid"
    BLINDED = "mutuals/v1/blinded"
    TAG = "mutuals/v1/tag"
    TAGS = "mutuals/v1/tags"
    TH = "mutuals/v1/th"
    COUNTED = "mutuals/v1/counted"
    APPROVE = "mutuals/v1/approve"
    PAIR = "mutuals/v1/pair"
    CONFIRM = "mutuals/v1/confirm"
    CONFIRM_IDENTITY = "mutuals/v1/confirm-identity"
    CONFIRM_MAC = "mutuals/v1/confirm-mac"
    FINGERPRINT = "mutuals/v1/fingerprint"
    CARD = "mutuals/v1/card"
    AGREEMENT = "mutuals/v1/agreement"
    STATEMENT = "mutuals/v1/statement"
    OPERATOR_STATEMENT = "mutuals/v1/operator-statement"
    REJECTION = "mutuals/v1/rejection"
    DOCUMENT = "mutuals/v1/document"
    RECEIPT = "mutuals/v1/receipt"
    AUTHORISATION = "mutuals/v1/authorisation"
    PREVIEW = "mutuals/v1/preview"
    PROFILE = "mutuals/v1/profile"
    SPOOL = "mutuals/v1/spool"
    OPERATOR = "mutuals/v1/operator"
    WRAP = "mutuals/v1/wrap"
    RECEIVING_KEY = "mutuals/v1/receiving-key"
    EXCHANGE_SECRET = "mutuals/v1/exchange-secret"  # noqa: S105
    RECORD_KEY = "mutuals/v1/record-key"
    RECORD = "mutuals/v1/record"
    ENVELOPE = "mutuals/v1/envelope"
    ENVELOPE_DIGEST = "mutuals/v1/envelope-digest"
    ENVELOPE_BATCH = "mutuals/v1/envelope-batch"
    ENVELOPE_PLAINTEXT = "mutuals/v1/envelope-plaintext"
    ENVELOPE_SALT = "mutuals/v1/envelope-salt"
    ENVELOPE_ACK = "mutuals/v1/envelope-ack"
    OVERLAP = "mutuals/v1/overlap"
    SENT = "mutuals/v1/sent"
    TERMS = "mutuals/v1/terms"
    ASSESSMENT = "mutuals/v1/assessment"
    POLICY = "mutuals/v1/policy"
    ACT = "mutuals/v1/act"
    SUPPRESSION = "mutuals/v1/suppression"
    RUN_SHARE = "mutuals/v1/run-share"
    REVOCATION = "mutuals/v1/revocation"
    CERTIFICATE = "mutuals/v1/deletion-certificate"
    LOG_SALT = "mutuals/v1/log-salt"


def frame(context: Context, *fields: bytes | str | int | Iterable[bytes]) -> bytes:
    """Join ``context`` and ``fields``, each with its length before it.

    ``str`` is UTF-8, ``int`` an unsigned 64-bit big-endian integer, an iterable of ``bytes`` one field holding
    the length-prefixed members. Raises ``struct.error`` where an integer does not fit.
    """
    parts = [_prefixed(context.encode())]
    parts.extend(_prefixed(_field(value)) for value in fields)
    return b"".join(parts)


def digest(context: Context, *fields: bytes | str | int | Iterable[bytes]) -> bytes:
    """SHA-256 over ``frame(context, *fields)``; 32 bytes."""
    return hashlib.sha256(frame(context, *fields)).digest()


def _field(value: bytes | str | int | Iterable[bytes]) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int):
        return struct.pack(">Q", value)
    return b"".join([part for member in value for part in (_LENGTH.pack(len(member)), member)])


def _prefixed(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value
