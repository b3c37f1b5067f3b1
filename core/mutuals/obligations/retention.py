"""Retention: what is over ends, what is due is destroyed, and what is destroyed is certified (DESIGN §8).

    report = keep_retention(peer)        # any command, or the server's timer; nobody's passphrase is needed
    plan = plan_retention(peer)          # what would be due; changes nothing

In this order, so that nothing is certified that is not gone:

1. End agreements and runs whose time has passed; delete records past their retention, keys of which nothing is left to
   read, envelopes that no retry needs, expired entries of the sent-ledger.
2. For each ended agreement without our certificate: note slices of all that was received, then delete rows, keys,
   shares and spools (``destruction``).
3. Rewrite the store's file.
4. Search every file of the home for the slices; where one is found, rewrite and search again.
5. Only where the file was rewritten, the search found nothing and no row is left: sign the certificate.
6. Remind partners whose certificates are overdue.

Each step is idempotent and begins with what the store and the files say, so that a call which is killed anywhere is
made up for by the next. The slices survive in a file until they have been looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from io import BufferedReader
from pathlib import Path

from mutuals.agreement.chain import LIVING
from mutuals.agreement.document import agreement_id, parse_agreement
from mutuals.agreement.telling import CONCERNED, notify
from mutuals.errors import MutualsError
from mutuals.models.certificate import Certificate, Search
from mutuals.obligations.certificates import (
    Trigger,
    certificate_of,
    certify,
    close_if_certified,
    ended_chains,
)
from mutuals.obligations.certificates_due import certificate_due, chase
from mutuals.obligations.destruction import (
    Destroyed,
    destroy_ended,
    destroy_expired,
    destroy_ledger,
    destroy_spent,
    forget_traces,
    left_behind,
)
from mutuals.obligations.traces import Readable, Scan, Traces, search
from mutuals.peer import Peer
from mutuals.runs.ending import end_due
from mutuals.runs.lifecycle import expire_runs
from mutuals.store.raw import RawFile
from mutuals.store.rows import AgreementRow


@dataclass(frozen=True)
class RetentionReport:
    """What a call did: agreements (ids) that ended, were certified, closed or chased; runs that expired; what was
    destroyed; the search; and sentences about what could not be done and will be tried again.
    """

    ended: tuple[str, ...]
    expired_runs: tuple[str, ...]
    destroyed: tuple[Destroyed, ...]
    ledger_entries: int
    scan: Scan | None
    certificates: tuple[Certificate, ...] = field(repr=False)
    closed: tuple[str, ...]
    reminded: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (
            self.ended
            or self.expired_runs
            or self.destroyed
            or self.ledger_entries
            or self.certificates
            or self.closed
            or self.reminded
            or self.problems
        )


@dataclass(frozen=True)
class Due:
    """What is due when: ``what`` names it, for ``records`` records of ``run`` of the class of ``retention_days``.

    ``overdue`` where the moment has passed. For an agreement's end and a certificate, run and class are missing.
    """

    agreement: str
    agreement_id: str
    partner: str
    what: str
    at: datetime
    overdue: bool
    run: str | None = None
    retention_days: int | None = None
    records: int | None = None


def keep_retention(peer: Peer, *, trigger: Trigger = "command") -> RetentionReport:
    """Do everything that is due; see the steps above. Raises MutualsError where the store fails."""
    ended = end_due(peer)
    expired = expire_runs(peer)
    destroyed, traces = destroy_expired(peer)
    spent, spent_traces = destroy_spent(peer)
    destroyed += spent
    traces.update(spent_traces)
    ledger = destroy_ledger(peer)
    with peer.store.transaction() as tx:
        chains = [chain for chain in ended_chains(tx) if certificate_of(tx, chain, own=True) is None]
    for chain in chains:
        gone, found = destroy_ended(peer, chain)
        destroyed += gone
        traces.update(found)
    scan, problems = _make_sure(peer, traces)
    certificates: list[Certificate] = []
    for chain in chains:
        if scan is not None:
            problems += _certify(peer, chain, scan, trigger, certificates)
        else:
            _tell_of_failure(peer, chain)
    if scan is not None:
        certified = {certificate.agreement for certificate in certificates}
        forget_traces(peer, keep=[chain[-1].digest for chain in chains if chain[-1].digest not in certified])
    return RetentionReport(
        ended=tuple(map(agreement_id, ended)),
        expired_runs=tuple(run.run_id for run in expired),
        destroyed=tuple(destroyed),
        ledger_entries=ledger,
        scan=scan if len(traces) else None,
        certificates=tuple(certificates),
        closed=tuple(_close(peer)),
        reminded=tuple(map(agreement_id, chase(peer))),
        problems=tuple(problems),
    )


def plan_retention(peer: Peer) -> list[Due]:
    """What is due when, soonest first: records by run and class, ends of agreements, certificates. Changes nothing."""
    now = peer.clock()
    plan = []
    with peer.store.transaction() as tx:
        rows = {row.digest: row for row in tx.agreements.list()}
        for run in tx.runs.list():
            row = rows[run.agreement]
            for days, records, at in tx.received.deadlines(run.run_id):
                what = "records are deleted"
                plan.append(_due(row, what, at, now, run=run.run_id, retention_days=days, records=records))
        for entry in tx.sent.list():
            if entry.delete_after <= now:
                what = "an entry of the ledger of what was sent is deleted"
                plan.append(_due(rows[entry.agreement], what, entry.delete_after, now, run=entry.run_id))
        for row in rows.values():
            end = _end_of(row)
            if end is not None:
                plan.append(_due(row, "the agreement ends, and all that was received is destroyed", end, now))
        for chain in ended_chains(tx):
            due_at = certificate_due(chain[-1])
            for own, whose in ((True, "our"), (False, "the partner's")):
                if due_at is not None and certificate_of(tx, chain, own=own) is None:
                    plan.append(_due(chain[-1], f"{whose} deletion certificate", due_at, now))
    return sorted(plan, key=lambda due: (due.at, due.agreement_id, due.run or ""))


def home_files(peer: Peer) -> Iterator[tuple[str, Readable]]:
    """Every regular file of the home, and of the store where that is elsewhere, open for reading. Raises OSError."""
    store = peer.store.path
    paths = {path for path in peer.home.root.rglob("*") if path.is_file() and not path.is_symlink()}
    if store is not None:
        paths |= {path for path in (store, Path(f"{store}-journal")) if path.is_file()}
    for path in sorted(paths):
        try:
            stream: RawFile | BufferedReader = RawFile(path) if path == store else path.open("rb")
        except FileNotFoundError:  # a log rotated, a journal ended
            continue
        with stream:
            inside = path.is_relative_to(peer.home.root)
            yield str(path.relative_to(peer.home.root)) if inside else path.name, stream


def _make_sure(peer: Peer, traces: Traces) -> tuple[Scan | None, list[str]]:
    """Rewrite and search until nothing is found, at most twice; no scan where that did not come about."""
    again = False
    for _ in range(2):
        if not peer.store.sweep(again=again):
            return None, ["The store was in use, so that its file could not be rewritten; it is tried again."]
        if not len(traces):
            return Scan(0, 0, 0, ()), []
        try:
            scan = search(home_files(peer), traces)
        except OSError as error:
            return None, [f"A file of the home could not be searched: {error.strerror}."]
        if not scan.found:
            return scan, []
        again = True
    return None, [f"Pieces of what was destroyed are still in: {', '.join(scan.found)}."]


def _certify(
    peer: Peer, chain: Sequence[AgreementRow], scan: Scan, trigger: Trigger, certificates: list[Certificate]
) -> list[str]:
    """Sign the certificate into ``certificates``, unless another process did; sentences about what hinders it."""
    row = chain[-1]
    search = Search(files=scan.files, size_bytes=scan.size_bytes, slices=scan.slices, found=0)
    try:
        with peer.store.transaction() as tx:
            if certificate_of(tx, chain, own=True) is not None:
                return []
            if left := left_behind(tx, chain):
                return [
                    f"Something of run {left[0]} under agreement {row.agreement_id} is still in the store."
                ]
            certificates.append(certify(tx, peer, chain, search, trigger))
    except MutualsError as error:
        return [f"No deletion certificate for agreement {row.agreement_id} could be signed: {error.message}"]
    return []


def _tell_of_failure(peer: Peer, chain: Sequence[AgreementRow]) -> None:
    """Say once for each agreement that its destruction could not be verified; later calls try again."""
    with peer.store.transaction() as tx:
        row = chain[-1]
        if any(entry.event == "retention.unverified" for entry in tx.log.entries(row.digest)):
            return
        now = peer.clock()
        tx.log.append(row.digest, "retention.unverified", {}, now)
        what = (
            "is over, but it could not be verified that all that was received is gone. Run: mutuals retention"
        )
        notify(tx, row, what, CONCERNED, now)


def _close(peer: Peer) -> list[str]:
    """Close what both sides have certified; the ids. Where the partner's came first, ours closed it already."""
    now = peer.clock()
    with peer.store.transaction() as tx:
        return [
            chain[-1].agreement_id
            for chain in ended_chains(tx)
            if close_if_certified(tx, chain[-1].digest, now)
        ]


def _end_of(row: AgreementRow) -> datetime | None:
    """When a living version ends, by its last day or a termination; nothing for others, or one that is damaged."""
    if row.state not in LIVING:
        return None
    try:
        last_day = parse_agreement(row.document).valid_until
    except ValueError:
        return row.ends_at
    term = datetime.combine(last_day + timedelta(days=1), time(), UTC)
    return term if row.ends_at is None else min(term, row.ends_at)


def _due(
    row: AgreementRow,
    what: str,
    at: datetime,
    now: datetime,
    *,
    run: str | None = None,
    retention_days: int | None = None,
    records: int | None = None,
) -> Due:
    return Due(
        agreement=row.digest,
        agreement_id=row.agreement_id,
        partner=row.partner,
        what=what,
        at=at,
        overdue=at <= now,
        run=run,
        retention_days=retention_days,
        records=records,
    )
