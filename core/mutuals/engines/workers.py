"""Where curve arithmetic happens: worker processes, so that all cores work and a crash of the library ends one run.

    with WorkerPool() as pool:                        # before any gRPC object exists
        future = pool.submit("openmined", Operation.BLIND, key, items)
        points = future.result()

Workers are spawned, never forked (gRPC and threads do not survive a fork), hold no state between tasks, ignore
Ctrl-C, and end by themselves when their parent dies, however it dies. A ``submit`` is one chunk of a few thousand
items: callers keep a bounded number in flight.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from mutuals.engines import engine_names, get_engine
from mutuals.engines.base import ITEM_SIZE, Engine, Operation
from mutuals.errors import ErrorCode, MutualsError

START_SECONDS = 120
"""How long the workers may take to come up before ``start`` gives up."""


class Pool(Protocol):
    """What the drivers need of a pool; ``WorkerPool`` is one, a cluster's executor can be another."""

    @property
    def processes(self) -> int:
        """How many tasks run at the same time."""

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """Run ``perform`` with these arguments somewhere. The future raises what ``perform`` raises, or
        MutualsError (WORKER_DIED) where the worker was lost."""


def perform(engine: str, operation: Operation, key: bytes, data: bytes) -> bytes:
    """One task: blind items or reblind points, in whatever process this is called."""
    return _apply(get_engine(engine), operation, key, data)


def _apply(engine: Engine, operation: Operation, key: bytes, data: bytes) -> bytes:
    if operation is Operation.BLIND:
        return engine.blind(key, data)
    return engine.reblind(key, data)


class InlinePool:
    """A pool that computes in the caller, for tests and tiny lists; ``engines`` adds engines by name."""

    processes = 1

    def __init__(self, engines: Mapping[str, Engine] | None = None) -> None:
        self._engines = dict(engines or {})

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """See ``Pool.submit``; the future is done on return."""
        future: Future[bytes] = Future()
        try:
            future.set_result(_apply(self._engines.get(engine) or get_engine(engine), operation, key, data))
        except Exception as error:
            future.set_exception(error)
        return future


class WorkerPool:
    """Spawned worker processes, ``processes`` of them (default: one for each core this process may use).

    Thread-safe. After a worker died, the futures in flight raise MutualsError (WORKER_DIED) and the next ``submit``
    starts a fresh set of workers.
    """

    def __init__(self, processes: int | None = None) -> None:
        if processes is not None and processes < 1:
            raise MutualsError(ErrorCode.USAGE, "A worker pool needs at least one process.")
        self.processes = processes or _usable_cores()
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._closed = False

    def start(self) -> None:
        """Bring all workers up, libraries loaded. Returns once every one has done a first task.

        Raises MutualsError (WORKER_DIED) where they do not come up.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            if self._executor is None:
                self._executor = self._spawn()

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """See ``Pool.submit``. Starts the pool if nobody has."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            if self._executor is None:
                self._executor = self._spawn()
            try:
                inner = self._executor.submit(perform, engine, operation, key, data)
            except BrokenExecutor:
                self._executor.shutdown(wait=False)
                self._executor = self._spawn()
                inner = self._executor.submit(perform, engine, operation, key, data)
        return _translated(inner)

    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers, for `mutuals doctor` and for tests that kill one."""
        with self._lock:
            # The executor has no public way to name its processes; the attribute is stable since Python 3.2.
            processes: Any = getattr(self._executor, "_processes", None) or {}
            return tuple(processes)

    def close(self) -> None:
        """Drop what waits, let what runs end (a third of a second), end the workers. May be called twice."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(self.processes)
        executor = ProcessPoolExecutor(
            self.processes, mp_context=context, initializer=_prepare_worker, initargs=(barrier,)
        )
        # The executor starts a process for each task that finds no idle worker, and the barrier keeps a fast
        # worker from taking two: after these tasks, all are up.
        try:
            with _InterruptsBlocked():
                warm = [executor.submit(_warm_up) for _ in range(self.processes)]
            for future in warm:
                future.result(timeout=START_SECONDS)
        except (BrokenExecutor, TimeoutError, threading.BrokenBarrierError) as error:
            executor.shutdown(wait=False, cancel_futures=True)
            raise MutualsError(
                ErrorCode.WORKER_DIED,
                "The worker processes did not come up.",
                hint="Run `mutuals doctor`; memory limits and antivirus programs are the usual causes.",
            ) from error
        return executor


def _translated(inner: Future[bytes]) -> Future[bytes]:
    """A future that follows ``inner`` and speaks of a lost worker in our words; cancelling it cancels ``inner``."""
    outer: Future[bytes] = Future()

    def follow(done: Future[bytes]) -> None:
        if done.cancelled() or not outer.set_running_or_notify_cancel():
            outer.cancel()
            return
        error = done.exception()
        if error is None:
            outer.set_result(done.result())
        elif isinstance(error, BrokenExecutor):
            outer.set_exception(
                MutualsError(
                    ErrorCode.WORKER_DIED,
                    "A worker process died; the run failed.",
                    hint="Repeat the command.",
                )
            )
        else:
            outer.set_exception(error)

    def give_up(cancelled: Future[bytes]) -> None:
        if cancelled.cancelled():
            inner.cancel()

    inner.add_done_callback(follow)
    outer.add_done_callback(give_up)
    return outer


def _usable_cores() -> int:
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


# --- in the worker ------------------------------------------------------------------------------------------------

_barrier: Any = None


def _prepare_worker(barrier: Any) -> None:
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


def _warm_up() -> None:
    """Load the engines, then wait for the other workers."""
    for name in engine_names():
        with suppress(MutualsError):
            engine = get_engine(name)
            engine.blind(engine.generate_key(), bytes(ITEM_SIZE))
    _barrier.wait(START_SECONDS)
