"""Processes that have imported the program when they start: a kill then costs a quarter of what it does otherwise.

    with Forks() as forks:
        process = forks.command(home, "match", digest)
        process.communicate()

One process imports what commands and servers import, opens nothing, and forks for each that is asked for. What
follows is what follows in any other: a group of its own, its own workers, and the interpreter's normal end. Only the
imports are missing from what is killed, so that some are started as people start them (``World.fresh``).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Self, TextIO

from support import postgres, processes

PROGRAMS = {"command": "mutuals_client.main", "server": "mutuals_server.__main__"}
"""What can be started: the modules whose ``main`` runs it."""

_IMPORTED = (
    *PROGRAMS.values(),
    "mutuals_client.commands.agreement_sign",
    "mutuals_client.commands.exchange",
    "mutuals_client.delivery",
    "mutuals_client.driving",
    "mutuals_client.calls",
    "mutuals_client.patience",
    "mutuals_client.run_facts",
    "mutuals_client.session",
    "mutuals.agreement.render",
    "mutuals.assessment.assess",
    "mutuals.engines.pools",
    "mutuals.monitoring.pointer",
    "mutuals.runs.match",
    "mutuals.runs.once",
    "mutuals.runs.preview",
    "mutuals.runs.resume",
    "mutuals.runs.signing",
    "mutuals.transport.sync",
    "cryptography.hazmat.backends.openssl.backend",
    "grpc._channel",
    "grpc._server",
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.resource_tracker",
    "multiprocessing.synchronize",
    "numpy.ma",
    "rich.console",
    "sqlalchemy.dialects.sqlite",
)
_WITH_POSTGRES = ("sqlalchemy.dialects.postgresql.psycopg", "psycopg", "support.postgres_homes")
_SECRET = 3
"""The descriptor from which a command that was forked reads the passphrase, and its parent what is asked for."""


class Forked:
    """A process that was forked: as much of ``subprocess.Popen`` as is used here."""

    def __init__(self, pid: int, told: TextIO, output: int, errors: int, *others: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        self._output, self._errors = output, errors
        self._held = {output, errors, *others}

    def poll(self) -> int | None:
        """The exit code, or nothing while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.returncode = int(self._told.readline())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("mutuals", timeout or 0)
            self.returncode = int(self._told.readline())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Its standard output and error once it has ended. Raises subprocess.TimeoutExpired."""
        self.wait(timeout)
        texts = [_written(descriptor) for descriptor in (self._output, self._errors)]
        self.close()
        return texts[0], texts[1]

    def kill(self) -> str:
        """Kill -9 it with all of its own; what it had written to its standard output."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(self.pid, signal.SIGKILL)
            self.wait(600)
        written = _written(self._output)
        self.close()
        return written

    def close(self) -> None:
        """Give back what this process holds of it; may be called twice."""
        self._told.close()
        while self._held:
            os.close(self._held.pop())


class Forks:
    """Starts processes from one that has imported the program."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "crashes.forks"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        theirs.close()

    def command(self, home: Path, *words: str) -> Forked:
        """A command of the company in ``home``; see ``support.processes.command``."""
        secret = [processes.passphrase()] if processes.signs(words) else []
        arguments = processes.command_line(home, words, _SECRET if secret else None)
        output, errors = os.memfd_create("output"), os.memfd_create("errors")
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            pid, told = self._fork("command", arguments, [nowhere, output, errors, *secret])
        finally:
            for descriptor in (nowhere, *secret):
                os.close(descriptor)
        return Forked(pid, told, output, errors)

    def server(self, home: Path) -> tuple[Forked, TextIO]:
        """The server of ``home``, and its standard output, on which it says when it is ready."""
        (reading, output), (stdin, writing) = os.pipe(), os.pipe()
        errors = os.memfd_create("errors")
        try:
            pid, told = self._fork("server", processes.server_line(home), [stdin, output, errors])
        finally:
            os.close(output)
            os.close(stdin)
        return Forked(pid, told, os.memfd_create("nothing"), errors, writing), os.fdopen(reading)

    def _fork(self, program: str, arguments: Sequence[str], descriptors: list[int]) -> tuple[int, TextIO]:
        reading, writing = os.pipe()
        message = json.dumps([program, list(arguments)]).encode()
        socket.send_fds(self._socket, [message], [writing, *descriptors])
        os.close(writing)
        told = os.fdopen(reading, buffering=1)
        return int(told.readline()), told

    def close(self) -> None:
        """End the process that forks; its children go on."""
        self._socket.close()
        self._parent.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _written(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()


# --- in the process that forks ------------------------------------------------------------------------------------


def main() -> None:
    """Fork until nobody asks any more; in each child, run what was asked for, and end as any program does."""
    requests = socket.socket(fileno=os.dup2(0, _SECRET))  # which no library can take then
    for name in (*_IMPORTED, *(_WITH_POSTGRES if postgres.everywhere() else ())):
        import_module(name)
    asked = _fork_on_demand(requests)
    if asked is not None:
        program, sys.argv = asked
        import_module(PROGRAMS[program]).main()


def _fork_on_demand(requests: socket.socket) -> tuple[str, list[str]] | None:
    """In the child, the program to be and its command line; nothing once nobody asks any more."""
    children: dict[int, int] = {}
    ended, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([_SECRET, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _report(children)
        if _SECRET not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 16, 8)
        if not message:
            return None
        told, *given = descriptors
        pid = os.fork()
        os.setpgid(pid, pid)  # here and there, so that it holds from the beginning
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _take(given, [told, ended, woken, *children.values()])
            program, arguments = json.loads(message)
            return program, [f"mutuals {program}", *arguments]
        for descriptor in given:
            os.close(descriptor)
        children[pid] = told
        os.write(told, f"{pid}\n".encode())


def _report(children: dict[int, int]) -> None:
    """Tell those who wait for a child that has ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        told = children.pop(pid)
        os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(told)


def _take(given: list[int], others: list[int]) -> None:
    """Make ``given`` the descriptors from 0 on; the ``others`` are the parent's."""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64) for descriptor in given]
    for descriptor in (*given, *others):
        os.close(descriptor)
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number)
        os.close(descriptor)


if __name__ == "__main__":
    main()
