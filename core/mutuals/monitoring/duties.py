"""What is owed to whom and until when: certificates, attestations, acknowledgements, breach notices, documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mutuals.agreement.chain import LIVING, chain_of
from mutuals.errors import MutualsError
from mutuals.identity.partners import partner_card
from mutuals.models.agreement import AgreementState
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
from mutuals.obligations.attestation import next_period
from mutuals.obligations.breach_standing import standing
from mutuals.obligations.certificates import certificate_of
from mutuals.obligations.certificates_due import certificate_due
from mutuals.obligations.revocation import ANSWERED_WITHIN
from mutuals.store.database import Transaction
from mutuals.store.rows import BreachRow, PartnerRow

AUTHORITY_HOURS = timedelta(hours=72)
"""GDPR Art. 33(1): the authority is told not later than 72 hours after having become aware of a breach."""


def suspensions_of(tx: Transaction, chain: Chain) -> tuple[SuspensionFacts, ...]:
    """The suspensions in effect, oldest first."""
    return tuple(
        SuspensionFacts(
            row.suspension_id,
            _who(own=row.side is version.own_side),
            row.reason,
            row.at,
            row.breach,
        )
        for version in chain.rows
        for row in tx.suspensions.open(version.digest)
    )


def revocations_of(tx: Transaction, runs: Iterable[Run]) -> tuple[RevocationFacts, ...]:
    """Our revocations that the partner has not acknowledged, oldest first."""
    found = [
        RevocationFacts(row.revocation_id, row.run_id, row.at, row.at + ANSWERED_WITHIN)
        for run in runs
        for row in tx.revocations.list(run.run_id)
        if row.own and row.answered_at is None
    ]
    return tuple(sorted(found, key=lambda revocation: revocation.since))


def attestations_of(tx: Transaction, chain: Chain, now: datetime) -> tuple[AttestationFacts, ...]:
    """What each side attests next, of an agreement that has bound and is not closed."""
    head = chain.head
    if head.state not in LIVING | {AgreementState.ENDED}:
        return ()
    facts = []
    for own in (True, False):
        try:
            period = next_period(tx, head, now, own=own)
        except MutualsError:  # damaged, which is a finding of its own
            return ()
        if period is not None:
            facts.append(AttestationFacts(_who(own=own), *period))
    return tuple(facts)


def certificates_of(tx: Transaction, chain: Chain) -> tuple[CertificateFacts, ...]:
    """What each side has certified, or has to, since the agreement ended; nothing while it lives."""
    due = certificate_due(chain.head)
    if due is None:
        return ()
    bound = chain_of(tx, chain.head.digest)
    facts = []
    for own in (True, False):
        held = certificate_of(tx, bound, own=own)
        facts.append(CertificateFacts(_who(own=own), held.at if held else None, due))
    return tuple(facts)


def checkpoint_of(tx: Transaction, chain: Chain) -> CheckpointFacts | None:
    """Our latest checkpoint of the log of the version that binds."""
    row = tx.checkpoints.latest(chain.head.digest, own=True)
    return None if row is None else CheckpointFacts(row.size, row.at, row.cosignature is not None)


def undelivered(tx: Transaction, now: datetime) -> tuple[Undelivered, ...]:
    """What waits in the outbox, oldest first."""
    partners = {row.fingerprint: row for row in tx.partners.list()}
    return tuple(
        Undelivered(
            partners[row.partner].name if row.partner in partners else row.partner[:12],
            row.kind,
            row.created_at,
            int((now - row.created_at) / timedelta(hours=1)),
            has_endpoint(partners.get(row.partner)),
        )
        for row in tx.outbox.pending()
    )


def has_endpoint(partner: PartnerRow | None) -> bool:
    """Whether the partner can be called; also where its card cannot be read, which is refused wherever it is used."""
    if partner is None:
        return True
    try:
        return partner_card(partner).endpoint is not None
    except MutualsError:
        return True


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


def _who(*, own: bool) -> str:
    return "us" if own else "partner"


def _hours(left: timedelta) -> int:
    """Whole hours, rounded down, so that what has passed is negative."""
    return left // timedelta(hours=1)
