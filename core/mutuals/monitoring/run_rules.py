"""What is overdue or looks wrong about the runs of an agreement: those that wait, what they cost, what they found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from mutuals.monitoring.facts import AgreementStatus, Finding, RunFacts, Urgency
from mutuals.monitoring.rule import GRACE, finding
from mutuals.wording import counted

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
RUN_SOON = timedelta(days=3)


def half_revealed(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """A reveal broke off after positions had left."""
    for run in status.runs:
        if run.state == "half_revealed":
            yield finding(
                status,
                "half_revealed",
                Urgency.OVERDUE,
                f"Run {run.run} broke off after positions had left; it blocks new runs with {status.partner}.",
                "The connection broke, or the partner's overlap was not the same as yours.",
                "Find out why with the partner, then clear the run.",
                f"mutuals runs clear {run.run}",
            )


def runs_waiting(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """A run waits for an act of ours, or its date has passed."""
    for run in status.runs:
        if run.reveal_by is not None and run.reveal_by + GRACE <= now and _unfinished(run):
            yield finding(
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
            yield finding(
                status,
                "run_ending" if soon else "run_waiting",
                Urgency.WARNING if soon else Urgency.NOTE,
                f"Run {run.run} waits for {run.waits_for}.",
                "After that date it expires, and only a new match helps." if soon else "It is your turn.",
                f"Authorise the {act}, or let the run expire.",
                f"mutuals {act} {run.run}",
                due=run.reveal_by,
            )


def budget(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """The partner has used up, or nearly, what it may ask in 30 days."""
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
        yield finding(
            status,
            "budget_used_up" if used_up else "budget_nearly",
            Urgency.WARNING,
            f"{status.partner} has used {budgets.runs_used:,} of {counted(budgets.runs_allowed, 'run')} and "
            f"{budgets.items_used:,} of {budgets.items_allowed:,} identifiers in {budgets.period_days} days.",
            "Each run lets the partner test identifiers; many runs for no campaign are probing."
            if not used_up
            else "No further run is possible until then.",
            f"Ask what the runs are for.{free}",
            due=budgets.next_free_at,
        )


def growth(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """The partner's set has grown fast; ``runs`` are newest first."""
    if len(status.runs) < 2:
        return
    latest, *earlier = status.runs
    sizes = [run.partner_size for run in earlier if latest.opened_at - run.opened_at <= GROWTH_PERIOD]
    least = min(sizes, default=latest.partner_size)
    grown = latest.partner_size - least
    if grown >= GROWTH_AT_LEAST and latest.partner_size > GROWTH * least:
        yield finding(
            status,
            "set_growth",
            Urgency.WARNING,
            f"{status.partner} announced {latest.partner_size:,} identifiers in run {latest.run}, "
            f"after {least:,} within {GROWTH_PERIOD.days} days before.",
            "It may have bought or guessed identifiers to test which of them you hold.",
            "Ask where the additional contacts come from before you authorise more.",
        )


def overlap(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """The latest overlap is unusually small or large."""
    run = next((run for run in status.runs if run.overlap is not None), None)
    if run is None or run.overlap is None:
        return
    smaller = min(run.own_size, run.partner_size)
    share = run.overlap / smaller if smaller else 0.0
    if smaller and share < OVERLAP_LOW:
        yield finding(
            status,
            "overlap_low",
            Urgency.WARNING,
            f"Run {run.run} found {run.overlap:,} of {smaller:,} identifiers, less than 1 %.",
            "The lists fit badly, are normalised differently, or one side put in identifiers that it made up.",
            "Check your source, and ask the partner to.",
            "mutuals source check",
        )
    elif share > OVERLAP_HIGH:
        yield finding(
            status,
            "overlap_high",
            Urgency.WARNING,
            f"Run {run.run} found {run.overlap:,} of {smaller:,} identifiers, more than 85 %.",
            "One list may be a copy of the other, or was chosen by somebody who knew who is in it.",
            "Ask the partner where its list comes from.",
        )


def _unfinished(run: RunFacts) -> bool:
    return run.state in {"counted", "revealing", "revealed", "exchanging"}
