"""A partner's word that contacts it sent were withdrawn, and its answer to ours (GDPR Art. 7(3), 17, 19, 21).

The server does what is asked by itself: it deletes the sealed records at the ranks named, in all classes and with all
their other ranks, without opening them and so without a passphrase; remembers the ranks, so that an envelope that
comes later cannot bring them back; tells the operators which files taken out of that run may still hold them; and
answers. A partner can withdraw only what it sent: ranks of one of its runs with us, in its own direction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mutuals.agreement.active import verify_stored
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.identity.operators import READ_ROLES
from mutuals.models.run import Run, RunState
from mutuals.obligations.revocation_document import (
    REVOCATION,
    REVOCATION_DONE,
    Revocation,
    RevocationDone,
    parse_done,
    parse_revocation,
)
from mutuals.peer import Peer
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.runs.lifecycle import log_run
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import ExportRow, PartnerRow, RevocationRow
from mutuals.wording import counted

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

__all__ = [
    "REVOCATION",
    "REVOCATION_DONE",
    "overdue_revocations",
    "receive_revocation",
    "receive_revocation_done",
]

ANSWERED_WITHIN = timedelta(days=3)
"""How long a partner may take to say that it deleted a withdrawn contact before that counts as overdue."""

CONCERNED = READ_ROLES | {"admin"}
_FILES_NAMED = 20


def receive_revocation(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Delete what the partner withdrew, and answer. Raises PartnerFault."""
    revocation = parse_revocation(body, bytes.fromhex(partner.fingerprint))
    run = tx.runs.by_sid(bytes.fromhex(revocation.sid))
    if run is None or run.partner != partner.fingerprint:
        raise PartnerFault(
            ErrorCode.RUN_UNKNOWN, "The partner withdrew a contact from a run that there is not."
        )
    _require_sent(tx, run, revocation)
    now = peer.clock()
    deleted = tx.received.destroy_ranks(run.run_id, revocation.ranks)
    ranks = {*revocation.ranks, *(rank for named in deleted for rank in named)}
    exports = tx.exports.list(run.run_id)
    if tx.revocations.get(revocation.id) is None:  # the inbox was lost and the store was not
        tx.revocations.put(
            RevocationRow(
                revocation_id=revocation.id,
                run_id=run.run_id,
                partner=partner.fingerprint,
                own=False,
                ranks=tuple(sorted(ranks)),
                sealed=None,
                at=now,
                answered_at=now,
                deleted=len(deleted),
            )
        )
    log_run(
        tx,
        run,
        "revocation_received",
        now,
        revocation=revocation.id,
        reason=revocation.reason,
        pairs=len(ranks),
        deleted=len(deleted),
        exports=len(exports),
    )
    if deleted or exports:
        text = _told(partner.name, run, revocation.reason, len(set(deleted)), len(deleted), exports)
        tx.notifications.add(run.agreement, text, CONCERNED, now)
    answer = RevocationDone(id=revocation.id, deleted=len(deleted), exports=len(exports))
    enqueue(
        tx, peer, partner.fingerprint, sign_document(peer, REVOCATION_DONE, answer.model_dump(mode="json"))
    )


def receive_revocation_done(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Note that the partner deleted what we withdrew. Raises PartnerFault."""
    done = parse_done(body)
    row = tx.revocations.get(done.id)
    if row is None or not row.own or row.partner != partner.fingerprint:
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner answered a revocation that it was never sent.")
    if row.answered_at is not None:
        return
    run = tx.runs.get(row.run_id)
    if run is None:
        raise PartnerFault(ErrorCode.RUN_UNKNOWN, "The partner answered for a run that there is not.")
    now = peer.clock()
    tx.revocations.answer(done.id, done.deleted, now)
    log_run(
        tx,
        run,
        "revocation_answered",
        now,
        revocation=done.id,
        deleted=done.deleted,
        exports=done.exports,
        body=body.decode(),
    )
    if done.exports:
        text = (
            f"{partner.name} deleted what you withdrew from run {run.run_id}, but had taken {done.exports} "
            f"{'file' if done.exports == 1 else 'files'} out of it before, which may still hold the contact. "
            "Ask that it is deleted there, too."
        )
        tx.notifications.add(run.agreement, text, {"admin", "privacy_officer"}, now)


def overdue_revocations(tx: Transaction, now: datetime) -> list[RevocationRow]:
    """Our revocations that partners have not answered within ANSWERED_WITHIN, oldest first."""
    return [
        row
        for row in tx.revocations.list()
        if row.own and row.answered_at is None and row.at + ANSWERED_WITHIN <= now
    ]


def _require_sent(tx: Transaction, run: Run, revocation: Revocation) -> None:
    """The ranks can be ones that the partner sent in this run. Raises PartnerFault.

    Which it sent is known for certain once its direction is complete and nothing but revoked records is gone;
    before, and after retention has deleted some, only that they are pairs of the run.
    """
    row = tx.agreements.get(run.agreement)
    if run.revealed_at is None or run.count is None:
        raise PartnerFault(
            ErrorCode.RUN_STATE, "The partner withdrew a contact from a run that was not revealed."
        )
    if revocation.ranks[-1] >= run.count:
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner withdrew a pair that is not in the run.")
    if row is None or not verify_stored(row).sends(row.own_side.other):
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, "The partner withdrew a contact, but sends nothing under this agreement."
        )
    known = _sent_ranks(tx, run)
    if known is not None and not known.issuperset(revocation.ranks):
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner withdrew a pair of which it sent no record.")


def _sent_ranks(tx: Transaction, run: Run) -> set[int] | None:
    """All ranks that the partner sent in this run, or nothing where that is not known any more, or not yet."""
    if run.state is not RunState.DONE:
        return None
    envelopes = tx.envelopes.incoming(run.run_id)
    if not envelopes:  # destroyed with the agreement: a complete direction has at least one
        return None
    total = EnvelopeHeader.from_bytes(envelopes[0].header).total
    earlier = [row for row in tx.revocations.list(run.run_id) if not row.own]
    held = tx.received.ranks(run.run_id)
    if len(held) + sum(row.deleted or 0 for row in earlier) != total:
        return None
    return {rank for named in [*held, *(row.ranks for row in earlier)] for rank in named}


def _told(
    partner: str, run: Run, reason: str, contacts: int, records: int, exports: Collection[ExportRow]
) -> str:
    what = counted(contacts, "contact") if contacts else "contacts"
    gone = f"{records:,} {'record was' if records == 1 else 'records were'} deleted."
    text = f"{partner} withdrew {what} of run {run.run_id} ({reason}): {gone}"
    if not exports:
        return text
    files = [
        f"{row.file} ({counted(row.rows, 'row')}, by {row.operator}, {row.at:%Y-%m-%d})"
        for row in list(exports)[:_FILES_NAMED]
    ]
    more = f", and {len(exports) - _FILES_NAMED:,} more" if len(exports) > _FILES_NAMED else ""
    return (
        f"{text} Files taken out of the run before may still hold them; delete them there, "
        f"and export anew what you need: {'; '.join(files)}{more}."
    )
