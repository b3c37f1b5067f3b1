"""A disk that is really full, and a store that another process really holds; all acts: ``make storage``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import postgres

from storage.acts import Scenes
from storage.real import disk_full, locked, small_disk

pytestmark = pytest.mark.skipif(postgres.everywhere(), reason="is about SQLite's file")


def test_a_full_disk_is_told_and_the_match_works_once_there_is_room(scenes: Scenes, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("this process may not mount a disk")
        assert disk_full(scenes, "match", disk, spare=0) == (True, [])


def test_a_store_that_another_process_holds_is_told_and_nothing_is_lost(
    scenes: Scenes, tmp_path: Path
) -> None:
    assert locked(scenes, "exchange", "right", tmp_path / "world") == (True, [])
