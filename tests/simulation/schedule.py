"""One thing at a time, in an order that a seed decides: threads of which exactly one runs.

    scheduler = Scheduler(random.Random(seed))
    process = scheduler.process("left client")
    task = scheduler.start(process, "match", work)      # runs when its turn comes
    scheduler.wait(lambda: task.finished)               # in another task, or in the one that made the scheduler

The baton is handed over in ``wait`` only, so a seed replays exactly. A process that is killed loses all its tasks at
once: each is unwound by ``Killed`` before anything else happens, and what touches store or files meanwhile is refused.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any, ClassVar

STEPS_AT_MOST = 200_000
"""A simulation that takes more will never end."""


class Killed(BaseException):
    """The process that runs this is no more."""


class Stuck(AssertionError):
    """Nobody can go on, or nobody ever ends."""


class Process:
    """What dies as a whole; ``at_death`` is called then."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.at_death: list[Callable[[], None]] = []


class Sight:
    """When a task, or one of the threads that it is made of, last looked into the store, as the witness counts."""

    moment = 0


class Task:
    """A thread of a process. ``ready`` says whether it could go on; ``inside`` that it is in a transaction, after
    whose commit ``on_commit`` is called; ``sight`` when the last one began; ``about`` what it is
    meant to change.
    """

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name
        self.ready: Callable[[], bool] = _always
        self.wakes_at: float | None = None
        self.finished = False
        self.inside = False
        self.quiet = False
        self.sight = Sight()
        self.about: object = None
        self.on_commit: list[Callable[[], None]] = []
        self.baton = _no_baton()


class _Thread:
    """A thread that carries out one task after the other, of this simulation and of later ones."""

    idle: ClassVar[list[_Thread]] = []

    def __init__(self) -> None:
        self.baton = _no_baton()
        self.work: Callable[[], Task] | None = None
        """Ends by saying whose turn it is then."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.baton.acquire()
            work, self.work = self.work, None
            assert work is not None
            following = work()
            del work
            self.idle.append(self)
            following.baton.release()


def _no_baton() -> threading.Lock:
    """Held until somebody hands over: a lock is the quickest way from one thread to another."""
    baton = threading.Lock()
    baton.acquire()
    return baton


def _always() -> bool:
    return True


class Scheduler:
    """Gives the baton to one task after the other; the thread that made it is the first."""

    def __init__(self, chance: random.Random) -> None:
        self.now = 0.0
        """Seconds that went by while everybody waited."""
        self.steps = 0
        self.trace: list[str] = []
        self.failed: list[str] = []
        """Tasks that ended by an error, which none may."""
        self.when_idle: list[Callable[[], bool]] = []
        """Asked in turn where nobody can go on; the first that changes something says so."""
        self._chance = chance
        self._main = Task(Process("people"), "people")
        self._tasks = [self._main]
        self._fault: Stuck | None = None
        self.current = self._main

    def note(self, what: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{self.steps:6} {self.now:8.1f} {self.current.process.name:14} {what}")

    @property
    def of_people(self) -> bool:
        """Whether it is nobody's process that runs, but the simulation itself."""
        return self.current is self._main

    def digest(self) -> str:
        """What two runs of a seed have in common."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    def start(self, process: Process, name: str, work: Callable[[], None]) -> Task:
        """A new task, whose turn will come."""
        task = Task(process, name)

        def run() -> Task:
            try:
                if task.process.alive:
                    work()
            except Killed:
                pass
            except BaseException as error:  # what the product raises is judged by whoever called it
                self.failed.append(f"{process.name}: {name}: {error!r}")
            task.finished = True
            self._tasks.remove(task)
            self.current = self._next()
            return self.current

        thread = _Thread.idle.pop() if _Thread.idle else _Thread()
        thread.work, task.baton = run, thread.baton
        if self.current.process is process:
            task.sight = self.current.sight
        self._tasks.append(task)
        return task

    def wait(self, ready: Callable[[], bool] = _always, seconds: float | None = None) -> bool:
        """Let others go on until ``ready()``, or for so many ``seconds``; whether it came true."""
        me = self.current
        self._require_alive(me)
        me.ready = ready
        me.wakes_at = None if seconds is None else self.now + seconds
        following = self._next()
        if following is not me:
            self.current = following
            following.baton.release()
            me.baton.acquire()
        me.wakes_at = None
        self._require_alive(me)
        if me is self._main and self._fault is not None:
            raise self._fault
        return ready()

    def kill(self, process: Process) -> None:
        """End a process now; its other tasks are unwound first, then this one, if it is one of them."""
        if not process.alive:
            return
        self.note(f"{process.name} is killed")
        process.alive = False
        for call in process.at_death:
            call()
        self._require_alive(self.current)

    def finish(self) -> None:
        """Wait until nobody has anything left to do."""
        self.wait(lambda: len(self._tasks) == 1)

    def close(self) -> None:
        """End whatever still runs."""
        for task in self._tasks:
            if task is not self._main:
                task.process.alive = False
        self._fault = None
        while len(self._tasks) > 1:
            self.wait()

    def _require_alive(self, task: Task) -> None:
        if not task.process.alive:
            raise Killed

    def _next(self) -> Task:
        self.steps += 1
        for task in self._tasks:
            if not task.process.alive and task is not self._main:
                return task
        if self._fault is not None:
            return self._main
        if self.steps > STEPS_AT_MOST:
            return self._stuck("It never ends.")
        while True:
            ready = [task for task in self._tasks if task.ready is _always or task.ready()]
            if ready:
                return ready[0] if len(ready) == 1 else self._chance.choice(ready)
            if not self._pass_time() and not any(call() for call in self.when_idle):
                waiting = ", ".join(f"{task.process.name}: {task.name}" for task in self._tasks)
                return self._stuck(f"Everybody waits: {waiting}.")

    def _pass_time(self) -> bool:
        """Let the first of those who wait for a time go on."""
        sleeping = [task for task in self._tasks if task.wakes_at is not None]
        if not sleeping:
            return False
        first = min(sleeping, key=lambda task: task.wakes_at or 0.0)
        self.now = max(self.now, first.wakes_at or 0.0)
        first.ready = _always
        return True

    def _stuck(self, why: str) -> Task:
        self._fault = Stuck(why)
        return self._main


class Threads:
    """In place of the ``threading`` and ``queue`` that a module uses: the same names, under a scheduler."""

    Empty = Empty

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def Thread(self, *, target: Callable[[], None], name: str, daemon: bool) -> SimThread:
        """A thread of the process that makes it."""
        return SimThread(self._scheduler, target, name)

    def SimpleQueue(self) -> SimQueue:
        """A queue between threads."""
        return SimQueue(self._scheduler)


class SimThread:
    """As much of ``threading.Thread`` as the drivers use."""

    def __init__(self, scheduler: Scheduler, target: Callable[[], None], name: str) -> None:
        self._scheduler = scheduler
        self._target = target
        self._name = name

    def start(self) -> None:
        """Let it have its turn."""
        self._task = self._scheduler.start(self._scheduler.current.process, self._name, self._target)

    def join(self, timeout: float) -> None:
        """Wait until it has ended, or for ``timeout`` seconds, which may be over at once."""
        self._scheduler.wait()


class SimQueue:
    """As much of ``queue.SimpleQueue`` as the drivers use."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """Add an item."""
        self._items.append(item)

    def get(self, timeout: float | None = None) -> Any:
        """The next item. Nobody polls here: what would be noticed by a ``timeout`` comes as an item too."""
        self._scheduler.wait(lambda: bool(self._items))
        return self._items.popleft()
