"""Two companies as real processes over loopback TLS, with a relay between them: what can be killed and cut.

with world(folder, items=20_000, shared=2_000) as place:
    call = place.call("match", place.agreement)
    place.kill_server(); place.relay.cut(); place.kill(call)
    place.serve()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from support import processes
from support.pairing import Company, TestClock, introduce, make_company
from support.processes import agreement_for, sign_for_both, write_contacts
from support.relay import Relay

from crashes.forks import Forked, Forks
from mutuals.models.agreement import Agreement
from mutuals.models.run import Run

RUNS = {"runs_per_30_days": 1000}

Process = subprocess.Popen[str] | Forked


@dataclass
class World:
    """The left company starts runs by the command line, the right one serves.

    Processes are started as people start them where ``fresh`` says so, and else forked by ``forks``.
    """

    left: Company
    right: Company
    agreement: str
    relay: Relay
    forks: Forks | None = None
    fresh: Callable[[], bool] = lambda: True
    calls: list[Process] = field(default_factory=list)
    server: Process | None = None
    told: IO[str] | None = None

    def begin_server(self) -> None:
        """Start the server, and do not wait for it."""
        home = self.right.path.parent
        if self.forks is None or self.fresh():
            self.server = processes.start_server(home)
            self.told = self.server.stdout
        else:
            self.server, self.told = self.forks.server(home)

    def serve(self) -> None:
        """Start the server, and wait until it answers."""
        self.begin_server()
        self.await_server()

    def await_server(self) -> None:
        """Wait until the server that was begun answers."""
        assert self.told is not None
        self.relay.target = processes.port_of(self.told.readline())

    def kill_server(self) -> None:
        """As the system does it: all of its processes at once, without a word."""
        if self.server is not None:
            _kill(self.server)
            self.server = None
        if self.told is not None:
            self.told.close()
            self.told = None

    def call(self, *words: str, company: Company | None = None) -> Process:
        """A command, by default of the left company."""
        home = (company or self.left).path.parent
        process = (
            processes.command(home, *words)
            if self.forks is None or self.fresh()
            else self.forks.command(home, *words)
        )
        self.calls.append(process)
        return process

    def answer(self, process: Process, timeout: float = 600) -> dict[str, Any]:
        """What a command said in the end; the exit code is ``exit``."""
        output, errors = process.communicate(timeout=timeout)
        self.calls.remove(process)
        return processes.said(output, errors, process.returncode or 0)

    def kill(self, process: Process) -> dict[str, Any] | None:
        """Kill a command with all of its processes; what it had said, if that was all of it."""
        self.calls.remove(process)
        try:
            said: dict[str, Any] = json.loads(_kill(process))
        except ValueError:
            return None
        return said

    def runs(self, company: Company) -> list[Run]:
        """Its runs, oldest first."""
        with company.peer.store.transaction() as tx:
            return tx.runs.list()

    def charged(self, company: Company) -> tuple[int, int]:
        """How many runs, and of how many items in all, it has charged to its partner."""
        partner = company.partner().fingerprint
        with company.peer.store.transaction() as tx:
            usage = tx.budgets.usage(partner, datetime.now(UTC) - timedelta(days=30))
        return usage.runs, usage.items

    def draft(self, title: str) -> Agreement:
        """An agreement that nobody has signed yet."""
        return agreement_for(self.left, self.right, RUNS, title=title)


@contextmanager
def world(
    folder: Path,
    items: int,
    shared: int,
    *,
    signed: bool = True,
    workers: int | None = None,
    homes: Mapping[str, Path] | None = None,
) -> Iterator[World]:
    """Both companies have ``items`` contacts, the first ``shared`` of the right one's are the left one's last.

    They are partners, and where it is ``signed``, under an agreement. ``workers`` None is one for each core; ``homes``
    says where those of ``left`` and ``right`` are to lie, if not in ``folder``.
    """
    relay, clock = Relay(), TestClock()
    clock.now = datetime.now(UTC)  # the processes know no other
    at = {"left": folder / "left", "right": folder / "right", **(homes or {})}
    left = make_company(at["left"], "Left Ltd", [], clock, workers=workers)
    right = make_company(at["right"], "Right SA", [], clock, f"localhost:{relay.port}", workers)
    try:
        for company, first in ((left, 0), (right, items - shared)):
            write_contacts(company, first, items)
        place = World(left, right, "", relay)
        if signed:
            place.agreement = sign_for_both(left, right, RUNS)
        else:
            introduce(left, right)
        try:
            yield place
        finally:
            for process in list(place.calls):
                place.kill(process)
            place.kill_server()
    finally:
        relay.close()
        left.peer.close()
        right.peer.close()


def workers_of(process: Process) -> list[int]:
    """The process ids of what computes for a process, as far as it is up."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            group = int((path / "stat").read_text().rpartition(")")[2].split()[2])
            if group == process.pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def _kill(process: Process) -> str:
    return process.kill() if isinstance(process, Forked) else processes.kill(process)


def kill_worker(pid: int) -> None:
    """Kill one worker, and nothing else."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
