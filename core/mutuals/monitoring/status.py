"""Collecting the facts, judging them, and putting the most urgent first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from mutuals.agreement.active import find_agreement, utc_date
from mutuals.crypto.tls import BadCertificate, valid_until
from mutuals.errors import MutualsError
from mutuals.identity.partners import partner_card
from mutuals.models.agreement import AgreementState, ConsentRule
from mutuals.monitoring.chains import Chain, chains
from mutuals.monitoring.consents import look_at_sources
from mutuals.monitoring.duties import open_breaches, undelivered
from mutuals.monitoring.facts import (
    AgreementStatus,
    CardFacts,
    ClosedAgreement,
    Finding,
    PeerFacts,
    RotationFacts,
    Status,
    Urgency,
)
from mutuals.monitoring.integrity import changed_operators, log_faults, policy_facts
from mutuals.monitoring.next_steps import first_steps, next_steps, partner_calls
from mutuals.monitoring.peer_rules import peer_findings
from mutuals.monitoring.rules import agreement_findings
from mutuals.monitoring.standing import agreement_status, verify
from mutuals.peer import Peer
from mutuals.policy.consent_age import own_rule
from mutuals.policy.current import current_policy
from mutuals.rotation import Has, rotation
from mutuals.store.database import Transaction
from mutuals.store.rows import SourceRow

Bound = tuple[str, ConsentRule]

_MATCHING = frozenset({AgreementState.ACTIVE, AgreementState.SUSPENDED})
_OVER = frozenset({AgreementState.CLOSED, AgreementState.REJECTED})


def peer_status(
    peer: Peer, reference: str | None = None, *, everything: bool = False, sources: bool = True
) -> Status:
    """How this peer's agreements stand now.

    ``reference`` names one agreement (any version of it, by id, digest or a beginning), otherwise all that are not
    closed or turned down, or also those with ``everything``. Without ``sources`` no contact list is read. Raises
    MutualsError: AGREEMENT_UNKNOWN, USAGE for an ambiguous reference.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        found = chains(tx.agreements.list())
        closed: tuple[ClosedAgreement, ...] = ()
        if reference is not None:
            digest = find_agreement(tx, reference).digest
            shown = [chain for chain in found if digest in chain.digests]
        else:
            shown = [chain for chain in found if everything or chain.head.state not in _OVER]
            closed = () if everything else _closed(tx, found)
        agreements = [agreement_status(tx, chain, now) for chain in shown]
        facts = _peer_facts(tx, peer, now)
        wanted, definitions = _bound_sources(tx, shown) if sources else ({}, {})
    held = look_at_sources(definitions, wanted, utc_date(now))
    agreements = [replace(status, consents=held.get(status.digest)) for status in agreements]
    return replace(_ordered(now, facts, agreements), closed=closed)


def is_overdue(peer: Peer) -> bool:
    """Whether ``mutuals status`` would end with its exit code for overdue things; reads no source."""
    return peer_status(peer, sources=False).overdue


def _ordered(now: datetime, facts: PeerFacts, agreements: list[AgreementStatus]) -> Status:
    by_agreement = {status.digest: _findings(status, now) for status in agreements}

    def urgency(status: AgreementStatus) -> tuple[int, bool, int, str]:
        ranks = [finding.urgency.rank for finding in by_agreement[status.digest]]
        left = status.days_left if status.days_left is not None else 10_000
        return (min(ranks, default=len(Urgency)), not status.living, left, status.id)

    agreements = sorted(agreements, key=urgency)
    findings = [*peer_findings(facts, now), *first_steps(facts, agreements)]
    for status in agreements:
        findings += by_agreement[status.digest]
    findings.sort(key=_order)  # stable: by rule and agreement within one urgency
    return Status(now, facts, tuple(agreements), tuple(findings))


def _findings(status: AgreementStatus, now: datetime) -> list[Finding]:
    found = [*agreement_findings(status, now), *next_steps(status, now)]
    if status.partner_endpoint:
        return found
    return [partner_calls(finding, status.partner) for finding in found]


def _closed(tx: Transaction, found: list[Chain]) -> tuple[ClosedAgreement, ...]:
    names = {row.fingerprint: row.name for row in tx.partners.list(include_removed=True)}
    return tuple(
        ClosedAgreement(
            head.agreement_id, head.title, names.get(head.partner, head.partner[:12]), head.ended_at
        )
        for head in (chain.head for chain in found)
        if head.state is AgreementState.CLOSED
    )


def _order(finding: Finding) -> int:
    return finding.urgency.rank


def _peer_facts(tx: Transaction, peer: Peer, now: datetime) -> PeerFacts:
    log = tx.log.latest()
    return PeerFacts(
        organisation=peer.name,
        policy=policy_facts(tx),
        cards=_cards(tx, peer),
        breaches=open_breaches(tx, now),
        undelivered=undelivered(tx, now),
        unread={
            row.name: len(tx.notifications.unread(row.name, row.roles))
            for row in tx.operators.list()
            if row.disabled_at is None
        },
        clock_behind_seconds=max(0, int((log.at - now).total_seconds())) if log else 0,
        partners=tuple(row.name for row in tx.partners.list()),
        log_faults=log_faults(tx),
        operators_changed=changed_operators(tx),
        rotation=_rotation(tx, peer),
    )


def _rotation(tx: Transaction, peer: Peer) -> RotationFacts | None:
    standing = rotation(tx, peer)
    if standing is None:
        return None
    waiting, refused = (
        tuple(row.name for row, has in standing.partners if has is wanted)
        for wanted in (Has.NOT_YET, Has.REFUSED)
    )
    return RotationFacts(standing.until, standing.stolen, len(standing.partners), waiting, refused)


def _cards(tx: Transaction, peer: Peer) -> tuple[CardFacts, ...]:
    cards = [CardFacts("us", valid_until(peer.tls_certificate))]
    for row in tx.partners.list():
        try:
            cards.append(CardFacts(row.name, valid_until(partner_card(row).tls_certificate.encode())))
        except (MutualsError, BadCertificate):
            continue  # a card that was tampered with is refused wherever it is used
    return tuple(cards)


def _bound_sources(
    tx: Transaction, shown: list[Chain]
) -> tuple[dict[str, Bound], dict[str, str | MutualsError]]:
    """Source and consent rule of each agreement that may still match, and the definitions of these sources, or why they
    cannot be relied on.
    """
    wanted: dict[str, Bound] = {}
    try:
        policy = current_policy(tx)
    except MutualsError:  # not what was signed, so nothing is shared until that is mended
        policy = None
    for row in (chain.head for chain in shown):
        verified = verify(tx, row) if row.state in _MATCHING and row.source else None
        if verified is not None and row.source is not None:
            wanted[row.digest] = (row.source, own_rule(policy, verified.agreement.consent))
    names = {name for name, _ in wanted.values()}
    return wanted, {row.name: _decided(tx, row) for row in tx.sources.list() if row.name in names}


def _decided(tx: Transaction, row: SourceRow) -> str | MutualsError:
    from mutuals.consent.decision import require_decision  # polars is slow to load
    from mutuals.sources import SourceDefinition

    try:
        require_decision(tx, SourceDefinition.model_validate_json(row.definition))
    except MutualsError as error:
        return error
    except ValidationError:  # said where the source is read
        pass
    return row.definition
