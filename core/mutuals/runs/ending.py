"""What the end of an agreement, or of one of its versions, means for its runs and mandates.

    ended = end_due(peer)              # whatever is over by now: no passphrase, any command, any server
    stop_runs(tx, peer, digests, "…")  # an amendment that does not let them finish

What was received is destroyed by whoever sees that an agreement has ended (retention); here its runs are closed, so
that nothing more is sent, taken or opened under it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mutuals.agreement.active import is_over
from mutuals.agreement.chain import LIVING, chain_of
from mutuals.agreement.ending import receive_termination
from mutuals.agreement.telling import CONCERNED, notify
from mutuals.models.agreement import AgreementState
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.runs.lifecycle import close_run
from mutuals.runs.shares import destroy_share
from mutuals.runs.spool_files import destroy_spool
from mutuals.store.database import Transaction
from mutuals.store.rows import AgreementRow, PartnerRow

__all__ = ["end_due", "is_over", "stop_runs", "take_termination"]

_STOPPED = {
    RunState.MATCHING: RunState.FAILED,
    RunState.COUNTED: RunState.STALE,
    RunState.REVEALING: RunState.HALF_REVEALED,
    RunState.REVEALED: RunState.STALE,
    RunState.EXCHANGING: RunState.STALE,
}
"""Into which state an unfinished run goes. One that is half revealed stays: a person must look at it."""


def end_due(peer: Peer) -> list[str]:
    """End every agreement whose last day, or the end that a termination set, has passed; digests of all versions.

    Each moves with its whole chain to ended, its unfinished runs close, its mandates are void and its operators told.
    """
    now = peer.clock()
    ended: list[str] = []
    closed: list[Run] = []
    with peer.store.transaction() as tx:
        for row in tx.agreements.list():
            if row.state in LIVING and is_over(row, now):
                digests, runs = _end(tx, peer, row, now)
                ended += digests
                closed += runs
    for run in closed:
        _destroy_files(peer, run)
    return ended


def take_termination(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Handle the partner's ``termination``; where it takes effect at once, the agreement ends here. Raises
    PartnerFault.
    """
    row = receive_termination(tx, peer, partner, body)
    now = peer.clock()
    if row is not None and row.state in LIVING and is_over(row, now):
        _end(tx, peer, row, now)  # the files of its runs mean nothing without the store, and are swept


def stop_runs(tx: Transaction, peer: Peer, digests: Iterable[str], reason: str) -> list[Run]:
    """Close the unfinished runs under these versions, for ``reason`` (a sentence), and void their mandates."""
    versions = set(digests)
    now = peer.clock()
    closed = [
        close_run(tx, peer, run, _STOPPED[run.state], reason=reason)
        for run in tx.runs.list()
        if run.agreement in versions and run.state in _STOPPED
    ]
    for digest in versions:
        for mandate in tx.authorisations.standing("mandate", digest, now):
            tx.authorisations.void(mandate.id, now)
    return closed


def _end(tx: Transaction, peer: Peer, row: AgreementRow, now: datetime) -> tuple[list[str], list[Run]]:
    reason = "It was terminated." if row.ends_at is not None and now >= row.ends_at else "Its term is over."
    chain = [version for version in chain_of(tx, row.digest) if version.ended_at is None]
    digests = [version.digest for version in chain]
    for version in chain:
        tx.agreements.set_state(version.digest, AgreementState.ENDED, now, reason)
        tx.agreements.set_end(version.digest, ends_at=version.ends_at, ended_at=now)
        tx.log.append(version.digest, "agreement.ended", {"reason": reason}, now)
    for other in tx.agreements.list():
        if other.replaces in digests and other.state in {AgreementState.PROPOSED, AgreementState.DRAFT}:
            text = "The agreement that it amends has ended."
            tx.agreements.set_state(other.digest, AgreementState.REJECTED, now, text)
            tx.log.append(other.digest, "agreement.void", {"reason": text}, now)
    closed = stop_runs(tx, peer, digests, f"Agreement {row.agreement_id} ended: {reason}")
    notify(tx, row, f"has ended. {reason}", CONCERNED, now)
    return digests, closed


def _destroy_files(peer: Peer, run: Run) -> None:
    destroy_spool(peer, run)
    destroy_share(peer, run.run_id)
