"""Histories of two companies' agreements at random: nothing leaves that must not (``make lifecycle`` for thousands)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from lifecycle.machine import FIGURES, Lifecycle

SETTINGS = settings(
    max_examples=60,
    stateful_step_count=12,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_no_record_leaves_that_must_not() -> None:
    run_state_machine_as_test(Lifecycle, settings=SETTINGS)
    assert FIGURES.left["records"]
    assert FIGURES.left["exported rows"]
