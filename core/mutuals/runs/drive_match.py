"""Drives a ``MatchSession``: its messages over a stream, its work through a pool, within bounds (DESIGN §6).

One thread owns the session. A second waits in ``stream.receive`` when told to, a third in ``stream.send``, and both
report to the first, as finished work does; so a slow partner holds up neither our arithmetic nor the notice of a
cancellation. At most two pieces of work a worker are in flight for each direction, and as many messages wait to be
sent: that is all the memory that back-pressure needs.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mutuals.engines.base import Operation
from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.protocol.events import Agreed, Event, Finished, Send, SendAll, State
from mutuals.protocol.journal import Journal
from mutuals.protocol.lists import Work
from mutuals.protocol.match import MatchSession
from mutuals.protocol.messages import Hello, MatchMessage, Tags
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.transcript import TAG_SIZE
from mutuals.runs.ports import Cancelled, MessageStream, Progress

POLL_SECONDS = 0.2
"""How soon a cancellation is noticed."""

STAGE_HELLO = "the partner reads its contacts"
STAGE_POINTS = "blinding both lists"
STAGE_WAIT = "the partner finishes blinding"
STAGE_TAGS = "comparing"


@dataclass(frozen=True)
class Arrived:
    """The Open that the responder reads before it can make a session, and when it came.

    Reading a large source in between must not look like a wrong clock.
    """

    message: Hello
    at: datetime


def drive_match(
    session: MatchSession,
    pool: Pool,
    stream: MessageStream[MatchMessage, MatchMessage],
    progress: Progress,
    cancelled: Cancelled,
    *,
    on_agreed: Callable[[Agreed], Journal],
    opened: Arrived | None = None,
    resumed: list[Event] | None = None,
) -> MatchOutcome:
    """Run ``session`` to its end; the outcome.

    ``on_agreed`` is called once, in this thread, after both Hellos and before the first point leaves (and before the
    responder's Accept does): it stores the run, charges the budgets and gives the journal, and what it raises ends the
    match. The responder hands in the Open it has already read as ``opened``; whoever goes on with a match, the events
    that ``ResumedSession.resume`` gave as ``resumed``. Progress counts an item of ours once it is
    blinded, one of the partner's once it is blinded again; then the tags, sent and received.

    Raises the first error of session, stream, pool or hook; MutualsError (CANCELLED) once ``cancelled()`` is true.
    Whatever happens, the session is destroyed on return. A call blocked in the stream ends when the caller closes it.
    """
    drive = _MatchDrive(session, pool, stream, progress, cancelled, on_agreed)
    try:
        return drive.run(opened, resumed)
    finally:
        drive.stop()
        session.destroy()


@dataclass(frozen=True)
class _Came:
    message: MatchMessage


@dataclass(frozen=True)
class _Sent:
    message: MatchMessage | None


@dataclass(frozen=True)
class _Done:
    work: Work
    points: Future[bytes]


@dataclass(frozen=True)
class _Broke:
    error: BaseException


_Report = _Came | _Sent | _Done | _Broke


class _MatchDrive:
    def __init__(
        self,
        session: MatchSession,
        pool: Pool,
        stream: MessageStream[MatchMessage, MatchMessage],
        progress: Progress,
        cancelled: Cancelled,
        on_agreed: Callable[[Agreed], Journal],
    ) -> None:
        self._session = session
        self._pool = pool
        self._progress = progress
        self._cancelled = cancelled
        self._on_agreed = on_agreed
        self._bound = 2 * pool.processes
        self._reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
        self._waiting: dict[Operation, deque[Work]] = {operation: deque() for operation in Operation}
        self._running: dict[Operation, int] = dict.fromkeys(Operation, 0)
        self._futures: set[Future[bytes]] = set()
        self._unsent = 0
        self._unmade: deque[Iterator[MatchMessage]] = deque()
        self._receiving = False
        self._state = State.IDLE
        self._tags = 0
        self._outcome: MatchOutcome | None = None
        self._sender = _Lane("match-send", lambda message: self._send(stream, message), self._reports)
        self._receiver = _Lane("match-receive", lambda _: _Came(stream.receive()), self._reports)

    def run(self, opened: Arrived | None, resumed: list[Event] | None) -> MatchOutcome:
        session = self._session
        if resumed is not None:
            self._go_on(resumed)
        elif opened is not None:
            self._take(session.receive(opened.message, opened.at))
        else:
            self._progress.stage(STAGE_HELLO, 0)
            self._take(session.start())
        while True:
            if self._cancelled():
                raise MutualsError(ErrorCode.CANCELLED, "The match was cancelled.")
            self._feed()
            if self._outcome is not None and not (self._unsent or self._unmade):
                return self._outcome
            self._handle()

    def stop(self) -> None:
        """Cancel what waits for a worker, let the threads go."""
        for future in list(self._futures):
            future.cancel()
        self._sender.stop()
        self._receiver.stop()

    def _go_on(self, events: list[Event]) -> None:
        total, done = self._session.sizes()
        self._tags = total
        if self._session.state is State.BLINDING:
            self._progress.stage(STAGE_POINTS, total)
            self._progress.advance(done)
        self._take(events)

    def _feed(self) -> None:
        """Keep workers and receiver busy, within bounds."""
        self._submit(Operation.REBLIND, self._bound)
        # Points that wait to be sent count as well: a slow partner must not fill our memory.
        self._submit(Operation.BLIND, self._bound - self._unsent - len(self._unmade))
        while self._unmade and self._unsent < self._bound:
            message = next(self._unmade[0], None)
            if message is None:
                self._unmade.popleft()
            else:
                self._put(message)
        if not self._receiving and self._session.listening and not self._waiting[Operation.REBLIND]:
            self._receiving = True
            self._receiver.put(None)

    def _submit(self, operation: Operation, bound: int) -> None:
        waiting, session = self._waiting[operation], self._session
        while waiting and self._running[operation] < bound:
            work = waiting.popleft()
            future = self._pool.submit(session.engine.name, operation, session.key, session.input(work))
            self._running[operation] += 1
            self._futures.add(future)
            future.add_done_callback(partial(self._report, work))

    def _handle(self) -> None:
        try:
            report = self._reports.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return
        match report:
            case _Came(message):
                self._receiving = False
                self._take(self._session.receive(message))
                self._count_tags(message)
            case _Sent(message):
                self._unsent -= 1
                self._count_tags(message)
            case _Done(work, points):
                self._futures.discard(points)
                self._running[work.operation] -= 1
                # Before what follows from the last of them, which may begin the next stage.
                result = points.result()
                self._progress.advance(len(work))
                self._take(self._session.finish(work, result))
            case _Broke(error):
                raise error

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Send(message) if self._unmade:
                    self._unmade.append(iter((message,)))
                case Send(message):
                    self._put(message)
                case SendAll(messages):
                    self._unmade.append(messages)
                case Work():
                    self._waiting[event.operation].append(event)
                case Agreed():
                    self._tags = event.own_size + event.partner_size
                    journal = self._on_agreed(event)
                    self._progress.stage(STAGE_POINTS, event.own_size + event.partner_size)
                    self._take(self._session.proceed(journal))
                case Finished(outcome):
                    self._outcome = outcome
        state = self._session.state
        if state is not self._state and state in (State.COMMITTED, State.TAGGED):
            self._state = state
            if state is State.TAGGED:
                self._progress.stage(STAGE_TAGS, self._tags)
            else:
                self._progress.stage(STAGE_WAIT, 0)

    def _count_tags(self, message: MatchMessage | None) -> None:
        if isinstance(message, Tags):
            self._progress.advance(len(message.tags) // TAG_SIZE)

    def _put(self, message: MatchMessage) -> None:
        self._unsent += 1
        self._sender.put(message)

    def _report(self, work: Work, points: Future[bytes]) -> None:
        self._reports.put(_Done(work, points))

    @staticmethod
    def _send(stream: MessageStream[MatchMessage, MatchMessage], message: MatchMessage | None) -> _Report:
        if message is not None:
            stream.send(message)
        return _Sent(message)


class _Lane:
    """A thread that does one blocking thing for each order it gets, and reports how it went.

    A daemon: it may sit in the stream when a match fails, and then lives until the caller closes the stream.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[MatchMessage | None], _Report],
        reports: queue.SimpleQueue[_Report],
    ) -> None:
        self._work = work
        self._reports = reports
        self._orders: queue.SimpleQueue[tuple[bool, MatchMessage | None]] = queue.SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, message: MatchMessage | None) -> None:
        self._orders.put((True, message))

    def stop(self) -> None:
        self._stopped = True
        self._orders.put((False, None))
        self._thread.join(timeout=POLL_SECONDS)

    def _run(self) -> None:
        while True:
            go_on, message = self._orders.get()
            if not go_on or self._stopped:
                return
            try:
                report = self._work(message)
            except BaseException as error:
                self._reports.put(_Broke(error))
                return
            self._reports.put(report)
