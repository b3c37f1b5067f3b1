"""Other processes of the same company, that do to its store what a test tells them.

    with Job() as one, Job() as other:
        ran = at_once((one, charge, url, 30), (other, charge, url, 30))

A job is a process of its own, as a server or a scheduled command is. Peers are opened by it and closed at the end of
each task.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from store.samples import DAY, NOW, digest, hexed
from support import postgres

from mutuals.errors import MutualsError
from mutuals.models.run import RunState
from mutuals.store.database import Store

Task = Callable[..., Any]


class Job:
    """One process; ``start`` a task in it and get its ``result``. A MutualsError is a result."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()
        self._process.join(30)

    def start(self, task: Task, *arguments: Any) -> None:
        """Begin ``task``, a function of a module."""
        self._here.send((task, arguments))

    def result(self) -> Any:
        """What the task returned, or said by ``say`` before."""
        assert self._here.poll(120), "a job hangs"
        kind, value = self._here.recv()
        if kind == "raised" and not isinstance(value, MutualsError):
            raise value
        return value

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._signal(signal.SIGKILL)
        self._process.join(30)

    def freeze(self) -> None:
        """As ``kill -STOP`` does, or a machine that sleeps."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


def at_once(*tasks: tuple[Any, ...]) -> list[Any]:
    """Begin ``(job, task, arguments...)`` each, all together; their results."""
    for job, task, *arguments in tasks:
        job.start(task, *arguments)
    return [job.result() for job, *_ in tasks]


_to_parent: Connection | None = None


def _work(parent: Connection) -> None:
    global _to_parent  # noqa: PLW0603 - the process's own
    _to_parent = parent
    while True:
        try:
            task, arguments = parent.recv()
        except (EOFError, OSError):
            return
        try:
            outcome = ("returned", task(*arguments))
        except BaseException as error:
            outcome = ("raised", error)
        parent.send(outcome)


def say(value: Any) -> None:
    """Give the test a result before the task ends."""
    assert _to_parent is not None
    _to_parent.send(("said", value))


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = Store.open(url)
    try:
        yield store
    finally:
        store.close()


# --- tasks on a store --------------------------------------------------------------------------------------------


def nothing() -> None:
    """The job is up."""


def open_and_close(url: str) -> None:
    """Make the tables or bring them up to date."""
    with _opened(url):
        pass


def charge(url: str, worker: int, tries: int, allowed: int) -> int:
    """Charge up to ``tries`` runs of 10 items while the partner has fewer than ``allowed``; how many went through."""
    charged = 0
    with _opened(url) as store:
        for attempt in range(tries):
            with store.transaction() as tx:
                if tx.budgets.usage(hexed("Globex"), NOW - 30 * DAY).runs < allowed:
                    tx.budgets.charge(
                        hexed("Globex"), hexed("Spring"), digest(f"{worker}/{attempt}"), 10, NOW
                    )
                    tx.log.append(None, "charged", {"worker": worker}, NOW)
                    charged += 1
    return charged


def charge_same(url: str, sids: list[bytes]) -> None:
    """Charge these runs, whoever else does."""
    with _opened(url) as store:
        for sid in sids:
            with store.transaction() as tx:
                tx.budgets.charge(hexed("Globex"), hexed("Spring"), sid, 10, NOW)


def step(url: str, run_ids: list[str]) -> list[str]:
    """Take the step from matching to counted in each run; those in which this process did."""
    taken = []
    with _opened(url) as store:
        for run_id in run_ids:
            try:
                with store.transaction() as tx:
                    tx.runs.update(run_id, {RunState.MATCHING}, state=RunState.COUNTED, counted_at=NOW)
                    tx.log.append(None, "counted", {"run": run_id}, NOW)
            except MutualsError:
                continue
            taken.append(run_id)
    return taken


def hold(url: str) -> None:
    """Change the store, say so, and never commit."""
    with _opened(url) as store, store.transaction() as tx:
        tx.budgets.charge(hexed("Globex"), hexed("Spring"), digest("never"), 10, NOW)
        tx.log.append(None, "never", {}, NOW)
        say("holding")
        signal.pause()


# --- tasks on a home ---------------------------------------------------------------------------------------------


def _move_in(backend: str) -> None:
    if backend == "postgres" and not postgres.everywhere():
        from support import postgres_homes

        postgres_homes.move_in()


@contextmanager
def peer_of(home: Path, now: datetime, backend: str) -> Iterator[Any]:
    """The peer of a home whose store lies on this backend."""
    from mutuals.peer import Peer

    _move_in(backend)
    with Peer.open(home, lambda: now) as peer:
        yield peer


def sync(own: Path, partner: Path, now: datetime, backend: str) -> tuple[int, int]:
    """A sync of one company with the other, whose server this process is, too: how many were delivered, received."""
    import mutuals.documents
    from mutuals.transport.sync import answer_sync, sync_partner

    def note(tx: Any, _peer: Any, _partner: Any, body: bytes) -> None:
        tx.log.append(None, "letter", {"body": body.decode()}, now)

    mutuals.documents.HANDLERS["letter"] = note
    with peer_of(own, now, backend) as here, peer_of(partner, now, backend) as there:
        done = sync_partner(here, Loopback(here, there, answer_sync))
    return done.delivered, done.received


class Loopback:
    """A connection to a partner that answers in this process."""

    def __init__(self, here: Any, there: Any, answer: Callable[..., Any]) -> None:
        self.partner, self._calling = _partner(here), _partner(there)
        self._there = there
        self._answer = answer

    def sync(self, message: Any) -> Any:
        """One call."""
        return self._answer(self._there, self._calling, message, _fail)


def _fail(error: Exception) -> None:
    raise error


def _partner(peer: Any) -> Any:
    with peer.store.transaction() as tx:
        (row,) = tx.partners.list()
    return row


def end_agreement(home: Path, digest: str, now: datetime, backend: str) -> None:
    """What ``mutuals agreement terminate --cause`` does."""
    from support.pairing import PASSPHRASE

    from mutuals.agreement.ending import terminate
    from mutuals.identity.operators import unlock
    from mutuals.runs.ending import end_due

    with peer_of(home, now, backend) as peer:
        with peer.store.transaction() as tx:
            keys = unlock(tx.operators.get("anna"), PASSPHRASE)
        terminate(peer, digest, "The campaign was called off.", keys, cause=True)
        end_due(peer)


def retention(home: Path, now: datetime, backend: str) -> tuple[int, tuple[str, ...]]:
    """``mutuals retention run``: how many certificates it wrote, and its problems."""
    from mutuals.obligations.retention import keep_retention

    with peer_of(home, now, backend) as peer:
        report = keep_retention(peer)
    return len(report.certificates), report.problems


def expire(home: Path, now: datetime, backend: str) -> list[str]:
    """End what is overdue; the runs that this process ended."""
    from mutuals.runs.lifecycle import expire_runs

    with peer_of(home, now, backend) as peer:
        return [run.run_id for run in expire_runs(peer)]


def command(home: Path, backend: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A command as it is installed, but for the start of Python: its exit code and what it said."""
    import io
    import json
    from contextlib import nullcontext, redirect_stdout

    from mutuals.engines.workers import InlinePool
    from mutuals.peer import Peer
    from mutuals_client import main

    _move_in(backend)
    Peer.open_pool = lambda _: nullcontext(InlinePool())  # type: ignore[method-assign,assignment,return-value]
    said = io.StringIO()
    main.reset_settings()
    with redirect_stdout(said):
        code = main.run([*arguments, "--json", "--home", str(home)])
    return code, json.loads(said.getvalue())
