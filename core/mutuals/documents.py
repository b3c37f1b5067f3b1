"""Documents from a partner: verified, handled once, and answered with a signed receipt (DESIGN §4).

    receipt = take_document(peer, partner, document)     # the transport delivers it back

A document is handled in the one transaction that also records its receipt, so delivering it again gives the same
receipt and changes nothing. The sending side is ``mutuals.signed_documents``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mutuals.agreement.answers import receive_proposal, receive_rejection, receive_withdrawal
from mutuals.agreement.ending import TERMINATION
from mutuals.agreement.lifecycle import WITHDRAWAL
from mutuals.agreement.suspension import RESUMPTION, SUSPENSION, receive_resumption, receive_suspension
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, digest, frame
from mutuals.identity.partners import partner_key
from mutuals.obligations.attestation import ATTESTATION, receive_attestation
from mutuals.obligations.breach_received import (
    BREACH_CLOSED,
    BREACH_NOTICE,
    BREACH_UPDATE,
    receive_breach_closed,
    receive_breach_notice,
    receive_breach_update,
)
from mutuals.obligations.certificates import CERTIFICATE, receive_certificate
from mutuals.obligations.certificates_due import REMINDER, receive_reminder
from mutuals.obligations.revocation import (
    REVOCATION,
    REVOCATION_DONE,
    receive_revocation,
    receive_revocation_done,
)
from mutuals.protocol.messages import Document, Receipt
from mutuals.rotation import CARD, receive_card
from mutuals.runs.ended import RUN_ENDED, receive_run_ended
from mutuals.runs.ending import take_termination
from mutuals.runs.signing import take_acceptance
from mutuals.signed_documents import document_id, enqueue, sign_document, verify_document
from mutuals.store.rows import PartnerRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

__all__ = [
    "HANDLERS",
    "document_id",
    "enqueue",
    "make_receipt",
    "parse_receipt",
    "receipt_bytes",
    "sign_document",
    "take_document",
    "verify_document",
    "verify_receipt",
]

Handler = Callable[["Transaction", "Peer", PartnerRow, bytes], None]

HANDLERS: dict[str, Handler] = {
    "proposal": receive_proposal,
    "acceptance": take_acceptance,
    "rejection": receive_rejection,
    WITHDRAWAL: receive_withdrawal,
    SUSPENSION: receive_suspension,
    RESUMPTION: receive_resumption,
    TERMINATION: take_termination,
    RUN_ENDED: receive_run_ended,
    BREACH_NOTICE: receive_breach_notice,
    BREACH_UPDATE: receive_breach_update,
    BREACH_CLOSED: receive_breach_closed,
    ATTESTATION: receive_attestation,
    REVOCATION: receive_revocation,
    REVOCATION_DONE: receive_revocation_done,
    CERTIFICATE: receive_certificate,
    REMINDER: receive_reminder,
    CARD: receive_card,
}
"""What is done with each kind of document. A handler raises PartnerFault where the document must be refused."""


def take_document(peer: Peer, partner: PartnerRow, document: Document) -> Receipt:
    """Verify and handle a document that came from ``partner``; our signed receipt for it.

    1. A document that the partner's key did not sign is refused and leaves no trace in the inbox. One of a kind that
       this release does not know gets no receipt (MutualsError, VERSION), so that it waits for the next release.
    2. One that was dealt with before gets the receipt it got then.
    3. Handler and receipt are one transaction. A PartnerFault undoes what the handler did, is logged, and becomes a
       refusal that stays. Any other error propagates and leaves nothing behind: the partner will try again.
    """
    identity = bytes.fromhex(document_id(document.kind, document.body))
    try:
        verify_document(partner_key(partner), document)
    except BadSignature:
        return make_receipt(peer.signing_key, identity, accepted=False, reason=ErrorCode.BAD_MESSAGE.value)
    handler = HANDLERS.get(document.kind)
    if handler is None:
        raise MutualsError(
            ErrorCode.VERSION,
            "The partner sent a document of a kind that this release does not know.",
            hint="Update mutuals; the document stays with the partner until then.",
        )
    place = _inbox_place(partner.fingerprint, identity)
    try:
        with peer.store.transaction() as tx:
            earlier = tx.inbox.seen(place)
            if earlier is not None:
                return parse_receipt(earlier)
            handler(tx, peer, partner, document.body)
            receipt = make_receipt(peer.signing_key, identity, accepted=True)
            tx.inbox.record(place, partner.fingerprint, document.kind, receipt_bytes(receipt), peer.clock())
            return receipt
    except PartnerFault as fault:
        return _refuse(peer, partner, document, identity, fault)


def make_receipt(key: SigningKey, document: bytes, *, accepted: bool, reason: str = "") -> Receipt:
    """A receipt for the document with this id (32 bytes), signed over ``frame(RECEIPT, id, accepted, reason)``."""
    return Receipt(document, accepted, reason, key.sign(_signed(document, accepted, reason)))


def verify_receipt(key: VerifyKey, receipt: Receipt) -> None:
    """Check that ``key`` signed the receipt. Raises BadSignature."""
    key.verify(_signed(receipt.document, receipt.accepted, receipt.reason), receipt.signature)


def receipt_bytes(receipt: Receipt) -> bytes:
    """A receipt as the store keeps it: canonical JSON."""
    return canonical_json(
        {
            "document": receipt.document.hex(),
            "accepted": receipt.accepted,
            "reason": receipt.reason,
            "signature": receipt.signature.hex(),
        }
    )


def parse_receipt(data: bytes) -> Receipt:
    """What ``receipt_bytes`` wrote. Raises ValueError."""
    value = parse_canonical(data)
    try:
        return Receipt(
            document=bytes.fromhex(value["document"]),
            accepted=value["accepted"] is True,
            reason=str(value["reason"]),
            signature=bytes.fromhex(value["signature"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("not a receipt") from error


def _refuse(
    peer: Peer, partner: PartnerRow, document: Document, identity: bytes, fault: PartnerFault
) -> Receipt:
    receipt = make_receipt(peer.signing_key, identity, accepted=False, reason=fault.code.value)
    now = peer.clock()
    with peer.store.transaction() as tx:
        tx.inbox.record(
            _inbox_place(partner.fingerprint, identity),
            partner.fingerprint,
            document.kind,
            receipt_bytes(receipt),
            now,
        )
        evidence = {
            "partner": partner.fingerprint,
            "kind": document.kind,
            "document": identity.hex(),
            "code": fault.code.value,
            "fault": fault.message,
        }
        tx.log.append(None, "document.refused", evidence, now)
    return receipt


def _inbox_place(partner: str, document: bytes) -> str:
    """The inbox is kept per partner: one partner's copy of a document must not stand in for another's."""
    return digest(Context.RECEIPT, "inbox", bytes.fromhex(partner), document).hex()


def _signed(document: bytes, accepted: bool, reason: str) -> bytes:
    return frame(Context.RECEIPT, document, int(accepted), reason)
