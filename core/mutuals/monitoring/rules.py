"""What is overdue or looks wrong about one agreement, what it may mean and what to do (docs/monitoring.md).

    for finding in agreement_findings(status, now): ...

Rules are functions of the facts alone, so that each can be tested by a fact. Their numbers stand here, named; those
about runs are in ``run_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta

from mutuals.monitoring.facts import AgreementStatus, Finding, Urgency
from mutuals.monitoring.rule import GRACE, finding, sync
from mutuals.monitoring.run_rules import budget, growth, half_revealed, overlap, runs_waiting
from mutuals.wording import counted

TERM_ENDING_DAYS = 30
ATTEST_WITHIN = timedelta(days=14)
"""How long after a period its attestation may take; no clause says a number."""
ASSESSMENT_DAYS = 365
CHECKPOINT_WITHIN = timedelta(days=7)
PROPOSAL_WITHIN = timedelta(days=14)


def agreement_findings(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """What every rule has to say about the agreement, in the order of the rules."""
    for rule in _RULES:
        yield from rule(status, now)


def _tampered(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    if not status.intact:
        yield finding(
            status,
            "tampered",
            Urgency.OVERDUE,
            "The stored copy does not match what was signed.",
            "Somebody changed the store, or it is damaged; nothing runs under this agreement.",
            "Restore the store from a backup, and find out who changed it.",
        )


def _ending(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    if status.state not in {"active", "suspended", "superseded"} or status.valid_until is None:
        return
    last = datetime.combine(status.valid_until + timedelta(days=1), time(), UTC)
    ends = min(last, status.ends_at) if status.ends_at else last
    if ends + GRACE <= now:
        yield finding(
            status,
            "ending_overdue",
            Urgency.OVERDUE,
            f"It ended on {ends - timedelta(microseconds=1):%Y-%m-%d}, but what was received is still here.",
            "Neither the server nor `mutuals retention` has run since.",
            "Destroy what must go and certify it.",
            "mutuals retention",
            due=ends,
        )
    elif status.ends_at is not None and status.ends_at <= last and status.ended_at is None:
        yield finding(
            status,
            "terminated",
            Urgency.NOTE,
            f"It was terminated and ends on {status.ends_at:%Y-%m-%d}.",
            "What was received is destroyed then.",
            "Finish or drop the runs under way.",
            due=status.ends_at,
        )
    elif status.days_left is not None and status.days_left <= TERM_ENDING_DAYS:
        yield finding(
            status,
            "term_ending",
            Urgency.WARNING,
            f"Its last day is {status.valid_until}.",
            "What was received is destroyed afterwards.",
            "Amend it for a longer term, or let it end.",
            f"mutuals agreement amend {status.id} FILE",
            due=last,
        )


def _deletions(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for deletion in status.retention:
        if deletion.next_at + GRACE <= now:
            yield finding(
                status,
                "deletion_overdue",
                Urgency.OVERDUE,
                f"Records kept for {counted(deletion.retention_days, 'day')} should have been deleted on "
                f"{deletion.next_at:%Y-%m-%d}.",
                "Neither the server nor `mutuals retention` has run since.",
                "Delete what is past its retention.",
                "mutuals retention",
                due=deletion.next_at,
            )


def _certificates(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for certificate in status.certificates:
        if certificate.signed_at is not None:
            continue
        ours = certificate.side == "us"
        late = certificate.due < now
        yield finding(
            status,
            "certificate_overdue" if late else "certificate_missing",
            Urgency.OVERDUE if late else Urgency.NOTE,
            f"{'Your' if ours else status.partner + '’s'} deletion certificate "
            f"{'was' if late else 'is'} due on {certificate.due:%Y-%m-%d}.",
            "Your data is not destroyed yet."
            if ours
            else "The partner may still hold what you sent, or could not deliver the certificate.",
            "Destroy and certify." if ours else "Fetch what waits there, or ask the partner for it.",
            "mutuals retention" if ours else sync(status),
            due=certificate.due,
        )


def _attestations(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for attestation in status.attestations:
        if attestation.due > now:
            continue
        ours = attestation.side == "us"
        late = attestation.due + ATTEST_WITHIN < now
        whose = "Your" if ours else f"{status.partner}’s"
        yield finding(
            status,
            "attestation_overdue" if late else "attestation_due",
            Urgency.OVERDUE if late else Urgency.WARNING if ours else Urgency.NOTE,
            f"{whose} attestation of use since {attestation.since:%Y-%m-%d} is due since {attestation.due:%Y-%m-%d}.",
            "The agreement asks for one for each period."
            if ours
            else "The partner forgot it, cannot say that it kept to the agreement, or could not deliver it.",
            "Check that the agreement was kept to, then attest." if ours else "Ask the partner for it.",
            f"mutuals attest {status.id}" if ours else sync(status),
            due=attestation.due + ATTEST_WITHIN,
        )


def _revocations(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    late = [revocation for revocation in status.revocations if revocation.due < now]
    waiting = len(status.revocations) - len(late)
    if late:
        yield finding(
            status,
            "revocation_overdue",
            Urgency.OVERDUE,
            f"{status.partner} has not confirmed the deletion of {counted(len(late), 'withdrawn contact')}, "
            f"the first withdrawn on {late[0].since:%Y-%m-%d}.",
            "The notice has not reached it, or it was not acted on: the contact may still be used.",
            "Deliver the notice; if that is done, call the partner.",
            sync(status),
            due=late[0].due,
        )
    if waiting:
        yield finding(
            status,
            "revocation_waiting",
            Urgency.NOTE,
            f"{status.partner} has yet to confirm the deletion of {counted(waiting, 'withdrawn contact')}.",
            "The notice is on its way.",
            "Synchronise.",
            sync(status),
            due=status.revocations[-1].due,
        )


def _suspended(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for suspension in status.suspensions:
        do, command = "Ask the partner when it will resume it.", None
        if suspension.by == "us" and suspension.breach:
            do, command = (
                "Close the breach when it is dealt with.",
                f"mutuals breach show {suspension.breach}",
            )
        elif suspension.by == "us":
            do, command = "Resume it when the reason is gone.", f"mutuals agreement resume {status.id}"
        yield finding(
            status,
            "suspended",
            Urgency.WARNING,
            f"{'You' if suspension.by == 'us' else status.partner} suspended it on {suspension.since:%Y-%m-%d}: "
            f"{suspension.reason.rstrip('.')}.",
            "No record leaves and none is exported until it is resumed.",
            do,
            command,
        )


def _consents(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    consents = status.consents
    if consents is None:
        return
    if consents.problem is not None:
        yield finding(
            status,
            "source_unusable",
            Urgency.WARNING,
            f"Source {consents.source} cannot be used: {consents.problem}",
            "Nothing can be matched, and the server turns the partner away.",
            "Put the source right.",
            f"mutuals source check {consents.source}",
        )
        return
    expired = consents.excluded.get("consent_expired", 0)
    if expired:
        yield finding(
            status,
            "consent_expired",
            Urgency.WARNING,
            f"The consent of {counted(expired, 'contact')} in source {consents.source} is older than agreed.",
            "They take no part any more.",
            "Ask those whose consent is too old again, or leave them out.",
            f"mutuals source check {consents.source}",
        )
    if consents.expiring:
        yield finding(
            status,
            "consent_expiring",
            Urgency.NOTE,
            f"The consent of {counted(consents.expiring, 'contact')} becomes too old within "
            f"{consents.within_days} days.",
            "They then take no part any more.",
            "Ask those whose consent soon becomes too old again, in time.",
        )


def _assessment(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    if status.state not in {"active", "suspended"} or not status.intact:
        return
    if status.assessment is None:
        yield finding(
            status,
            "assessment_missing",
            Urgency.WARNING,
            "No risk assessment of yours is stored for it.",
            "It was signed without one, or the assessment was lost; GDPR Art. 35 may ask for it.",
            "Restore the assessment, or assess the next version before you sign.",
        )
    elif status.assessment.age_days > ASSESSMENT_DAYS:
        yield finding(
            status,
            "assessment_old",
            Urgency.WARNING,
            f"Your risk assessment is {status.assessment.age_days} days old.",
            "Risks change; GDPR Art. 35(11) wants it reviewed when they do.",
            "Review the assessment, and amend the agreement where needed.",
            f"mutuals agreement amend {status.id} FILE",
        )


def _checkpoint(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    point = status.checkpoint
    if point is not None and not point.cosigned and point.at + CHECKPOINT_WITHIN < now:
        yield finding(
            status,
            "checkpoint_not_cosigned",
            Urgency.WARNING,
            f"{status.partner} has not cosigned your log since {point.at:%Y-%m-%d}.",
            "It was not reachable, or it holds your log for changed.",
            "Synchronise; if that does not help, compare the logs with the partner.",
            sync(status),
        )


def _proposals(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for version in status.versions:
        if version.answer_of is None or (version.answer_of == "us" and version.signed_by):
            continue  # where one of us has signed, ``next_steps`` asks for the second signature
        ours_to_answer = version.answer_of == "us"
        late = version.since + PROPOSAL_WITHIN < now
        yield finding(
            status,
            "proposal_to_answer" if ours_to_answer else "proposal_waiting",
            Urgency.WARNING if late else Urgency.NOTE,
            f"{status.partner if ours_to_answer else 'You'} proposed {version.id} on {version.since:%Y-%m-%d}.",
            "It binds nobody until both have signed.",
            "Read the proposal, then accept or reject it."
            if ours_to_answer
            else "Ask the partner for its answer.",
            f"mutuals agreement show {version.id}" if ours_to_answer else sync(status),
        )


_RULES: tuple[Callable[[AgreementStatus, datetime], Iterator[Finding]], ...] = (
    _tampered,
    half_revealed,
    _ending,
    _deletions,
    _certificates,
    _attestations,
    _revocations,
    _suspended,
    runs_waiting,
    budget,
    growth,
    overlap,
    _consents,
    _assessment,
    _checkpoint,
    _proposals,
)
