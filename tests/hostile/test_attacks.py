"""The rows of the table are stopped where they say, over a real port, and leave nothing behind.

Every fifth of them by default, for time's sake; ``make hostile`` takes all, and so does ``HOSTILE=all``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hostile.attack import Row, carry_out
from hostile.rows import ROWS
from hostile.world import World, world

STEP = 1 if os.environ.get("HOSTILE") == "all" else 5


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("hostile")) as companies:
        yield companies


@pytest.mark.parametrize("row", ROWS[::STEP], ids=lambda row: row.name)
def test_attack_is_stopped(companies: World, row: Row) -> None:
    result = carry_out(companies, row)
    assert result.stopped, "; ".join(result.problems)


def test_the_names_of_the_rows_are_their_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_others_are_served_meanwhile(companies: World) -> None:
    """Another partner matches, reveals and exchanges as if nothing had happened."""
    companies.friend_matches()
