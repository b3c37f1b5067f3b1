"""Deletion certificates that are missing: since when, and asking the partner for its own (DESIGN §8).

overdue_certificates(tx, now)                  # for the status
chase(peer)                                    # a reminder, at most every week
receive_reminder(tx, peer, partner, body)      # the partner misses ours
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from mutuals.agreement.active import verify_stored
from mutuals.agreement.acts import fault, partners_agreement
from mutuals.agreement.chain import chain_of, newest_of
from mutuals.agreement.telling import CONCERNED, notify
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import MutualsError
from mutuals.models.card import Hex32
from mutuals.models.moment import Moment
from mutuals.obligations.certificates import certificate_of, check_over, ended_chains, whole_seconds
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

REMINDER = "certificate-reminder"

REMIND_EVERY = timedelta(days=7)
NOTIFY_EVERY = timedelta(days=1)
"""A partner may remind as often as it likes; our operators are told once a day."""


@dataclass(frozen=True)
class OverdueCertificate:
    """A certificate that should be there since ``due_at``; ``missing`` says whose. ``agreement`` is the digest."""

    agreement: str
    agreement_id: str
    partner: str
    missing: Literal["own", "partner"]
    due_at: datetime


class Reminder(BaseModel):
    """The partner waits for our certificate for an agreement (digest)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Hex32
    due_at: Moment
    asked_at: Moment


def overdue_certificates(tx: Transaction, now: datetime) -> list[OverdueCertificate]:
    """The certificates of ended agreements that are missing although ``certificate_within_days`` have passed."""
    overdue = []
    for chain in ended_chains(tx):
        head = chain[-1]
        due_at = certificate_due(head)
        if due_at is None or now <= due_at:
            continue
        for missing, own in (("own", True), ("partner", False)):
            if certificate_of(tx, chain, own=own) is None:
                whose: Literal["own", "partner"] = "own" if missing == "own" else "partner"
                overdue.append(
                    OverdueCertificate(head.digest, head.agreement_id, head.partner, whose, due_at)
                )
    return overdue


def certificate_due(head: AgreementRow) -> datetime | None:
    """When the certificates of an ended agreement are due; nothing for one that lives or is damaged."""
    if head.ended_at is None:
        return None
    try:
        return head.ended_at + timedelta(days=verify_stored(head).termination.certificate_within_days)
    except MutualsError:
        return None


def chase(peer: Peer) -> list[str]:
    """Remind partners of certificates that are overdue, each at most every week; the agreements (digests)."""
    now = peer.clock()
    chased = []
    with peer.store.transaction() as tx:
        for overdue in overdue_certificates(tx, now):
            if overdue.missing == "own":
                continue
            chain = chain_of(tx, overdue.agreement)
            last = _last_logged(tx, chain, "certificate.reminded")
            waiting = any(row.kind == REMINDER for row in tx.outbox.pending(overdue.partner))
            if waiting or (last is not None and now - last < REMIND_EVERY):
                continue
            reminder = Reminder(
                digest=overdue.agreement, due_at=whole_seconds(overdue.due_at), asked_at=whole_seconds(now)
            )
            enqueue(
                tx, peer, overdue.partner, sign_document(peer, REMINDER, reminder.model_dump(mode="json"))
            )
            tx.log.append(overdue.agreement, "certificate.reminded", {}, now)
            chased.append(overdue.agreement)
    return chased


def receive_reminder(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Note that the partner waits for our certificate, and tell our operators. Raises PartnerFault.

    The certificate itself is made by the retention, which whoever took the document runs next.
    """
    now = peer.clock()
    try:
        parse_canonical(body)
        reminder = Reminder.model_validate_json(body, strict=True)
        if canonical_json(reminder) != body:
            raise ValueError("not in its one byte form")
    except (ValueError, RecursionError) as error:
        raise fault("A reminder of a certificate is not in the form it must have.") from error
    chain = chain_of(tx, partners_agreement(tx, partner, reminder.digest).digest)
    head = newest_of(chain)
    check_over(head, now)
    if certificate_of(tx, chain, own=True) is not None:
        return
    last = _last_logged(tx, chain, "certificate.asked-for")
    if last is None or now - last >= NOTIFY_EVERY:
        tx.log.append(head.digest, "certificate.asked-for", {"due_at": reminder.due_at.isoformat()}, now)
        notify(
            tx,
            head,
            f"still needs our deletion certificate: {partner.name} asks for it. Run: mutuals retention",
            CONCERNED,
            now,
        )


def _last_logged(tx: Transaction, chain: Sequence[AgreementRow], event: str) -> datetime | None:
    return max(
        (entry.at for row in chain for entry in tx.log.entries(row.digest) if entry.event == event),
        default=None,
    )
