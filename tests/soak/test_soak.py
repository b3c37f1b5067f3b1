"""What the soak's figures say, and the soak itself in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.__main__ import soak
from soak.judge import Match, fairness, grown, rates, starved, unfair
from soak.watch import Sample, slope
from soak.world import world


def samples(memory: list[int], threads: int = 50) -> list[Sample]:
    return [Sample(at, value * 2**20, threads, 20, 0.0) for at, value in enumerate(memory)]


def test_equal_shares_are_fair_and_others_are_not() -> None:
    assert fairness([3.0, 3.0, 3.0]) == pytest.approx((1.0, 1.0))
    assert fairness([4.0, 0.0]) == pytest.approx((0.5, 0.0))
    assert fairness([0.0, 0.0]) == (0.0, 0.0)
    assert unfair({"a": 10, "b": 9}) == []
    assert unfair({"a": 10, "b": 6}) != []
    assert unfair({"a": 0, "b": 0}) != []


def test_rates_count_what_ended_in_the_time() -> None:
    matches = [Match("a", at, 1.0) for at in (5, 15, 25)] + [Match("b", 20, 1.0)]
    assert rates(matches, ["a", "b", "c"], 10, 30) == {"a": 6.0, "b": 3.0, "c": 0.0}


def test_half_of_a_rate_is_enough() -> None:
    assert starved({"a": 10, "b": 10}, {"a": 5, "b": 9}) == []
    assert len(starved({"a": 10, "b": 10}, {"a": 4.9, "b": 9})) == 1


def test_growth_is_told_from_what_comes_and_goes() -> None:
    assert grown(samples([100, 200, 200, 210, 190, 200, 205, 200])) == []
    (found,) = grown(samples([100, 200, 200, 220, 240, 260, 280, 300]))
    assert found.startswith("memory grew")
    assert grown([]) == []
    assert slope([(0, 1.0), (60, 3.0)]) == pytest.approx(2.0)


@pytest.mark.slow
def test_a_soak_in_small(tmp_path: Path) -> None:
    with world(tmp_path, partners=2, items=100, runs=4, matches_per_minute=10_000) as place:
        faults = soak(place, 4, 20, flooding=False)
    assert [fault for fault in faults if "×" in fault or "no match" in fault] == []
