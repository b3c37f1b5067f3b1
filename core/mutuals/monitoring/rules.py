"""What is overdue or looks wrong about one agreement, what it may mean and what to do (docs/monitoring.md).

    for finding in agreement_findings(status, now): ...

Rules are functions of the facts alone, so that each can be tested by a fact. Their numbers stand here, named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from shlex import quote

from mutuals.monitoring.facts import AgreementStatus, Finding, RunFacts, Urgency

GRACE = timedelta(days=1)
"""Deletions and endings are due by the day; the server and `mutuals retention` need not run every minute."""

GROWTH = 1.5
GROWTH_AT_LEAST = 100
GROWTH_PERIOD = timedelta(days=90)
"""A partner's set grows fast if its latest announced size is more than ``GROWTH`` times the smallest that it announced
in the ``GROWTH_PERIOD`` before, and ``GROWTH_AT_LEAST`` identifiers more. Against the smallest, and not the run
before, because several small steps are as much as a big one.
"""

OVERLAP_LOW = 0.01
OVERLAP_HIGH = 0.85
"""Shares of the smaller set outside which an overlap is unusual between two companies' lists."""

BUDGET_NEARLY = 0.75
TERM_ENDING_DAYS = 30
ATTEST_WITHIN = timedelta(days=14)
"""How long after a period its attestation may take; no clause says a number."""
RUN_SOON = timedelta(days=3)
ASSESSMENT_DAYS = 365
CHECKPOINT_WITHIN = timedelta(days=7)
PROPOSAL_WITHIN = timedelta(days=14)


def agreement_findings(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """What every rule has to say about the agreement, in the order of the rules."""
    for rule in _RULES:
        yield from rule(status, now)


def _tampered(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    if not status.intact:
        yield _finding(
            status,
            "tampered",
            Urgency.OVERDUE,
            "The stored copy does not match what was signed.",
            "Somebody changed the store, or it is damaged; nothing runs under this agreement.",
            "Restore the store from a backup, and find out who changed it.",
        )


def _half_revealed(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for run in status.runs:
        if run.state == "half_revealed":
            yield _finding(
                status,
                "half_revealed",
                Urgency.OVERDUE,
                f"Run {run.run} broke off after positions had left; it blocks new runs with {status.partner}.",
                "The connection broke, or the partner's overlap was not the same as yours.",
                "Find out why with the partner, then clear the run.",
                f"mutuals runs clear {run.run}",
            )


def _ending(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    if status.state not in {"active", "suspended", "superseded"} or status.valid_until is None:
        return
    last = datetime.combine(status.valid_until + timedelta(days=1), time(), UTC)
    ends = min(last, status.ends_at) if status.ends_at else last
    if ends + GRACE <= now:
        yield _finding(
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
        yield _finding(
            status,
            "terminated",
            Urgency.NOTE,
            f"It was terminated and ends on {status.ends_at:%Y-%m-%d}.",
            "What was received is destroyed then.",
            "Finish or drop the runs under way.",
            due=status.ends_at,
        )
    elif status.days_left is not None and status.days_left <= TERM_ENDING_DAYS:
        yield _finding(
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
            yield _finding(
                status,
                "deletion_overdue",
                Urgency.OVERDUE,
                f"Records kept for {_count(deletion.retention_days, 'day')} should have been deleted on "
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
        yield _finding(
            status,
            "certificate_overdue" if late else "certificate_missing",
            Urgency.OVERDUE if late else Urgency.NOTE,
            f"{'Your' if ours else status.partner + '’s'} deletion certificate "
            f"{'was' if late else 'is'} due on {certificate.due:%Y-%m-%d}.",
            "Your data is not destroyed yet."
            if ours
            else "The partner may still hold what you sent, or could not deliver the certificate.",
            "Destroy and certify." if ours else "Fetch what waits there, or ask the partner for it.",
            "mutuals retention" if ours else _sync(status),
            due=certificate.due,
        )


def _attestations(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for attestation in status.attestations:
        if attestation.due > now:
            continue
        ours = attestation.side == "us"
        late = attestation.due + ATTEST_WITHIN < now
        whose = "Your" if ours else f"{status.partner}’s"
        yield _finding(
            status,
            "attestation_overdue" if late else "attestation_due",
            Urgency.OVERDUE if late else Urgency.WARNING if ours else Urgency.NOTE,
            f"{whose} attestation of use since {attestation.since:%Y-%m-%d} is due since {attestation.due:%Y-%m-%d}.",
            "The agreement asks for one for each period."
            if ours
            else "The partner forgot it, cannot say that it kept to the agreement, or could not deliver it.",
            "Check that the agreement was kept to, then attest." if ours else "Ask the partner for it.",
            f"mutuals attest {status.id}" if ours else _sync(status),
            due=attestation.due + ATTEST_WITHIN,
        )


def _revocations(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    late = [revocation for revocation in status.revocations if revocation.due < now]
    waiting = len(status.revocations) - len(late)
    if late:
        yield _finding(
            status,
            "revocation_overdue",
            Urgency.OVERDUE,
            f"{status.partner} has not confirmed the deletion of {_count(len(late), 'withdrawn contact')}, "
            f"the first withdrawn on {late[0].since:%Y-%m-%d}.",
            "The notice has not reached it, or it was not acted on: the contact may still be used.",
            "Deliver the notice; if that is done, call the partner.",
            _sync(status),
            due=late[0].due,
        )
    if waiting:
        yield _finding(
            status,
            "revocation_waiting",
            Urgency.NOTE,
            f"{status.partner} has yet to confirm the deletion of {_count(waiting, 'withdrawn contact')}.",
            "The notice is on its way.",
            "Synchronise.",
            _sync(status),
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
        yield _finding(
            status,
            "suspended",
            Urgency.WARNING,
            f"{'You' if suspension.by == 'us' else status.partner} suspended it on {suspension.since:%Y-%m-%d}: "
            f"{suspension.reason.rstrip('.')}.",
            "No record leaves and none is exported until it is resumed.",
            do,
            command,
        )


def _runs_waiting(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for run in status.runs:
        if run.reveal_by is not None and run.reveal_by + GRACE <= now and _unfinished(run):
            yield _finding(
                status,
                "run_overdue",
                Urgency.OVERDUE,
                f"The date of run {run.run} passed on {run.reveal_by:%Y-%m-%d}, and its spool is still here.",
                "Neither the server nor `mutuals retention` has run since.",
                "Let it expire.",
                "mutuals retention",
                due=run.reveal_by,
            )
        elif run.waits_for is not None and run.waits_for.startswith("your mutuals "):
            act = run.waits_for.split()[2]
            soon = run.reveal_by is not None and run.reveal_by - now <= RUN_SOON
            yield _finding(
                status,
                "run_ending" if soon else "run_waiting",
                Urgency.WARNING if soon else Urgency.NOTE,
                f"Run {run.run} waits for {run.waits_for}.",
                "After that date it expires, and only a new match helps." if soon else "It is your turn.",
                f"Authorise the {act}, or let the run expire.",
                f"mutuals {act} {run.run}",
                due=run.reveal_by,
            )


def _budget(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    budgets = status.budgets
    if budgets is None or status.state not in {"active", "suspended"} or not budgets.runs_used:
        return
    free = f" The next becomes free on {budgets.next_free_at:%Y-%m-%d}." if budgets.next_free_at else ""
    used_up = budgets.runs_used >= budgets.runs_allowed or budgets.items_used >= budgets.items_allowed
    nearly = (
        budgets.runs_used >= BUDGET_NEARLY * budgets.runs_allowed
        or budgets.items_used >= BUDGET_NEARLY * budgets.items_allowed
    )
    if used_up or nearly:
        yield _finding(
            status,
            "budget_used_up" if used_up else "budget_nearly",
            Urgency.WARNING,
            f"{status.partner} has used {budgets.runs_used:,} of {_count(budgets.runs_allowed, 'run')} and "
            f"{budgets.items_used:,} of {budgets.items_allowed:,} identifiers in {budgets.period_days} days.",
            "Each run lets the partner test identifiers; many runs for no campaign are probing."
            if not used_up
            else "No further run is possible until then.",
            f"Ask what the runs are for.{free}",
            due=budgets.next_free_at,
        )


def _growth(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """``runs`` are newest first."""
    if len(status.runs) < 2:
        return
    latest, *earlier = status.runs
    sizes = [run.partner_size for run in earlier if latest.opened_at - run.opened_at <= GROWTH_PERIOD]
    least = min(sizes, default=latest.partner_size)
    grown = latest.partner_size - least
    if grown >= GROWTH_AT_LEAST and latest.partner_size > GROWTH * least:
        yield _finding(
            status,
            "set_growth",
            Urgency.WARNING,
            f"{status.partner} announced {latest.partner_size:,} identifiers in run {latest.run}, "
            f"after {least:,} within {GROWTH_PERIOD.days} days before.",
            "It may have bought or guessed identifiers to test which of them you hold.",
            "Ask where the additional contacts come from before you authorise more.",
        )


def _overlap(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    run = next((run for run in status.runs if run.overlap is not None), None)
    if run is None or run.overlap is None:
        return
    smaller = min(run.own_size, run.partner_size)
    share = run.overlap / smaller if smaller else 0.0
    if smaller and share < OVERLAP_LOW:
        yield _finding(
            status,
            "overlap_low",
            Urgency.WARNING,
            f"Run {run.run} found {run.overlap:,} of {smaller:,} identifiers, less than 1 %.",
            "The lists fit badly, are normalised differently, or one side put in identifiers that it made up.",
            "Check your source, and ask the partner to.",
            "mutuals source check",
        )
    elif share > OVERLAP_HIGH:
        yield _finding(
            status,
            "overlap_high",
            Urgency.WARNING,
            f"Run {run.run} found {run.overlap:,} of {smaller:,} identifiers, more than 85 %.",
            "One list may be a copy of the other, or was chosen by somebody who knew who is in it.",
            "Ask the partner where its list comes from.",
        )


def _consents(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    consents = status.consents
    if consents is None:
        return
    if consents.problem is not None:
        yield _finding(
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
        yield _finding(
            status,
            "consent_expired",
            Urgency.WARNING,
            f"The consent of {_count(expired, 'contact')} in source {consents.source} is older than agreed.",
            "They take no part any more.",
            "Ask those whose consent is too old again, or leave them out.",
            f"mutuals source check {consents.source}",
        )
    if consents.expiring:
        yield _finding(
            status,
            "consent_expiring",
            Urgency.NOTE,
            f"The consent of {_count(consents.expiring, 'contact')} becomes too old within "
            f"{consents.within_days} days.",
            "They then take no part any more.",
            "Ask those whose consent soon becomes too old again, in time.",
        )


def _assessment(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    if status.state not in {"active", "suspended"} or not status.intact:
        return
    if status.assessment is None:
        yield _finding(
            status,
            "assessment_missing",
            Urgency.WARNING,
            "No risk assessment of yours is stored for it.",
            "It was signed without one, or the assessment was lost; GDPR Art. 35 may ask for it.",
            "Restore the assessment, or assess the next version before you sign.",
        )
    elif status.assessment.age_days > ASSESSMENT_DAYS:
        yield _finding(
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
        yield _finding(
            status,
            "checkpoint_not_cosigned",
            Urgency.WARNING,
            f"{status.partner} has not cosigned your log since {point.at:%Y-%m-%d}.",
            "It was not reachable, or it holds your log for changed.",
            "Synchronise; if that does not help, compare the logs with the partner.",
            _sync(status),
        )


def _proposals(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    for version in status.versions:
        if version.answer_of is None or (version.answer_of == "us" and version.signed_by):
            continue  # where one of us has signed, ``next_steps`` asks for the second signature
        ours_to_answer = version.answer_of == "us"
        late = version.since + PROPOSAL_WITHIN < now
        yield _finding(
            status,
            "proposal_to_answer" if ours_to_answer else "proposal_waiting",
            Urgency.WARNING if late else Urgency.NOTE,
            f"{status.partner if ours_to_answer else 'You'} proposed {version.id} on {version.since:%Y-%m-%d}.",
            "It binds nobody until both have signed.",
            "Read the proposal, then accept or reject it."
            if ours_to_answer
            else "Ask the partner for its answer.",
            f"mutuals agreement show {version.id}" if ours_to_answer else _sync(status),
        )


_RULES: tuple[Callable[[AgreementStatus, datetime], Iterator[Finding]], ...] = (
    _tampered,
    _half_revealed,
    _ending,
    _deletions,
    _certificates,
    _attestations,
    _revocations,
    _suspended,
    _runs_waiting,
    _budget,
    _growth,
    _overlap,
    _consents,
    _assessment,
    _checkpoint,
    _proposals,
)


def _finding(
    status: AgreementStatus,
    rule: str,
    urgency: Urgency,
    what: str,
    means: str,
    do: str,
    command: str | None = None,
    due: datetime | None = None,
) -> Finding:
    return Finding(rule, urgency, what, means, do, command, status.id, status.partner, due)


def _unfinished(run: RunFacts) -> bool:
    return run.state in {"counted", "revealing", "revealed", "exchanging"}


def _sync(status: AgreementStatus) -> str:
    return f"mutuals sync {quote(status.partner)}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
