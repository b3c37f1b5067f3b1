"""Both companies in one process, while networks, disks and power fail, by seed (``make simulate`` for thousands)."""

from __future__ import annotations

import pytest
from lifecycle.batch import rarely_collecting
from lifecycle.world import prepare_stages
from support.postgres import everywhere

from simulation.play import simulate

pytestmark = pytest.mark.skipif(everywhere(), reason="the stores of a simulation are in memory")


@pytest.mark.parametrize("first", [1])
def test_nothing_is_lost_whatever_breaks(first: int) -> None:
    prepare_stages()
    with rarely_collecting():
        for seed in range(first, first + 4):
            simulate(seed)


def test_a_seed_replays_exactly() -> None:
    prepare_stages()
    one, again = simulate(13), simulate(13)
    assert one == again
    assert one.digest == again.digest
