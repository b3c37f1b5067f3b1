"""Histories of two companies' agreements at random: nothing leaves that must not (``make lifecycle`` for thousands).

Without one of the product's guards something does, and is found: the histories can fail.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from support.postgres import everywhere

from lifecycle.batch import rarely_collecting
from lifecycle.guards import GUARDS, without
from lifecycle.machine import SETTINGS, Lifecycle, OnDisk, Short, take_figures
from lifecycle.world import prepare_stages


@pytest.mark.parametrize("number", range(5))
def test_no_record_leaves_that_must_not(number: int) -> None:
    """Seventy short histories, shared over the cores; a few with stores in files, or all few on PostgreSQL."""
    prepare_stages()
    take_figures()
    machine, histories = (OnDisk, 4) if number == 4 or everywhere() else (Short, 17)
    short = settings(SETTINGS, max_examples=histories, stateful_step_count=5)
    with rarely_collecting():
        run_state_machine_as_test(seed(number)(machine), settings=short)
    figures = take_figures()
    assert figures.histories >= histories
    assert figures.left.total()


@pytest.mark.slow
@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_what_it_holds_back_is_found(name: str) -> None:
    guard = GUARDS[name]
    narrowed = type("Narrowed", (Lifecycle,), {"stages": guard.stages, "events": guard.events})
    looking = settings(
        SETTINGS,
        max_examples=1000,
        stateful_step_count=8,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        print_blob=False,
    )
    prepare_stages()
    take_figures()
    with without(name), pytest.raises(AssertionError, match=guard.objection):
        run_state_machine_as_test(narrowed, settings=looking)
    print(f"{name}: found in history {take_figures().histories}")
