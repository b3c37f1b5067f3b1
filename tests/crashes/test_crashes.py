"""The short form of ``make crashes``: a match of real processes that is cut off and killed on either side."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from crashes.world import World, world
from mutuals.models.run import RunState

ITEMS = 4000
BEGUN = 70_000
"""Bytes after which both sides have begun the run, and are far from its end."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("crashes"), ITEMS, 400) as built:
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
    said = place.answer(place.call("match", place.agreement))
    assert (said["exit"], said["overlap"], said["resumed"], said["run"]) == (0, 400, True, waiting.run_id)
    for company in (place.left, place.right):
        (run,) = place.runs(company)
        assert (run.state, run.count) == (RunState.COUNTED, 400)
        assert place.charged(company)[0] == 1
        assert [path.suffix for path in company.peer.home.spool.iterdir()] == [".spool"]


def _wait_for(place: World, size: int) -> None:
    deadline = time.monotonic() + 120
    while place.relay.there < size:
        assert time.monotonic() < deadline, "the match does not move"
        time.sleep(0.005)
