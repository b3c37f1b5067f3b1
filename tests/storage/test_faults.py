"""A few of the failures of ``make storage``, others each time the sites change; and that the test would notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from support import postgres

from storage.acts import Scenes
from storage.faults import Figures, every, let_fail, sites_of, tapped
from storage.sites import Site, Tap
from storage.vfs import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="this Python's SQLite is linked in without its names"),
    pytest.mark.skipif(postgres.everywhere(), reason="is about SQLite's file"),
]


@pytest.fixture
def tap() -> Iterator[Tap]:
    with tapped() as tap:
        yield tap


def _only(one: int, sites: Sequence[Site]) -> Sequence[Site]:
    return sites[one : one + 1]


def test_a_failing_disk_is_told_and_nothing_is_lost(scenes: Scenes, tap: Tap, tmp_path: Path) -> None:
    figures = Figures()
    for act, one in (("match", 198), ("accept", 53)):
        every(scenes, [act], tap, tmp_path / "world", figures, partial(_only, one))
    assert figures.faults == []
    assert figures.injected == 2
    assert figures.consistent == figures.retried == figures.injected


def test_a_write_whose_failure_nobody_hears_of_would_be_found(
    scenes: Scenes, tap: Tap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mutuals.runs import journal

    monkeypatch.setattr(journal, "_cannot", lambda path, error: error)
    sites = sites_of(scenes, "match", tap, tmp_path / "world")
    (place,) = [site for site in sites if site.place.endswith("settle->posix.fsync") and site.number == 1][:1]
    figures = Figures()
    let_fail(scenes, "match", place, tap, tmp_path / "world", figures)
    assert any("OSError was raised" in fault for fault in figures.faults)
