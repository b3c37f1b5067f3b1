"""The end of a match: what is kept of it, and what is not (DESIGN §6, step 13)."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from mutuals.agreement.active import ActiveAgreement
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.protocol.outcome import MatchOutcome
from mutuals.runs.lifecycle import end_run, log_run
from mutuals.runs.spool import Matched, save_matched
from mutuals.runs.spool_files import destroy_journal


def conclude_match(
    peer: Peer,
    run: Run,
    active: ActiveAgreement,
    outcome: MatchOutcome,
    dummies: npt.NDArray[np.uint32],
    *,
    count_only: bool,
) -> Run:
    """Keep what the reveal will need; the run, COUNTED or COUNT_ONLY.

    ``dummies`` are the own positions that are padding. Raises MutualsError (BELOW_THRESHOLD): then nothing is kept, not
    even the count.
    """
    least = active.agreement.matching.min_overlap
    now = peer.clock()
    if outcome.count < least:
        end_run(peer, run, RunState.BELOW_THRESHOLD, reason=f"Fewer than {least:,} shared.", th=outcome.th)
        raise MutualsError(
            ErrorCode.BELOW_THRESHOLD,
            f"Run {run.run_id} found fewer than the {least:,} shared identifiers "
            f"that agreement {active.agreement_id} asks for; nothing was kept.",
            hint=f"See the agreed minimum: mutuals agreement show {active.agreement_id}",
        )
    if count_only:
        return end_run(peer, run, RunState.COUNT_ONLY, count=outcome.count, th=outcome.th, counted_at=now)
    save_matched(peer, run, Matched(outcome, dummies))
    with peer.store.transaction() as tx:
        counted = tx.runs.update(
            run.run_id,
            {RunState.MATCHING},
            state=RunState.COUNTED,
            count=outcome.count,
            th=outcome.th,
            counted_at=now,
            reveal_by=now + timedelta(days=active.agreement.matching.reveal_within_days),
            match_key=None,
        )
        log_run(tx, counted, "counted", now)
    destroy_journal(peer, run)
    return counted
