"""The driver: threads, bounds, cancellation, lost workers. The protocol itself is tested without it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from support.engines import EACH_ENGINE
from support.peers import TERMS, TOY, drive, match_lists, match_session, reveal, run_both, shared_items
from support.streams import MemoryStream, stream_pair

from mutuals.engines.base import Operation
from mutuals.engines.workers import InlinePool, WorkerPool
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.lists import WORK_SIZE
from mutuals.protocol.match import MatchSession
from mutuals.protocol.messages import Blinded, Counted, Hello

X25519 = replace(TERMS, engine="x25519")


def identifiers(numbers: range) -> list[str]:
    return [f"email:user{number}@example.com" for number in numbers]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


class LatePool(InlinePool):
    """Answers from another thread, in reverse order, a little later; counts what is in flight."""

    processes = 2

    def __init__(self) -> None:
        super().__init__({"toy": TOY})
        self.most = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[Future[bytes], Callable[[], bytes]]] = []

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        future: Future[bytes] = Future()
        compute = super().submit
        with self._lock:
            self._waiting.append((future, lambda: compute(engine, operation, key, data).result()))
            self.most = max(self.most, len(self._waiting))
        threading.Timer(0.005, self._answer).start()
        return future

    def _answer(self) -> None:
        with self._lock:
            future, compute = self._waiting.pop()
        future.set_result(compute())


class Watched:
    """``pool``, and ``act`` when it is given its fifth piece of work: workers are busy then, however fast."""

    def __init__(self, pool: WorkerPool, act: Callable[[], object]) -> None:
        self._pool = pool
        self._act = act
        self._given = count(1)
        self.processes = pool.processes
        self.executor = pool.executor
        self.backend = pool.backend

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        future = self._pool.submit(engine, operation, key, data)
        if next(self._given) == 5:
            self._act()
        return future


def test_two_drivers_find_the_overlap() -> None:
    ends = match_lists(
        {Role.INITIATOR: identifiers(range(9000)), Role.RESPONDER: identifiers(range(8500, 15_000))}
    )
    assert ends[Role.INITIATOR].count == ends[Role.RESPONDER].count == 500


@pytest.mark.parametrize("engine", EACH_ENGINE)
def test_a_match_and_a_reveal_through_worker_processes(pool: WorkerPool, engine: str) -> None:
    lists = {Role.INITIATOR: identifiers(range(2500)), Role.RESPONDER: identifiers(range(2400, 4700))}
    ends = match_lists(lists, replace(TERMS, engine=engine), None, pool)
    outcomes = {role: ends[role] for role in Role}
    revealed = reveal(outcomes)
    items = [shared_items(outcomes[role], revealed[role]) for role in Role]
    assert items[0] == items[1]
    assert len(items[0]) == 100


def test_work_in_flight_is_bounded_and_may_end_in_any_order() -> None:
    late = LatePool()
    size = 20 * WORK_SIZE
    ends = match_lists(
        {Role.INITIATOR: identifiers(range(size)), Role.RESPONDER: identifiers(range(5))}, pool=late
    )
    assert ends[Role.INITIATOR].count == 5
    assert late.most <= 2 * 2 * late.processes * len(Role)


def test_a_slow_partner_does_not_fill_our_memory() -> None:
    """Nobody reads: the driver blinds a few chunks ahead, then waits."""
    blinded: list[int] = []

    class Counting(InlinePool):
        def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
            blinded.append(len(data))
            return super().submit(engine, operation, key, data)

    left, right = stream_pair(depth=1)
    partner = match_session(Role.RESPONDER, [])
    session = match_session(Role.INITIATOR, identifiers(range(30 * WORK_SIZE)))
    stop = threading.Event()
    errors: list[MutualsError] = []

    def run() -> None:
        try:
            drive(session, left, Counting({"toy": TOY}), cancelled=stop.is_set)
        except MutualsError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    partner.receive(right.receive())
    right.send(partner.proceed()[0].message)
    time.sleep(0.5)
    assert 1 <= len(blinded) <= 6
    stop.set()
    thread.join(2)
    left.close()
    assert [error.code for error in errors] == [ErrorCode.CANCELLED]


@pytest.mark.parametrize("point", ["waiting for Accept", "waiting for points"])
def test_a_cancellation_is_noticed_within_a_second(point: str) -> None:
    left, right = stream_pair()
    stop = threading.Event()
    session = match_session(Role.INITIATOR, identifiers(range(10)))
    took: list[float] = []

    def run() -> None:
        with pytest.raises(MutualsError) as caught:
            drive(session, left, cancelled=stop.is_set)
        took.append(time.monotonic())
        assert caught.value.code is ErrorCode.CANCELLED

    thread = threading.Thread(target=run)
    thread.start()
    if point == "waiting for points":
        partner = match_session(Role.RESPONDER, identifiers(range(5)))
        partner.receive(right.receive())
        right.send(partner.proceed()[0].message)
    time.sleep(0.1)
    started = time.monotonic()
    stop.set()
    thread.join(5)
    left.close()
    assert took[0] - started < 1
    with pytest.raises(RuntimeError, match="destroyed"):
        _ = session.key


def test_a_cancellation_in_the_middle_of_the_work_is_noticed_within_a_second(pool: WorkerPool) -> None:
    stop = threading.Event()
    lists = {role: identifiers(range(20_000)) for role in Role}
    watched = Watched(pool, stop.set)
    started = time.monotonic()
    ends = run_both(
        {
            role: lambda stream, role=role: drive(
                match_session(role, lists[role], X25519, None), stream, watched, cancelled=stop.is_set
            )
            for role in Role
        }
    )
    assert time.monotonic() - started < 4  # two sessions are set up in it
    assert {type(error) for error in ends.errors.values()} == {MutualsError}
    assert ErrorCode.CANCELLED in {
        error.code for error in ends.errors.values() if isinstance(error, MutualsError)
    }


def test_a_worker_killed_in_the_middle_fails_that_run_and_the_next_succeeds(pool: WorkerPool) -> None:
    lists = {role: identifiers(range(8_000)) for role in Role}
    victim = pool.worker_pids()[0]
    ends = match_lists(lists, X25519, None, Watched(pool, lambda: os.kill(victim, signal.SIGKILL)))
    codes = {error.code for error in ends.errors.values() if isinstance(error, MutualsError)}
    assert ErrorCode.WORKER_DIED in codes
    assert codes <= {ErrorCode.WORKER_DIED, ErrorCode.UNREACHABLE}
    again = match_lists({role: identifiers(range(100)) for role in Role}, X25519, None, pool)
    assert again[Role.INITIATOR].count == 100


def test_budgets_are_charged_before_a_point_leaves_and_before_the_accept() -> None:
    order: list[str] = []

    def watch(role: Role) -> Callable[[Any], list[Any]]:
        def alter(message: Any) -> list[Any]:
            order.append(f"{role}: {type(message).__name__}")
            return [message]

        return alter

    def side(role: Role) -> Callable[[MemoryStream], Any]:
        def run(stream: MemoryStream) -> Any:
            stream.alter = watch(role)
            return drive(
                match_session(role, identifiers(range(4))),
                stream,
                on_agreed=lambda agreed: order.append(f"{role} charges {agreed.partner_size}"),
            )

        return run

    ends = run_both({role: side(role) for role in Role})
    assert ends[Role.INITIATOR].count == 4
    assert order.index("responder charges 4") < order.index("responder: Hello")
    for role in Role:
        assert order.index(f"{role} charges 4") < order.index(f"{role}: Blinded")


@pytest.mark.parametrize("role", list(Role))
def test_a_guard_that_refuses_ends_the_match_before_a_point_left(role: Role) -> None:
    sent: list[type] = []

    def watch(message: Any) -> list[Any]:
        sent.append(type(message))
        return [message]

    def refuse(_: Any) -> None:
        raise MutualsError(ErrorCode.BUDGET_EXHAUSTED, "The budget is used up.")

    def side(own: Role) -> Callable[[MemoryStream], Any]:
        def run(stream: MemoryStream) -> Any:
            if own is role:
                stream.alter = watch
            session = match_session(own, identifiers(range(4)))
            return drive(session, stream, on_agreed=refuse if own is role else lambda _: None)

        return run

    ends = run_both({own: side(own) for own in Role})
    error = ends.errors[role]
    assert isinstance(error, MutualsError)
    assert error.code is ErrorCode.BUDGET_EXHAUSTED
    assert sent == ([Hello] if role is Role.INITIATOR else [])


def test_a_lost_connection_ends_both_sides() -> None:
    streams: list[MemoryStream] = []
    lists = {role: identifiers(range(6 * WORK_SIZE)) for role in Role}

    def cut(message: Any) -> list[Any]:
        if isinstance(message, Blinded) and message.start:
            streams[0].close()
        return [message]

    def side(role: Role) -> Callable[[MemoryStream], Any]:
        def run(stream: MemoryStream) -> Any:
            if role is Role.INITIATOR:
                streams.append(stream)
                stream.alter = cut
            return drive(match_session(role, lists[role]), stream)

        return run

    ends = run_both({role: side(role) for role in Role})
    codes = [error.code for error in ends.errors.values() if isinstance(error, MutualsError)]
    assert codes == [ErrorCode.UNREACHABLE] * 2


def test_a_bad_point_found_by_a_worker_is_the_partners_fault() -> None:
    class Finds(InlinePool):
        def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
            if operation is Operation.REBLIND:
                future: Future[bytes] = Future()
                future.set_exception(PartnerFault(ErrorCode.BAD_MESSAGE, "Not on the curve."))
                return future
            return super().submit(engine, operation, key, data)

    ends = match_lists({role: identifiers(range(4)) for role in Role}, pool=Finds({"toy": TOY}))
    assert any(isinstance(error, PartnerFault) for error in ends.errors.values())


def test_progress_counts_every_item_of_both_lists() -> None:
    class Tally:
        def __init__(self) -> None:
            self.stages: list[tuple[str, int]] = []
            self.items = 0

        def stage(self, name: str, total: int) -> None:
            self.stages.append((name, total))

        def advance(self, items: int) -> None:
            self.items += items

    tally = Tally()
    lists = {Role.INITIATOR: identifiers(range(3000)), Role.RESPONDER: identifiers(range(100))}
    run_both(
        {
            role: lambda stream, role=role: drive(
                match_session(role, lists[role]), stream, progress=tally if role is Role.INITIATOR else None
            )
            for role in Role
        }
    )
    assert [stage for stage in tally.stages if stage != ("the partner finishes blinding", 0)] == [
        ("the partner reads its contacts", 0),
        ("blinding both lists", 3100),
        ("comparing", 3100),
    ]
    assert tally.items == 2 * 3100


def test_work_grows_with_the_sum_of_both_lists() -> None:
    """Each side blinds its own items and blinds the partner's again, and nothing else, however unequal they are."""
    done: dict[Role, list[int]] = {role: [] for role in Role}

    def pool(role: Role) -> InlinePool:
        class Counting(InlinePool):
            def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
                done[role].append(len(data) // (32 if operation is Operation.BLIND else TOY.point_size))
                return super().submit(engine, operation, key, data)

        return Counting({"toy": TOY})

    lists = {Role.INITIATOR: identifiers(range(3)), Role.RESPONDER: identifiers(range(2, 6000))}
    ends = run_both(
        {
            role: lambda stream, role=role: drive(match_session(role, lists[role]), stream, pool(role))
            for role in Role
        }
    )
    assert ends[Role.INITIATOR].count == ends[Role.RESPONDER].count == 1
    assert {role: sum(sizes) for role, sizes in done.items()} == dict.fromkeys(Role, 3 + 5998)


def test_the_last_message_is_out_before_the_driver_returns() -> None:
    """Our Counted may be ready when the partner's is already in; the partner still needs it."""
    for _ in range(20):
        ends = match_lists({role: identifiers(range(3)) for role in Role})
        assert not ends.errors


def test_a_driver_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    match_lists({role: identifiers(range(50)) for role in Role})
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_failed_driver_leaves_no_thread_once_the_stream_is_closed() -> None:
    before = threading.active_count()
    bad = {Role.RESPONDER: lambda m: [Counted(bytes(64))] if isinstance(m, Blinded) else [m]}
    ends = match_lists({role: identifiers(range(50)) for role in Role}, alter=bad)
    assert isinstance(ends.errors[Role.INITIATOR], PartnerFault)
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_session_is_destroyed_however_it_ends() -> None:
    seen: list[MatchSession] = []

    def side(role: Role) -> Callable[[MemoryStream], Any]:
        def run(stream: MemoryStream) -> Any:
            session = match_session(role, identifiers(range(9)))
            seen.append(session)
            return drive(session, stream)

        return run

    run_both({role: side(role) for role in Role})
    assert [session._key for session in seen] == [None, None]
    assert [len(session._items) for session in seen] == [0, 0]
