"""What is owed to whom and until when: certificates, attestations, acknowledgements, breach notices, documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from mutuals.errors import MutualsError
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.models.run import Run
from mutuals.monitoring.chains import Chain
from mutuals.monitoring.facts import (
    AttestationFacts,
    BreachFacts,
    CertificateFacts,
    CheckpointFacts,
    RevocationFacts,
    SuspensionFacts,
    Undelivered,
)
from mutuals.obligations.breach_standing import standing
from mutuals.store.database import Transaction
from mutuals.store.rows import BreachRow

AUTHORITY_HOURS = timedelta(hours=72)
"""GDPR Art. 33(1): the authority is told not later than 72 hours after having become aware of a breach."""

ACKNOWLEDGED_WITHIN = timedelta(days=3)
"""How soon a partner should confirm that it deleted a contact that was withdrawn; no clause says a number."""


def suspensions_of(tx: Transaction, chain: Chain) -> tuple[SuspensionFacts, ...]:
    """The suspensions in effect, oldest first."""
    return tuple(
        SuspensionFacts(
            row.suspension_id,
            "us" if row.side is version.own_side else "partner",
            row.reason,
            row.at,
            row.breach,
        )
        for version in chain.rows
        for row in tx.suspensions.open(version.digest)
    )


def revocations_of(tx: Transaction, runs: Iterable[Run], now: datetime) -> tuple[RevocationFacts, ...]:
    """Our revocations that the partner has not acknowledged, oldest first."""
    found = [
        RevocationFacts(row.revocation_id, row.run_id, row.at, row.at + ACKNOWLEDGED_WITHIN)
        for run in runs
        for row in tx.revocations.list(run.run_id)
        if row.own and row.answered_at is None
    ]
    return tuple(sorted(found, key=lambda revocation: revocation.since))


def attestations_of(
    tx: Transaction, chain: Chain, agreement: Agreement, signed_at: datetime | None
) -> tuple[AttestationFacts, ...]:
    """When each side has to attest next, of an agreement that binds; nothing of one that does not.

    The first period begins when both had signed and the term had begun, each later one where the last ended.
    """
    head = chain.head
    if head.state not in {AgreementState.ACTIVE, AgreementState.SUSPENDED} or signed_at is None:
        return ()
    begun = max(signed_at, datetime.combine(agreement.valid_from, time(), UTC))
    period = timedelta(days=agreement.security.attestation_every_days)
    facts = []
    for side in (head.own_side, head.own_side.other):
        ends = [
            row.period_until for version in chain.rows for row in tx.attestations.list(version.digest, side)
        ]
        last = max(ends, default=None)
        facts.append(AttestationFacts(_who(head.own_side, side), last, (last or begun) + period))
    return tuple(facts)


def certificates_of(tx: Transaction, chain: Chain, agreement: Agreement) -> tuple[CertificateFacts, ...]:
    """What each side has certified, or has to, since the agreement ended; nothing while it lives."""
    head = chain.head
    if head.ended_at is None:
        return ()
    due = head.ended_at + timedelta(days=agreement.termination.certificate_within_days)
    facts = []
    for side in (head.own_side, head.own_side.other):
        held = [row for version in chain.rows if (row := tx.certificates.get(version.digest, side))]
        signed_at = max((row.at for row in held), default=None)
        facts.append(CertificateFacts(_who(head.own_side, side), signed_at, due))
    return tuple(facts)


def checkpoint_of(tx: Transaction, chain: Chain) -> CheckpointFacts | None:
    """Our latest checkpoint of the log of the version that binds."""
    row = tx.checkpoints.latest(chain.head.digest, own=True)
    return None if row is None else CheckpointFacts(row.size, row.at, row.cosignature is not None)


def undelivered(tx: Transaction, now: datetime) -> tuple[Undelivered, ...]:
    """What waits in the outbox, oldest first."""
    names = {row.fingerprint: row.name for row in tx.partners.list()}
    return tuple(
        Undelivered(
            names.get(row.partner, row.partner[:12]),
            row.kind,
            row.created_at,
            int((now - row.created_at) / timedelta(hours=1)),
        )
        for row in tx.outbox.pending()
    )


def open_breaches(tx: Transaction, now: datetime) -> tuple[BreachFacts, ...]:
    """The breaches not closed yet, with the hours that are left for what is not done."""
    return tuple(_breach(tx, row, now) for row in tx.breaches.list(open_only=True))


def _breach(tx: Transaction, row: BreachRow, now: datetime) -> BreachFacts:
    try:
        stands = standing(tx, row, now)
    except MutualsError:  # a damaged record does not stop the clock
        due = row.aware_at + AUTHORITY_HOURS
        return BreachFacts(row.breach_id, None, row.aware_at, due, _hours(due - now))
    authority = stands.authority
    told_by = authority.deadline if authority is not None and authority.met_at is None else None
    partners_by = min((item.clock.deadline for item in stands.notices if not item.acknowledged), default=None)
    return BreachFacts(
        breach=stands.breach.breach_id,
        partner=stands.partner_name,
        aware_at=row.aware_at,
        authority_due=told_by,
        hours_left=None if told_by is None else _hours(told_by - now),
        partners_due=partners_by,
        partner_hours_left=None if partners_by is None else _hours(partners_by - now),
    )


def _who(own: Side, side: Side) -> str:
    return "us" if side is own else "partner"


def _hours(left: timedelta) -> int:
    """Whole hours, rounded down, so that what has passed is negative."""
    return left // timedelta(hours=1)
