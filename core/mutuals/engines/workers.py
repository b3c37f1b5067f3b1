"""Where curve arithmetic happens: worker processes, so that all cores work and a crash of the library ends one run.

    with WorkerPool() as pool:                        # before any gRPC object exists
        future = pool.submit("openmined", Operation.BLIND, key, items)
        points = future.result()

Workers are spawned, never forked (gRPC and threads do not survive a fork), hold no state between tasks, ignore
Ctrl-C, and end by themselves when their parent dies, however it dies. Their standard error goes nowhere: what fails
in a worker is told by the future, or by its end. A ``submit`` is one chunk of a few thousand items: callers keep a
bounded number in flight.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self, TypeVar

from mutuals.engines import engine_names, get_engine
from mutuals.engines.base import ITEM_SIZE, Engine, Operation
from mutuals.errors import ErrorCode, MutualsError
from mutuals.hardening import protect_process
from mutuals.unhandled import keep_texts_quiet

START_SECONDS = 120
"""How long the workers may take to come up before ``start`` gives up."""

LOCAL = "local"
"""The name of worker processes on this machine, where a cluster has its scheduler's address."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class Pool(Protocol):
    """What the drivers need of a pool: ``WorkerPool`` is one, ``mutuals.engines.cluster.ClusterPool`` another."""

    @property
    def processes(self) -> int:
        """How many tasks run at the same time."""

    @property
    def executor(self) -> str:
        """Where tasks run: ``LOCAL``, or the address of a cluster's scheduler."""

    def backend(self, engine: str) -> str | None:
        """What computes the arithmetic of ``engine`` in the workers, where it leaves a choice: ``cryptography`` or
        ``crypto_mb``, or both, joined by “and”, where workers differ."""

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """Run ``perform`` with these arguments somewhere. The future raises what ``perform`` raises, or
        MutualsError (WORKER_DIED) where the worker was lost."""

    def check(self) -> None:
        """Look whether work could be done now, and replace workers that were lost while nobody needed them.

        May take as long as workers take to start. Raises MutualsError where it could not."""


def perform(
    engine: str, operation: Operation, key: bytes, data: bytes, x25519_backend: str | None = None
) -> bytes:
    """One task: blind items or reblind points, in whatever process this is called."""
    return _apply(get_engine(engine, x25519_backend), operation, key, data)


def backends_here(x25519_backend: str | None = None) -> dict[str, str | None]:
    """The engines this machine runs and the backend of each; every one has been used once, so its library is loaded.

    Raises MutualsError (ENGINE_MISMATCH) where ``x25519_backend`` is forced and does not run here.
    """
    found: dict[str, str | None] = {}
    for name in engine_names():
        try:
            engine = get_engine(name, x25519_backend)
            engine.blind(engine.generate_key(), bytes(ITEM_SIZE))
        except MutualsError:
            if x25519_backend is not None and name == "x25519":
                raise
            continue
        found[name] = engine.backend
    return found


def _apply(engine: Engine, operation: Operation, key: bytes, data: bytes) -> bytes:
    if operation is Operation.BLIND:
        return engine.blind(key, data)
    return engine.reblind(key, data)


class InlinePool:
    """A pool that computes in the caller, for tests and tiny lists; ``engines`` adds engines by name."""

    processes = 1
    executor = LOCAL

    def __init__(self, engines: Mapping[str, Engine] | None = None) -> None:
        self._engines = dict(engines or {})

    def backend(self, engine: str) -> str | None:
        """See ``Pool.backend``."""
        return self._engine(engine).backend

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """See ``Pool.submit``; the future is done on return."""
        future: Future[bytes] = Future()
        try:
            future.set_result(_apply(self._engine(engine), operation, key, data))
        except Exception as error:
            future.set_exception(error)
        return future

    def check(self) -> None:
        """See ``Pool.check``."""

    def _engine(self, name: str) -> Engine:
        return self._engines.get(name) or get_engine(name)


@dataclass(frozen=True, eq=False)
class _Task:
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = field(repr=False)
    future: Future[Any] = field(default_factory=Future)


class WorkerPool:
    """Spawned worker processes, ``processes`` of them (default: one for each core this process may use).

    ``x25519_backend`` forces what computes X25519 (default: the fastest that runs here). Thread-safe. After a worker
    died, the futures in flight raise MutualsError (WORKER_DIED) and the next ``submit`` starts a fresh set of workers.
    A future that still waits for a worker can be cancelled.
    """

    # The executor gets hardly more tasks than it has workers; the others wait here, where cancelling them is safe:
    # in CPython 3.11 an executor that breaks with a cancelled future in its queue never finishes the other futures.
    # No method of an executor is called while the lock is held: from 3.12 on it may call us holding one of its own.

    executor = LOCAL

    def __init__(self, processes: int | None = None, *, x25519_backend: str | None = None) -> None:
        if processes is not None and processes < 1:
            raise MutualsError(ErrorCode.USAGE, "A worker pool needs at least one process.")
        self.processes = processes or usable_cores()
        self._x25519_backend = x25519_backend
        self._backends: dict[str, str | None] = {}
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._waiting: deque[_Task] = deque()
        self._running = 0
        self._closed = False

    def start(self) -> None:
        """Bring all workers up, libraries loaded. Returns once every one has done a first task.

        Raises MutualsError (WORKER_DIED) where they do not come up, ENGINE_MISMATCH where the forced backend does
        not run in them.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            if self._executor is None:
                self._start()

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """See ``Pool.submit``. Starts the pool if nobody has, or if its workers are lost."""
        return self._enqueue(_Task(perform, (engine, operation, key, data, self._x25519_backend)))

    def map(self, function: Callable[[Given], Made], arguments: Iterable[Given], /) -> Iterator[Made]:
        """As the built-in ``map``, on all cores; hardly more arguments are taken than are being worked on.

        ``function`` belongs to a module; arguments and results are pickled. Raises what it raises, or MutualsError
        (WORKER_DIED).
        """
        ahead: deque[Future[Any]] = deque()
        try:
            for argument in arguments:
                ahead.append(self._enqueue(_Task(function, (argument,))))
                if len(ahead) > 2 * self.processes:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def _enqueue(self, task: _Task) -> Future[Any]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._waiting.append(task)
        self._dispatch(respawn=True)
        return task.future

    def backend(self, engine: str) -> str | None:
        """See ``Pool.backend``. Starts the pool if nobody has."""
        if engine not in self._backends:
            self.start()
        return self._backends.get(engine)

    def check(self) -> None:
        """See ``Pool.check``."""
        with self._lock:
            # An executor says so only to who submits; the attribute is stable since Python 3.2.
            if getattr(self._executor, "_broken", False):
                self._executor = None
        self.start()

    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers, for `mutuals doctor` and for tests that kill one."""
        # The executor has no public way to name its processes; the attribute is stable since Python 3.2.
        processes: Any = getattr(self._executor, "_processes", None) or {}
        return tuple(processes)

    def close(self) -> None:
        """Drop what waits, let what runs end (a third of a second), end the workers. May be called twice."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
            dropped = self._take_waiting()
        _fail(dropped, _stopped())
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _dispatch(self, *, respawn: bool = False) -> None:
        """Hand waiting tasks to idle workers, and one more than there are, so that none waits for us."""
        while True:
            try:
                turn = self._next(respawn)
            except MutualsError as error:
                with self._lock:
                    lost = self._take_waiting()
                _fail(lost, error)
                return
            if turn is None:
                return
            task, executor = turn
            try:
                inner = executor.submit(task.function, *task.arguments)
            except RuntimeError as error:  # BrokenExecutor is one
                if respawn and isinstance(error, BrokenExecutor):
                    self._put_back(task, executor)
                    continue
                inner = Future()
                inner.set_exception(error)
            inner.add_done_callback(partial(self._finished, task, executor))

    def _next(self, respawn: bool) -> tuple[_Task, ProcessPoolExecutor] | None:
        with self._lock:
            while self._waiting and self._running <= self.processes:
                executor = self._executor
                if executor is None:
                    if not respawn or self._closed:
                        return None
                    executor = self._start()
                task = self._waiting.popleft()
                if task.future.running() or task.future.set_running_or_notify_cancel():
                    self._running += 1
                    return task, executor
            return None

    def _start(self) -> ProcessPoolExecutor:
        self._executor, self._backends = _spawn(self.processes, self._x25519_backend)
        return self._executor

    def _put_back(self, task: _Task, broken: ProcessPoolExecutor) -> None:
        """The workers were lost while idle; this task is the first to notice, and nothing was lost with them."""
        with self._lock:
            self._running -= 1
            self._waiting.appendleft(task)
            if self._executor is broken:
                self._executor = None

    def _finished(self, task: _Task, executor: ProcessPoolExecutor, inner: Future[Any]) -> None:
        error = None if inner.cancelled() else inner.exception()
        lost: list[_Task] = []
        with self._lock:
            self._running -= 1
            if isinstance(error, BrokenExecutor) and self._executor is executor:
                self._executor = None
                lost = self._take_waiting()
        if inner.cancelled():
            task.future.set_exception(_stopped())
        elif isinstance(error, BrokenExecutor):
            _fail([task, *lost], _worker_died())
        elif error is not None:
            task.future.set_exception(error)
        else:
            task.future.set_result(inner.result())
        self._dispatch()

    def _take_waiting(self) -> list[_Task]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def _fail(tasks: list[_Task], error: MutualsError) -> None:
    for task in tasks:
        if task.future.running() or task.future.set_running_or_notify_cancel():
            task.future.set_exception(error)


def _stopped() -> MutualsError:
    return MutualsError(ErrorCode.CANCELLED, "The workers were stopped; the run ended.")


def _spawn(processes: int, x25519_backend: str | None) -> tuple[ProcessPoolExecutor, dict[str, str | None]]:
    """Workers that are up, and the backends of their engines."""
    context = _Context()
    barrier = context.Barrier(processes)
    executor = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_prepare_worker, initargs=(barrier,)
    )
    # The executor starts a process for each task that finds no idle worker, and the barrier keeps a fast
    # worker from taking two: after these tasks, all are up.
    try:
        with _InterruptsBlocked(), _without_main():
            warm = [executor.submit(_warm_up, x25519_backend) for _ in range(processes)]
        backends, *_ = [future.result(timeout=START_SECONDS) for future in warm]
    except BaseException as error:
        # Also at Ctrl-C, and before the barrier goes: workers that are still coming up would look for it.
        _kill(executor)
        if isinstance(error, BrokenExecutor | TimeoutError | threading.BrokenBarrierError):
            raise MutualsError(
                ErrorCode.WORKER_DIED,
                "The worker processes did not come up.",
                hint="Memory limits and security software are the usual causes; see docs/operations.md.",
            ) from error
        raise
    return executor, backends


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes started inside do not load the program that starts them, which they need nothing of: 45 MB each."""
    # A child repeats the imports of whatever ``__main__`` is at the time; there is no public way to keep it from that.
    with _one_without_main:  # two threads at once would put back each other's stand-in
        program = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = program


_one_without_main = threading.Lock()


def _kill(executor: ProcessPoolExecutor) -> None:
    """End the workers at once, whatever they do, and wait until they are gone."""
    # No public way before Python 3.14; see ``worker_pids``. Nothing is cancelled: the futures end with the workers.
    processes: Any = getattr(executor, "_processes", None) or {}
    for process in list(processes.values()):
        process.kill()
    executor.shutdown(wait=True)


def _worker_died() -> MutualsError:
    return MutualsError(
        ErrorCode.WORKER_DIED, "A worker process died; the run failed.", hint="Repeat the command."
    )


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _InterruptsBlocked:
    """Processes started inside never see Ctrl-C: they inherit the signal mask. In the parent it waits meanwhile."""

    def __enter__(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


class _SilentProcess(SpawnProcess):
    """A process that is silent before it takes over what its parent hands it, which may be gone by then."""

    def __reduce__(self) -> tuple[Callable[[], SpawnProcess], tuple[()], dict[str, Any]]:
        """The state is read after the call: Python would print a traceback of what fails there, and of tasks."""
        return _silent_process, (), self.__dict__


class _Context(SpawnContext):
    Process = _SilentProcess


# --- in the worker ------------------------------------------------------------------------------------------------

_barrier: Any = None


def _silent_process() -> SpawnProcess:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return _SilentProcess.__new__(_SilentProcess)


def _prepare_worker(barrier: Any) -> None:
    keep_texts_quiet("mutuals worker")
    protect_process()
    global _barrier  # noqa: PLW0603 - the executor gives an initialiser no other place
    _barrier = barrier
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()


def _end_with_parent() -> None:
    """Leave as soon as the parent is gone, whether it said goodbye or was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _warm_up(x25519_backend: str | None) -> dict[str, str | None]:
    """Load the engines, then wait for the other workers; what ``backends_here`` says."""
    backends = backends_here(x25519_backend)
    _barrier.wait(START_SECONDS)
    return backends
