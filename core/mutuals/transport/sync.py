"""Delivering what waits in the outboxes, over whichever side can reach the other (DESIGN §4).

    result = sync_partner(peer, connection)        the side that calls
    response = answer_sync(peer, partner, request) the side that answers

One call carries documents and receipts both ways:

1. the caller sends documents of its outbox, and receipts for what the last answer brought;
2. the answerer takes receipts and documents, and answers with receipts for these and documents of its outbox;
3. the caller takes both, and calls again while there is anything to send or there was anything to take.

A document is offered again, in any later sync, until its signed receipt is in; taking one twice has no further
effect (``mutuals.documents``). So a connection may break anywhere.

With the first call, and the last, each side also shows where the logs stand that the two share, after it took the
documents; what is found there is in the way of runs, but never of documents (``mutuals.audit.heads``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mutuals.audit.heads import LogTalk, answer_heads
from mutuals.crypto.signing import BadSignature
from mutuals.documents import receipt_bytes, take_document, verify_receipt
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.partners import partner_key
from mutuals.peer import Peer
from mutuals.protocol.messages import Document, Receipt
from mutuals.rotation import CARD
from mutuals.runs.log_faults import LogFault, open_faults
from mutuals.store.rows import OutboxRow, PartnerRow
from mutuals.transport.connection import PartnerConnection
from mutuals.transport.wire import SyncMessage
from mutuals.transport.wire.documents import MAX_DOCUMENT_BYTES

BATCH_DOCUMENTS = 32
BATCH_BYTES = MAX_DOCUMENT_BYTES
MAX_ROUNDS = 1000

Failed = Callable[[Exception], None]


@dataclass(frozen=True)
class SyncResult:
    """What a sync did, in documents.

    ``delivered`` has been taken by the partner, ``refused`` of them with a reason; ``received`` is new here or
    was asked for again; ``problems`` are sentences about documents that could not be taken now and stay with the
    partner. ``faults`` are those of the logs shared with it that no operator has cleared; ``refused_logs`` says that
    the partner refuses one of this peer's.
    """

    delivered: int
    refused: int
    received: int
    problems: tuple[str, ...] = ()
    faults: tuple[LogFault, ...] = ()
    refused_logs: bool = False


def sync_partner(peer: Peer, connection: PartnerConnection) -> SyncResult:
    """Exchange documents with the partner at the other end until nothing is left.

    Raises as the calls of PartnerConnection do; what was delivered until then stays delivered.
    """
    partner = connection.partner
    problems: list[str] = []
    offered: set[str] = set()
    taken: set[bytes] = set()
    receipts: tuple[Receipt, ...] = ()
    delivered = refused = 0
    talk = LogTalk(peer, partner)

    def failed(error: Exception) -> None:
        if not isinstance(error, MutualsError):
            raise error
        problems.append(error.message)

    for _ in range(MAX_ROUNDS):
        rows = _next_batch(peer, partner, offered)
        last = len(rows) < BATCH_DOCUMENTS and (receipts or not talk.settled)
        heads = talk.outgoing() if last else None
        response = connection.sync(SyncMessage(_documents(rows), receipts, heads))
        offered.update(row.document_id for row in rows)
        delivered += _store_receipts(peer, partner, response.receipts)
        refused += sum(not receipt.accepted for receipt in response.receipts)
        new = [document for document in response.documents if document.signature not in taken]
        receipts = _take(peer, partner, new, failed)
        taken.update(document.signature for document in new)
        if heads is not None:
            talk.take(response.heads)
        if any(row.kind == CARD for row in rows):
            connection.renew()
        if not receipts and talk.settled and not _next_batch(peer, partner, offered):
            break
    with peer.store.transaction() as tx:
        faults = open_faults(tx, partner.fingerprint)
    return SyncResult(
        delivered, refused, len(taken) - len(problems), tuple(problems), tuple(faults), talk.refused
    )


def answer_sync(peer: Peer, partner: PartnerRow, request: SyncMessage, failed: Failed) -> SyncMessage:
    """What the answering side does with one call of ``partner``; the answer.

    A document that cannot be taken now gets no receipt, so that the partner offers it again; ``failed`` is told
    why. Raises PartnerFault where a receipt is not the partner's.
    """
    _store_receipts(peer, partner, request.receipts)
    receipts = _take(peer, partner, request.documents, failed)
    heads = None if request.heads is None else answer_heads(peer, partner, request.heads)
    return SyncMessage(_documents(_next_batch(peer, partner, set())), receipts, heads)


def _next_batch(peer: Peer, partner: PartnerRow, offered: set[str]) -> list[OutboxRow]:
    """The oldest documents that wait for the partner and are not in ``offered``, as many as go in a message."""
    with peer.store.transaction() as tx:
        waiting = [row for row in tx.outbox.pending(partner.fingerprint) if row.document_id not in offered]
    batch: list[OutboxRow] = []
    size = 0
    for row in waiting[:BATCH_DOCUMENTS]:
        size += len(row.body)
        if batch and size > BATCH_BYTES:
            break
        batch.append(row)
    return batch


def _documents(rows: Iterable[OutboxRow]) -> tuple[Document, ...]:
    return tuple(Document(row.kind, row.body, row.signature) for row in rows)


def _take(
    peer: Peer, partner: PartnerRow, documents: Iterable[Document], failed: Failed
) -> tuple[Receipt, ...]:
    receipts = []
    for document in documents:
        try:
            receipts.append(take_document(peer, partner, document))
        except Exception as error:  # one document that fails must not hold up the others
            failed(error)
    return tuple(receipts)


def _store_receipts(peer: Peer, partner: PartnerRow, receipts: Iterable[Receipt]) -> int:
    """Note what was delivered; how many documents that is. Receipts for anything else are ignored."""
    by_document = {receipt.document.hex(): receipt for receipt in receipts}
    if not by_document:
        return 0
    key = partner_key(partner)
    count = 0
    with peer.store.transaction() as tx:
        for row in tx.outbox.pending(partner.fingerprint):
            receipt = by_document.get(row.document_id)
            if receipt is None:
                continue
            try:
                verify_receipt(key, receipt)
            except BadSignature as error:
                raise PartnerFault(
                    ErrorCode.BAD_MESSAGE, f"{partner.name} sent a receipt that it did not sign."
                ) from error
            tx.outbox.delivered(row.document_id, receipt_bytes(receipt), peer.clock())
            count += 1
    return count
