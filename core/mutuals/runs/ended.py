"""The partner's word that it ended a run on its own: it failed or became stale there, or lay below the minimum.

A side that ends a run outside of a call puts a note into its outbox (``lifecycle.end_run``), so that the other side
does not wait for what will never come. A partner can only end its own runs with us by it, as it could by silence.
"""

from __future__ import annotations

from mutuals.canonical import parse_canonical
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import RunState
from mutuals.peer import Peer
from mutuals.runs.lifecycle import RUN_ENDED, close_run
from mutuals.store.database import Transaction
from mutuals.store.rows import PartnerRow

__all__ = ["RUN_ENDED", "receive_run_ended"]

_WAITING = frozenset({RunState.MATCHING, RunState.COUNTED, RunState.REVEALED, RunState.EXCHANGING})

_ENDS: dict[str, tuple[RunState, frozenset[RunState], str]] = {
    RunState.FAILED.value: (
        RunState.FAILED,
        frozenset({RunState.MATCHING, RunState.COUNTED}),
        "The match failed on the partner's side.",
    ),
    RunState.STALE.value: (
        RunState.STALE,
        _WAITING,
        "On the partner's side a contact of the run was withdrawn or changed.",
    ),
    # The one way in which an honest partner leaves a reveal in the middle: the minimum holds for contacts too.
    RunState.BELOW_THRESHOLD.value: (
        RunState.BELOW_THRESHOLD,
        _WAITING | {RunState.REVEALING, RunState.HALF_REVEALED},
        "On the partner's side the shared identifiers belong to fewer contacts than agreed.",
    ),
}


def receive_run_ended(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """End the run that the partner ended; nothing where it has ended here too. Raises PartnerFault.

    ``body`` is canonical JSON ``{"sid": hex, "state": "failed" | "stale" | "below_threshold"}``.
    """
    try:
        note = parse_canonical(body)
        sid = bytes.fromhex(note["sid"])
        state, expect, reason = _ENDS[note["state"]]
    except (ValueError, KeyError, TypeError) as error:
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, "The partner's note about an ended run is unusable."
        ) from error
    run = tx.runs.by_sid(sid)
    if run is None or run.partner != partner.fingerprint:
        raise PartnerFault(ErrorCode.RUN_UNKNOWN, "The partner ended a run that there is not.")
    if run.state in expect:
        close_run(tx, peer, run, state, reason=reason)
