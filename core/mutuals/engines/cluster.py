"""Curve arithmetic on a cluster of one's own, through the executor of dask.distributed (docs/adr/0013).

    with ClusterPool(Cluster("tls://scheduler:8786", TlsFiles(ca, certificate, key))) as pool:
        points = pool.submit("x25519", Operation.BLIND, key, items).result()

A worker sees the run's key and items, or the partner's points, in the clear; and whoever speaks for the scheduler can
run code here, because dask's messages are pickles. So a cluster belongs to the peer as its own machine does, and
anything but this very machine is reached by mutual TLS alone. Chunks of a lost worker are done again by another; a lost
scheduler ends the runs under way, and the next one calls it anew. The only module that imports dask.
"""

from __future__ import annotations

import json
import logging
import queue
import ssl
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mutuals.engines import get_engine, remote
from mutuals.engines.base import ITEM_SIZE, Operation
from mutuals.errors import ErrorCode, MutualsError

CONNECT_SECONDS = 10
"""How long the scheduler may take to answer, and how long a cluster may be without any worker at the start."""

PATIENCE_SECONDS = 60.0
"""How long work may wait while the cluster has no worker at all."""

_TICK_SECONDS = 0.5
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "bokeh", "tornado", "tornado.application")


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the authority that signed everybody in the cluster, and this peer's certificate and key."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Cluster:
    """Where the scheduler is; without ``tls`` only on this machine."""

    address: str
    tls: TlsFiles | None = None


@dataclass(frozen=True, eq=False)
class _Task:
    point_size: int
    count: int
    future: Future[bytes] = field(default_factory=Future)


class ClusterPool:
    """A ``Pool`` whose workers are those of a dask cluster. Thread-safe.

    ``x25519_backend`` forces what computes X25519, on every worker. ``patience`` is how many seconds work may wait
    while there is no worker at all.
    """

    def __init__(
        self, cluster: Cluster, *, x25519_backend: str | None = None, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._cluster = cluster
        self._x25519_backend = x25519_backend
        self._patience = patience
        # Dask's thread tells what is finished under ``_lock``, so nobody asks dask anything while holding that one.
        self._lock = threading.Lock()
        self._calling = threading.RLock()
        self._client: Any = None
        self._executor: Any = None
        self._threads = 1
        self._workers: dict[str, dict[str, str | None]] = {}
        self._tasks: dict[_Task, Future[Any]] = {}
        self._cancelled: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
        self._watch: threading.Thread | None = None
        self._closed = False

    @property
    def executor(self) -> str:
        """See ``Pool.executor``."""
        return self._cluster.address

    @property
    def processes(self) -> int:
        """See ``Pool.processes``: the threads of all workers, as of now or when the scheduler last told."""
        client = self._client
        with suppress(Exception):
            if client is not None and client.status == "running":
                self._threads = max(1, sum(client.nthreads().values()))
        return self._threads

    def worker_backends(self) -> dict[str, str | None]:
        """By address, what each worker computes X25519 with. Raises as ``start`` does."""
        return {address: found.get("x25519") for address, found in self._survey().items()}

    def backend(self, engine: str) -> str | None:
        """See ``Pool.backend``; asks the workers that are new. Raises as ``start`` does."""
        names = {found.get(engine) for found in self._survey().values()}
        return " and ".join(sorted(name for name in names if name is not None)) or None

    def start(self) -> None:
        """Call the scheduler, and see that every worker has this release and the forced backend.

        Raises MutualsError: WORKER_DIED where the cluster cannot be reached or has no worker, LOCAL where the extra is
        not installed, a TLS file cannot be used or a worker runs another release, ENGINE_MISMATCH where a worker
        cannot run the forced backend.
        """
        with self._calling:
            self._survey()
            if self._watch is None:
                self._watch = threading.Thread(target=self._keep_watch, name="cluster-watch", daemon=True)
                self._watch.start()

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        """See ``Pool.submit``. Calls the scheduler anew where it was lost."""
        size = get_engine(engine).point_size
        task = _Task(size, len(data) // (ITEM_SIZE if operation is Operation.BLIND else size))
        order = remote.Task(remote.release(), engine, operation, self._x25519_backend, key, data)
        try:
            with self._calling:
                _, executor = self._connected()
                inner: Future[Any] = executor.submit(remote.compute, order)
        except MutualsError as error:
            task.future.set_exception(error)
            return task.future
        with self._lock:
            self._tasks[task] = inner
        task.future.add_done_callback(lambda outer: self._dropped(task) if outer.cancelled() else None)
        inner.add_done_callback(lambda done: self._finished(task, done))
        return task.future

    def check(self) -> None:
        """See ``Pool.check``. Raises as ``start`` does."""
        self._survey()

    def close(self) -> None:
        """Fail what is under way and leave the cluster, which lives on. May be called twice."""
        with self._calling:
            self._closed = True
            client, self._client, self._executor = self._client, None, None
            watch, self._watch = self._watch, None
        self._fail_all(MutualsError(ErrorCode.CANCELLED, "The workers were stopped; the run ended."))
        if watch is not None:
            self._cancelled.put(None)
            watch.join()
        _close(client)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the connection ---------------------------------------------------------------------------------------------

    def _connected(self) -> tuple[Any, Any]:
        """A client that is connected, and its executor; called while ``_calling`` is held. Raises MutualsError."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        if self._client is None or self._client.status != "running":
            _close(self._client)
            self._client = None
            self._client = _connect(self._cluster)
            self._executor = self._client.get_executor(pure=False)
            self._workers = {}
        return self._client, self._executor

    def _survey(self) -> dict[str, dict[str, str | None]]:
        """The backends of every worker by its address, after those not known yet were asked."""
        with self._calling:
            client, _ = self._connected()
            try:
                client.wait_for_workers(1, timeout=CONNECT_SECONDS)
                threads = client.nthreads()
                asked = {
                    address: client.submit(
                        remote.probe,
                        remote.release(),
                        self._x25519_backend,
                        workers=[address],
                        allow_other_workers=False,
                        pure=False,
                    )
                    for address in threads
                    if address not in self._workers
                }
                answers = {address: future.result(CONNECT_SECONDS) for address, future in asked.items()}
            except MutualsError:
                raise
            except Exception as error:
                raise self._unfit(client, error) from error
            known = {address: found for address, found in self._workers.items() if address in threads}
            self._workers = known | {address: _backends(answer) for address, answer in answers.items()}
            self._threads = max(1, sum(threads.values()))
            return self._workers

    def _unfit(self, client: Any, error: Exception) -> MutualsError:
        with suppress(Exception):
            if not client.nthreads():
                return _no_workers(self._cluster.address)
        if isinstance(error, TimeoutError | OSError):
            return _lost(self._cluster.address)
        return MutualsError(
            ErrorCode.WORKER_DIED,
            f"The workers of the cluster {self._cluster.address} cannot compute ({type(error).__name__}).",
            hint="Install the same release of mutuals on every worker: see docs/operations.md.",
        )

    # --- work under way ---------------------------------------------------------------------------------------------

    def _finished(self, task: _Task, inner: Future[Any]) -> None:
        """Called in dask's thread. Whoever takes the task out of the table tells its future, and nobody else."""
        if not self._taken(task) or not task.future.set_running_or_notify_cancel():
            return
        try:
            task.future.set_result(self._points(task, inner))
        except MutualsError as error:
            task.future.set_exception(error)

    def _points(self, task: _Task, inner: Future[Any]) -> bytes:
        if inner.cancelled():
            raise _lost(self._cluster.address)
        error = inner.exception()
        if error is not None:
            raise MutualsError(
                ErrorCode.WORKER_DIED,
                f"The workers of the cluster failed ({type(error).__name__}); the run ended.",
                hint="Look at their logs, then repeat the command; docs/operations.md says what they need.",
            )
        points = remote.content(inner.result())
        if len(points) != task.count * task.point_size:
            raise MutualsError(ErrorCode.INTERNAL, "A worker of the cluster sent another number of points.")
        return points

    def _dropped(self, task: _Task) -> None:
        with self._lock:
            inner = self._tasks.pop(task, None)
        if inner is not None:
            self._cancelled.put(inner)  # which asks the scheduler, and nobody here waits for that

    def _taken(self, task: _Task) -> bool:
        with self._lock:
            return self._tasks.pop(task, None) is not None

    def _fail_all(self, error: MutualsError) -> None:
        with self._lock:
            tasks = list(self._tasks)
            self._tasks.clear()
        for task in tasks:
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(error)

    def _keep_watch(self) -> None:
        """Pass cancellations on; fail what can never finish, which dask leaves waiting."""
        alone_since: float | None = None
        while True:
            with suppress(queue.Empty):
                inner = self._cancelled.get(timeout=_TICK_SECONDS)
                if inner is None:
                    return
                inner.cancel()
                continue
            client = self._client
            if client is None or not self._tasks:
                alone_since = None
                continue
            if client.status != "running":
                self._fail_all(_lost(self._cluster.address))
                continue
            alone = False
            with suppress(Exception):  # of the connection, whose status tells at the next turn
                alone = not client.nthreads()
            alone_since = (alone_since or time.monotonic()) if alone else None
            if alone_since is not None and time.monotonic() - alone_since >= self._patience:
                self._fail_all(_no_workers(self._cluster.address))


def _connect(cluster: Cluster) -> Any:
    try:
        dask: Any = import_module("distributed")
    except ImportError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            "config.toml names a cluster as executor, and the extra mutuals[cluster] is not installed.",
            hint='Install it: pip install "mutuals[cluster]", or remove executor from config.toml.',
        ) from error
    _hush()
    security = None
    if cluster.tls is not None:
        security = dask.Security(
            require_encryption=True,
            tls_ca_file=str(cluster.tls.ca),
            tls_client_cert=str(cluster.tls.certificate),
            tls_client_key=str(cluster.tls.key),
            tls_min_version=ssl.TLSVersion.TLSv1_3,
        )
    try:
        return dask.Client(
            cluster.address,
            security=security,
            timeout=CONNECT_SECONDS,
            set_as_default=False,
            direct_to_workers=False,
        )
    except (ssl.SSLError, FileNotFoundError) as error:
        raise _bad_files() from error
    except OSError as error:
        raise _lost(cluster.address) from error


def _hush() -> None:
    """Dask prints log lines with texts of exceptions on standard error; our own sentences say what failed."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False


def _close(client: Any) -> None:
    if client is not None:
        with suppress(Exception):
            client.close(timeout=CONNECT_SECONDS)


def _backends(answer: object) -> dict[str, str | None]:
    found = json.loads(remote.content(answer))
    return {str(engine): None if name is None else str(name) for engine, name in dict(found).items()}


def _lost(address: str) -> MutualsError:
    return MutualsError(
        ErrorCode.WORKER_DIED,
        f"The scheduler of the cluster {address} does not answer; no run can go on.",
        hint="Start it, with a certificate of the same authority, or remove executor from config.toml to compute here.",
    )


def _no_workers(address: str) -> MutualsError:
    return MutualsError(
        ErrorCode.WORKER_DIED,
        f"The cluster {address} has no workers.",
        hint="Start some, as docs/operations.md shows; then repeat the command.",
    )


def _bad_files() -> MutualsError:
    return MutualsError(
        ErrorCode.LOCAL,
        "The TLS files for the cluster cannot be used.",
        hint="executor_ca, executor_cert and executor_key in config.toml name PEM files; the key belongs to the "
        "certificate.",
    )
