"""Ending an agreement before its last day: either side may, with notice or for a cause at once.

    ends_at = terminate(peer, digest, "We stop the campaign.", operator_keys, cause=False)

Here only the end is set, and the partner told with the document ``termination``. From that moment on nothing may be
done under the agreement (``active``); moving it to ended, closing its runs and destroying what was received is
``mutuals.runs.ending`` and what comes after it. A received termination is always taken, since stopping is safe; of
several ends the earliest counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from mutuals.agreement.active import verify_stored
from mutuals.agreement.acts import (
    MAX_REASON,
    Note,
    act_fields,
    check_act,
    partners_agreement,
    plain_reason,
    read_note,
)
from mutuals.agreement.chain import LIVING, current_of
from mutuals.agreement.signing import signing_role
from mutuals.agreement.suspension import living
from mutuals.agreement.telling import CONCERNED, notify
from mutuals.identity.acts import sign_act
from mutuals.models.moment import Moment
from mutuals.policy.four_eyes import co_sign
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.identity.operators import OperatorKeys
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

TERMINATION = "termination"


class Termination(Note):
    """``ends_at`` is when it takes effect: at once for a ``cause``. Without an act, it had ended there already."""

    reason: str = Field(min_length=1, max_length=MAX_REASON)
    cause: bool
    ends_at: Moment

    @field_validator("ends_at")
    @classmethod
    def _in_utc(cls, moment: datetime) -> datetime:
        if moment.utcoffset() != timedelta(0) or moment.microsecond:
            raise ValueError("not whole seconds in UTC")
        return moment


def terminate(peer: Peer, digest: str, reason: str, operator_keys: OperatorKeys, *, cause: bool) -> datetime:
    """End the agreement to which ``digest`` (or id) belongs, and tell the partner; when that takes effect.

    At once for a ``cause``, else after the agreement's notice_days; an earlier end that is set already stays, and
    nothing is sent then. Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE where there is nothing to end,
    USAGE for the reason, NOT_ENTITLED, NOT_AUTHORISED_YET where the policy asks for a second operator.
    """
    now = peer.clock()
    reason = plain_reason(reason)
    with peer.store.transaction() as tx:
        row = living(tx, digest, "terminate")
        days = 0 if cause else verify_stored(row).termination.notice_days
        ends_at = now.astimezone(UTC).replace(microsecond=0) + timedelta(days=days)
        if row.ends_at is not None and row.ends_at <= ends_at:
            return row.ends_at
        signing_role(tx, operator_keys, act="terminate an agreement")
        facts: dict[str, Any] = {"reason": reason, "cause": cause}
        eyes = co_sign(tx, operator_keys, "terminate", row.digest, facts, now)
        if eyes.complete:
            facts = {**facts, "ends_at": _written(ends_at)}
            signed = sign_act(operator_keys, "agreement.terminate", row.digest, facts, now)
            payload = {"digest": row.digest, **facts, **act_fields(signed)}
            tx.agreements.set_end(row.digest, ends_at=ends_at, ended_at=None)
            tx.approvals.void("terminate", row.digest, now)
            enqueue(tx, peer, row.partner, sign_document(peer, TERMINATION, payload))
            tx.log.append(
                row.digest,
                "agreement.terminated",
                {**facts, "operators": list(eyes.operators), **signed.evidence()},
                now,
            )
            what = f"was terminated by {operator_keys.name} with effect from {ends_at:%Y-%m-%d %H:%M} UTC: {reason}"
            notify(tx, row, what, CONCERNED, now, author=operator_keys.name)
    eyes.require(f"mutuals agreement terminate {row.agreement_id} (the same reason and --cause)")
    return ends_at


def receive_termination(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> AgreementRow | None:
    """Set the end that the partner set; the version that counts now, or nothing where all is over. Raises PartnerFault.

    Whatever the state: a proposal whose acceptance is still on its way ends as soon as that makes it active, and a
    version that was replaced meanwhile stands for the one in its place.
    """
    now = peer.clock()
    note = read_note(Termination, body)
    if note.act is not None or note.act_signature is not None:
        facts = {"reason": note.reason, "cause": note.cause, "ends_at": _written(note.ends_at)}
        check_act(note, "agreement.terminate", facts)
    row = current_of(tx, partners_agreement(tx, partner, note.digest))
    ends_at = max(note.ends_at, now)  # what has passed takes effect now; nothing is undone
    if row.ends_at is not None:
        ends_at = min(ends_at, row.ends_at)
    tx.log.append(row.digest, "agreement.termination-received", {"document": body.decode()}, now)
    if row.ended_at is not None:
        return None
    tx.agreements.set_end(row.digest, ends_at=ends_at, ended_at=None)
    if row.state in LIVING:
        when = f"with effect from {ends_at:%Y-%m-%d %H:%M} UTC"
        notify(tx, row, f"was terminated by {partner.name} {when}: {note.reason}", CONCERNED, now)
    return tx.agreements.get(row.digest)


def announce_end(tx: Transaction, peer: Peer, row: AgreementRow, reason: str) -> None:
    """Tell the partner, without an operator's act, that an agreement it may hold to be active ended here."""
    now = peer.clock()
    payload = {
        "digest": row.digest,
        "reason": reason,
        "cause": True,
        "ends_at": _written(now),
        **act_fields(None),
    }
    enqueue(tx, peer, row.partner, sign_document(peer, TERMINATION, payload))


def _written(moment: datetime) -> str:
    """A moment as the documents write it: UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
