"""The signed risk assessment without which no agreement is signed, for tests that are about something else.

digest = propose(peer, agreement, "crm", {}, keys)      # as lifecycle's, with the assessment before
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mutuals.agreement import lifecycle
from mutuals.agreement.active import find_agreement, verify_stored
from mutuals.agreement.assessed import ASSESS, assessment_bytes, assessment_digest
from mutuals.agreement.document import terms_digest
from mutuals.identity.acts import sign_act
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Agreement, Side
from mutuals.models.assessment import Assessment, Finding, Probing
from mutuals.peer import Peer
from mutuals.policy.current import current_policy, policy_in_force
from mutuals.store.rows import AssessmentRow


def sign_off(
    peer: Peer,
    keys: OperatorKeys,
    agreement: Agreement,
    mapping: Mapping[str, str] | None = None,
    source: str = "crm",
    findings: tuple[Finding, ...] = (),
) -> str:
    """Sign an assessment of ``agreement`` that found ``findings``, whatever there is to find; its digest.

    The lists of most tests are too small for any honest assessment to pass.
    """
    side = agreement.side_of(peer.fingerprint.hex()) or Side.PROPOSER  # not a party: proposing says so
    now = peer.clock()
    with peer.store.transaction() as tx:
        policy = current_policy(tx)
        assessment = Assessment(
            terms=terms_digest(agreement),
            title=agreement.title,
            side=side,
            partner=agreement.party(side.other).fingerprint,
            policy=policy_in_force(tx),
            policy_version=policy.version if policy else None,
            source=source,
            mapping={
                field.name: (mapping or {}).get(field.name, field.name) for field in agreement.sends(side)
            },
            probing=Probing(per_30_days=0, guesses=0),
            findings=findings,
            made_at=now,
        )
        document = assessment_bytes(assessment)
        digest = assessment_digest(document)
        signed = sign_act(keys, ASSESS, digest, {}, now)
        tx.assessments.put(
            AssessmentRow(digest, assessment.terms, document, keys.name, signed.body, signed.signature, now)
        )
    return digest


def sign_off_stored(
    peer: Peer, keys: OperatorKeys, digest: str, mapping: Mapping[str, str] | None = None, source: str = "crm"
) -> str:
    """The same for an agreement in the store; ``digest`` may be the id too."""
    with peer.store.transaction() as tx:
        agreement = verify_stored(find_agreement(tx, digest))
    return sign_off(peer, keys, agreement, mapping, source)


def propose(
    peer: Peer,
    agreement: Agreement,
    source: str,
    mapping: dict[str, str],
    keys: OperatorKeys,
    **options: Any,
) -> str:
    """``lifecycle.propose`` after an assessment; the agreement's digest."""
    sign_off(peer, keys, agreement, mapping, source)
    return lifecycle.propose(peer, agreement, source, mapping, keys, **options)


def accept(
    peer: Peer, digest: str, source: str, mapping: dict[str, str], keys: OperatorKeys, **options: Any
) -> None:
    """``lifecycle.accept`` after an assessment; ``digest`` may be the id too."""
    sign_off_stored(peer, keys, digest, mapping, source)
    lifecycle.accept(peer, digest, source, mapping, keys, **options)
