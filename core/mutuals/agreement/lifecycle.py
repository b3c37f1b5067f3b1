"""From proposal to active agreement, on both sides; the only place that changes an agreement's state.

    proposer:  propose ──proposal──▶ receive_proposal                      (both: proposed)
    partner:                         accept ──acceptance──▶ receive_acceptance   (both: active)
    partner:                         reject ──rejection───▶ receive_rejection    (both: rejected)

Every function may be called again with the same arguments and changes nothing the second time. The ``receive_``
functions run inside the transaction that also records the receipt (``mutuals.documents``); what the partner got wrong
is a ``PartnerFault``.

Where the agreement permits acts by standing mandate, its signatory grants that too: ``mutuals.runs.mandates``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mutuals.agreement.active import (
    ActiveAgreement,
    check_not_over,
    find_agreement,
    load_active,
    verify_stored,
    verify_stored_statement,
)
from mutuals.agreement.binding import bind_source, check_available
from mutuals.agreement.document import agreement_bytes, agreement_digest, agreement_id, parse_agreement
from mutuals.agreement.proposal_checks import misnamed_party, refuse_misnamed, refuse_repeated
from mutuals.agreement.rejection import Rejection, make_rejection, verify_rejection
from mutuals.agreement.rules import broken_rules
from mutuals.agreement.statements import BadStatement, make_statement, verify_statement
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.operators import AUTHORISE_ROLES, SIGN_ROLES, OperatorKeys, require_role
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, PartnerRow, StatementRow

if TYPE_CHECKING:
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
    "receive_acceptance",
    "receive_proposal",
    "receive_rejection",
    "reject",
]

MAX_OPEN_PROPOSALS = 100
"""Proposals of one partner that wait here at a time; a bound on what a partner can make us store."""


def propose(
    peer: Peer, agreement: Agreement, source: str, mapping: dict[str, str], operator_keys: OperatorKeys
) -> str:
    """Sign ``agreement`` as its proposer, bind the own source, and put the proposal into the outbox; the digest.

    Raises MutualsError: USAGE where this peer is not the proposer, a party is not called as on its card, or the same
    was proposed before, PEER_IDENTITY for an unknown partner, AGREEMENT_NOT_ACTIVE where the term is over,
    INPUT_QUALITY (a field the source lacks), PROFILE_MISMATCH, ENGINE_MISMATCH, NOT_ENTITLED.
    """
    now = peer.clock()
    own = peer.fingerprint.hex()
    if agreement.side_of(own) is not Side.PROPOSER:
        raise MutualsError(ErrorCode.USAGE, "This peer is not the proposer that the agreement names.")
    document = agreement_bytes(agreement)
    digest = agreement_digest(document)
    check_not_over(agreement_id(digest), agreement, now)
    check_available(agreement)
    full_mapping = bind_source(peer, agreement, Side.PROPOSER, source, mapping)
    with peer.store.transaction() as tx:
        if tx.agreements.get(digest) is not None:
            return digest
        partner = _known_partner(tx, agreement.party(Side.PARTNER).fingerprint)
        misnamed = misnamed_party(agreement, peer.card.card, partner, Side.PROPOSER)
        if misnamed is not None:
            raise MutualsError(
                ErrorCode.USAGE, f"The agreement {misnamed}.", hint="Draft it anew: mutuals agreement draft"
            )
        refuse_repeated(tx, agreement)
        role = signing_role(tx, operator_keys, agreement)
        body, signature = make_statement(
            agreement,
            digest,
            Side.PROPOSER,
            peer.signing_key,
            [(operator_keys.name, role, operator_keys.signing)],
            now,
        )
        row = AgreementRow(
            digest=digest,
            agreement_id=agreement_id(digest),
            title=agreement.title,
            partner=partner.fingerprint,
            own_side=Side.PROPOSER,
            state=AgreementState.PROPOSED,
            document=document,
            source=source,
            mapping=full_mapping,
            created_at=now,
            updated_at=now,
            reason=None,
        )
        tx.agreements.put(row)
        tx.agreements.add_statement(StatementRow(digest, Side.PROPOSER, body, signature))
        payload = {
            "agreement": parse_canonical(document),
            "statement": parse_canonical(body),
            "signature": signature.hex(),
        }
        enqueue(tx, peer, partner.fingerprint, sign_document(peer, "proposal", payload))
        _log(tx, peer, digest, "proposed", by=operator_keys.name, statement=body, signature=signature)
    return digest


def receive_proposal(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Store a partner's signed proposal to us as proposed. Raises PartnerFault."""
    payload = _payload(body, {"agreement": dict, "statement": dict, "signature": str})
    document = canonical_json(payload["agreement"])
    try:
        agreement = parse_agreement(document)
    except ValueError as error:
        raise _fault("The proposal holds no valid agreement.") from error
    broken = next(broken_rules(agreement), None)
    if broken is not None:
        raise _fault(f"The proposal cannot be carried out: {broken[0]} {broken[1]}.")
    if agreement.party(Side.PROPOSER).fingerprint != partner.fingerprint:
        raise _fault("The proposal names somebody else as proposer.")
    if agreement.party(Side.PARTNER).fingerprint != peer.fingerprint.hex():
        raise _fault("The proposal is made to somebody else.")
    misnamed = misnamed_party(agreement, peer.card.card, partner, Side.PARTNER)
    if misnamed is not None:
        raise _fault(f"The proposal {misnamed}.")
    if agreement.version != 1 or agreement.replaces is not None:
        raise _fault("The proposal is an amendment, which this release does not know.")
    digest = agreement_digest(document)
    statement, signature = _check_statement(payload, agreement, digest, Side.PROPOSER)
    if tx.agreements.get(digest) is not None:
        return
    name = agreement_id(digest)
    if any(row.digest != digest for row in tx.agreements.find(name)):
        raise _fault(f"The proposal has the short name {name} of another agreement.")
    waiting = [row for row in tx.agreements.list() if row.partner == partner.fingerprint]
    if sum(row.state is AgreementState.PROPOSED for row in waiting) >= MAX_OPEN_PROPOSALS:
        raise _fault(f"{MAX_OPEN_PROPOSALS} proposals of this partner already wait.")
    now = peer.clock()
    tx.agreements.put(
        AgreementRow(
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
            reason=None,
        )
    )
    tx.agreements.add_statement(StatementRow(digest, Side.PROPOSER, statement, signature))
    _log(tx, peer, digest, "proposal-received", statement=statement, signature=signature)


def accept(
    peer: Peer, digest: str, source: str, mapping: dict[str, str], operator_keys: OperatorKeys
) -> None:
    """Sign a received proposal, bind the own source, make it active, and put the acceptance into the outbox.

    ``digest`` may be the id too. Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE (rejected, over, or not
    what was signed), USAGE (we proposed it), PEER_IDENTITY (a party is not called as on its card), INPUT_QUALITY,
    PROFILE_MISMATCH, ENGINE_MISMATCH, NOT_ENTITLED.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        row, agreement = open_proposal(tx, digest)
    if row.state is AgreementState.ACTIVE:
        return
    check_not_over(row.agreement_id, agreement, now)
    check_available(agreement)
    full_mapping = bind_source(peer, agreement, Side.PARTNER, source, mapping)
    with peer.store.transaction() as tx:
        row, agreement = open_proposal(
            tx, row.digest
        )  # again: another process may have rejected it meanwhile
        if row.state is AgreementState.ACTIVE:
            return
        partner = _known_partner(tx, row.partner)
        refuse_misnamed(row.agreement_id, agreement, peer.card.card, partner)
        role = signing_role(tx, operator_keys, agreement)
        body, signature = make_statement(
            agreement,
            row.digest,
            Side.PARTNER,
            peer.signing_key,
            [(operator_keys.name, role, operator_keys.signing)],
            now,
        )
        tx.agreements.add_statement(StatementRow(row.digest, Side.PARTNER, body, signature))
        tx.agreements.bind(row.digest, source, full_mapping)
        tx.agreements.set_state(row.digest, AgreementState.ACTIVE, now, None)
        payload = {"digest": row.digest, "statement": parse_canonical(body), "signature": signature.hex()}
        enqueue(tx, peer, partner.fingerprint, sign_document(peer, "acceptance", payload))
        _log(tx, peer, row.digest, "accepted", by=operator_keys.name, statement=body, signature=signature)


def receive_acceptance(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Make the own proposal active that the partner accepted. Raises PartnerFault."""
    payload = _payload(body, {"digest": str, "statement": dict, "signature": str})
    row, agreement = _own_proposal(tx, partner, payload["digest"])
    statement, signature = _check_statement(payload, agreement, row.digest, Side.PARTNER)
    if row.state is AgreementState.ACTIVE:
        return
    if row.state is not AgreementState.PROPOSED:
        raise _fault(f"An acceptance came for agreement {row.agreement_id}, which is {row.state.value}.")
    tx.agreements.add_statement(StatementRow(row.digest, Side.PARTNER, statement, signature))
    tx.agreements.set_state(row.digest, AgreementState.ACTIVE, peer.clock(), None)
    _log(tx, peer, row.digest, "acceptance-received", statement=statement, signature=signature)


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
        if row.state is AgreementState.ACTIVE:
            raise MutualsError(ErrorCode.USAGE, f"Agreement {row.agreement_id} is already accepted.")
        role = signing_role(tx, operator_keys)
        rejection = make_rejection(row.digest, reason, operator_keys.name, role, operator_keys.signing, now)
        document = sign_document(peer, "rejection", rejection.model_dump(mode="json"))
        tx.agreements.set_state(row.digest, AgreementState.REJECTED, now, rejection.reason)
        enqueue(tx, peer, row.partner, document)
        _log(tx, peer, row.digest, "rejected", by=operator_keys.name, statement=document.body)


def receive_rejection(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Record that the partner turned the own proposal down. Raises PartnerFault."""
    try:
        rejection: Rejection = verify_rejection(body)
    except BadStatement as error:
        raise _fault(f"A rejection is unusable: {error}.") from error
    row, _ = _own_proposal(tx, partner, rejection.digest)
    if row.state is AgreementState.REJECTED:
        return
    if row.state is not AgreementState.PROPOSED:
        raise _fault(f"A rejection came for agreement {row.agreement_id}, which is {row.state.value}.")
    tx.agreements.set_state(row.digest, AgreementState.REJECTED, peer.clock(), rejection.reason)
    _log(tx, peer, row.digest, "rejection-received", statement=body)


def signing_role(tx: Transaction, operator_keys: OperatorKeys, agreement: Agreement | None = None) -> str:
    """The role in which this operator may sign agreements, or this one. Raises NOT_ENTITLED.

    Whoever signs an agreement that permits acts by standing mandate grants it, and must be entitled to that too.
    """
    act, allowed = "sign agreements", SIGN_ROLES
    if agreement is not None and mandated_acts(agreement):
        act, allowed = "sign an agreement with a standing mandate", SIGN_ROLES & AUTHORISE_ROLES
    require_role(operator_keys, allowed, act)
    row = tx.operators.get(operator_keys.name)
    if row is None or row.disabled_at is not None or row.signing_public != operator_keys.signing.public.raw:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED, f"Operator {operator_keys.name} is no operator of this peer now."
        )
    require_role(row, allowed, act)
    return next(role for role in row.roles if role in allowed)


def mandated_acts(agreement: Agreement) -> tuple[Literal["reveal", "exchange"], ...]:
    """The acts that the agreement permits by standing mandate."""
    acts: tuple[Literal["reveal", "exchange"], ...] = ("reveal", "exchange")
    return tuple(act for act in acts if getattr(agreement.permission, act) == "mandate")


def open_proposal(tx: Transaction, digest: str) -> tuple[AgreementRow, Agreement]:
    """A partner's verified proposal, still open or accepted already."""
    row = find_agreement(tx, digest)
    if row.own_side is not Side.PARTNER:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Agreement {row.agreement_id} is your own proposal; the partner accepts or rejects it.",
            hint="Deliver it and fetch the answer: mutuals sync",
        )
    if row.state not in {AgreementState.PROPOSED, AgreementState.ACTIVE}:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {row.agreement_id} is {row.state.value}; it is no longer open.",
            hint="Ask the partner to propose it again, or propose one yourself: mutuals agreement draft",
        )
    agreement = verify_stored(row)
    verify_stored_statement(row, agreement, tx.agreements.statements(row.digest), Side.PROPOSER)
    return row, agreement


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
        raise _fault(f"The partner's statement does not hold: {text}.") from error
    return body, signature


def _payload(body: bytes, keys: dict[str, type]) -> dict[str, Any]:
    try:
        payload = parse_canonical(body)
    except (ValueError, RecursionError) as error:
        raise _fault("A document is not canonical JSON.") from error
    if set(payload) != set(keys) or not all(isinstance(payload[key], kind) for key, kind in keys.items()):
        raise _fault("A document has other keys than its kind.")
    return payload


def _known_partner(tx: Transaction, fingerprint: str) -> PartnerRow:
    partner = tx.partners.get(fingerprint)
    if partner is None or partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            "The other party of this agreement is no partner of this peer.",
            hint="Add its card first: mutuals partner add FILE",
        )
    return partner


def _log(
    tx: Transaction,
    peer: Peer,
    digest: str,
    event: str,
    *,
    statement: bytes,
    signature: bytes = b"",
    by: str | None = None,
) -> None:
    """An entry in the agreement's log, with the signed statement itself as evidence."""
    body = {"statement": statement.decode()}
    if signature:
        body["signature"] = signature.hex()
    if by is not None:
        body["operator"] = by
    tx.log.append(digest, f"agreement.{event}", body, peer.clock())


def _fault(message: str) -> PartnerFault:
    return PartnerFault(ErrorCode.BAD_MESSAGE, message)
