"""A few of the failures of ``make storage``, others each time the sites change; and that the test would notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import postgres

from storage.acts import Scenes
from storage.faults import Failure, Figures, Stage, failures, let_fail, sites_of, staged
from storage.vfs import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="this Python's SQLite is linked in without its names"),
    pytest.mark.skipif(postgres.everywhere(), reason="is about SQLite's file"),
]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def test_a_failing_disk_is_told_and_nothing_is_lost(scenes: Scenes, stage: Stage, tmp_path: Path) -> None:
    figures = Figures()
    for act, one in (("match", 190), ("accept", 53)):
        sites = sites_of(scenes, act, stage, tmp_path / "world")
        let_fail(scenes, failures(act, sites)[one], stage, tmp_path / "world", figures)
    assert figures.faults == []
    assert figures.injected == 2
    assert figures.consistent == figures.retried == figures.injected


def test_an_act_comes_out_alike_each_time_so_that_one_check_does_for_the_same_bytes(
    scenes: Scenes, stage: Stage, tmp_path: Path
) -> None:
    place = tmp_path / "world"
    sites = sites_of(scenes, "revoke", stage, place)
    assert sites_of(scenes, "revoke", stage, place) == sites
    figures = Figures()
    pages = [site for site in sites if site.place == "write database"][1:3]  # both are undone by the journal
    for failure in failures("revoke", pages):
        let_fail(scenes, replace(failure, lasting=False), stage, place, figures)
    assert (figures.injected, figures.faults, len(figures.sound)) == (2, [], 1)


def test_a_write_whose_failure_nobody_hears_of_would_be_found(
    scenes: Scenes, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mutuals.runs import journal

    monkeypatch.setattr(journal, "_cannot", lambda path, error: error)
    sites = sites_of(scenes, "match", stage, tmp_path / "world")
    (place,) = [site for site in sites if site.place.endswith("settle->posix.fsync") and site.number == 1][:1]
    figures = Figures()
    let_fail(scenes, Failure("match", place, lasting=False), stage, tmp_path / "world", figures)
    assert any("OSError was raised" in fault for fault in figures.faults)
