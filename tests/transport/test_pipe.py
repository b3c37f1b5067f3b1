"""The queue between a run and its call: bounded, and with an end that wakes everybody."""

from __future__ import annotations

import threading
import time

import pytest

from mutuals.transport.streams import Ended, Pipe


def test_items_come_out_in_order_and_then_the_end() -> None:
    pipe: Pipe[int] = Pipe(3)
    pipe.put(1)
    pipe.put(2)
    pipe.finish()
    assert [pipe.get(), pipe.get()] == [1, 2]
    with pytest.raises(Ended):
        pipe.get()


def test_a_full_pipe_makes_the_sender_wait() -> None:
    pipe: Pipe[int] = Pipe(2)
    pipe.put(1)
    pipe.put(2)
    with pytest.raises(TimeoutError):
        pipe.put(3, timeout=0.01)
    pipe.get()
    pipe.put(3, timeout=0.01)


def test_an_error_comes_after_what_was_sent_before() -> None:
    pipe: Pipe[int] = Pipe()
    pipe.put(1)
    pipe.finish(ValueError("x"))
    assert pipe.get() == 1
    with pytest.raises(ValueError, match="x"):
        pipe.get()


def test_closing_drops_what_is_inside() -> None:
    pipe: Pipe[int] = Pipe()
    pipe.put(1)
    pipe.close(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        pipe.get()
    with pytest.raises(ValueError, match="x"):
        pipe.put(2)


def test_the_first_reason_stays() -> None:
    pipe: Pipe[int] = Pipe()
    pipe.finish(ValueError("first"))
    pipe.close(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        pipe.get()


@pytest.mark.parametrize("full", [False, True])
def test_closing_wakes_who_waits_at_once(full: bool) -> None:
    pipe: Pipe[int] = Pipe(1)
    if full:
        pipe.put(1)
    woken: list[float] = []

    def wait() -> None:
        with pytest.raises(ValueError, match="over"):
            pipe.put(2) if full else pipe.get()
        woken.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    closed = time.monotonic()
    pipe.close(ValueError("over"))
    thread.join(5)
    assert woken[0] - closed < 0.5
