"""The run that a command or a call is about, if it is one that this side may carry on in that role."""

from __future__ import annotations

from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.run import Role, Run
from mutuals.peer import Peer
from mutuals.store.rows import PartnerRow


def started_here(peer: Peer, run_id: str) -> Run:
    """The run of this id, which this side started. Raises MutualsError (RUN_UNKNOWN)."""
    with peer.store.transaction() as tx:
        run = tx.runs.get(run_id)
    if run is None or run.role is not Role.INITIATOR:
        raise MutualsError(
            ErrorCode.RUN_UNKNOWN,
            f"This side started no run {run_id}.",
            hint="See which it did: mutuals runs",
        )
    return run


def started_by(peer: Peer, partner: PartnerRow, sid: bytes) -> Run:
    """The run of this session id (32 bytes), which ``partner`` started. Raises PartnerFault (RUN_UNKNOWN)."""
    with peer.store.transaction() as tx:
        run = tx.runs.by_sid(sid)
    if run is None or run.partner != partner.fingerprint or run.role is not Role.RESPONDER:
        raise PartnerFault(ErrorCode.RUN_UNKNOWN, "The partner asked for a run that it did not start here.")
    return run
