"""Documents for a partner, from this side: signed, and put into the outbox that delivers them (DESIGN §4).

with peer.store.transaction() as tx:
    enqueue(tx, peer, partner.fingerprint, sign_document(peer, "acceptance", payload))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutuals.canonical import canonical_json
from mutuals.crypto.signing import BadSignature, VerifyKey
from mutuals.framing import Context, digest, frame
from mutuals.protocol.messages import Document
from mutuals.store.rows import OutboxRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction


def document_id(kind: str, body: bytes) -> str:
    """The id of a document, in hex: SHA-256 of ``frame(DOCUMENT, kind, body)``, whoever signed it."""
    return digest(Context.DOCUMENT, kind, body).hex()


def sign_document(peer: Peer, kind: str, payload: dict[str, Any]) -> Document:
    """``payload`` as canonical JSON, signed by the peer over ``frame(DOCUMENT, kind, body)``."""
    body = canonical_json(payload)
    return Document(kind, body, peer.signing_key.sign(frame(Context.DOCUMENT, kind, body)))


def verify_document(key: VerifyKey, document: Document) -> None:
    """Check that ``key`` signed the document. Raises BadSignature."""
    if len(document.signature) != 64:
        raise BadSignature("an Ed25519 signature has 64 bytes")
    key.verify(frame(Context.DOCUMENT, document.kind, document.body), document.signature)


def enqueue(tx: Transaction, peer: Peer, partner: str, document: Document) -> str:
    """Put a signed document into the outbox for the partner with this fingerprint (hex); its id.

    Part of the transaction that makes the document true; the same document twice is one row.
    """
    identity = document_id(document.kind, document.body)
    tx.outbox.enqueue(
        OutboxRow(
            document_id=identity,
            partner=partner,
            kind=document.kind,
            body=document.body,
            signature=document.signature,
            created_at=peer.clock(),
            delivered_at=None,
            receipt=None,
        )
    )
    return identity
