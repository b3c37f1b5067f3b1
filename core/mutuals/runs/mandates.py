"""The standing mandate that goes with signing an agreement which permits acts in advance (DESIGN §8)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from mutuals.agreement.active import find_agreement, verify_stored
from mutuals.agreement.lifecycle import mandated_acts
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Agreement
from mutuals.peer import Peer
from mutuals.runs.authorisation import grant_mandate

BUDGET_DAYS = 30


def grant_standing_mandate(peer: Peer, digest: str, keys: OperatorKeys) -> bool:
    """Grant what the agreement permits by mandate; whether there was anything to grant.

    Whoever proposed or accepted it does this at once. The mandate lasts until the end of the term, for as many runs
    as the budget allows in that time. Does nothing where one is in force. Raises MutualsError (NOT_ENTITLED).
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        row = find_agreement(tx, digest)
        agreement = verify_stored(row)
        held = tx.authorisations.current("mandate", row.digest, now)
    acts = mandated_acts(agreement)
    if not acts or held is not None:
        return False
    grant_mandate(
        peer, row.digest, keys, acts=acts, max_runs=most_runs(agreement), expires_at=_end(agreement)
    )
    return True


def most_runs(agreement: Agreement) -> int:
    """How many runs the budget allows over the whole term."""
    periods = (agreement.valid_until - agreement.valid_from).days // BUDGET_DAYS + 1
    return periods * agreement.matching.runs_per_30_days


def _end(agreement: Agreement) -> datetime:
    return datetime.combine(agreement.valid_until + timedelta(days=1), time(), UTC)
