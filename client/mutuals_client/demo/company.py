"""One company of the demo: a home of its own, the real command line, and the real server as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.demo.worker import pipe_with

COMMAND_SECONDS = 900
SERVER_SECONDS = 60

ALONE = frozenset({"match"})
"""Commands that get a process of their own: they start processes, which no gRPC channel may precede (DESIGN §11)."""


@dataclass(frozen=True)
class Answer:
    """What a command returned: its exit code and its JSON object."""

    code: int
    data: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.data[key]


@dataclass(frozen=True)
class _Output:
    code: int
    out: str = field(repr=False)
    err: str = field(repr=False)


@dataclass
class Company:
    """A peer in ``home`` whose operators share ``passphrase``; commands run as ``mutuals`` would from a shell.

    ``operator`` acts where a command names nobody else; it may be left out where there is only one.

    They run one after the other in one interpreter (``worker``), those of ``ALONE`` in one of their own.
    """

    name: str
    home: Path
    passphrase: str
    operator: str | None = None
    server: subprocess.Popen[str] | None = field(default=None, repr=False)
    _worker: subprocess.Popen[str] | None = field(default=None, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def run(
        self,
        *arguments: str,
        expect: tuple[int, ...] = (0,),
        sign: bool = False,
        secrets: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run ``mutuals ARGUMENTS --json``; with ``sign`` the passphrase is given over a pipe, as ``secrets`` are.

        ``secrets`` are texts by the option that takes their descriptor. Raises MutualsError (INTERNAL) where the exit
        code is not one of ``expect``.
        """
        words = [*arguments, "--json", "--yes"]
        given = {**({"--passphrase-fd": self.passphrase} if sign else {}), **(secrets or {})}
        done = self._run_alone(words, given) if arguments[0] in ALONE else self._ask(words, given)
        data = _parse(done.out)
        if done.code not in expect:
            told = (data.get("error") or {}).get("message") or done.err.strip() or done.out.strip()
            raise MutualsError(
                ErrorCode.INTERNAL,
                f"{self.name}: mutuals {' '.join(arguments[:2])} ended with {done.code}: {told}",
            )
        return Answer(done.code, data)

    def wake(self) -> None:
        """Start the worker, so that it is there when the first command comes."""
        if self._worker is None:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "mutuals_client.demo.worker"],
                env=self._environment(),
                stdin=subprocess.PIPE,  # the worker ends when this does, however the demo ends
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )

    def serve(self) -> None:
        """Start the server and wait until it answers. Raises MutualsError (INTERNAL) where it does not."""
        self.launch()
        self.await_server()

    def launch(self) -> None:
        """Start the server; ``await_server`` then waits for it."""
        self.server = subprocess.Popen(  # noqa: S603 - our own program with our own arguments
            [sys.executable, "-m", "mutuals_server", "--home", str(self.home), "--announce"],
            stdin=subprocess.PIPE,  # the server ends when this does, however the demo ends
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def await_server(self) -> None:
        """Wait until the server answers. Raises MutualsError (INTERNAL) where it does not."""
        told = _parse(self.server.stdout.readline() if self.server and self.server.stdout else "")
        if told.get("event") != "ready":
            self.stop()
            raise MutualsError(
                ErrorCode.INTERNAL, f"{self.name}: the server did not start. {told.get('message') or ''}"
            )

    def stop(self) -> None:
        """Let the server drain and end."""
        if self.server is not None:
            self.server.terminate()
            _end(self.server)
            self.server = None

    def close(self) -> None:
        """Stop the server, and end the worker."""
        self.stop()
        if self._worker is not None:
            if self._worker.stdin is not None:
                self._worker.stdin.close()
            _end(self._worker)
            self._worker = None

    def _ask(self, words: list[str], secrets: Mapping[str, str]) -> _Output:
        """Let the worker run a command line."""
        with self._turn:
            self.wake()
            worker = self._worker
            if worker is None or worker.stdin is None or worker.stdout is None:
                raise RuntimeError("the worker has pipes")
            overdue = threading.Timer(COMMAND_SECONDS, worker.kill)
            overdue.start()
            try:
                worker.stdin.write(json.dumps({"arguments": words, "secrets": dict(secrets)}) + "\n")
                worker.stdin.flush()
                answer = _parse(worker.stdout.readline())
            except BrokenPipeError:
                answer = {}
            finally:
                overdue.cancel()
            if not answer:  # it is gone; the next command gets a new one
                _end(worker)
                self._worker = None
                return _Output(1, "", "the process that runs commands has ended")
        return _Output(answer["code"], answer["out"], answer["err"])

    def _run_alone(self, words: list[str], secrets: Mapping[str, str]) -> _Output:
        """Run a command line in a process of its own."""
        pipes = {option: pipe_with(secret) for option, secret in secrets.items()}
        for descriptor in pipes.values():
            os.set_inheritable(descriptor, True)
        options = [word for option, descriptor in pipes.items() for word in (option, str(descriptor))]
        try:
            done = subprocess.run(  # noqa: S603 - our own program with our own arguments
                [sys.executable, "-m", "mutuals_client.main", *words, *options],
                env=self._environment(),
                pass_fds=tuple(pipes.values()),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=COMMAND_SECONDS,
                check=False,
            )
        finally:
            for descriptor in pipes.values():
                os.close(descriptor)
        return _Output(done.returncode, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, "MUTUALS_HOME": str(self.home), "PYTHONIOENCODING": "utf-8"}
        environment.pop("MUTUALS_OPERATOR", None)
        return {**environment, "MUTUALS_OPERATOR": self.operator} if self.operator else environment


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for a process that was told to end, and close what led to it."""
    try:
        process.wait(SERVER_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


def _parse(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
