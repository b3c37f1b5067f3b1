"""With a check taken out of the product, its rows fail and their neighbours don't: the table shows that it is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hostile.mutations import MUTATIONS, Mutation, failed_without, neighbours
from hostile.world import World, world


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("mutated")) as companies:
        yield companies


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.check)
def test_without_the_check_its_rows_fail(companies: World, mutation: Mutation) -> None:
    rows = neighbours(mutation, 1)
    expected = [row.name for row in rows if mutation.fails(row)]
    assert expected
    assert [row.name for row in failed_without(companies, mutation, rows)] == expected
