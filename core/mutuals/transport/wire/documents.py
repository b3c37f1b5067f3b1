"""The messages that carry no run: signed documents with their receipts, and the ping."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mutuals.protocol.messages import Document, Receipt
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

_REASON = re.compile(r"[A-Z][A-Z_]{0,62}")


@dataclass(frozen=True)
class Ping:
    """Asks who is there."""


@dataclass(frozen=True)
class Pong:
    """The partner's protocol version and time (aware, to the second)."""

    version: int
    now: datetime


@dataclass(frozen=True)
class SyncMessage:
    """Documents for the other side, and receipts for those it sent before. Both directions carry the same."""

    documents: tuple[Document, ...] = ()
    receipts: tuple[Receipt, ...] = ()


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
    }


def _read_sync(wire: document_pb2.SyncRequest | document_pb2.SyncResponse) -> SyncMessage:
    check_length(wire.documents, 0, MAX_DOCUMENTS, "Sync", "documents")
    check_length(wire.receipts, 0, MAX_DOCUMENTS, "Sync", "receipts")
    return SyncMessage(
        documents=tuple(_read_document(document) for document in wire.documents),
        receipts=tuple(_read_receipt(receipt) for receipt in wire.receipts),
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
    return {"version": message.version, "now": int(message.now.timestamp())}


def _read_pong(wire: peer_pb2.PingResponse) -> Pong:
    seconds = within(wire.now, 0, MAX_TIMESTAMP, "Ping", "now")
    return Pong(version=wire.version, now=datetime.fromtimestamp(seconds, UTC))


PING_REQUEST = fields_codec(peer_pb2.PingRequest, "Ping", lambda _: {}, lambda _: Ping())
PING_RESPONSE = fields_codec(peer_pb2.PingResponse, "Ping", _write_pong, _read_pong)
SYNC_REQUEST = fields_codec(document_pb2.SyncRequest, "Sync", _write_sync, _read_sync)
SYNC_RESPONSE = fields_codec(document_pb2.SyncResponse, "Sync", _write_sync, _read_sync)
