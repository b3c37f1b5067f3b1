"""``mutuals serve``: answer partners, in the foreground."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import Command, home_path, result, say


class LogFormat(StrEnum):
    """How the log is written for whoever reads standard error."""

    HUMAN = "human"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", cls=Command)(serve)


def serve(
    listen: str | None = typer.Option(
        None, metavar="HOST:PORT", help="Where to listen. [default: listen in config.toml]"
    ),
    workers: int | None = typer.Option(
        None,
        min=1,
        max=1024,
        help="Processes to compute with. [default: as configured, or one for each core]",
    ),
    log_format: LogFormat | None = typer.Option(
        None, help="How the log is written to standard error. [default: as configured, or human]"
    ),
    metrics: str | None = typer.Option(
        None,
        metavar="HOST:PORT",
        help="Offer metrics for Prometheus there, on this machine alone. [default: as configured, or none]",
    ),
) -> None:
    """Answer partners until Ctrl-C or SIGTERM; calls under way may then finish for 20 seconds.

    One line for each call goes to standard error and to log/server.log in the home, where it is JSON. With --json, one
    object tells when the server is ready. Example: mutuals serve --listen 0.0.0.0:8443 --metrics 127.0.0.1:9464
    """
    options = {"listen": listen, "workers": workers, "log-format": log_format, "metrics": metrics}
    with _server(home_path(), options) as process, _forwarding_signals(process):
        ready = _announced(process)
        _tell(ready)
        result(**{name: value for name, value in ready.items() if name != "event"})
        code = process.wait()
    if code != 0:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"The server ended with exit code {code}.",
            hint="Its log says why: log/server.log",
        )


@contextmanager
def _server(home: Path, options: Mapping[str, object]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mutuals_server", "--home", str(home), "--announce"]
    command += [f"--{name}={value}" for name, value in options.items() if value is not None]
    # Its standard input stays open as long as this process lives: should this one be killed, the server ends too.
    process = subprocess.Popen(  # noqa: S603 - our own program with our own arguments
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # or a terminal would send Ctrl-C to both, and the second one means “at once”
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def _forwarding_signals(process: subprocess.Popen[str]) -> Iterator[None]:
    """Hand SIGTERM and Ctrl-C on to the server, and wait for it instead of stopping here."""

    def forward(number: int, _frame: object) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announced(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the server says when it is ready. Raises the MutualsError it says where it failed."""
    line = process.stdout.readline() if process.stdout else ""
    try:
        told: dict[str, Any] = json.loads(line)
    except ValueError:
        raise MutualsError(
            ErrorCode.LOCAL,
            "The server did not start.",
            hint="Its log says why: log/server.log in the home; see what else is wrong: mutuals doctor",
        ) from None
    if told.get("event") != "ready":
        raise MutualsError(ErrorCode(told["code"]), str(told["message"]), hint=told.get("hint"))
    return told


def _tell(ready: dict[str, Any]) -> None:
    from rich.text import Text

    from mutuals.identity.local import NETWORK

    metrics = (ready["metrics"] or "").removeprefix(NETWORK)
    say(
        Text.assemble(
            (str(ready["organisation"]), "bold"), " answers its partners at ", (ready["listen"], "bold")
        ),
        Text(f"Fingerprint: {' '.join(ready['words'])}"),
        *([Text(f"Metrics at http://{metrics}/metrics")] if metrics else []),
        Text("Ctrl-C stops it."),
    )
