"""The standing mandate that goes with signing an agreement which permits acts in advance (DESIGN §8)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from mutuals.agreement.active import find_agreement, verify_stored
from mutuals.agreement.lifecycle import mandated_acts
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Agreement
from mutuals.peer import Peer
from mutuals.policy.current import operators_required
from mutuals.runs.authorisation import put_mandate
from mutuals.store.database import Transaction

BUDGET_DAYS = 30


def grant_standing_mandate(peer: Peer, digest: str, keys: OperatorKeys) -> bool:
    """``put_standing_mandate`` in a transaction of its own."""
    with peer.store.transaction() as tx:
        return put_standing_mandate(tx, digest, keys, peer.clock())


def put_standing_mandate(tx: Transaction, digest: str, keys: OperatorKeys, now: datetime) -> bool:
    """Grant what the agreement permits by mandate; whether there was anything to grant.

    Whoever proposed or accepted it does this with the signature, in the same transaction. The mandate lasts until the
    end of the term, for as many runs as the budget allows in that time. Does nothing where enough are in force: one, or
    two operators' where the policy asks for four eyes. Raises MutualsError (NOT_ENTITLED).
    """
    row = find_agreement(tx, digest)
    agreement = verify_stored(row)
    acts = mandated_acts(agreement)
    holders = {held.operator for held in tx.authorisations.standing("mandate", row.digest, now)}
    needed = max((operators_required(tx, act) for act in acts), default=0)
    if keys.name in holders or len(holders) >= needed:
        return False
    put_mandate(
        tx, row.digest, keys, now, acts=acts, max_runs=most_runs(agreement), expires_at=_end(agreement)
    )
    return True


def most_runs(agreement: Agreement) -> int:
    """How many runs the budget allows over the whole term."""
    periods = (agreement.valid_until - agreement.valid_from).days // BUDGET_DAYS + 1
    return periods * agreement.matching.runs_per_30_days


def _end(agreement: Agreement) -> datetime:
    return datetime.combine(agreement.valid_until + timedelta(days=1), time(), UTC)
