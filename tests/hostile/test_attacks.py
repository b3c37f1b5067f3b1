"""Every row of the table is stopped where it says, over a real port, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hostile.attack import Row, carry_out
from hostile.rows import ROWS
from hostile.world import World, world


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("hostile")) as companies:
        yield companies


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_attack_is_stopped(companies: World, row: Row) -> None:
    result = carry_out(companies, row)
    assert result.stopped, "; ".join(result.problems)


def test_the_names_of_the_rows_are_their_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_others_are_served_meanwhile(companies: World) -> None:
    """Another partner matches, reveals and exchanges as if nothing had happened."""
    companies.friend_matches()
