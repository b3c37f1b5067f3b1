"""A few of the power cuts of ``make storage``; and what they protect, taken out, is missed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import postgres

from storage.acts import Scenes
from storage.cut_match import GUARDS, cut_at
from storage.cut_store import lost, recorded, small_life, synchronous
from storage.vfs import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="this Python's SQLite is linked in without its names"),
    pytest.mark.skipif(postgres.everywhere(), reason="is about SQLite's file"),
]


@pytest.mark.parametrize("level", ["EXTRA", "FULL", "NORMAL", "OFF"])
def test_only_a_store_that_syncs_everything_loses_nothing(tmp_path: Path, level: str) -> None:
    with synchronous(level):
        disk = recorded(tmp_path / "home" / "store.sqlite", small_life)
        sound = level == "EXTRA"
        cuts, found = lost(disk, seed=0, folder=tmp_path / "cut", every=3 if sound else 1, enough=1)
    assert cuts > 10 or not sound
    assert (found == []) == sound


def test_a_match_goes_on_after_a_power_cut(scenes: Scenes, tmp_path: Path) -> None:
    assert cut_at(scenes, "right", 12, seed=1, place=tmp_path / "world") == []


def test_a_cut_that_loses_the_name_of_the_journal_is_found(scenes: Scenes, tmp_path: Path) -> None:
    (guard,) = [guard for guard in GUARDS if guard.name == "so is the journal's name"]
    with guard.without():
        assert any(cut_at(scenes, "left", at, seed=0, place=tmp_path / "world") for at in (6, 5, 7, 4, 8))
