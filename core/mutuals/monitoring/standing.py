"""How one agreement stands: state, term, budgets, runs, records, exports, deletions. Reads; judges nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from mutuals.agreement.active import utc_date, verify_stored, verify_stored_statement
from mutuals.agreement.signing import SIGNATURE
from mutuals.errors import MutualsError
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.models.run import Run, RunState
from mutuals.monitoring.chains import Chain
from mutuals.monitoring.duties import (
    attestations_of,
    certificates_of,
    checkpoint_of,
    has_endpoint,
    revocations_of,
    suspensions_of,
)
from mutuals.monitoring.facts import (
    AgreementStatus,
    AssessmentFacts,
    Budgets,
    Deletion,
    ExportFacts,
    Records,
    RunFacts,
    Version,
)
from mutuals.runs.guards import BUDGET_PERIOD
from mutuals.runs.waiting import waits_for
from mutuals.store.database import Transaction
from mutuals.store.rows import AgreementRow


@dataclass(frozen=True)
class Verified:
    """The document of a row and our assessment that it was signed with, where store and signatures still agree."""

    agreement: Agreement
    assessment: str | None


def agreement_status(tx: Transaction, chain: Chain, now: datetime) -> AgreementStatus:
    """The chain as it stands at ``now``. A stored document that was tampered with gives ``intact=False``."""
    head = chain.head
    verified = verify(tx, head)
    agreement = verified.agreement if verified else None
    partner = tx.partners.get(head.partner)
    runs = [run for run in tx.runs.list(head.partner) if run.agreement in chain.digests]
    return AgreementStatus(
        id=head.agreement_id,
        digest=head.digest,
        title=head.title,
        partner=partner.name if partner else head.partner[:12],
        partner_fingerprint=head.partner,
        own_side=head.own_side.value,
        state=head.state.value,
        version=agreement.version if agreement else None,
        versions=tuple(_version(tx, row) for row in chain.rows),
        valid_from=agreement.valid_from if agreement else None,
        valid_until=agreement.valid_until if agreement else None,
        days_left=_days_left(head, agreement, now),
        ends_at=head.ends_at,
        ended_at=head.ended_at,
        intact=verified is not None,
        budgets=_budgets(tx, head, agreement, now) if agreement else None,
        runs=tuple(_run(tx, run, now) for run in reversed(runs)),
        records=_records(tx, chain, runs),
        exports=tuple(_exports(tx, runs)),
        retention=_deletions(tx, runs),
        suspensions=suspensions_of(tx, chain),
        revocations=revocations_of(tx, runs),
        attestations=attestations_of(tx, chain, now),
        certificates=certificates_of(tx, chain),
        checkpoint=checkpoint_of(tx, chain),
        assessment=_assessment(tx, verified.assessment, now) if verified else None,
        partner_endpoint=has_endpoint(partner),
    )


def verify(tx: Transaction, row: AgreementRow) -> Verified | None:
    """What the row's document and statements say, or nothing where they do not belong together."""
    try:
        agreement = verify_stored(row)
        statements = tx.agreements.statements(row.digest)
        signed = {
            side: verify_stored_statement(row, agreement, statements, side)
            for side in Side
            if any(statement.side is side for statement in statements)
        }
    except MutualsError:
        return None
    own = signed.get(row.own_side)
    return Verified(agreement, own.assessment if own else None)


def last_moment(row: AgreementRow, agreement: Agreement) -> datetime:
    """When the agreement ends: after its last day (UTC), or sooner where a termination takes effect."""
    term = datetime.combine(agreement.valid_until + timedelta(days=1), time(), UTC)
    return term if row.ends_at is None else min(term, row.ends_at)


def _days_left(row: AgreementRow, agreement: Agreement | None, now: datetime) -> int | None:
    if agreement is None or row.ended_at is not None:
        return None
    last = last_moment(row, agreement)
    if row.ends_at is None or row.ends_at > last:
        return (agreement.valid_until - utc_date(now)).days
    return (utc_date(last) - utc_date(now)).days


def _version(tx: Transaction, row: AgreementRow) -> Version:
    verified = verify(tx, row)
    return Version(
        version=verified.agreement.version if verified else None,
        id=row.agreement_id,
        digest=row.digest,
        state=row.state.value,
        since=row.updated_at,
        answer_of=("us" if row.own_side is Side.PARTNER else "partner")
        if row.state is AgreementState.PROPOSED
        else None,
        signed_by=tuple(approval.operator for approval in tx.approvals.of(SIGNATURE, row.digest)),
    )


def _budgets(tx: Transaction, row: AgreementRow, agreement: Agreement, now: datetime) -> Budgets:
    since = now - BUDGET_PERIOD
    usage = tx.budgets.usage(row.partner, since)
    oldest = tx.budgets.oldest(row.partner, since)
    return Budgets(
        runs_used=usage.runs,
        runs_allowed=agreement.matching.runs_per_30_days,
        items_used=usage.items,
        items_allowed=agreement.matching.items_per_30_days,
        period_days=BUDGET_PERIOD.days,
        next_free_at=oldest + BUDGET_PERIOD if oldest else None,
    )


def _run(tx: Transaction, run: Run, now: datetime) -> RunFacts:
    try:
        waiting = waits_for(tx, run, now)
    except MutualsError as error:  # its agreement is gone or was tampered with; that is a finding of its own
        waiting = error.message
    return RunFacts(
        run=run.run_id,
        state=run.state.value,
        opened_at=run.opened_at,
        own_size=run.own_size,
        partner_size=run.partner_size,
        overlap=run.count,
        reveal_by=run.reveal_by,
        waits_for=waiting,
        to_export=run.state is RunState.DONE
        and tx.received.count(run.run_id) > 0
        and not any(export.of_records for export in tx.exports.list(run.run_id)),
    )


def _records(tx: Transaction, chain: Chain, runs: Iterable[Run]) -> Records:
    """From the log, which stays when records are deleted, and from the store for what is held."""
    sums: Counter[str] = Counter()
    withheld: Counter[str] = Counter()
    for row in chain.rows:
        for entry in tx.log.entries(row.digest):
            if entry.event == "run.exchange_prepared":
                sums["contacts_sent"] += _number(entry.body, "contacts")
                sums["records_sent"] += _number(entry.body, "records")
                reasons = entry.body.get("withheld")
                withheld.update(reasons if isinstance(reasons, dict) else {})
            elif entry.event == "run.exchanged":
                sums["contacts_received"] += _number(entry.body, "contacts_received")
                sums["records_received"] += _number(entry.body, "records_received")
    held = sum(tx.received.count(run.run_id) for run in runs)
    return Records(
        contacts_sent=sums["contacts_sent"],
        records_sent=sums["records_sent"],
        contacts_received=sums["contacts_received"],
        records_received=sums["records_received"],
        held=held,
        withheld=dict(withheld),
    )


def _number(body: dict[str, Any], name: str) -> int:
    value = body.get(name, 0)
    return value if isinstance(value, int) else 0


def _exports(tx: Transaction, runs: Iterable[Run]) -> list[ExportFacts]:
    """The latest first."""
    found = [
        ExportFacts(row.run_id, row.operator, row.file, row.rows, row.fields, row.at)
        for run in runs
        for row in tx.exports.list(run.run_id)
    ]
    return sorted(found, key=lambda export: export.at, reverse=True)


def _deletions(tx: Transaction, runs: Iterable[Run]) -> tuple[Deletion, ...]:
    """By date."""
    classes: dict[int, tuple[int, datetime]] = {}
    for run in runs:
        for days, count, first in tx.received.deadlines(run.run_id):
            held, earliest = classes.get(days, (0, first))
            classes[days] = (held + count, min(earliest, first))
    found = [Deletion(days, count, first) for days, (count, first) in classes.items()]
    return tuple(sorted(found, key=lambda deletion: (deletion.next_at, deletion.retention_days)))


def _assessment(tx: Transaction, digest: str | None, now: datetime) -> AssessmentFacts | None:
    row = tx.assessments.get(digest) if digest else None
    if row is None:
        return None
    return AssessmentFacts(row.digest, row.created_at, (now - row.created_at).days)
