"""Halting an agreement, and lifting the halt: either side may, each lifts only its own.

    suspension_id = suspend(tx, peer, digest, "A breach at our side.", breach_id, operator_keys)
    resume(tx, peer, digest, suspension_id, operator_keys)

An agreement is suspended while either side has an open suspension of any of its versions; no run begins or goes on,
and nothing that was received is read. The documents ``suspension`` and ``resumption`` tell the partner.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from mutuals.agreement.active import find_agreement
from mutuals.agreement.acts import (
    MAX_REASON,
    Note,
    act_fields,
    check_act,
    fault,
    partners_agreement,
    plain_reason,
    read_note,
)
from mutuals.agreement.chain import BOUND, LIVING, chain_of, current_of, family_of, newest_of
from mutuals.agreement.signing import signing_role
from mutuals.agreement.telling import CONCERNED, notify
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.acts import sign_act
from mutuals.models.agreement import AgreementState
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, PartnerRow, SuspensionRow

if TYPE_CHECKING:
    from datetime import datetime

    from mutuals.identity.operators import OperatorKeys
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

SUSPENSION, RESUMPTION = "suspension", "resumption"

MAX_OPEN_SUSPENSIONS = 100
"""Open suspensions of one version by the partner; a bound on what a partner can make us store."""

_OVER = frozenset({AgreementState.REJECTED, AgreementState.ENDED, AgreementState.CLOSED})

_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Suspension(Note):
    """``breach`` is the id of the breach that is the reason, if one is."""

    suspension: _Id
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    breach: str | None = Field(max_length=100)


class Resumption(Note):
    """Lifts the sender's suspension of this id."""

    suspension: _Id


def suspend(
    tx: Transaction,
    peer: Peer,
    digest: str,
    reason: str,
    breach_id: str | None,
    operator_keys: OperatorKeys,
) -> str:
    """Suspend the agreement to which ``digest`` belongs (id or digest), and tell the partner; the suspension's id.

    Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE where it is neither active nor suspended, USAGE for the
    reason or where this side has suspended it for the same one, NOT_ENTITLED.
    """
    now = peer.clock()
    reason = plain_reason(reason)
    row = living(tx, digest, "suspend")
    refuse_repeated(tx, row, reason, breach_id)
    signing_role(tx, operator_keys, act="suspend an agreement")
    identity = secrets.token_hex(16)
    facts = {"suspension": identity, "reason": reason, "breach": breach_id}
    signed = sign_act(operator_keys, "agreement.suspend", row.digest, facts, now)
    tx.suspensions.put(SuspensionRow(identity, row.digest, row.own_side, reason, breach_id, now))
    _settle(tx, row, now)
    payload = {"digest": row.digest, **facts, **act_fields(signed)}
    enqueue(tx, peer, row.partner, sign_document(peer, SUSPENSION, payload))
    _log(tx, row, "suspended", now, suspension=identity, reason=reason, breach=breach_id, **signed.evidence())
    notify(
        tx, row, f"was suspended by {operator_keys.name}: {reason}", CONCERNED, now, author=operator_keys.name
    )
    return identity


def refuse_repeated(tx: Transaction, row: AgreementRow, reason: str, breach_id: str | None) -> None:
    """Raise MutualsError (USAGE) where this side has suspended it for this reason and has not lifted that."""
    for halt in own_suspensions(tx, row.digest):
        if (halt.reason, halt.breach) == (reason, breach_id):
            raise MutualsError(
                ErrorCode.USAGE,
                f"You suspended agreement {row.agreement_id} for that reason on {halt.at:%Y-%m-%d %H:%M} UTC already.",
                hint=f"To lift it: mutuals agreement resume {row.agreement_id} {halt.suspension_id}",
            )


def resume(
    tx: Transaction, peer: Peer, digest: str, suspension_id: str, operator_keys: OperatorKeys
) -> AgreementState:
    """Lift a suspension of this side's, and tell the partner; the state the agreement is in then.

    It stays suspended where another suspension, of either side, is open. Raises MutualsError: AGREEMENT_UNKNOWN, USAGE
    where this side has no such suspension open, NOT_ENTITLED.
    """
    now = peer.clock()
    row = find_agreement(tx, digest)
    signing_role(tx, operator_keys, act="resume an agreement")
    halt, version = own_suspension(tx, row, suspension_id)
    facts = {"suspension": halt.suspension_id}
    signed = sign_act(operator_keys, "agreement.resume", version.digest, facts, now)
    tx.suspensions.lift(halt.suspension_id, now)
    payload = {"digest": version.digest, **facts, **act_fields(signed)}
    enqueue(tx, peer, version.partner, sign_document(peer, RESUMPTION, payload))
    _log(tx, version, "resumed", now, suspension=halt.suspension_id, **signed.evidence())
    state = _settle(tx, version, now)
    still = ", but another suspension is open" if state is AgreementState.SUSPENDED else ""
    notify(
        tx,
        current_of(tx, row),
        f"was resumed by {operator_keys.name}{still}.",
        CONCERNED,
        now,
        author=operator_keys.name,
    )
    return state


def receive_suspension(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Record the partner's suspension; nothing where we have it. Raises PartnerFault.

    It is taken also before an acceptance that is still on its way, and then counts from when that is in.
    """
    now = peer.clock()
    note = read_note(Suspension, body)
    check_act(
        note,
        "agreement.suspend",
        {"suspension": note.suspension, "reason": note.reason, "breach": note.breach},
    )
    row = partners_agreement(tx, partner, note.digest)
    if current_of(tx, row).state in _OVER:
        return
    held = tx.suspensions.get(note.suspension)
    if held is not None:
        if (held.agreement, held.side) != (row.digest, row.own_side.other):
            raise fault("A suspension came under an id that is taken.")
        return
    theirs = [halt for halt in tx.suspensions.open(row.digest) if halt.side is not row.own_side]
    if len(theirs) >= MAX_OPEN_SUSPENSIONS:
        raise fault(f"{MAX_OPEN_SUSPENSIONS} suspensions of this partner are open already.")
    tx.suspensions.put(
        SuspensionRow(note.suspension, row.digest, row.own_side.other, note.reason, note.breach, now)
    )
    _settle(tx, row, now)
    _log(tx, row, "suspension-received", now, suspension=note.suspension, document=body.decode())
    notify(tx, row, f"was suspended by {partner.name}: {note.reason}", CONCERNED, now)


def receive_resumption(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Lift the partner's suspension; nothing where it is lifted. Raises PartnerFault."""
    now = peer.clock()
    note = read_note(Resumption, body)
    check_act(note, "agreement.resume", {"suspension": note.suspension})
    row = partners_agreement(tx, partner, note.digest)
    halt = tx.suspensions.get(note.suspension)
    if halt is None:
        if current_of(tx, row).state in _OVER:
            return
        # Not a PartnerFault, which would stay: the suspension itself may still be on its way.
        raise MutualsError(ErrorCode.AGREEMENT_UNKNOWN, "The partner lifted a suspension that is not in yet.")
    if (halt.agreement, halt.side) != (row.digest, row.own_side.other):
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner lifted a suspension that is not its own.")
    if halt.lifted_at is not None:
        return
    tx.suspensions.lift(halt.suspension_id, now)
    state = _settle(tx, row, now)
    _log(tx, row, "resumption-received", now, suspension=note.suspension, document=body.decode())
    still = ", but another suspension is open" if state is AgreementState.SUSPENDED else ""
    notify(tx, current_of(tx, row), f"was resumed by {partner.name}{still}.", CONCERNED, now)


def open_suspensions(tx: Transaction, digest: str) -> list[SuspensionRow]:
    """What suspends the agreement to which ``digest`` belongs now, of either side and any version."""
    return [halt for version in family_of(tx, digest) for halt in tx.suspensions.open(version.digest)]


def own_suspensions(tx: Transaction, digest: str) -> list[SuspensionRow]:
    """Those of them that this side made, and may lift."""
    sides = {version.digest: version.own_side for version in family_of(tx, digest)}
    return [halt for halt in open_suspensions(tx, digest) if halt.side is sides[halt.agreement]]


def own_suspension(
    tx: Transaction, row: AgreementRow, suspension_id: str
) -> tuple[SuspensionRow, AgreementRow]:
    """The own open suspension with that id, and the version it was made under. Raises MutualsError (USAGE)."""
    halt = tx.suspensions.get(suspension_id)
    versions = family_of(tx, row.digest)
    version = next((item for item in versions if halt is not None and item.digest == halt.agreement), None)
    if halt is None or version is None or halt.side is not version.own_side or halt.lifted_at is not None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"You have no open suspension {suspension_id[:40]!r} of agreement {row.agreement_id}.",
            hint=f"See what suspends it: mutuals agreement show {row.agreement_id}; "
            "the partner's suspensions are lifted by the partner.",
        )
    return halt, version


def state_when_bound(tx: Transaction, digest: str) -> AgreementState:
    """The state in which a version begins to bind: active, or suspended where a suspension is open."""
    return AgreementState.SUSPENDED if open_suspensions(tx, digest) else AgreementState.ACTIVE


def living(tx: Transaction, reference: str, act: str) -> AgreementRow:
    """The version that counts now of the agreement that ``reference`` names, if it has not ended.

    ``act`` completes “cannot …”. Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE, USAGE.
    """
    row = find_agreement(tx, reference)
    if row.state in BOUND:
        row = newest_of(chain_of(tx, row.digest))
    if row.state not in LIVING:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {row.agreement_id} is {row.state.value}; you cannot {act} it.",
            hint="An own proposal is withdrawn, a partner's rejected: mutuals agreement withdraw | reject"
            if row.state is AgreementState.PROPOSED
            else "See those there are: mutuals agreement list",
        )
    return row


def _settle(tx: Transaction, row: AgreementRow, now: datetime) -> AgreementState:
    """Bring the version that counts now into the state that the open suspensions mean; that state."""
    newest = current_of(tx, row)
    if newest.state not in LIVING:
        return newest.state
    state = state_when_bound(tx, newest.digest)
    if state is not newest.state:
        tx.agreements.set_state(newest.digest, state, now, newest.reason)
    return state


def _log(tx: Transaction, row: AgreementRow, event: str, now: datetime, **facts: Any) -> None:
    tx.log.append(row.digest, f"agreement.{event}", facts, now)
