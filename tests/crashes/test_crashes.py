"""The short form of ``make crashes``: an agreement whose match and whose end are cut off and killed on either side."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from crashes.forks import Forks
from crashes.look import Told, agreement_state, complete, look, slices
from crashes.world import World, kill_worker, workers_of, world
from mutuals.models.agreement import AgreementState
from mutuals.models.run import RunState

ITEMS = 10_000
BEGUN = 70_000
"""Bytes after which both sides have begun the run, and are far from its end."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Forks() as forks, world(tmp_path_factory.mktemp("crashes"), ITEMS, 400) as built:
        built.forks, built.fresh = forks, lambda: False
        built.serve()
        yield built


def test_a_match_cut_off_and_killed_on_both_sides_goes_on_and_is_charged_once(place: World) -> None:
    began = place.relay.there
    call = place.call("match", place.agreement)
    _wait_for(place, began + BEGUN)
    place.relay.cut()  # the command goes on by itself
    _wait_for(place, began + 2 * BEGUN)
    place.kill_server()
    place.kill(call)
    place.serve()
    (waiting,) = place.runs(place.left)
    assert waiting.state is RunState.MATCHING
    assert place.server is not None
    kill_worker(workers_of(place.server)[0])  # an idle one is missed by nobody
    said = place.answer(place.call("match", place.agreement))
    assert (said["exit"], said["overlap"], said["resumed"], said["run"]) == (0, 400, True, waiting.run_id)
    for company in (place.left, place.right):
        (run,) = place.runs(company)
        assert (run.state, run.count) == (RunState.COUNTED, 400)
        assert place.charged(company) == (1, ITEMS)
        assert [path.suffix for path in company.peer.home.spool.iterdir()] == [".spool"]


def test_an_end_that_is_killed_on_both_sides_is_certified_once_by_each(place: World) -> None:
    digest, told = place.agreement, Told()
    traces = slices(place, digest, random.Random(1))
    began = place.relay.there
    call = place.call("agreement", "terminate", digest, "--reason", "It is over.", "--cause")
    _wait_for(place, began + 1)  # it has signed and destroyed, and calls the partner
    place.kill_server()
    place.kill(call)
    assert agreement_state(place.left, digest) is AgreementState.ENDED
    place.serve()
    for _ in range(5):
        assert place.answer(place.call("sync"))["exit"] == 0
        if complete(place, digest):
            break
    assert look(place, digest, told, traces, 400).faults == []


def _wait_for(place: World, size: int) -> None:
    deadline = time.monotonic() + 120
    while place.relay.there < size:
        assert time.monotonic() < deadline, "the match does not move"
        time.sleep(0.005)
