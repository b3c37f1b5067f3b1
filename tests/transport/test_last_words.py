"""What leaves a handler is a public code, also where the very code that says so fails."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from support.companies import Company

import mutuals_server.guard
import mutuals_server.runs
from mutuals.errors import ERRORS, ErrorCode, MutualsError
from mutuals.protocol.messages import ExchangeStart
from mutuals.transport import connection
from mutuals.transport.status import from_rpc_error
from mutuals_server.log import ServerLog

SECRET = "jane@example.com"
PairOfPeers = tuple[Company, Company]


def fail(*_: Any, **__: Any) -> None:
    raise ValueError(SECRET)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All the texts that came back with failed calls."""
    texts: list[str] = []

    def listen(error: grpc.RpcError, partner: str) -> MutualsError:
        assert isinstance(error, grpc.Call)
        texts.append(f"{error.details()} {error.trailing_metadata()}")
        return from_rpc_error(error, partner)

    monkeypatch.setattr(connection, "from_rpc_error", listen)
    return texts


@pytest.mark.parametrize("name", ["describe", "to_wire"])
def test_a_failure_while_refusing_is_told_in_public_words(
    pair: PairOfPeers, heard: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as line:
        line.ping()
        acme.forgets(beta)
        monkeypatch.setattr(mutuals_server.guard, name, fail)
        with pytest.raises(MutualsError) as refused:
            line.ping()
    assert refused.value.code is ErrorCode.INTERNAL
    (text,) = heard
    assert SECRET not in text
    assert text.startswith(ERRORS[ErrorCode.INTERNAL].public)


def test_a_call_does_not_fail_because_it_cannot_be_logged(
    pair: PairOfPeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta = pair
    monkeypatch.setattr(ServerLog, "event", fail)
    with acme.serving(), beta.call(acme) as line:
        assert line.ping().version == 1


def test_a_run_without_a_thread_gives_its_place_back(
    pair: PairOfPeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta = pair
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "mutuals-work":
            raise RuntimeError("can't start new thread")
        start(thread)

    def ask() -> None:
        with line.exchange() as stream:
            stream.send(ExchangeStart(b"s" * 32))
            stream.receive()

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with acme.serving() as server, beta.call(acme) as line:
        for _ in range(4):  # more than there are places
            with pytest.raises(MutualsError) as refused:
                ask()
            assert refused.value.code is ErrorCode.INTERNAL
        assert server._places.wait_until_empty(5)
