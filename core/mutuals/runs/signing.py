"""Signing an agreement with all that goes with it: the standing mandate, and the runs that an amendment stops.

    row = propose_agreement(peer, agreement, "crm", {}, operator_keys)
    row = accept_agreement(peer, "A-7Q3K2M9X", "crm", {}, operator_keys)
    row = sign_second(peer, "A-7Q3K2M9X", operator_keys)      # where the policy asks for four eyes

The row says what came of it: a draft, or still proposed, where a second operator's signature is missing.
"""

from __future__ import annotations

from functools import partial

from mutuals.agreement.active import find_agreement, verify_stored
from mutuals.agreement.answers import receive_acceptance
from mutuals.agreement.diff import counter_sentence
from mutuals.agreement.lifecycle import accept, open_proposal, propose, refuse_accepted, reject
from mutuals.agreement.signing import SIGNATURE
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.peer import Peer
from mutuals.runs.ending import stop_runs
from mutuals.runs.mandates import grant_standing_mandate, put_standing_mandate
from mutuals.store.database import Transaction
from mutuals.store.rows import AgreementRow, PartnerRow


def propose_agreement(
    peer: Peer,
    agreement: Agreement,
    source: str,
    mapping: dict[str, str],
    operator_keys: OperatorKeys,
    *,
    counters: str | None = None,
) -> AgreementRow:
    """``lifecycle.propose`` with the mandate; raises as it does."""
    mandate = partial(put_standing_mandate, keys=operator_keys, now=peer.clock())
    digest = propose(
        peer, agreement, source, mapping, operator_keys, counters=counters, with_signature=mandate
    )
    return _with_mandate(peer, digest, operator_keys)


def accept_agreement(
    peer: Peer, digest: str, source: str, mapping: dict[str, str], operator_keys: OperatorKeys
) -> AgreementRow:
    """``lifecycle.accept`` with the mandate, stopping the runs that an amendment stops; raises as it does."""
    mandate = partial(put_standing_mandate, keys=operator_keys, now=peer.clock())
    accept(peer, digest, source, mapping, operator_keys, stop_runs=stop_runs, with_signature=mandate)
    return _with_mandate(peer, digest, operator_keys)


def sign_second(peer: Peer, reference: str, operator_keys: OperatorKeys) -> AgreementRow:
    """Complete what another operator of this side has signed: an own proposal, or the acceptance of the partner's.

    The source and the columns are those that the first named. Raises MutualsError: AGREEMENT_UNKNOWN, USAGE where
    nothing waits for a second signature, and what ``propose`` and ``accept`` raise.
    """
    row, source = half_signed(peer, reference)
    if row.own_side is Side.PROPOSER:
        return propose_agreement(peer, verify_stored(row), source, row.mapping, operator_keys)
    return accept_agreement(peer, row.digest, source, row.mapping, operator_keys)


def half_signed(peer: Peer, reference: str) -> tuple[AgreementRow, str]:
    """The agreement that waits for a second operator of this side, and the source that the first named.

    Raises MutualsError: AGREEMENT_UNKNOWN, USAGE where nothing waits.
    """
    row = _row(peer, reference)
    with peer.store.transaction() as tx:
        waiting = bool(tx.approvals.of(SIGNATURE, row.digest))
    if not waiting or row.source is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Agreement {row.agreement_id} waits for no second signature of yours; it is {row.state.value}.",
            hint=f"See who has signed: mutuals agreement show {row.agreement_id}",
        )
    return row, row.source


def counter(
    peer: Peer,
    reference: str,
    agreement: Agreement,
    source: str,
    mapping: dict[str, str],
    operator_keys: OperatorKeys,
    *,
    reason: str | None = None,
) -> AgreementRow:
    """Turn the partner's proposal ``reference`` down with ``agreement`` in its place; the new proposal.

    The new one is signed first, so that whatever hinders it leaves the partner's open. Raises as ``propose`` and
    ``reject`` do, USAGE where the partner's is accepted already.
    """
    with peer.store.transaction() as tx:
        row, _ = open_proposal(tx, reference)
    refuse_accepted(row)
    made = propose_agreement(peer, agreement, source, mapping, operator_keys, counters=row.digest)
    follows = counter_sentence(made.agreement_id)
    reject(peer, row.digest, f"{reason.strip()}\n{follows}" if reason else follows, operator_keys)
    with peer.store.transaction() as tx:
        tx.log.append(row.digest, "agreement.countered", {"by": made.digest}, peer.clock())
    return made


def take_acceptance(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Handle the partner's ``acceptance``. Raises PartnerFault."""
    receive_acceptance(tx, peer, partner, body, stop_runs)


def _with_mandate(peer: Peer, digest: str, operator_keys: OperatorKeys) -> AgreementRow:
    """The agreement; where it had been signed before, with the mandate of this operator too, should it need one."""
    row = _row(peer, digest)
    open_states = {AgreementState.DRAFT} if row.own_side is Side.PROPOSER else {AgreementState.PROPOSED}
    if row.state not in open_states:
        grant_standing_mandate(peer, row.digest, operator_keys)
    return row


def _row(peer: Peer, reference: str) -> AgreementRow:
    with peer.store.transaction() as tx:
        return find_agreement(tx, reference)
