"""Runs, and that each step of one is taken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store.samples import DAY, NOW, digest, furnish, hexed, partner, run, undone

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Run, RunState
from mutuals.store.database import Store


def test_a_run_comes_back_as_it_was_added(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
    with store.transaction() as tx:
        assert tx.runs.get("R-1") == tx.runs.by_sid(digest("R-1")) == run()
        assert tx.runs.get("R-2") is tx.runs.by_sid(digest("R-2")) is None


def test_runs_are_listed_oldest_first_and_by_partner(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx)
        tx.partners.put(partner("Initech"))
        late = replace(run("R-1"), opened_at=NOW + DAY)
        other = run("R-2", partner_name="Initech")
        for row in (late, other):
            tx.runs.add(row)
        assert tx.runs.list() == [other, late]
        assert tx.runs.list(hexed("Globex")) == [late]
        assert tx.runs.list(hexed("nobody")) == []


def test_an_update_changes_what_it_names_and_returns_the_run(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2")
        counted = tx.runs.update(
            "R-1", {RunState.MATCHING}, state=RunState.COUNTED, count=7, th=b"t" * 32, counted_at=NOW
        )
        assert counted == replace(run(), state=RunState.COUNTED, count=7, th=b"t" * 32, counted_at=NOW)
        assert tx.runs.get("R-1") == counted
        assert tx.runs.get("R-2") == run("R-2")
        assert tx.runs.update("R-1", [RunState.COUNTED], spool_key=None).spool_key is None
        assert tx.runs.update("R-1", [RunState.COUNTED]).state is RunState.COUNTED


def test_an_update_of_a_run_in_another_state_changes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
        with pytest.raises(MutualsError) as refused:
            tx.runs.update("R-1", {RunState.COUNTED, RunState.HALF_REVEALED}, state=RunState.REVEALING)
        assert refused.value.code is ErrorCode.RUN_STATE
        assert (
            refused.value.message == "Run R-1 is matching; this needs one that is counted or half revealed."
        )
        assert tx.runs.get("R-1") == run()


def test_an_unknown_run_cannot_be_updated(store: Store) -> None:
    with store.transaction() as tx:
        with pytest.raises(MutualsError) as unknown:
            tx.runs.update("R-9", set(RunState), count=1)
        assert unknown.value.code is ErrorCode.RUN_UNKNOWN


@pytest.mark.parametrize("name", ["run_id", "sid", "agreement", "partner", "role"])
def test_what_names_a_run_cannot_change(store: Store, name: str) -> None:
    with store.transaction() as tx, pytest.raises(TypeError, match=name):
        tx.runs.update("R-1", set(RunState), **{name: "other"})


def test_the_latest_counted_run_is_by_time_of_count(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2", "R-3")
        assert tx.runs.latest_counted(hexed("Spring")) is None
        tx.runs.update("R-2", {RunState.MATCHING}, count=1, counted_at=NOW + DAY)
        tx.runs.update("R-1", {RunState.MATCHING}, count=2, counted_at=NOW)
        latest = tx.runs.latest_counted(hexed("Spring"))
        assert latest is not None
        assert latest.run_id == "R-2"
        assert tx.runs.latest_counted(hexed("Autumn")) is None


def test_a_half_revealed_run_blocks_its_partner_until_cleared(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2")
        assert tx.runs.blocking(hexed("Globex")) is None
        tx.runs.update("R-1", {RunState.MATCHING}, state=RunState.HALF_REVEALED)
        blocking = tx.runs.blocking(hexed("Globex"))
        assert blocking is not None
        assert blocking.run_id == "R-1"
        assert tx.runs.blocking(hexed("Initech")) is None
        tx.runs.update("R-1", {RunState.HALF_REVEALED}, state=RunState.FAILED)
        assert tx.runs.blocking(hexed("Globex")) is None


def test_of_many_threads_one_takes_the_step(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")

    def step() -> None:
        with store.transaction() as tx:
            tx.runs.update("R-1", {RunState.MATCHING}, state=RunState.COUNTED)

    with ThreadPoolExecutor(8) as threads:
        outcomes = [future.exception() for future in [threads.submit(step) for _ in range(8)]]
    refused = [error.code for error in outcomes if isinstance(error, MutualsError)]
    assert refused == [ErrorCode.RUN_STATE] * 7
    assert outcomes.count(None) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sets(st.sampled_from(RunState)), st.sampled_from(RunState)), max_size=8))
def test_a_run_moves_only_from_an_expected_state(
    store: Store, steps: list[tuple[set[RunState], RunState]]
) -> None:
    with undone(store) as tx:
        furnish(tx, "R-1")
        model: Run = run()
        for expect, state in steps:
            if model.state in expect:
                model = replace(model, state=state)
                assert tx.runs.update("R-1", expect, state=state) == model
            else:
                with pytest.raises(MutualsError):
                    tx.runs.update("R-1", expect, state=state)
            assert tx.runs.get("R-1") == model
