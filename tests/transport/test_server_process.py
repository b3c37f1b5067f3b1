"""The server as a process of its own: starting, being told to stop, and being left alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from support.companies import QUICK, Company, MakeCompany, free_port
from support.watching import Watcher, key

import mutuals_server.service
from mutuals.errors import ErrorCode, MutualsError
from mutuals.protocol.messages import TagCommit
from mutuals_server.serve import PeerServer

Pair = tuple[Company, Company]

STOPS_WITHIN = 15


@contextmanager
def server(company: Company, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``python -m mutuals_server`` with one worker, as a program starts it."""
    command = [sys.executable, "-m", "mutuals_server", "--home", str(company.peer.home.root), "--announce"]
    process = subprocess.Popen(
        [*command, "--workers", "1", "--listen", company.endpoint, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def announced(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def wait_until_draining(company: Company) -> None:
    """The line is written just before the server stops taking calls."""
    deadline = time.monotonic() + STOPS_WITHIN
    while all(line["event"] != "draining" for line in company.log_lines()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)


def test_it_announces_answers_and_drains_on_sigterm(pair: Pair) -> None:
    acme, beta = pair
    watcher = Watcher(free_port())
    metrics = f"127.0.0.1:{watcher.port}"
    with server(acme, "--metrics", metrics, "--log-format", "json") as process:
        ready = announced(process)
        assert ready["event"] == "ready"
        assert ready["metrics"] == metrics
        assert ready["listen"] == acme.endpoint
        assert ready["organisation"] == "Acme Ltd"
        assert ready["fingerprint"] == acme.peer.fingerprint.hex()
        with beta.call(acme) as connection:
            connection.ping()
        assert watcher.ready() == (200, {})
        ping = key("mutuals_calls_total", partner="Beta SA", method="Ping", code="OK")
        assert watcher.samples()[ping] == 1
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=STOPS_WITHIN)
    assert process.returncode == 0
    assert out == ""
    told = [json.loads(line)["event"] for line in err.splitlines()]
    assert told == ["call", "draining", "stopped"], "who started it was told that it listens"
    events = [line["event"] for line in acme.log_lines()]
    assert events == ["listening", "call", "draining", "stopped"]


def test_a_drain_lets_a_call_under_way_finish_and_takes_no_new_one(pair: Pair) -> None:
    """The stream is idle at its first message when SIGTERM comes; a second signal ends the patience."""
    acme, beta = pair
    with server(acme) as process:
        announced(process)
        with beta.call(acme, replace(QUICK, idle=20)) as connection:
            stream = connection.match()
            opened = stream.__enter__()
            connection.ping()  # so the stream, begun before it, has arrived as well
            process.send_signal(signal.SIGTERM)
            wait_until_draining(acme)
            with beta.call(acme) as late, pytest.raises(MutualsError) as refused:
                late.ping()
            assert refused.value.exit_code == 8
            assert process.poll() is None
            opened.send(TagCommit(b"c" * 32))  # no Open: the call ends, as a call does that may finish
            with pytest.raises(MutualsError) as ended:
                opened.receive()
            assert ended.value.code is ErrorCode.BAD_MESSAGE
            with pytest.raises(MutualsError):
                stream.__exit__(None, None, None)
        process.communicate(timeout=STOPS_WITHIN)
    assert process.returncode == 0


def test_a_second_signal_does_not_wait(pair: Pair) -> None:
    acme, beta = pair
    with server(acme) as process, beta.call(acme, replace(QUICK, idle=30)) as connection:
        announced(process)
        call = connection.match()
        call.__enter__()
        connection.ping()
        process.send_signal(signal.SIGTERM)
        wait_until_draining(acme)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        with pytest.raises(MutualsError):
            call.__exit__(None, None, None)
        process.communicate(timeout=STOPS_WITHIN)
        assert time.monotonic() - started < 8
    assert process.returncode == 0


def test_it_ends_with_the_program_that_started_it(pair: Pair) -> None:
    acme, _ = pair
    with server(acme) as process:
        announced(process)
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        process.communicate(timeout=STOPS_WITHIN)
    assert process.returncode == 0


def test_a_port_in_use_is_one_sentence(pair: Pair) -> None:
    acme, _ = pair
    with acme.serving(), server(acme) as process:
        failed = announced(process)
        out, err = process.communicate(timeout=STOPS_WITHIN)
    assert failed["event"] == "failed"
    assert failed["code"] == "LOCAL"
    assert "another program already does" in failed["message"]
    assert "--listen" in failed["hint"]
    assert process.returncode == 1
    assert (out, err) == ("", "")


def test_mutuals_serve_hands_on_signals_and_errors(pair: Pair) -> None:
    acme, beta = pair
    home = ["--home", str(acme.peer.home.root)]
    command = [sys.executable, "-m", "mutuals_client.main", "serve", *home, "--workers", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--listen", acme.endpoint, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        told = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert json.loads(told)["listen"] == acme.endpoint
        with beta.call(acme) as connection:
            connection.ping()
        second = subprocess.run(
            [*command, "--listen", acme.endpoint], capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert "another program already does" in second.stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STOPS_WITHIN)
    finally:
        process.kill()
    assert process.returncode == 0


# In this process


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("192.0.2.1:8443", "not one of this machine"),
        ("nowhere.invalid:8443", "not one of this machine"),
        ("localhost:99999", "not host:port"),
        ("unix:server.socket", "not host:port"),
        ("8443", "not host:port"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_one_sentence(
    company: MakeCompany, listen: str, reason: str
) -> None:
    acme = company("Acme Ltd")
    with pytest.raises(MutualsError) as refused:
        start(acme, listen)
    assert refused.value.code is ErrorCode.LOCAL
    assert listen in refused.value.message
    assert reason in refused.value.message


def test_a_port_that_another_program_holds(company: MakeCompany) -> None:
    acme = company("Acme Ltd")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(MutualsError, match="another program already does"):
            start(acme, f"127.0.0.1:{other.getsockname()[1]}")


def test_localhost_is_answered_by_both_kinds_of_address(pair: Pair) -> None:
    acme, _ = pair
    port = free_port()
    running = start(acme, f"localhost:{port}")
    with socket.create_connection(("localhost", port), timeout=5):
        pass
    running.stop(grace=0)


def start(company: Company, listen: str) -> PeerServer:
    from mutuals.engines.workers import InlinePool
    from mutuals_server.log import ServerLog

    made = PeerServer(
        company.peer, InlinePool(), listen, log=ServerLog(company.clock, stderr=False), limits=QUICK
    )
    made.start()
    return made


def test_stopping_cancels_what_does_not_finish_in_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, beta = pair
    began, stopped = threading.Event(), threading.Event()

    def respond(_peer: Any, _partner: Any, stream: Any, _pool: Any, *, cancelled: Any, **_: Any) -> None:
        began.set()
        try:
            stream.receive()
        finally:
            stopped.set()

    monkeypatch.setattr(mutuals_server.service, "respond_match", respond)
    with acme.serving() as running, beta.call(acme) as connection:
        stream = connection.match()
        stream.__enter__()
        assert began.wait(5)
        start_of_stop = time.monotonic()
        running.stop(grace=0.5)
        assert 0.4 < time.monotonic() - start_of_stop < 3
        assert stopped.is_set()
        with pytest.raises(MutualsError):
            stream.__exit__(None, None, None)
