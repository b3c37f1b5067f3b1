"""One company of the demo: a home of its own, and the real command line and server as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutuals.errors import ErrorCode, MutualsError

COMMAND_SECONDS = 900
SERVER_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a command returned: its exit code and its JSON object."""

    code: int
    data: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.data[key]


@dataclass
class Company:
    """A peer in ``home`` whose one operator has ``passphrase``; commands run as ``mutuals`` would from a shell."""

    name: str
    home: Path
    passphrase: str
    server: subprocess.Popen[str] | None = field(default=None, repr=False)

    def run(self, *arguments: str, expect: tuple[int, ...] = (0,), sign: bool = False) -> Answer:
        """Run ``mutuals ARGUMENTS --json``; with ``sign`` the passphrase is given over a pipe.

        Raises MutualsError (INTERNAL) where the exit code is not one of ``expect``.
        """
        command = [sys.executable, "-m", "mutuals_client.main", *arguments, "--json", "--yes"]
        descriptors: tuple[int, ...] = ()
        if sign:
            reading, writing = os.pipe()
            os.write(writing, self.passphrase.encode() + b"\n")
            os.close(writing)
            os.set_inheritable(reading, True)
            descriptors = (reading,)
            command += ["--passphrase-fd", str(reading)]
        try:
            done = subprocess.run(  # noqa: S603 - our own program with our own arguments
                command,
                env=self._environment(),
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        data = _parse(done.stdout)
        if done.returncode not in expect:
            told = (data.get("error") or {}).get("message") or done.stderr.strip() or done.stdout.strip()
            raise MutualsError(
                ErrorCode.INTERNAL,
                f"{self.name}: mutuals {' '.join(arguments[:2])} ended with {done.returncode}: {told}",
            )
        return Answer(done.returncode, data)

    def serve(self) -> None:
        """Start the server and wait until it answers. Raises MutualsError (INTERNAL) where it does not."""
        self.server = subprocess.Popen(  # noqa: S603 - our own program with our own arguments
            [sys.executable, "-m", "mutuals_server", "--home", str(self.home), "--announce"],
            stdin=subprocess.PIPE,  # the server ends when this does, however the demo ends
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        told = _parse(self.server.stdout.readline() if self.server.stdout else "")
        if told.get("event") != "ready":
            self.stop()
            raise MutualsError(
                ErrorCode.INTERNAL, f"{self.name}: the server did not start. {told.get('message') or ''}"
            )

    def stop(self) -> None:
        """Let the server drain and end."""
        if self.server is not None:
            self.server.terminate()
            try:
                self.server.wait(SERVER_SECONDS)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
            for pipe in (self.server.stdin, self.server.stdout):
                if pipe is not None:
                    pipe.close()
            self.server = None

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "MUTUALS_HOME": str(self.home)}


def _parse(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
