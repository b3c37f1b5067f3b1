"""The messages that carry no run: signed documents with their receipts, and the ping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mutuals.protocol.messages import Document, LogHead, Receipt
from mutuals.transport.wire.fields import (
    DIGEST_BYTES,
    MAX_TIMESTAMP,
    SIGNATURE_BYTES,
    check_length,
    exactly,
    fault,
    fields_codec,
    name,
    within,
)
from mutuals.v1 import document_pb2, peer_pb2

MAX_DOCUMENT_BYTES = 512 * 1024
MAX_DOCUMENTS = 64
MAX_HEADS = 64
MAX_NOTE_BYTES = 2048
MAX_PROOF = 128
MAX_PROFILES = 64

MAX_SIZE = 2**63 - 1

_REASON = re.compile(r"[A-Z][A-Z_]{0,62}")


@dataclass(frozen=True)
class Ping:
    """Asks who is there."""


@dataclass(frozen=True)
class Pong:
    """The partner's protocol version and time (aware, to the second), and what is to be compared with it.

    ``profiles`` are digests (32 bytes) by name, as in Hello; ``card`` is the serial of its card now, ``your_card`` of
    the caller's as it has it. Empty, or 0, where it does not say.
    """

    version: int
    now: datetime
    profiles: Mapping[str, bytes] = field(default_factory=dict)
    card: int = 0
    your_card: int = 0


@dataclass(frozen=True)
class SyncMessage:
    """Documents for the other side, and receipts for those it sent before. Both directions carry the same.

    ``heads`` are those of all logs that the two share, or nothing where this message is not about them.
    """

    documents: tuple[Document, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    heads: tuple[LogHead, ...] | None = None


def _write_sync(message: SyncMessage) -> dict[str, Any]:
    return {
        "documents": [
            document_pb2.Document(kind=document.kind, body=document.body, signature=document.signature)
            for document in message.documents
        ],
        "receipts": [
            document_pb2.Receipt(
                document=receipt.document,
                accepted=receipt.accepted,
                reason=receipt.reason,
                signature=receipt.signature,
            )
            for receipt in message.receipts
        ],
        "logs": None if message.heads is None else _write_heads(message.heads),
    }


def _write_heads(heads: tuple[LogHead, ...]) -> document_pb2.LogHeads:
    return document_pb2.LogHeads(
        heads=[
            document_pb2.LogHead(
                agreement=head.agreement,
                note=head.note,
                base=head.base,
                proof=head.proof,
                seen=head.seen,
                refused=head.refused,
            )
            for head in heads
        ]
    )


def _read_sync(wire: document_pb2.SyncRequest | document_pb2.SyncResponse) -> SyncMessage:
    check_length(wire.documents, 0, MAX_DOCUMENTS, "Sync", "documents")
    check_length(wire.receipts, 0, MAX_DOCUMENTS, "Sync", "receipts")
    return SyncMessage(
        documents=tuple(_read_document(document) for document in wire.documents),
        receipts=tuple(_read_receipt(receipt) for receipt in wire.receipts),
        heads=_read_heads(wire.logs) if wire.HasField("logs") else None,
    )


def _read_heads(wire: document_pb2.LogHeads) -> tuple[LogHead, ...]:
    check_length(wire.heads, 0, MAX_HEADS, "Sync", "logs")
    heads = tuple(_read_head(head) for head in wire.heads)
    if len({head.agreement for head in heads}) != len(heads):
        raise fault("Sync", "two of its logs are the same")
    return heads


def _read_head(wire: document_pb2.LogHead) -> LogHead:
    check_length(wire.note, 0, MAX_NOTE_BYTES, "LogHead", "note")
    check_length(wire.seen, 0, MAX_NOTE_BYTES, "LogHead", "seen")
    check_length(wire.proof, 0, MAX_PROOF, "LogHead", "proof")
    return LogHead(
        agreement=exactly(wire.agreement, DIGEST_BYTES, "LogHead", "agreement"),
        note=wire.note,
        base=within(wire.base, 0, MAX_SIZE, "LogHead", "base"),
        proof=tuple(exactly(value, DIGEST_BYTES, "LogHead", "proof") for value in wire.proof),
        seen=wire.seen,
        refused=wire.refused,
    )


def _read_document(wire: document_pb2.Document) -> Document:
    check_length(wire.body, 1, MAX_DOCUMENT_BYTES, "Document", "body")
    return Document(
        kind=name(wire.kind, "Document", "kind"),
        body=wire.body,
        signature=exactly(wire.signature, SIGNATURE_BYTES, "Document", "signature"),
    )


def _read_receipt(wire: document_pb2.Receipt) -> Receipt:
    if wire.accepted != (not wire.reason):
        raise fault("Receipt", "it must hold either acceptance or a reason")
    if wire.reason and not _REASON.fullmatch(wire.reason):
        raise fault("Receipt", "reason is not the name of an error code")
    return Receipt(
        document=exactly(wire.document, DIGEST_BYTES, "Receipt", "document"),
        accepted=wire.accepted,
        reason=wire.reason,
        signature=exactly(wire.signature, SIGNATURE_BYTES, "Receipt", "signature"),
    )


def _write_pong(message: Pong) -> dict[str, Any]:
    return {
        "version": message.version,
        "now": int(message.now.timestamp()),
        "profiles": [
            peer_pb2.ProfileDigest(name=key, digest=value) for key, value in message.profiles.items()
        ],
        "card": message.card,
        "your_card": message.your_card,
    }


def _read_pong(wire: peer_pb2.PingResponse) -> Pong:
    seconds = within(wire.now, 0, MAX_TIMESTAMP, "Ping", "now")
    check_length(wire.profiles, 0, MAX_PROFILES, "Ping", "profiles")
    profiles = {
        name(one.name, "Ping", "profiles"): exactly(one.digest, DIGEST_BYTES, "Ping", "profiles")
        for one in wire.profiles
    }
    if len(profiles) != len(wire.profiles):
        raise fault("Ping", "two of its profiles are the same")
    return Pong(
        version=wire.version,
        now=datetime.fromtimestamp(seconds, UTC),
        profiles=profiles,
        card=within(wire.card, 0, MAX_SIZE, "Ping", "card"),
        your_card=within(wire.your_card, 0, MAX_SIZE, "Ping", "your_card"),
    )


PING_REQUEST = fields_codec(peer_pb2.PingRequest, "Ping", lambda _: {}, lambda _: Ping())
PING_RESPONSE = fields_codec(peer_pb2.PingResponse, "Ping", _write_pong, _read_pong)
SYNC_REQUEST = fields_codec(document_pb2.SyncRequest, "Sync", _write_sync, _read_sync)
SYNC_RESPONSE = fields_codec(document_pb2.SyncResponse, "Sync", _write_sync, _read_sync)
