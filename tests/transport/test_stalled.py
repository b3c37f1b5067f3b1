"""Calls that hold a place and do nothing with it, over real loopback TLS."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from support.companies import QUICK, Company

from mutuals.errors import ErrorCode
from mutuals.transport.options import Limits
from mutuals.transport.wire import MATCH, PING, SYNC, Ping
from mutuals.v1 import error_pb2
from mutuals_server.service import PeerService

Pair = tuple[Company, Company]


def ended(call: Any) -> tuple[grpc.StatusCode, str | None]:
    """How a call ended: gRPC's status and our code."""
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    found: Any = caught.value
    codes = [
        error_pb2.ErrorDetail.FromString(value).code
        for key, value in found.trailing_metadata() or ()
        if key == "mutuals-error-bin"
    ]
    return found.code(), codes[0] if codes else None


@pytest.mark.parametrize(
    ("path", "limits", "status", "code"),
    [
        (PING.path, replace(QUICK, unary=0.2), grpc.StatusCode.CANCELLED, None),
        (SYNC.path, replace(QUICK, unary=0.2), grpc.StatusCode.CANCELLED, None),
        (MATCH.path, replace(QUICK, first=0.2), grpc.StatusCode.UNAVAILABLE, ErrorCode.UNREACHABLE),
    ],
)
def test_a_call_without_a_first_message_gives_its_place_back(
    pair: Pair, path: str, limits: Limits, status: grpc.StatusCode, code: ErrorCode | None
) -> None:
    acme, beta = pair
    over = threading.Event()

    def silent() -> Iterator[bytes]:
        over.wait(20)
        yield from ()

    with acme.serving(limits), beta.call(acme) as line:
        call: Any = line._channel.stream_stream(path)
        assert ended(call(silent())) == (status, code)
        over.set()
        assert line.ping().version == 1
        for _ in range(1000):  # the caller hears of it a moment before the log does
            refused = [entry for entry in acme.log_lines() if entry["event"] == "refused"]
            if refused:
                break
            time.sleep(0.01)
    assert [(entry["reason"], entry["partner"]) for entry in refused] == [("stalled", beta.peer.name)]


def test_pings_of_one_partner_at_a_time_are_few_and_others_are_answered(
    pair: Pair, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta = pair
    carl = company("Carl GmbH")
    acme.knows(carl)
    carl.knows(acme)
    release = threading.Event()
    honest = PeerService.ping

    def slow(service: PeerService, data: bytes, call: Any) -> bytes:
        if call.partner.name == beta.peer.name:
            release.wait(20)
        return honest(service, data, call)

    monkeypatch.setattr(PeerService, "ping", slow)
    limits = replace(QUICK, unary_calls=4, unary_calls_per_partner=3)
    with acme.serving(limits), beta.call(acme) as line, carl.call(acme) as other:
        ask: Any = line._channel.unary_unary(PING.path)
        told = threading.Semaphore(0)
        calls = [ask.future(PING.request.encode(Ping())) for _ in range(5)]
        for call in calls:
            call.add_done_callback(lambda _: told.release())
        assert told.acquire(timeout=10)
        assert told.acquire(timeout=10)
        assert other.ping().version == 1
        release.set()
        codes = sorted(call.code().name for call in calls)
    assert codes == ["OK"] * 3 + ["RESOURCE_EXHAUSTED"] * 2
