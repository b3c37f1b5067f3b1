"""No signature without a risk assessment: what a signed assessment must be before an agreement may be signed.

    assessment = require_assessment(tx, agreement, now, source="crm", mapping={"city": "Town"})
    make_statement(..., assessment=assessment)

How an assessment is made is ``mutuals.assessment``; here it is only read, verified over the stored bytes each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mutuals.agreement.document import terms_digest
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, digest
from mutuals.identity.acts import Act, verify_act
from mutuals.identity.appointment import check_appointed
from mutuals.models.agreement import Agreement, SharedField
from mutuals.models.assessment import Assessment, Finding, Weight
from mutuals.policy.current import policy_in_force
from mutuals.store.rows import AssessmentRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

ASSESS = "agreement.assess"
"""The act that an operator signs under an assessment; its subject is the assessment's digest."""

VALID_FOR = timedelta(days=90)
"""An assessment describes a source at a time; after this it must be made anew, unless the agreement is signed."""

_ASSESS_AGAIN = "Make it again: mutuals agreement assess FILE-OR-ID --source NAME"


@dataclass(frozen=True)
class SignedAssessment:
    """A stored assessment, verified: ``digest`` in hex, and the act of the operator who signed it."""

    digest: str
    assessment: Assessment
    act: Act


def assessment_bytes(assessment: Assessment) -> bytes:
    """The assessment in its one byte form (RFC 8785), every key present."""
    return canonical_json(assessment)


def assessment_digest(document: bytes) -> str:
    """SHA-256 over ``frame(ASSESSMENT, document)``, in hex: what the side's statement names."""
    return digest(Context.ASSESSMENT, document).hex()


def parse_assessment(document: bytes) -> Assessment:
    """The assessment in ``document``. Raises ValueError where it is none, or not in its one byte form."""
    try:
        parse_canonical(document)
        assessment = Assessment.model_validate_json(document, strict=True)
        same = assessment_bytes(assessment) == document
    except (ValueError, RecursionError) as error:
        raise ValueError("not a risk assessment") from error
    if not same:
        raise ValueError("not a risk assessment in its one byte form")
    return assessment


def field_subject(field: SharedField, partner: str, purpose: str) -> str:
    """What the owner of a field approves: exactly this field, to this partner (hex), for this consent purpose; hex.

    Another agreement that shares it otherwise, with another or for another purpose needs another approval.
    """
    return digest(Context.TERMS, "field", canonical_json(field), bytes.fromhex(partner), purpose).hex()


def verify_assessment(tx: Transaction, row: AssessmentRow) -> SignedAssessment:
    """The assessment in ``row``, if it is what the operator named there signed.

    Raises MutualsError: AGREEMENT_FORBIDS; LOCAL where no admin appointed that operator as the store has them.
    """
    signer = tx.operators.get(row.operator)
    if signer is not None:
        check_appointed(tx, signer)
    try:
        assessment = parse_assessment(row.document)
        act = verify_act(row.body, row.signature, signer.signing_public if signer else None)
    except ValueError as error:
        raise _tampered(row) from error
    signed = (act.act, act.subject, act.operator, assessment_digest(row.document), assessment.terms)
    if signer is None or signed != (ASSESS, row.digest, row.operator, row.digest, row.terms):
        raise _tampered(row)
    return SignedAssessment(row.digest, assessment, act)


def latest_assessment(tx: Transaction, agreement: Agreement) -> SignedAssessment | None:
    """The own assessment of these terms signed last, verified; or nothing. Raises AGREEMENT_FORBIDS."""
    row = tx.assessments.latest(terms_digest(agreement))
    return None if row is None else verify_assessment(tx, row)


def require_assessment(
    tx: Transaction,
    agreement: Agreement,
    now: datetime,
    *,
    source: str | None = None,
    mapping: dict[str, str] | None = None,
) -> str:
    """The digest (hex) of the own signed assessment under which ``agreement`` may be signed at ``now``.

    1. There is one of exactly these terms, and it is what its operator signed.
    2. It was made in the last 90 days, under the policy that is in force.
    3. It was made with the ``source`` and ``mapping`` that are about to be bound, where these are given.
    4. Nothing in it blocks, and whatever must be accepted is.

    Raises MutualsError (AGREEMENT_FORBIDS) that names what is wrong and what mends it.
    """
    found = latest_assessment(tx, agreement)
    if found is None:
        raise _forbids(
            f"There is no risk assessment of “{agreement.title}” as it now reads; nobody signs without one.",
            "Make it: mutuals agreement assess FILE-OR-ID --source NAME",
        )
    made = found.assessment
    if now - made.made_at > VALID_FOR:
        raise _forbids(
            f"The risk assessment of “{agreement.title}” is of {made.made_at:%Y-%m-%d}, more than "
            f"{VALID_FOR.days} days old.",
            _ASSESS_AGAIN,
        )
    if made.policy != policy_in_force(tx):
        raise _forbids(
            f"The policy changed since the risk assessment of “{agreement.title}” was made.", _ASSESS_AGAIN
        )
    if source is not None and made.source != source:
        raise _forbids(
            f"The risk assessment of “{agreement.title}” was made with source {made.source or 'none'}, not {source}.",
            f"Sign with that source, or make it again: mutuals agreement assess FILE-OR-ID --source {source}",
        )
    if mapping is not None and made.mapping != mapping:
        raise _forbids(
            f"The risk assessment of “{agreement.title}” was made with other columns of source {made.source}.",
            "Give the same --map as to assess, or make it again: mutuals agreement assess FILE-OR-ID --map ...",
        )
    if made.open:
        raise open_findings(agreement.title, made.open)
    return found.digest


def open_findings(title: str, findings: tuple[Finding, ...]) -> MutualsError:
    """The refusal to sign while ``findings`` are open: what the first says, the others by name, what to do."""
    first, *others = sorted(findings, key=lambda finding: finding.weight is not Weight.BLOCKS)
    more = f" Also open: {', '.join(finding.name for finding in others)}." if others else ""
    if first.weight is Weight.BLOCKS:
        hint = first.mend
    else:
        hint = f'{first.mend} Or: mutuals agreement assess FILE-OR-ID --accept {first.name}="your reason"'
    return _forbids(
        f"The risk assessment of “{title}” does not allow signing: {first.name} ({first.clause}): "
        f"{first.sentence}{more}",
        hint,
    )


def _tampered(row: AssessmentRow) -> MutualsError:
    return _forbids(
        f"The risk assessment {row.digest[:16]}… cannot be used: the stored copy is not what {row.operator} signed.",
        f"Find out who changed it. {_ASSESS_AGAIN}",
    )


def _forbids(message: str, hint: str) -> MutualsError:
    return MutualsError(ErrorCode.AGREEMENT_FORBIDS, message, hint=hint)
