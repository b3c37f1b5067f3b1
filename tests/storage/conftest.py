"""The scenes, built once for all tests here."""

from __future__ import annotations

import pytest

from storage.acts import Scenes
from storage.faults import small_messages


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    with small_messages():
        return Scenes.build(tmp_path_factory.mktemp("storage") / "scenes")
