"""Making an assessment and signing it.

plan = Plan(agreement, Side.PROPOSER, source="crm", mapping={"city": "Town"})
assessment = assess(peer, plan, {"small-groups": "Bound by contract."}, keys)
digest = sign_assessment(peer, plan, assessment, keys)

Reads the source, so it is not done inside a transaction. What a person accepts is signed with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mutuals.agreement.active import utc_date
from mutuals.agreement.assessed import (
    ASSESS,
    SignedAssessment,
    assessment_bytes,
    assessment_digest,
    verify_assessment,
)
from mutuals.agreement.binding import check_available, map_fields, source_definition
from mutuals.agreement.document import terms_digest
from mutuals.assessment.findings import Basis, found, term_findings
from mutuals.assessment.impact import description, measures, necessity, risks
from mutuals.assessment.look import look_at, probing
from mutuals.assessment.owners import approve_field, owned_fields
from mutuals.assessment.policy_findings import policy_findings
from mutuals.assessment.source_findings import source_findings
from mutuals.consent import mark_withdrawn
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.identity.operators import SIGN_ROLES, OperatorKeys, require_role
from mutuals.identity.partners import partner_card
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import Agreement, Side
from mutuals.models.assessment import Assessment, Finding, OwnedField, Weight
from mutuals.models.card import Card
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy, policy_in_force
from mutuals.sources.readers import read_source
from mutuals.store.rows import AssessmentRow, OperatorRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

_MIN_REASON, _MAX_REASON = 3, 500


@dataclass(frozen=True)
class Plan:
    """What is to be assessed: the terms, the own side, and the source with the mapping it is to be bound with."""

    agreement: Agreement
    side: Side
    source: str | None
    mapping: dict[str, str] = field(default_factory=dict)


def assess(
    peer: Peer, plan: Plan, accepted: Mapping[str, str], signer: OperatorKeys | OperatorRow | None = None
) -> Assessment:
    """The assessment of ``plan`` as of now, with the findings in ``accepted`` (name to reason) accepted.

    ``signer`` counts as approving the fields that their own department owns, because they are about to sign. Raises
    MutualsError: USAGE for an unknown source or mapped field, or a name in ``accepted`` that was not found or cannot
    be accepted, INPUT_QUALITY for an unusable source, PROFILE_MISMATCH, ENGINE_MISMATCH.
    """
    now = peer.clock()
    agreement, side = plan.agreement, plan.side
    check_available(agreement)
    mapping = {name.name: plan.mapping.get(name.name, name.name) for name in agreement.sends(side)}
    look, country = None, None
    if plan.source is not None:
        definition = source_definition(peer, plan.source)
        table = mark_withdrawn(peer, read_source(definition), definition.default_country, agreement.replaces)
        mapping = map_fields(agreement, side, plan.source, table.field_names, plan.mapping)
        country = definition.default_country
        with peer.store.transaction() as tx:
            applied = carried_out(current_policy(tx), agreement)
        look = look_at(definition, table, applied, side, mapping, utc_date(now))
    with peer.store.transaction() as tx:
        policy, policy_digest = current_policy(tx), policy_in_force(tx)
        fields = owned_fields(tx, policy, agreement, side, mapping)
        row = tx.partners.get(agreement.party(side.other).fingerprint)
    basis = Basis(
        agreement=agreement,
        side=side,
        mapping=mapping,
        probing=probing(agreement, country),
        volumes=look.volumes if look else None,
        anonymity=look.anonymity if look else None,
        policy=policy,
        fields=tuple(_approved_by_signer(item, signer) for item in fields),
        partner=partner_card(row) if row else None,
    )
    return Assessment(
        terms=terms_digest(agreement),
        title=agreement.title,
        side=side,
        partner=agreement.party(side.other).fingerprint,
        policy=policy_digest,
        policy_version=policy.version if policy else None,
        source=plan.source,
        mapping=mapping,
        volumes=basis.volumes,
        probing=basis.probing,
        anonymity=basis.anonymity,
        fields=basis.fields,
        description=description(basis),
        necessity=necessity(basis),
        risks=tuple(risks(basis)),
        measures=measures(basis),
        findings=_with_reasons(list(all_findings(basis)), accepted),
        made_at=now.replace(microsecond=0),
    )


def all_findings(basis: Basis) -> Iterator[Finding]:
    """Everything that is found, blocking first."""
    every = [
        *term_findings(basis),
        *source_findings(basis),
        *policy_findings(basis),
        *_partner_findings(basis.partner),
    ]
    order = list(Weight)
    yield from sorted(every, key=lambda finding: order.index(finding.weight))


def sign_assessment(peer: Peer, plan: Plan, assessment: Assessment, keys: OperatorKeys) -> str:
    """Sign and store ``assessment``, also where something in it is open; its digest (hex).

    The signer's approval of the fields that their own department owns is signed and stored with it. Raises
    MutualsError (NOT_ENTITLED).
    """
    require_role(keys, SIGN_ROLES, "sign risk assessments")
    document = assessment_bytes(assessment)
    digest = assessment_digest(document)
    now = peer.clock()
    facts = {
        "terms": assessment.terms,
        "open": sorted({finding.name for finding in assessment.open}),
        "accepted": {
            finding.name: finding.accepted for finding in assessment.findings if finding.accepted is not None
        },
        "owner_of": [item.name for item in assessment.fields if _owns(item, keys)],
    }
    signed = sign_act(keys, ASSESS, digest, facts, now)
    with peer.store.transaction() as tx:
        before = tx.assessments.latest(assessment.terms)
        # The one signed last counts, also where a clock stands still or was set back.
        at = max(now, before.created_at + timedelta(microseconds=1)) if before is not None else now
        tx.assessments.put(
            AssessmentRow(digest, assessment.terms, document, keys.name, signed.body, signed.signature, at)
        )
        tx.log.append(None, "agreement.assessed", {"assessment": digest, **signed.evidence()}, now)
        _approve_own(tx, plan, assessment, keys, now)
    return digest


def stored_assessment(peer: Peer, digest: str) -> SignedAssessment:
    """The stored assessment with this digest (hex), verified. Raises MutualsError (AGREEMENT_FORBIDS, INTERNAL)."""
    with peer.store.transaction() as tx:
        row = tx.assessments.get(digest)
        if row is None:
            raise MutualsError(ErrorCode.INTERNAL, "The risk assessment is gone from the store.")
        return verify_assessment(tx, row)


def _approve_own(
    tx: Transaction, plan: Plan, assessment: Assessment, keys: OperatorKeys, now: datetime
) -> None:
    """Store the signer's approval of what their own department owns, where there is none yet."""
    owned = owned_fields(tx, current_policy(tx), plan.agreement, plan.side, assessment.mapping)
    stored = {item.name for item in owned if item.approved_by is not None}
    own = {item.name for item in assessment.fields if _owns(item, keys)}
    for shared in plan.agreement.sends(plan.side):
        if shared.name in own - stored:
            approve_field(tx, shared, plan.agreement, plan.side, keys, now)


def _owns(item: OwnedField, keys: OperatorKeys) -> bool:
    return item.owner is not None and item.owner == keys.department and item.approved_by == keys.name


def _approved_by_signer(item: OwnedField, signer: OperatorKeys | OperatorRow | None) -> OwnedField:
    if (
        signer is None
        or item.approved_by is not None
        or item.owner is None
        or item.owner != signer.department
    ):
        return item
    return item.model_copy(update={"approved_by": signer.name})


def _with_reasons(findings: Iterable[Finding], accepted: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings, each accepted one with its reason. Raises MutualsError (USAGE)."""
    findings = list(findings)
    weights = {finding.name: finding.weight for finding in findings}
    for name, reason in accepted.items():
        _check_accepted(name, reason, weights)
    return tuple(
        finding.model_copy(update={"accepted": accepted[finding.name].strip()})
        if finding.name in accepted and finding.weight is Weight.ACCEPT
        else finding
        for finding in findings
    )


def _check_accepted(name: str, reason: str, weights: Mapping[str, Weight]) -> None:
    acceptable = sorted(other for other, weight in weights.items() if weight is Weight.ACCEPT)
    if weights.get(name) is Weight.BLOCKS:
        raise MutualsError(
            ErrorCode.AGREEMENT_FORBIDS,
            f"The finding {name} cannot be accepted; the agreement, the source or the policy has to change.",
            hint="See what would mend it: mutuals agreement assess FILE-OR-ID --dry-run",
        )
    if name not in acceptable:
        shown = "".join(character if character.isprintable() else "?" for character in name[:60])
        raise MutualsError(
            ErrorCode.USAGE,
            f"--accept names {shown!r}, which was not found and needs no acceptance.",
            hint=f"To accept are: {', '.join(acceptable)}."
            if acceptable
            else "Nothing needs to be accepted.",
        )
    if not _MIN_REASON <= len(reason.strip()) <= _MAX_REASON or deceptive_character(reason):
        raise MutualsError(
            ErrorCode.USAGE,
            f"The reason to accept {name} must be {_MIN_REASON} to {_MAX_REASON} characters of plain text on one line.",
            hint=f'For example: --accept {name}="Both sides checked it on 3 May."',
        )


def _partner_findings(partner: Card | None) -> Iterator[Finding]:
    if partner is None:
        return
    missing = [
        words
        for words, text in (
            ("privacy policy", partner.privacy_policy),
            ("handling of data", partner.data_handling),
            ("contact people", partner.contacts),
        )
        if not text
    ]
    if missing:
        yield found(
            "partner-says-little",
            "parties",
            f"The card of {partner.organisation} says nothing of its {' and '.join(missing)}.",
            "Ask for a card that does: mutuals card --renew on their side.",
        )
