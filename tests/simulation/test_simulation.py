"""Both companies in one process, while networks, disks and power fail, by seed (``make simulate`` for thousands).

Without one of the things that keep the product from losing anything something is lost, and found.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from lifecycle.batch import rarely_collecting
from support.postgres import everywhere

from simulation.guards import GUARDS, SEEDS, look_for
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
    assert look_for("charged once", range(20, 30))


@pytest.mark.slow
def test_two_processes_play_a_seed_alike() -> None:
    command = [sys.executable, "-m", "simulation", "--replay", "22"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.run(command, env=environment, capture_output=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert b"trace" in runs[0].stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", GUARDS)
def test_what_a_guard_holds_back_is_found_without_it(name: str) -> None:
    found = look_for(name, range(1, SEEDS))
    assert found
    print(f"{name}: found by seed {found}")
