"""What comes next where nothing is wrong, from the facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from monitoring.test_rules import DAY, HEALTHY, NOW, PEER, run

from mutuals.monitoring.facts import Finding, Undelivered, Urgency, Version
from mutuals.monitoring.next_steps import first_steps, next_steps, partner_calls
from mutuals.monitoring.peer_rules import peer_findings


def steps(**changes: Any) -> list[tuple[str, str | None]]:
    return [(one.rule, one.command) for one in next_steps(replace(HEALTHY, **changes), NOW)]


def test_an_accepted_agreement_waits_for_its_first_match() -> None:
    assert steps() == [("match_next", f"mutuals match {HEALTHY.id}")]
    assert steps(partner_endpoint=False) == [("match_next", None)]
    assert steps(runs=(run(1, 3, 1000),)) == []
    assert steps(valid_from=date(2030, 1, 1)) == steps(ends_at=NOW + DAY) == steps(state="proposed") == []


def test_a_run_goes_on_to_its_export() -> None:
    waits = "the partner to authorise, then your mutuals reveal by 2026-12-01"
    waiting = run(1, 3, 1000, state="counted", waits_for=waits)
    assert steps(runs=(waiting,)) == [("run_with_partner", f"mutuals reveal {waiting.run}")]
    done = run(2, 3, 1000, to_export=True)
    assert steps(runs=(done,)) == [("export_waiting", f"mutuals export {done.run} --out FILE.csv")]
    assert steps(runs=(done,), state="suspended") == []


def test_a_second_signature_is_asked_for_by_name() -> None:
    half = Version(1, "A-1", "aa" * 32, "draft", NOW, None, ("anna",))
    (finding,) = next_steps(replace(HEALTHY, state="draft", versions=(half,)), NOW)
    assert (finding.rule, finding.command) == ("second_signature", "mutuals agreement sign A-1")
    assert "anna" in finding.what


def test_a_new_peer_is_told_how_to_begin() -> None:
    def commands(partners: tuple[str, ...]) -> list[str | None]:
        return [one.command for one in first_steps(replace(PEER, partners=partners), [])]

    assert commands(()) == ["mutuals partner add FILE"]
    assert commands(("Beta SA",)) == ["mutuals agreement draft --with 'Beta SA'"]
    assert commands(("A", "B")) == ["mutuals agreement draft --with PARTNER"]
    assert not list(first_steps(PEER, [HEALTHY]))


def test_nobody_is_sent_to_call_a_partner_that_cannot_be_called() -> None:
    sync = Finding("r", Urgency.NOTE, "What.", "Means.", "Do.", "mutuals sync 'Beta SA'")
    called = partner_calls(sync, "Beta SA")
    assert called.command is None
    assert "has no endpoint" in called.do
    assert partner_calls(replace(sync, command="mutuals retention"), "Beta SA").command == "mutuals retention"
    waiting = Undelivered("Beta SA", "proposal", NOW - 2 * DAY, 48, endpoint=False)
    (found,) = peer_findings(replace(PEER, undelivered=(waiting,)), NOW)
    assert found.command is None
