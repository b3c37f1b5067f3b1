"""Each thing that status warns of: from which fact on, how urgent it is, and that it says what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from mutuals.monitoring import peer_rules, rules
from mutuals.monitoring.facts import (
    AgreementStatus,
    AssessmentFacts,
    AttestationFacts,
    BreachFacts,
    Budgets,
    CardFacts,
    CertificateFacts,
    CheckpointFacts,
    ConsentFacts,
    Deletion,
    Finding,
    PeerFacts,
    PolicyFacts,
    Records,
    RevocationFacts,
    RunFacts,
    SuspensionFacts,
    Undelivered,
    Urgency,
    Version,
)
from mutuals.monitoring.peer_rules import peer_findings
from mutuals.monitoring.rules import agreement_findings
from mutuals_client.main import build_app

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

OVERDUE, WARNING, NOTE = Urgency

HEALTHY = AgreementStatus(
    id="A-7Q3K2M9X",
    digest="aa" * 32,
    title="Spring",
    partner="Beta SA",
    partner_fingerprint="bb" * 32,
    own_side="proposer",
    state="active",
    version=1,
    versions=(Version(1, "A-7Q3K2M9X", "aa" * 32, "active", NOW - 30 * DAY),),
    valid_from=date(2026, 10, 1),
    valid_until=date(2027, 3, 31),
    days_left=129,
    ends_at=None,
    ended_at=None,
    intact=True,
    budgets=Budgets(1, 4, 1000, 4_000_000, 30, NOW + 20 * DAY),
    runs=(),
    records=Records(),
    exports=(),
    retention=(Deletion(90, 10, NOW + 80 * DAY),),
    suspensions=(),
    revocations=(),
    attestations=(
        AttestationFacts("us", NOW - 30 * DAY, NOW + 60 * DAY),
        AttestationFacts("partner", NOW - 30 * DAY, NOW + 60 * DAY),
    ),
    certificates=(),
    checkpoint=CheckpointFacts(12, NOW - 30 * DAY, cosigned=True),
    assessment=AssessmentFacts("cc" * 32, NOW - 100 * DAY, 100),
    consents=ConsentFacts("crm", 100, 90, {"no_consent": 10}),
)
PEER = PeerFacts(
    organisation="Acme Ltd",
    policy=PolicyFacts(1, NOW - 100 * DAY, "anna"),
    cards=(CardFacts("us", NOW + 300 * DAY), CardFacts("Beta SA", NOW + 300 * DAY)),
    breaches=(),
    undelivered=(),
    unread={"anna": 0},
    clock_behind_seconds=0,
    partners=("Beta SA",),
)


def run(number: int, days_ago: float, size: int, **changes: Any) -> RunFacts:
    """A finished run in which both sides announced ``size`` and shared a tenth."""
    facts = RunFacts(f"R-{number:08}", "done", NOW - days_ago * DAY, size, size, size // 10, None, None)
    return replace(facts, **changes)


def of(findings: Any) -> list[tuple[str, Urgency]]:
    found: list[Finding] = list(findings)
    for finding in found:
        for sentence in (finding.what, finding.means, finding.do):
            assert sentence[0].isupper() or sentence[0].isdigit(), sentence
            assert sentence.endswith("."), sentence
    return [(finding.rule, finding.urgency) for finding in found]


def warned(now: datetime = NOW, **changes: Any) -> list[tuple[str, Urgency]]:
    return of(agreement_findings(replace(HEALTHY, **changes), now))


def peer_warned(**changes: Any) -> list[tuple[str, Urgency]]:
    return of(peer_findings(replace(PEER, **changes), NOW))


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert warned() == []
    assert peer_warned() == []


def test_a_tampered_copy_and_a_half_revealed_run_wait_for_a_person() -> None:
    assert warned(intact=False, assessment=None) == [("tampered", OVERDUE)]
    assert warned(runs=(run(1, 1, 10, state="half_revealed", waits_for="a person"),)) == [
        ("half_revealed", OVERDUE)
    ]


def test_the_end_is_announced_a_month_ahead_and_overdue_a_day_after() -> None:
    assert warned(days_left=31) == []
    assert warned(days_left=30) == [("term_ending", WARNING)]
    over = {"retention": (), "attestations": (), "days_left": -1}
    assert warned(datetime(2027, 4, 1, 23, tzinfo=UTC), **over) == [("term_ending", WARNING)]
    assert warned(datetime(2027, 4, 2, 1, tzinfo=UTC), **over) == [("ending_overdue", OVERDUE)]
    assert warned(datetime(2027, 4, 2, 1, tzinfo=UTC), **over, state="ended") == []


def test_a_termination_is_told_and_overdue_where_nothing_acts_on_it() -> None:
    assert warned(ends_at=NOW + 5 * DAY) == [("terminated", NOTE)]
    assert warned(ends_at=NOW - 2 * DAY) == [("ending_overdue", OVERDUE)]


def test_records_past_their_retention_are_overdue_after_a_day() -> None:
    assert warned(retention=(Deletion(30, 3, NOW - 0.9 * DAY), Deletion(90, 3, NOW + DAY))) == []
    assert warned(retention=(Deletion(30, 3, NOW - 1.1 * DAY),)) == [("deletion_overdue", OVERDUE)]


@pytest.mark.parametrize("side", ["us", "partner"])
def test_a_certificate_is_missed_first_gently_then_not(side: str) -> None:
    ended: dict[str, Any] = {"state": "ended", "ended_at": NOW - 3 * DAY, "attestations": (), "retention": ()}
    in_time = CertificateFacts(side, None, NOW + DAY)
    assert warned(**ended, certificates=(in_time,)) == [("certificate_missing", NOTE)]
    assert warned(**ended, certificates=(replace(in_time, due=NOW - HOUR),)) == [
        ("certificate_overdue", OVERDUE)
    ]
    assert warned(**ended, certificates=(CertificateFacts(side, NOW, NOW - HOUR),)) == []


def test_an_attestation_is_due_when_its_period_is_over_and_overdue_two_weeks_later() -> None:
    period = AttestationFacts("us", NOW - 90 * DAY, NOW)
    assert warned(attestations=(replace(period, due=NOW + HOUR),)) == []
    assert warned(attestations=(period,)) == [("attestation_due", WARNING)]
    assert warned(attestations=(replace(period, side="partner"),)) == [("attestation_due", NOTE)]
    for side in ("us", "partner"):
        late = AttestationFacts(side, NOW - 105 * DAY, NOW - 15 * DAY)
        assert warned(attestations=(late,)) == [("attestation_overdue", OVERDUE)]


def test_a_revocation_that_the_partner_does_not_acknowledge_becomes_overdue() -> None:
    new = RevocationFacts("V-1", "R-1", NOW - DAY, NOW + 2 * DAY)
    old = RevocationFacts("V-2", "R-1", NOW - 4 * DAY, NOW - DAY)
    assert warned(revocations=(new,)) == [("revocation_waiting", NOTE)]
    assert warned(revocations=(old, new)) == [("revocation_overdue", OVERDUE), ("revocation_waiting", NOTE)]


@pytest.mark.parametrize("by", ["us", "partner"])
def test_a_suspension_is_shown_with_its_reason(by: str) -> None:
    suspension = SuspensionFacts("S-1", by, "a laptop was lost.", NOW - DAY, None)
    assert warned(suspensions=(suspension,), state="suspended") == [("suspended", WARNING)]


def test_a_run_that_waits_for_us_is_urgent_in_its_last_three_days_and_overdue_after() -> None:
    waiting = run(1, 5, 100, state="counted", waits_for="your mutuals reveal by 2026-12-01")
    assert warned(runs=(replace(waiting, reveal_by=NOW + 4 * DAY),)) == [("run_waiting", NOTE)]
    assert warned(runs=(replace(waiting, reveal_by=NOW + 3 * DAY),)) == [("run_ending", WARNING)]
    assert warned(runs=(replace(waiting, reveal_by=NOW - 2 * DAY),)) == [("run_overdue", OVERDUE)]
    theirs = replace(waiting, waits_for="the partner, who carries it out", reveal_by=NOW + DAY)
    assert warned(runs=(theirs,)) == []


@pytest.mark.parametrize(
    ("runs", "items", "expected"),
    [
        (2, 1000, []),
        (3, 1000, ["budget_nearly"]),
        (4, 1000, ["budget_used_up"]),
        (1, 3_000_000, ["budget_nearly"]),
        (1, 4_000_000, ["budget_used_up"]),
    ],
)
def test_a_budget_nearly_used_is_told(runs: int, items: int, expected: list[str]) -> None:
    budgets = Budgets(runs, 4, items, 4_000_000, 30, NOW + DAY)
    assert [rule for rule, _ in warned(budgets=budgets)] == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(1, 1500), (20, 1000)], []),  # exactly one and a half times
        ([(1, 1501), (20, 1000)], ["set_growth"]),
        ([(1, 1600), (10, 1400), (20, 1200), (30, 1000)], ["set_growth"]),  # in small steps
        ([(1, 1600), (92, 1000)], []),  # too long ago
        ([(1, 199), (20, 100)], []),  # fewer than a hundred more
        ([(1, 1000), (20, 2000)], []),  # it shrank
    ],
)
def test_a_partner_whose_set_grows_fast_is_told(sizes: list[tuple[int, int]], expected: list[str]) -> None:
    runs = tuple(run(number, ago, size) for number, (ago, size) in enumerate(sizes))
    assert [rule for rule, _ in warned(runs=runs)] == expected


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [(0, ["overlap_low"]), (9, ["overlap_low"]), (10, []), (850, []), (851, ["overlap_high"])],
)
def test_an_unusual_overlap_is_told_by_the_smaller_set(overlap: int, expected: list[str]) -> None:
    runs = (
        run(2, 1, 1000, overlap=None, state="matching"),
        run(1, 2, 1000, own_size=90_000, overlap=overlap),
    )
    assert [rule for rule, _ in warned(runs=runs)] == expected


def test_expired_and_expiring_consents_and_an_unusable_source_are_told() -> None:
    assert warned(consents=ConsentFacts("crm", 100, 90, {"consent_expired": 1})) == [
        ("consent_expired", WARNING)
    ]
    assert warned(consents=ConsentFacts("crm", 100, 100, expiring=3)) == [("consent_expiring", NOTE)]
    assert warned(consents=ConsentFacts("crm", problem="It is gone.")) == [("source_unusable", WARNING)]


def test_an_assessment_is_missed_and_grows_old() -> None:
    assert warned(assessment=None) == [("assessment_missing", WARNING)]
    assert warned(assessment=AssessmentFacts("cc" * 32, NOW - 366 * DAY, 366)) == [
        ("assessment_old", WARNING)
    ]
    assert warned(assessment=None, state="ended", attestations=()) == []


def test_a_checkpoint_must_be_cosigned_within_a_week() -> None:
    assert warned(checkpoint=CheckpointFacts(12, NOW - 6 * DAY, cosigned=False)) == []
    assert warned(checkpoint=CheckpointFacts(12, NOW - 8 * DAY, cosigned=False)) == [
        ("checkpoint_not_cosigned", WARNING)
    ]


def test_proposals_wait_for_an_answer() -> None:
    (active,) = HEALTHY.versions
    proposed = Version(2, "A-2", "dd" * 32, "proposed", NOW - DAY, "us")
    assert warned(versions=(active, proposed)) == [("proposal_to_answer", NOTE)]
    late = replace(proposed, since=NOW - 15 * DAY, answer_of="partner")
    assert warned(versions=(active, late)) == [("proposal_waiting", WARNING)]


def test_breaches_count_their_hours() -> None:
    breach = BreachFacts("B-1", None, NOW - 71 * HOUR, NOW + HOUR, 1)
    assert peer_warned(breaches=(breach,)) == [("breach_authority", WARNING)]
    late = replace(breach, hours_left=-1, partners_due=NOW - DAY, partner_hours_left=-24)
    assert peer_warned(breaches=(late,)) == [("breach_authority", OVERDUE), ("breach_partners", OVERDUE)]
    done = replace(breach, authority_due=None, hours_left=None)
    assert peer_warned(breaches=(done,)) == []
    assert peer_warned(breaches=(replace(done, partner="Beta SA"),)) == [("breach_told", WARNING)]


@pytest.mark.parametrize(
    ("days", "expected"), [(0.9, []), (2, [("undelivered", WARNING)]), (8, [("undelivered", OVERDUE)])]
)
def test_documents_that_are_not_delivered_become_urgent(days: float, expected: list[Any]) -> None:
    old = Undelivered("Beta SA", "proposal", NOW - days * DAY, int(days * 24))
    new = Undelivered("Beta SA", "run-ended", NOW, 0)
    assert peer_warned(undelivered=(old, new)) == expected


@pytest.mark.parametrize("owner", ["us", "Beta SA"])
def test_a_certificate_on_a_card_runs_out(owner: str) -> None:
    assert peer_warned(cards=(CardFacts(owner, NOW + 31 * DAY),)) == []
    assert peer_warned(cards=(CardFacts(owner, NOW + 30 * DAY),)) == [("card_expiring", WARNING)]
    assert peer_warned(cards=(CardFacts(owner, NOW),)) == [("card_expired", OVERDUE)]


def test_a_clock_put_back_a_missing_policy_and_unread_notifications_are_told() -> None:
    assert peer_warned(clock_behind_seconds=300) == []
    assert peer_warned(clock_behind_seconds=301) == [("clock_behind", WARNING)]
    assert peer_warned(policy=None) == [("policy_missing", WARNING)]
    assert peer_warned(unread={"anna": 2, "bo": 0}) == [("unread", NOTE)]


def test_every_command_that_is_named_exists() -> None:
    commands = typer.main.get_command(build_app())
    texts = "".join(Path(module.__file__ or "").read_text("utf-8") for module in (rules, peer_rules))
    named = set(re.findall(r"mutuals ([a-z]+)(?: ([a-z]+))?", texts))
    assert len(named) > 10
    assert isinstance(commands, click.Group)
    for name, second in named:
        command = commands.commands[name]
        if isinstance(command, click.Group) and second:
            assert second in command.commands, (name, second)
