"""How runs begin, fail, end and expire in the store; whatever ends a run destroys what it had to remember.

The states are ``mutuals.models.run.RunState``; every change is a compare-and-set, so that a server and a command on
the same store cannot both carry a run on.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.runs.keys import subject
from mutuals.runs.shares import destroy_share, settle_shares
from mutuals.runs.spool_files import destroy_spool, spool_files, sweep_spools
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.database import Transaction

RUN_ENDED = "run-ended"
"""The kind of document by which a side says that it ended a run on its own."""

_PASSING_HERE = frozenset(
    {
        ErrorCode.UNREACHABLE,
        ErrorCode.CANCELLED,
        ErrorCode.BUSY,
        ErrorCode.NO_ROOM,
        ErrorCode.WORKER_DIED,
        ErrorCode.LOCAL,
    }
)
_PASSING_THERE = _PASSING_HERE | {ErrorCode.INTERNAL}  # a partner does not say what is wrong at home

ABANDONED_AFTER = timedelta(days=1)
"""A match that neither ended nor failed in this time was killed."""

REVEAL_LASTS_AT_MOST = timedelta(hours=1)
"""A reveal that neither ended nor failed in this time was killed."""


def end_run(
    peer: Peer,
    run: Run,
    state: RunState,
    *,
    reason: str | None = None,
    expect: Collection[RunState] | None = None,
    tell_partner: bool = False,
    **facts: object,
) -> Run:
    """Bring ``run`` to the final ``state`` and destroy what it had to remember; the run as it then is.

    ``tell_partner`` puts a note into the outbox for the other side, which may know nothing of it. Raises MutualsError
    (RUN_STATE) where the run is no longer in one of the states ``expect`` (default: its own).
    """
    with peer.store.transaction() as tx:
        ended = close_run(tx, peer, run, state, reason=reason, expect=expect, **facts)
        if tell_partner:
            note = {"sid": run.sid.hex(), "state": state.value}
            enqueue(tx, peer, run.partner, sign_document(peer, RUN_ENDED, note))
    destroy_spool(peer, run)
    if state is not RunState.DONE:
        # The run has ended, and its wrapped keys are gone; expire_runs makes up for what cannot be removed now.
        with suppress(MutualsError):
            destroy_share(peer, run.run_id)
    return ended


def close_run(
    tx: Transaction,
    peer: Peer,
    run: Run,
    state: RunState,
    *,
    reason: str | None,
    expect: Collection[RunState] | None = None,
    **facts: object,
) -> Run:
    """``end_run`` as part of a transaction: the spool key goes, so that its file means nothing any more, and unless
    the run is done, so do the receiving keys and all that arrived under them.
    """
    now = peer.clock()
    ended = tx.runs.update(
        run.run_id,
        expect if expect is not None else {run.state},
        state=state,
        reason=reason,
        spool_key=None,
        match_key=None,
        finished_at=now,
        **facts,
    )
    if state is not RunState.DONE:
        tx.keys.destroy(subject(run.run_id))
        tx.received.destroy(run.run_id)
        tx.overlaps.destroy(run.run_id)
    log_run(tx, ended, state.value, now, reason=reason)
    return ended


def fail_run(peer: Peer, run: Run, error: BaseException) -> None:
    """Record that ``run`` failed, and why in words an operator understands; it must not have revealed positions."""
    end_run(
        peer,
        run,
        RunState.FAILED,
        reason=describe(error),
        expect={RunState.MATCHING, RunState.COUNTED},
        tell_partner=True,
    )


def interrupt_run(peer: Peer, run: Run, error: BaseException) -> None:
    """What becomes of a match that ``error`` broke off: it can go on where nobody broke the protocol, or fails."""
    if not _passing(error):
        fail_run(peer, run, error)
        return
    # The first error is the one to tell, and the store may be what is in trouble.
    with suppress(MutualsError), peer.store.transaction() as tx:
        current = tx.runs.get(run.run_id)
        if current is not None and current.state is RunState.MATCHING:
            log_run(tx, current, "interrupted", peer.clock(), reason=describe(error))


def _passing(error: BaseException) -> bool:
    if isinstance(error, PartnerFault):
        return False
    if isinstance(error, MutualsError):
        return error.code in (_PASSING_THERE if isinstance(error, PartnerRefused) else _PASSING_HERE)
    return isinstance(error, KeyboardInterrupt)


def describe(error: BaseException) -> str:
    """One sentence about ``error`` without any text of foreign exceptions, which may hold data."""
    if isinstance(error, PartnerFault):
        return f"The partner broke the protocol: {error.message}"
    if isinstance(error, MutualsError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "Stopped by hand on this side."
    return f"This peer failed ({type(error).__name__})."


def expire_runs(peer: Peer) -> list[Run]:
    """End what is overdue: runs whose date for reveal or exchange has passed, and matches that were killed.

    Also removes what is left of the spools and key shares of runs that have ended. Returns the runs it ended; what
    another process of this company moved meanwhile is that one's.
    """
    now = peer.clock()
    spools = spool_files(peer)  # before the runs are read: what another process makes meanwhile is not in it
    with peer.store.transaction() as tx:
        runs = tx.runs.list()
    expired = []
    for run in runs:
        overdue = _overdue(run, now)
        if overdue is None:
            continue
        state, reason = overdue
        if run.state is RunState.MATCHING and run.role is Role.RESPONDER:
            reason = _never_resumed(peer, run) or reason
        try:
            expired.append(
                end_run(peer, run, state, reason=reason, tell_partner=run.state is RunState.MATCHING)
            )
        except MutualsError as error:
            if error.code is not ErrorCode.RUN_STATE:
                raise
    sweep_spools(spools, {run.run_id for run in runs if run.spool_key is not None})
    settle_shares(peer)
    return expired


def _overdue(run: Run, now: datetime) -> tuple[RunState, str] | None:
    """How a run ends whose time has passed, and why; nothing where it may wait."""
    passed = run.reveal_by is not None and run.reveal_by < now
    if run.state in {RunState.COUNTED, RunState.REVEALED, RunState.EXCHANGING} and passed:
        return RunState.EXPIRED, "Its date passed unused."
    if run.state is RunState.MATCHING and run.opened_at + ABANDONED_AFTER < now:
        return RunState.FAILED, "It was interrupted and never resumed."
    if run.state is RunState.REVEALING and passed:
        return RunState.HALF_REVEALED, "The reveal was interrupted."
    return None


def _never_resumed(peer: Peer, run: Run) -> str | None:
    """Why the partner never went on with a match that it had opened, where that can be told."""
    from mutuals.runs.journal import MatchJournal

    if MatchJournal.heard(peer, run) is not False:
        return None
    return "Nothing came after this side's Accept, which was lost on its way, or the partner stopped there."


def log_run(tx: Transaction, run: Run, event: str, now: datetime, **details: object) -> None:
    """An entry in the agreement's log: numbers and digests of the run, never an identifier or a digest over pairs."""
    body: dict[str, object] = {
        "run": run.run_id,
        "sid": run.sid.hex(),
        "role": run.role.value,
        "partner": run.partner,
        "own_size": run.own_size,
        "partner_size": run.partner_size,
    }
    if run.th is not None:
        body["th"] = run.th.hex()
    if run.count is not None:
        body["count"] = run.count
    body.update({name: value for name, value in details.items() if value is not None})
    tx.log.append(run.agreement, f"run.{event}", body, now)
