"""What the partner sends about proposals: its own, and its answers to ours. Everything is crafted until it is checked.

The functions run inside the transaction that also records the receipt (``mutuals.documents``); what the partner got
wrong is a ``PartnerFault``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mutuals.agreement.active import is_over, verify_stored
from mutuals.agreement.acts import MAX_REASON, Note, check_act, fault, read_note
from mutuals.agreement.amendment import StopRuns, amended, bind, bind_late
from mutuals.agreement.chain import BOUND
from mutuals.agreement.document import agreement_digest, agreement_id, parse_agreement
from mutuals.agreement.lifecycle import log_signed
from mutuals.agreement.proposal_checks import misnamed_party
from mutuals.agreement.rejection import Rejection, verify_rejection
from mutuals.agreement.rules import broken_rules
from mutuals.agreement.signing import SIGNATURE
from mutuals.agreement.statements import BadStatement, verify_statement
from mutuals.agreement.telling import SIGNATORIES, notify
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.store.rows import AgreementRow, PartnerRow, StatementRow

if TYPE_CHECKING:
    from datetime import datetime

    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

MAX_OPEN_PROPOSALS = 100
"""Proposals of one partner that wait here at a time; a bound on what a partner can make us store."""


class Withdrawal(Note):
    """Takes the sender's proposal back."""

    reason: str = Field(min_length=1, max_length=MAX_REASON)


def receive_proposal(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Store a partner's signed proposal to us, or amendment of what binds, as proposed. Raises PartnerFault."""
    payload = _payload(body, {"agreement": dict, "statement": dict, "signature": str})
    document = canonical_json(payload["agreement"])
    try:
        agreement = parse_agreement(document)
    except ValueError as error:
        raise fault("The proposal holds no valid agreement.") from error
    broken = next(broken_rules(agreement), None)
    if broken is not None:
        raise fault(f"The proposal cannot be carried out: {broken[0]} {broken[1]}.")
    if agreement.party(Side.PROPOSER).fingerprint != partner.fingerprint:
        raise fault("The proposal names somebody else as proposer.")
    if agreement.party(Side.PARTNER).fingerprint != peer.fingerprint.hex():
        raise fault("The proposal is made to somebody else.")
    misnamed = misnamed_party(agreement, peer.card.card, partner, Side.PARTNER)
    if misnamed is not None:
        raise fault(f"The proposal {misnamed}.")
    digest = agreement_digest(document)
    statement, signature = _check_statement(payload, agreement, digest, Side.PROPOSER)
    if tx.agreements.get(digest) is not None:
        return
    now = peer.clock()
    _check_amends(tx, partner, agreement, now)
    name = agreement_id(digest)
    if any(row.digest != digest for row in tx.agreements.find(name)):
        raise fault(f"The proposal has the short name {name} of another agreement.")
    waiting = [row for row in tx.agreements.list() if row.partner == partner.fingerprint]
    if sum(row.state is AgreementState.PROPOSED for row in waiting) >= MAX_OPEN_PROPOSALS:
        raise fault(f"{MAX_OPEN_PROPOSALS} proposals of this partner already wait.")
    row = AgreementRow(
        digest=digest,
        agreement_id=name,
        title=agreement.title,
        partner=partner.fingerprint,
        own_side=Side.PARTNER,
        state=AgreementState.PROPOSED,
        document=document,
        source=None,
        mapping={},
        created_at=now,
        updated_at=now,
        replaces=agreement.replaces,
    )
    tx.agreements.put(row)
    tx.agreements.add_statement(StatementRow(digest, Side.PROPOSER, statement, signature))
    log_signed(tx, peer, digest, "proposal-received", statement, signature)
    kind = f"version {agreement.version} of an agreement, " if agreement.replaces else ""
    what = f"{kind}was proposed by {partner.name}; read it: mutuals agreement show {name}"
    notify(tx, row, what, SIGNATORIES, now)


def receive_acceptance(
    tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes, stop_runs: StopRuns | None = None
) -> None:
    """Make the own proposal active that the partner accepted. Raises PartnerFault.

    It may have been withdrawn or become void here while the acceptance was on its way (``amendment.bind_late``).
    """
    payload = _payload(body, {"digest": str, "statement": dict, "signature": str})
    row, agreement = _own_proposal(tx, partner, payload["digest"])
    statement, signature = _check_statement(payload, agreement, row.digest, Side.PARTNER)
    if row.state in BOUND or _statement_held(tx, row):
        return
    outcome = "bound"
    if row.state is AgreementState.REJECTED and _partner_did_not_know(tx, row):
        outcome = _take_late(tx, peer, row, agreement, stop_runs)
    elif row.state is not AgreementState.PROPOSED:
        raise fault(f"An acceptance came for agreement {row.agreement_id}, which is {row.state.value}.")
    elif _replaced_is_over(tx, peer, row):
        outcome = _take_late(tx, peer, row, agreement, stop_runs)
    else:
        bind(tx, peer, row, agreement, stop_runs)
    tx.agreements.add_statement(StatementRow(row.digest, Side.PARTNER, statement, signature))
    log_signed(tx, peer, row.digest, "acceptance-received", statement, signature, outcome=outcome)
    notify(tx, row, f"was accepted by {partner.name}{_OUTCOMES[outcome]}", SIGNATORIES, peer.clock())


def receive_rejection(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Record that the partner turned the own proposal down. Raises PartnerFault."""
    try:
        rejection: Rejection = verify_rejection(body)
    except BadStatement as error:
        raise fault(f"A rejection is unusable: {error}.") from error
    row, _ = _own_proposal(tx, partner, rejection.digest)
    if row.state is AgreementState.REJECTED:
        return
    if row.state is not AgreementState.PROPOSED:
        raise fault(f"A rejection came for agreement {row.agreement_id}, which is {row.state.value}.")
    now = peer.clock()
    tx.agreements.set_state(row.digest, AgreementState.REJECTED, now, rejection.reason)
    log_signed(tx, peer, row.digest, "rejection-received", body)
    notify(tx, row, f"was rejected by {partner.name}: {rejection.reason}", SIGNATORIES, now)


def receive_withdrawal(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Record that the partner took its proposal back; refused where it is accepted, which then holds. Raises
    PartnerFault.
    """
    note = read_note(Withdrawal, body)
    check_act(note, "agreement.withdraw", {"reason": note.reason})
    row = tx.agreements.get(note.digest)
    if row is None or row.partner != partner.fingerprint or row.own_side is not Side.PARTNER:
        raise PartnerFault(
            ErrorCode.AGREEMENT_UNKNOWN, "The partner withdrew a proposal that it never made here."
        )
    if row.state is AgreementState.REJECTED and not _statement_held(tx, row):
        return
    if row.state is not AgreementState.PROPOSED:
        raise PartnerFault(
            ErrorCode.AGREEMENT_FORBIDS,
            f"A withdrawal came for {row.agreement_id}, which was accepted before.",
        )
    now = peer.clock()
    tx.agreements.set_state(row.digest, AgreementState.REJECTED, now, f"Withdrawn: {note.reason}")
    tx.approvals.void(SIGNATURE, row.digest, now)
    tx.log.append(row.digest, "agreement.withdrawal-received", {"document": body.decode()}, now)
    notify(tx, row, f"was withdrawn by {partner.name}: {note.reason}", SIGNATORIES, now)


def _check_amends(tx: Transaction, partner: PartnerRow, agreement: Agreement, now: datetime) -> None:
    try:
        amended(tx, agreement, partner.fingerprint, now)
    except MutualsError as error:
        replaced = tx.agreements.get(agreement.replaces) if agreement.replaces else None
        if replaced is not None and replaced.state is AgreementState.PROPOSED:
            raise  # its acceptance may still be on its way: not a PartnerFault, so the amendment comes again
        code = ErrorCode.BAD_MESSAGE if error.code is ErrorCode.INPUT_QUALITY else error.code
        raise PartnerFault(code, f"The proposal cannot be taken. {error.message}") from error


def _replaced_is_over(tx: Transaction, peer: Peer, row: AgreementRow) -> bool:
    replaced = tx.agreements.get(row.replaces) if row.replaces else None
    return replaced is not None and is_over(replaced, peer.clock())


def _take_late(
    tx: Transaction, peer: Peer, row: AgreementRow, agreement: Agreement, stop_runs: StopRuns | None
) -> str:
    try:
        return bind_late(tx, peer, row, agreement, stop_runs)
    except MutualsError as error:
        raise PartnerFault(error.code, error.message) from error


def _partner_did_not_know(tx: Transaction, row: AgreementRow) -> bool:
    """Whether the partner could in good faith accept a proposal that is withdrawn or void here.

    Not where the partner itself turned it down, nor once it has acknowledged the withdrawal.
    """
    for entry in reversed(tx.log.entries(row.digest)):
        if entry.event == "agreement.void":
            return True
        if entry.event == "agreement.withdrawn":
            document = entry.body.get("document")
            sent = tx.outbox.get(document) if isinstance(document, str) else None
            return sent is not None and not _acknowledged(sent.receipt)
        if entry.event == "agreement.rejection-received":
            return False
    return False


def _acknowledged(receipt: bytes | None) -> bool:
    """Whether a receipt that we hold says that the partner took the document."""
    try:
        return receipt is not None and json.loads(receipt)["accepted"] is True
    except (ValueError, KeyError, TypeError):
        return False


def _statement_held(tx: Transaction, row: AgreementRow) -> bool:
    """Whether both sides have signed, whatever became of it then."""
    return any(held.side is Side.PARTNER for held in tx.agreements.statements(row.digest))


def _own_proposal(tx: Transaction, partner: PartnerRow, digest: str) -> tuple[AgreementRow, Agreement]:
    """Our proposal to this partner that an answer is about; a PartnerFault where there is none."""
    row = tx.agreements.get(digest)
    if row is None or row.partner != partner.fingerprint or row.own_side is not Side.PROPOSER:
        raise PartnerFault(
            ErrorCode.AGREEMENT_UNKNOWN, "An answer came to a proposal we never made to this partner."
        )
    return row, verify_stored(row)


def _check_statement(
    payload: dict[str, Any], agreement: Agreement, digest: str, side: Side
) -> tuple[bytes, bytes]:
    try:
        body = canonical_json(payload["statement"])
        signature = bytes.fromhex(payload["signature"])
        verify_statement(body, signature, agreement, digest, side)
    except ValueError as error:
        text = str(error) if isinstance(error, BadStatement) else "it is malformed"
        raise fault(f"The partner's statement does not hold: {text}.") from error
    return body, signature


def _payload(body: bytes, keys: dict[str, type]) -> dict[str, Any]:
    try:
        payload = parse_canonical(body)
    except (ValueError, RecursionError) as error:
        raise fault("A document is not canonical JSON.") from error
    if set(payload) != set(keys) or not all(isinstance(payload[key], kind) for key, kind in keys.items()):
        raise fault("A document has other keys than its kind.")
    return payload


_OUTCOMES = {
    "bound": ".",
    "void": ", but the partner's amendment of the same version binds.",
    "ended": ", but had ended before.",
}
