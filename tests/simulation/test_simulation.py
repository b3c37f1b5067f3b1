"""Both companies in one process, while networks, disks and power fail, by seed (``make simulate`` for thousands).

Without one of the things that keep the product from losing anything something is lost, and found.
"""

from __future__ import annotations

import pytest
from lifecycle.batch import rarely_collecting
from support.postgres import everywhere

from simulation.check import Violation
from simulation.guards import GUARDS, without
from simulation.play import simulate

pytestmark = pytest.mark.skipif(everywhere(), reason="the stores of a simulation are in memory")


def test_nothing_is_lost_whatever_breaks() -> None:
    with rarely_collecting():
        for seed in (1, 2, 201):
            simulate(seed)


def test_a_seed_replays_exactly() -> None:
    one, again = simulate(6), simulate(6)
    assert one == again


def test_the_simulator_finds_a_run_that_is_charged_twice() -> None:
    assert look_for("charged once", range(3, 12))


@pytest.mark.slow
@pytest.mark.parametrize("name", GUARDS)
def test_what_a_guard_holds_back_is_found_without_it(name: str) -> None:
    found = look_for(name, range(1, 101))
    assert found
    print(f"{name}: found by seed {found}")


def look_for(name: str, seeds: range) -> int | None:
    """The first seed that finds what the guard holds back, if any does."""
    guard = GUARDS[name]
    for seed in seeds:
        try:
            with without(name):
                simulate(seed, style=guard.style)
        except Violation as violation:
            if guard.found(str(violation)):
                return seed
            raise
    return None
