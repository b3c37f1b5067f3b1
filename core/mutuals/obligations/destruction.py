"""Destroying what was received: rows, wrapped keys, key shares, spools; nobody's passphrase is needed (DESIGN §8).

Every step is idempotent. Rows go in a transaction, files after its commit; what an interruption leaves is made up for
by the next call. What is destroyed is noted as slices first (``traces``), so that the files can be searched for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from mutuals.identity.files import remove_if_possible
from mutuals.models.run import Role, Run, RunState
from mutuals.obligations.traces import Traces
from mutuals.peer import Peer
from mutuals.protocol.envelopes import EnvelopeHeader, decode_records
from mutuals.runs.keys import subject
from mutuals.runs.lifecycle import log_run
from mutuals.runs.shares import destroy_share
from mutuals.runs.spool_files import destroy_spool
from mutuals.store.database import Transaction
from mutuals.store.rows import AgreementRow

Why = Literal["retention", "end", "nothing left"]

LATE_RETRY = timedelta(days=1)
"""So long after a run's date its initiator may still call for the last word, given that clocks differ."""

_TRACES = "destroyed-{}.traces"
_BEGINNINGS = ".destroyed-*.traces.*"
"""As ``mutuals.identity.files.write_private`` names a file until it is whole."""


@dataclass(frozen=True)
class Destroyed:
    """What was destroyed of a run: how many records, whether its key went as well, and why."""

    agreement: str
    run: str
    records: int
    key: bool
    why: Why


def destroy_expired(peer: Peer) -> tuple[list[Destroyed], Traces]:
    """Delete received records whose retention has passed, class by class, under agreements of any state."""
    now = peer.clock()
    with peer.store.transaction() as tx:
        rows = tx.received.expired(now)
    traces = Traces(row.ciphertext for row in rows)
    destroyed = []
    if rows:
        with peer.store.transaction() as tx:
            for run_id in sorted({row.run_id for row in rows}):
                run = tx.runs.get(run_id)
                records = tx.received.destroy_expired(run_id, now)
                if run is not None and records:
                    log_run(tx, run, "destroyed", now, why="retention", records_destroyed=records)
                    destroyed.append(Destroyed(run.agreement, run_id, records, False, "retention"))
    return destroyed, traces


def destroy_spent(peer: Peer) -> tuple[list[Destroyed], Traces]:
    """Destroy what no longer serves anything: keys and overlap of runs of which nothing is left to read, and the
    sealed records in envelopes of ours that no retry can ask for again.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        runs = [run for run in tx.runs.list() if run.state.final and not _may_be_asked_for(run, now)]
        unread = [run for run in runs if not tx.received.count(run.run_id) and _holds_keys(tx, run)]
        traces = Traces(blob for run in unread for blob in _key_blobs(tx, run))
    destroyed = []
    if runs:
        with peer.store.transaction() as tx:
            for run in runs:
                tx.envelopes.empty_outgoing(run.run_id)
            for run in unread:
                _destroy_keys(tx, run)
                log_run(tx, run, "destroyed", now, why="nothing left")
                destroyed.append(Destroyed(run.agreement, run.run_id, 0, True, "nothing left"))
    for run in unread:
        destroy_share(peer, run.run_id)
    return destroyed, traces


def destroy_ledger(peer: Peer) -> int:
    """Delete entries of the ledger of what was sent whose own retention has passed; how many."""
    now = peer.clock()
    with peer.store.transaction() as tx:
        count = tx.sent.destroy_expired(now)
        if count:
            tx.log.append(None, "ledger.expired", {"entries": count}, now)
    return count


def destroy_ended(peer: Peer, chain: Iterable[AgreementRow]) -> tuple[list[Destroyed], Traces]:
    """Destroy everything that was received under an agreement that has ended, in all its versions.

    1. Note slices of all of it, and keep them in a file until ``forget_traces``.
    2. Delete the rows, in one transaction.
    3. Destroy key shares and spools.
    """
    versions = list(chain)
    now = peer.clock()
    with peer.store.transaction() as tx:
        runs = runs_under(tx, versions)
        found = Traces(blob for run in runs for blob in _all_blobs(tx, run))
    path = _trace_file(peer, versions[-1].digest)
    traces = Traces.load(path)
    if len(found):
        traces.update(found)
        traces.save(path)
    destroyed = []
    with peer.store.transaction() as tx:
        for run in runs:
            held = _holds_keys(tx, run)
            records = tx.received.destroy(run.run_id)
            tx.envelopes.empty_outgoing(run.run_id)
            _destroy_keys(tx, run)
            if held or records:
                log_run(tx, run, "destroyed", now, why="end", records_destroyed=records)
                destroyed.append(Destroyed(run.agreement, run.run_id, records, held, "end"))
    for run in runs:
        destroy_share(peer, run.run_id)
        destroy_spool(peer, run)
    return destroyed, traces


def left_behind(tx: Transaction, chain: Iterable[AgreementRow]) -> list[str]:
    """The ids of runs under an agreement of which anything received, or a key to it, is still here."""
    return [
        run.run_id
        for run in runs_under(tx, chain)
        if tx.received.count(run.run_id) or _holds_keys(tx, run) or run.spool_key is not None
    ]


def runs_under(tx: Transaction, chain: Iterable[AgreementRow]) -> list[Run]:
    """The runs under any version of an agreement, oldest first."""
    digests = {row.digest for row in chain}
    return [run for run in tx.runs.list() if run.agreement in digests]


def forget_traces(peer: Peer, keep: Iterable[str] = ()) -> None:
    """Remove the files of traces but for those of the agreements (digest) in ``keep``: their search is finished.

    Goes for beginnings of such files, too, which a process leaves that is killed while it writes one.
    """
    kept = {_trace_file(peer, digest).name for digest in keep}
    for path in (*peer.home.spool.glob(_TRACES.format("*")), *peer.home.spool.glob(_BEGINNINGS)):
        if path.name not in kept and path.stem.removeprefix(".") not in kept:
            remove_if_possible(path)


def _may_be_asked_for(run: Run, now: datetime) -> bool:
    """Whether the initiator may still call for the responder's last envelope and word (docs/protocol.md §10)."""
    waits = run.role is Role.RESPONDER and run.state is RunState.DONE and run.reveal_by is not None
    return waits and run.reveal_by is not None and now <= run.reveal_by + LATE_RETRY


def _holds_keys(tx: Transaction, run: Run) -> bool:
    return bool(
        tx.keys.blobs(subject(run.run_id)) or tx.overlaps.get(run.run_id) or tx.envelopes.incoming(run.run_id)
    )


def _destroy_keys(tx: Transaction, run: Run) -> None:
    """Wrapped keys, the sealed overlap, and the headers with the sender's sealed secret."""
    tx.keys.destroy(subject(run.run_id))
    tx.overlaps.destroy(run.run_id)
    tx.envelopes.destroy_incoming(run.run_id)


def _key_blobs(tx: Transaction, run: Run) -> Iterator[bytes]:
    yield from tx.keys.blobs(subject(run.run_id)).values()
    yield tx.overlaps.get(run.run_id) or b""
    for row in tx.envelopes.incoming(run.run_id):
        yield EnvelopeHeader.from_bytes(row.header).sealed_secret


def _all_blobs(tx: Transaction, run: Run) -> Iterator[bytes]:
    yield from _key_blobs(tx, run)
    for received in tx.received.list(run.run_id):
        yield received.ciphertext
    for sent in tx.envelopes.outgoing(run.run_id):
        for record in decode_records(sent.records):
            yield record.ciphertext


def _trace_file(peer: Peer, digest: str) -> Path:
    return peer.home.spool / _TRACES.format(digest)
