"""Threads of one process wait for the store in the order in which they came."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.database import Store
from mutuals.store.turns import NoTurn, Turns


class Queue(Turns):
    """Turns that say how many wait."""

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._waiting)


@pytest.fixture
def turns() -> Queue:
    return Queue()


def arrivals(turns: Queue, count: int, got: list[int]) -> Iterator[threading.Thread]:
    """Threads that come one after the other, and note when their turn is."""
    for number in range(count):

        def take(number: int = number) -> None:
            with turns.turn(30):
                got.append(number)

        thread = threading.Thread(target=take)
        thread.start()
        while turns.waiting <= number:
            threading.Event().wait(0.001)
        yield thread


def test_who_came_first_is_first(turns: Queue) -> None:
    got: list[int] = []
    with turns.turn(30):
        threads = list(arrivals(turns, 20, got))
        assert got == []
    for thread in threads:
        thread.join(30)
    assert got == list(range(20))


def test_whoever_waits_too_long_leaves_the_queue_to_the_others(turns: Queue) -> None:
    failed: list[BaseException] = []

    def impatient() -> None:
        try:
            with turns.turn(0):
                pass
        except NoTurn as error:
            failed.append(error)

    with turns.turn(30):
        thread = threading.Thread(target=impatient)
        thread.start()
        thread.join(30)
    assert len(failed) == 1
    with turns.turn(0):
        assert turns.waiting == 0


def test_a_turn_ends_with_an_error(turns: Queue) -> None:
    with pytest.raises(ZeroDivisionError), turns.turn(0):
        raise ZeroDivisionError
    with turns.turn(0):
        pass


def test_a_store_that_others_of_this_process_have_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[MutualsError] = []

    def second() -> None:
        try:
            with store.transaction():
                pass
        except MutualsError as error:
            said.append(error)

    monkeypatch.setattr("mutuals.store.turns.TURN_SECONDS", 0)
    with store.transaction():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(30)
    assert [error.code for error in said] == [ErrorCode.LOCAL]
    with store.transaction():
        pass
