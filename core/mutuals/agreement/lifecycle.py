"""From proposal to active agreement on this side: what its operators do. The partner's answers are ``answers``.

    proposer:  propose ──proposal──▶ receive_proposal                            (both: proposed)
    partner:                         accept ──acceptance──▶ receive_acceptance   (both: active)
    partner:                         reject ──rejection───▶ receive_rejection    (both: rejected)
    proposer:  withdraw ─withdrawal▶ receive_withdrawal                          (both: rejected)

An agreement with ``replaces`` is an amendment and goes the same way (``amendment``). Every function may be called again
with the same arguments and changes nothing the second time. Where the policy asks for four eyes, the first operator's
signature waits (own proposal: draft; the partner's: proposed), and the second call, by another, completes it.

Where the agreement permits acts by standing mandate, its signatory grants that too, in the same transaction
(``with_signature``): ``mutuals.runs.signing``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mutuals.agreement.active import (
    ActiveAgreement,
    check_not_ended,
    check_not_over,
    find_agreement,
    load_active,
    verify_stored,
    verify_stored_statement,
)
from mutuals.agreement.acts import act_fields, plain_reason
from mutuals.agreement.amendment import StopRuns, amended, bind
from mutuals.agreement.assessed import require_assessment
from mutuals.agreement.binding import bind_source, check_available
from mutuals.agreement.document import agreement_bytes, agreement_digest, agreement_id
from mutuals.agreement.proposal_checks import misnamed_party, refuse_misnamed, refuse_repeated
from mutuals.agreement.rejection import make_rejection
from mutuals.agreement.signing import SIGNATURE, mandated_acts, sign_for_side, signing_role
from mutuals.agreement.telling import SIGNATORIES, notify
from mutuals.canonical import parse_canonical
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, PartnerRow, StatementRow

if TYPE_CHECKING:
    from datetime import datetime

    from mutuals.identity.operators import OperatorKeys
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

__all__ = [
    "ActiveAgreement",
    "accept",
    "find_agreement",
    "load_active",
    "mandated_acts",
    "open_proposal",
    "propose",
    "refuse_accepted",
    "reject",
    "withdraw",
    "withdrawable",
]

WITHDRAWAL = "withdrawal"

WithSignature = Callable[["Transaction", str], Any]
"""What else is written once this side has signed, in the same transaction: of the agreement with this digest."""

_DECIDED = frozenset({AgreementState.ACTIVE, AgreementState.SUSPENDED})


def propose(
    peer: Peer,
    agreement: Agreement,
    source: str,
    mapping: dict[str, str],
    operator_keys: OperatorKeys,
    *,
    counters: str | None = None,
    with_signature: WithSignature | None = None,
) -> str:
    """Sign ``agreement`` as its proposer, bind the own source, and put the proposal into the outbox; the digest.

    Where the policy asks for a second operator, the first call leaves it a draft and sends nothing. ``counters`` is the
    digest of the partner's proposal that this one answers, for the log.

    Raises MutualsError: USAGE where this peer is not the proposer, a party is not called as on its card, or the same
    was proposed before, PEER_IDENTITY for an unknown partner, AGREEMENT_NOT_ACTIVE where the term is over or what it
    amends does not bind, AGREEMENT_FORBIDS (no risk assessment, or something open in it), INPUT_QUALITY (a field the
    source lacks), PROFILE_MISMATCH, ENGINE_MISMATCH, NOT_ENTITLED.
    """
    now = peer.clock()
    own = peer.fingerprint.hex()
    if agreement.side_of(own) is not Side.PROPOSER:
        raise MutualsError(ErrorCode.USAGE, "This peer is not the proposer that the agreement names.")
    document = agreement_bytes(agreement)
    digest = agreement_digest(document)
    name = agreement_id(digest)
    check_not_over(name, agreement, now)
    check_available(agreement)
    full_mapping = bind_source(peer, agreement, Side.PROPOSER, source, mapping)
    with peer.store.transaction() as tx:
        held = tx.agreements.get(digest)
        if held is not None and held.state is not AgreementState.DRAFT:
            return digest
        partner = _known_partner(tx, agreement.party(Side.PARTNER).fingerprint)
        misnamed = misnamed_party(agreement, peer.card.card, partner, Side.PROPOSER)
        if misnamed is not None:
            raise MutualsError(
                ErrorCode.USAGE, f"The agreement {misnamed}.", hint="Draft it anew: mutuals agreement draft"
            )
        amended(tx, agreement, partner.fingerprint, now)
        if held is None:
            refuse_repeated(tx, agreement)
        row = AgreementRow(
            digest=digest,
            agreement_id=name,
            title=agreement.title,
            partner=partner.fingerprint,
            own_side=Side.PROPOSER,
            state=AgreementState.DRAFT,
            document=document,
            source=source,
            mapping=full_mapping,
            created_at=held.created_at if held else now,
            updated_at=now,
            replaces=agreement.replaces,
        )
        tx.agreements.put(row)
        assessment = require_assessment(tx, agreement, now, source=source, mapping=full_mapping)
        signed = sign_for_side(tx, peer, agreement, digest, Side.PROPOSER, operator_keys, assessment)
        if signed is None:
            _ask_second(tx, row, operator_keys, now)
            return digest
        body, signature = signed
        tx.agreements.set_state(digest, AgreementState.PROPOSED, now)
        tx.agreements.add_statement(StatementRow(digest, Side.PROPOSER, body, signature))
        payload = {
            "agreement": parse_canonical(document),
            "statement": parse_canonical(body),
            "signature": signature.hex(),
        }
        enqueue(tx, peer, partner.fingerprint, sign_document(peer, "proposal", payload))
        facts = {"counters": counters} if counters else {}
        log_signed(tx, peer, digest, "proposed", body, signature, operator=operator_keys.name, **facts)
        notify(
            tx,
            row,
            f"was proposed to {partner.name} by {operator_keys.name}.",
            SIGNATORIES,
            now,
            author=operator_keys.name,
        )
        if with_signature is not None:
            with_signature(tx, digest)
    return digest


def accept(
    peer: Peer,
    digest: str,
    source: str,
    mapping: dict[str, str],
    operator_keys: OperatorKeys,
    *,
    stop_runs: StopRuns | None = None,
    with_signature: WithSignature | None = None,
) -> None:
    """Sign a received proposal, bind the own source, make it active, and put the acceptance into the outbox.

    ``digest`` may be the id too. An amendment replaces its version in the same transaction; ``stop_runs`` is needed
    for one (``mutuals.runs.signing`` gives it). Where the policy asks for a second operator, the first call only binds
    the source. Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE (rejected, over, or not what was signed; or
    what it amends does not bind), USAGE (we proposed it), PEER_IDENTITY (a party is not called as on its card),
    AGREEMENT_FORBIDS (no risk assessment, or something open in it), INPUT_QUALITY, PROFILE_MISMATCH, ENGINE_MISMATCH,
    NOT_ENTITLED.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        row, agreement = open_proposal(tx, digest)
    if row.state in _DECIDED:
        return
    check_not_over(row.agreement_id, agreement, now)
    check_available(agreement)
    full_mapping = bind_source(peer, agreement, Side.PARTNER, source, mapping)
    with peer.store.transaction() as tx:
        row, agreement = open_proposal(
            tx, row.digest
        )  # again: another process may have rejected it meanwhile
        if row.state in _DECIDED:
            return
        partner = _known_partner(tx, row.partner)
        refuse_misnamed(row.agreement_id, agreement, peer.card.card, partner)
        check_not_ended(row, now)
        amended(tx, agreement, row.partner, now)
        tx.agreements.bind(row.digest, source, full_mapping)
        assessment = require_assessment(tx, agreement, now, source=source, mapping=full_mapping)
        signed = sign_for_side(tx, peer, agreement, row.digest, Side.PARTNER, operator_keys, assessment)
        if signed is None:
            _ask_second(tx, row, operator_keys, now)
            return
        body, signature = signed
        tx.agreements.add_statement(StatementRow(row.digest, Side.PARTNER, body, signature))
        bind(tx, peer, row, agreement, stop_runs)
        payload = {"digest": row.digest, "statement": parse_canonical(body), "signature": signature.hex()}
        enqueue(tx, peer, partner.fingerprint, sign_document(peer, "acceptance", payload))
        log_signed(tx, peer, row.digest, "accepted", body, signature, operator=operator_keys.name)
        notify(
            tx,
            row,
            f"of {partner.name} was accepted by {operator_keys.name}.",
            SIGNATORIES,
            now,
            author=operator_keys.name,
        )
        if with_signature is not None:
            with_signature(tx, row.digest)


def reject(peer: Peer, digest: str, reason: str, operator_keys: OperatorKeys) -> None:
    """Turn a received proposal down, with a reason the partner will read. ``digest`` may be the id too.

    Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE, USAGE (we proposed it, or it is already accepted, or
    the reason is unusable), NOT_ENTITLED.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        row = find_agreement(tx, digest)
        if row.state is AgreementState.REJECTED:
            return
        row, _ = open_proposal(tx, row.digest)
        refuse_accepted(row)
        role = signing_role(tx, operator_keys)
        rejection = make_rejection(row.digest, reason, operator_keys.name, role, operator_keys.signing, now)
        document = sign_document(peer, "rejection", rejection.model_dump(mode="json"))
        tx.agreements.set_state(row.digest, AgreementState.REJECTED, now, rejection.reason)
        tx.approvals.void(SIGNATURE, row.digest, now)
        enqueue(tx, peer, row.partner, document)
        log_signed(tx, peer, row.digest, "rejected", document.body, operator=operator_keys.name)
        notify(
            tx,
            row,
            f"was rejected by {operator_keys.name}: {rejection.reason}",
            SIGNATORIES,
            now,
            author=operator_keys.name,
        )


def withdraw(peer: Peer, digest: str, reason: str, operator_keys: OperatorKeys) -> None:
    """Take an own proposal back that is not answered yet, or a draft that a second operator has not signed.

    ``digest`` may be the id too. It holds for both sides once the partner has acknowledged it; an acceptance that
    crosses it still makes the agreement active. Raises MutualsError: AGREEMENT_UNKNOWN, USAGE (the partner's proposal,
    or the reason), AGREEMENT_NOT_ACTIVE (answered already), NOT_ENTITLED.
    """
    now = peer.clock()
    reason = plain_reason(reason)
    with peer.store.transaction() as tx:
        row = withdrawable(tx, digest)
        if row.state is AgreementState.REJECTED:
            return
        signing_role(tx, operator_keys, act="withdraw a proposal")
        facts: dict[str, Any] = {"reason": reason}
        signed = sign_act(operator_keys, "agreement.withdraw", row.digest, facts, now)
        tx.agreements.set_state(row.digest, AgreementState.REJECTED, now, f"Withdrawn: {reason}")
        tx.approvals.void(SIGNATURE, row.digest, now)
        if row.state is AgreementState.PROPOSED:
            payload = {"digest": row.digest, **facts, **act_fields(signed)}
            facts["document"] = enqueue(tx, peer, row.partner, sign_document(peer, WITHDRAWAL, payload))
        tx.log.append(row.digest, "agreement.withdrawn", {**facts, **signed.evidence()}, now)
        notify(
            tx,
            row,
            f"was withdrawn by {operator_keys.name}: {reason}",
            SIGNATORIES,
            now,
            author=operator_keys.name,
        )


def withdrawable(tx: Transaction, reference: str) -> AgreementRow:
    """The own proposal that ``reference`` names: open, a draft, or taken back already. Raises as ``withdraw`` does."""
    row = find_agreement(tx, reference)
    if row.own_side is not Side.PROPOSER:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Agreement {row.agreement_id} is the partner's proposal; you cannot withdraw it.",
            hint=f"Turn it down: mutuals agreement reject {row.agreement_id} --reason TEXT",
        )
    if row.state not in {AgreementState.PROPOSED, AgreementState.DRAFT, AgreementState.REJECTED}:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {row.agreement_id} is {row.state.value}; only a proposal can be withdrawn.",
            hint=f"To end it: mutuals agreement terminate {row.agreement_id}",
        )
    return row


def refuse_accepted(row: AgreementRow) -> None:
    """Raise MutualsError (USAGE) where the partner's proposal ``row`` is accepted, and so past turning down."""
    if row.state in _DECIDED:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Agreement {row.agreement_id} is already accepted.",
            hint=f"To change it: mutuals agreement amend {row.agreement_id} FILE; "
            f"to end it: mutuals agreement terminate {row.agreement_id}",
        )


def open_proposal(tx: Transaction, digest: str) -> tuple[AgreementRow, Agreement]:
    """A partner's verified proposal, still open or accepted already."""
    row = find_agreement(tx, digest)
    if row.own_side is not Side.PARTNER:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Agreement {row.agreement_id} is your own proposal; the partner accepts or rejects it.",
            hint="Deliver it and fetch the answer: mutuals sync",
        )
    if row.state not in {AgreementState.PROPOSED, *_DECIDED}:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {row.agreement_id} is {row.state.value}; it is no longer open.",
            hint="Ask the partner to propose it again, or propose one yourself: mutuals agreement draft",
        )
    agreement = verify_stored(row)
    verify_stored_statement(row, agreement, tx.agreements.statements(row.digest), Side.PROPOSER)
    return row, agreement


def log_signed(
    tx: Transaction,
    peer: Peer,
    digest: str,
    event: str,
    statement: bytes,
    signature: bytes = b"",
    **facts: Any,
) -> None:
    """An entry in the agreement's log, with the signed statement itself as evidence."""
    body: dict[str, Any] = {"statement": statement.decode(), **facts}
    if signature:
        body["signature"] = signature.hex()
    tx.log.append(digest, f"agreement.{event}", body, peer.clock())


def _ask_second(tx: Transaction, row: AgreementRow, operator_keys: OperatorKeys, now: datetime) -> None:
    """Tell the other signatories, once for each who signs: a first operator who signs again has nothing new to say."""
    signed = [
        entry
        for entry in tx.log.entries(row.digest)
        if entry.event == "agreement.signed-in-part" and entry.body.get("operator") == operator_keys.name
    ]
    if len(signed) > 1:
        return
    what = f"was signed by {operator_keys.name} and needs a second operator: mutuals agreement sign {row.agreement_id}"
    notify(tx, row, what, SIGNATORIES, now, author=operator_keys.name)


def _known_partner(tx: Transaction, fingerprint: str) -> PartnerRow:
    partner = tx.partners.get(fingerprint)
    if partner is None or partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            "The other party of this agreement is no partner of this peer.",
            hint="Add its card first: mutuals partner add FILE",
        )
    return partner
