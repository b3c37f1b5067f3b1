"""An assessment for people: on a terminal, as Markdown, or as a page (GDPR Art. 35)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mutuals.agreement.assessed import SignedAssessment
from mutuals.agreement.blocks import Block, Clause, Grid, Heading, to_markdown, to_terminal
from mutuals.agreement.describe import NOT_LEGAL_ADVICE
from mutuals.agreement.html import to_html
from mutuals.models.assessment import Assessment, Finding, Weight
from mutuals.wording import counted

if TYPE_CHECKING:
    from rich.console import Group

LEFT_TO_PEOPLE = (
    "Whether this is enough: with the advice of the data-protection officer, where there is one (GDPR Art. 35(2)), "
    "and, where appropriate, the views of the persons or their representatives (Art. 35(9)).",
    "Where a high risk remains in spite of the measures, the supervisory authority is consulted before (Art. 36(1)).",
    "A review when the risk changes (Art. 35(11)).",
    "Informing the persons (Art. 13 and 14); a draft: mutuals notices",
    "What a transfer out of the European Economic Area needs (Art. 44 to 49), where the agreement allows one.",
)
"""What an assessment needs that the software cannot know or do."""

_WEIGHTS = {Weight.BLOCKS: "blocks", Weight.ACCEPT: "to accept", Weight.NOTE: "for information"}


def describe(assessment: Assessment, signed: SignedAssessment | None = None) -> list[Block]:
    """The whole assessment as blocks; with ``signed`` also who signed it, and its digest."""
    return [
        *_result(assessment),
        *_findings(assessment),
        *_sentences("What is planned (GDPR Art. 35(7)(a))", assessment.description),
        *_sentences("Why it is necessary and proportionate (Art. 35(7)(b))", assessment.necessity),
        *_numbers(assessment),
        *_risks(assessment),
        *_sentences("Measures (Art. 35(7)(d))", assessment.measures),
        *_sentences("What stays with people", LEFT_TO_PEOPLE),
        *_origin(assessment, signed),
        Clause(NOT_LEGAL_ADVICE),
    ]


def render_terminal(assessment: Assessment) -> Group:
    """As a rich renderable."""
    return to_terminal(title(assessment), describe(assessment))


def render_markdown(assessment: Assessment, signed: SignedAssessment | None = None) -> str:
    """As Markdown."""
    return to_markdown(title(assessment), describe(assessment, signed))


def render_html(assessment: Assessment, signed: SignedAssessment | None = None) -> str:
    """As one HTML page that needs nothing else."""
    return to_html(title(assessment), describe(assessment, signed))


def title(assessment: Assessment) -> str:
    """What the document is called."""
    return f"Risk assessment: {assessment.title}"


def _result(assessment: Assessment) -> Iterator[Block]:
    blocking = [finding for finding in assessment.open if finding.weight is Weight.BLOCKS]
    if blocking:
        yield Clause(f"Nobody can sign: {len(blocking)} of the findings block.", None, "Result")
    elif assessment.open:
        yield Clause(
            f"{len(assessment.open)} of the findings have to be accepted by name first.", None, "Result"
        )
    else:
        yield Clause("Nothing keeps the agreement from being signed.", None, "Result")


def _findings(assessment: Assessment) -> Iterator[Block]:
    yield Heading("Findings")
    if not assessment.findings:
        yield Clause("None.")
        return
    yield Grid(
        ("Finding", "Weight", "What was found", "What to do"),
        tuple(_finding_row(finding) for finding in assessment.findings),
    )


def _finding_row(finding: Finding) -> tuple[str, ...]:
    weight = _WEIGHTS[finding.weight]
    done = f"Accepted: {finding.accepted}" if finding.accepted is not None else finding.mend
    sentence = f"{finding.sentence} ({finding.clause})"
    return (finding.name, "accepted" if finding.accepted else weight, sentence, done)


def _sentences(heading: str, sentences: tuple[str, ...]) -> Iterator[Block]:
    if sentences:
        yield Heading(heading)
        yield from (Clause(sentence) for sentence in sentences)


def _numbers(assessment: Assessment) -> Iterator[Block]:
    yield Heading("In numbers")
    volumes, probing, groups = assessment.volumes, assessment.probing, assessment.anonymity
    if volumes is not None:
        yield Clause(
            f"{volumes.contacts:,} in the source, {volumes.granted:,} granted the purpose, {volumes.eligible:,} may "
            f"take part with {volumes.identifiers:,} identifiers; "
            f"{counted(volumes.unusable_rows, 'row')} cannot be used",
            None,
            "Contacts",
        )
        if volumes.excluded:
            reasons = ", ".join(
                f"{count:,} {reason.replace('_', ' ')}" for reason, count in volumes.excluded.items()
            )
            yield Clause(reasons, None, "Left out")
    guesses = f"{probing.per_30_days:,} identifiers in 30 days, {probing.guesses:,} over the term"
    if probing.numbers is not None and probing.share is not None:
        guesses += (
            f"; {_percent(probing.share)} of the about {probing.numbers:,} possible mobile numbers of "
            f"{probing.country}"
        )
    yield Clause(guesses, None, "A cheat may test")
    if groups is not None:
        yield Clause(
            f"The {groups.contacts:,} eligible contacts are of {groups.groups:,} kinds by the agreed fields; the "
            f"smallest has {groups.smallest:,} (k = {groups.smallest:,}); {groups.below_5:,} contacts are in groups of "
            f"fewer than 5, {groups.alone:,} alone in theirs",
            None,
            "k-anonymity",
        )
        yield Grid(
            ("Field alone", "Values", "Smallest group"),
            tuple((field.name, f"{field.values:,}", f"{field.smallest:,}") for field in groups.fields),
        )
    if assessment.fields and assessment.policy is not None:
        yield Grid(
            ("Field", "Column", "Owner", "Approved by"),
            tuple(
                (item.name, item.heading, item.owner or "nobody", item.approved_by or "nobody")
                for item in assessment.fields
            ),
        )


def _risks(assessment: Assessment) -> Iterator[Block]:
    if not assessment.risks:
        return
    yield Heading("Risks to the rights and freedoms of the persons (Art. 35(7)(c))")
    yield Grid(
        ("Risk", "Likelihood", "Severity", "Why", "Measures"),
        tuple(
            (
                risk.description,
                risk.likelihood.value,
                risk.severity.value,
                risk.reason,
                " ".join(risk.measures),
            )
            for risk in assessment.risks
        ),
    )


def _origin(assessment: Assessment, signed: SignedAssessment | None) -> Iterator[Block]:
    yield Heading("Where it comes from")
    yield Clause(f"{assessment.made_at:%Y-%m-%d %H:%M} UTC", None, "Made")
    yield Clause(assessment.source or "none", None, "Source")
    version = (
        f"version {assessment.policy_version}, {assessment.policy}" if assessment.policy else "none in force"
    )
    yield Clause(version, None, "Policy")
    yield Clause(assessment.terms, None, "Digest of the terms")
    if signed is not None:
        yield Clause(f"{signed.act.operator} ({', '.join(signed.act.roles)})", None, "Signed by")
        yield Clause(signed.digest, None, "Digest")


def _percent(share: int) -> str:
    """Parts in a million as a percentage for people."""
    return "less than 0.1 %" if share < 1000 else f"{share / 10_000:.1f} %"
