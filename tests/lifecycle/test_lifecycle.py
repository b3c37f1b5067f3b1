"""Histories of two companies' agreements at random: nothing leaves that must not (``make lifecycle`` for thousands).

Without one of the product's guards something does, and is found: the histories can fail.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lifecycle.guards import GUARDS, without
from lifecycle.machine import FIGURES, SETTINGS, Lifecycle
from lifecycle.world import prepare_stages


def test_no_record_leaves_that_must_not() -> None:
    run_state_machine_as_test(
        Lifecycle, settings=settings(SETTINGS, max_examples=25, stateful_step_count=8, derandomize=True)
    )
    assert FIGURES.left["records"]
    assert FIGURES.left["exported rows"]


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
    with without(name), pytest.raises(AssertionError, match=guard.objection):
        run_state_machine_as_test(narrowed, settings=looking)
