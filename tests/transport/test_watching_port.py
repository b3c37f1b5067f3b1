"""The local port of a server: what it says of a peer that is not well, and what asking may not cost."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.companies import QUICK, MakeCompany
from support.watching import Key, Watcher, key, samples_of, watched

import mutuals_server.watching
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals_server import metrics, readiness
from mutuals_server.log import ServerLog
from mutuals_server.metrics import Metrics
from mutuals_server.watching import Watching

# --- readiness --------------------------------------------------------------------------------------------------


class BrokenPool(InlinePool):
    """A pool whose workers do not come up."""

    def check(self) -> None:
        """See ``Pool.check``."""
        raise MutualsError(ErrorCode.WORKER_DIED, "The workers did not start.")


def test_a_peer_that_cannot_serve_says_why(company: MakeCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = company("Acme Ltd")
    log = ServerLog(acme.clock, stderr=False)
    with watched(acme.peer, log) as watcher:
        assert watcher.ready() == (200, {})
        assert watcher.get("/health") == (200, '{"alive": true}\n')
    acme.clock.now += timedelta(days=400)
    with watched(acme.peer, log, BrokenPool(), replace(QUICK, free_disk=2**60)) as watcher:
        status, reasons = watcher.ready()
        assert status == 503
        assert set(reasons) == {"workers", "certificate", "disk"}
        assert reasons["workers"] == "The workers did not start."
        samples = watcher.samples()
        assert samples[key("mutuals_ready", check="store")] == 1
        assert samples[key("mutuals_ready", check="certificate")] == 0
        assert samples[key("mutuals_certificate_days_left")] < 0
        log.event("draining", seconds=20)
        assert "taking_calls" in watcher.ready()[1]

    def fail(_: object) -> None:
        raise ValueError("jane@example.com")

    monkeypatch.setattr(readiness, "read_peer", fail)
    with watched(acme.peer, log) as watcher:
        status, body = watcher.get("/ready")
        assert status == 503
        assert "ValueError" in body
        assert "jane" not in body
        assert key("mutuals_certificate_days_left") not in watcher.samples()
        assert watcher.get("/health")[0] == 200


def test_a_store_that_hangs_holds_up_neither_a_scrape_nor_a_call(
    company: MakeCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta = company("Acme Ltd"), company("Beta SA", reachable=False)
    acme.knows(beta)
    beta.knows(acme)
    go_on = threading.Event()
    monkeypatch.setattr(readiness, "read_peer", lambda _: go_on.wait(60))
    monkeypatch.setattr(mutuals_server.sampling, "WAIT_SECONDS", 0.05)
    with acme.serving(), watched(acme.peer, ServerLog(acme.clock, stderr=False)) as watcher:
        assert watcher.ready() == (503, {"store": "There is no answer."})
        assert watcher.samples()[key("mutuals_ready", check="store")] == 0
        with beta.call(acme) as connection:
            connection.ping()
        go_on.set()


# --- the port ---------------------------------------------------------------------------------------------------


def test_idle_callers_have_few_places(company: MakeCompany) -> None:
    acme = company("Acme Ltd")
    with watched(acme.peer, ServerLog(acme.clock, stderr=False)) as watcher:
        idle = [connected(watcher) for _ in range(mutuals_server.watching.MOST_CONNECTIONS)]
        with connected(watcher) as late:
            late.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert closed_by_server(late), "unheard"
        for one in idle:
            one.close()


def test_slow_callers_have_little_time(company: MakeCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = company("Acme Ltd")
    monkeypatch.setattr(mutuals_server.watching, "SECONDS", 0.05)
    with watched(acme.peer, ServerLog(acme.clock, stderr=False)) as watcher:
        for _ in range(mutuals_server.watching.MOST_CONNECTIONS + 1):
            with connected(watcher) as slow:
                slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")  # and no end of it
                assert closed_by_server(slow)


def connected(watcher: Watcher) -> socket.socket:
    """A connection that has said nothing yet."""
    return socket.create_connection(("127.0.0.1", watcher.port), timeout=20)


def closed_by_server(connection: socket.socket) -> bool:
    """Whether the other end hangs up without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_only_three_pages_and_only_for_callers_on_this_machine(company: MakeCompany) -> None:
    acme = company("Acme Ltd")
    with watched(acme.peer, ServerLog(acme.clock, stderr=False)) as watcher:
        assert watcher.get("/")[0] == 404
        assert watcher.get("/metrics/../config.toml")[0] == 404
        assert watcher.get("/metrics", method="POST")[0] == 501
        for host, status in {
            "localhost:1": 200,
            "127.0.0.1": 200,
            "[::1]:9": 200,
            "evil.example": 403,
        }.items():
            assert watcher.get("/health", Host=host)[0] == status, host
        openmetrics = watcher.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
        assert openmetrics.endswith("# EOF\n")
        assert watcher.get("/metrics", Accept="application/openmetrics-text; version=x")[0] in (200, 500)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = ("127.0.0.1", other.getsockname()[1])
        watching = Watching(acme.peer, InlinePool(), ServerLog(acme.clock, stderr=False), QUICK, address)
        with pytest.raises(MutualsError, match="cannot be offered") as refused:
            watching.start()
    assert refused.value.code is ErrorCode.LOCAL


# --- labels -----------------------------------------------------------------------------------------------------


def test_no_partner_and_no_message_makes_series_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_PARTNERS", 20)
    counted = Metrics()
    act: dict[str, Any] = {
        **{f"{what}_{way}": 1 for what in ("items", "bytes") for way in ("sent", "received")},
        **{"seconds": 1.0, "stages": {"blind": 1.0}, "role": "responder", "kind": "match", "code": "OK"},
    }
    for number in range(3 * metrics.MAX_PARTNERS):
        partner = f"Partner {number}"
        counted.note("call", {"partner": partner, "method": "Sync", "code": "OK", "seconds": 0.1})
        counted.note("act_began", {"partner": partner, **act})
        counted.note("act", {"partner": partner, **act})
        counted.note("refused", {"partner": partner, "reason": "calls", "times": 2})
    before = page(counted)
    for number in range(100):
        strange = f"x{number}"
        counted.note("call", {"partner": "Partner 1", "method": strange, "code": strange, "seconds": 0.1})
        fields = {**act, "role": strange, "kind": strange, "code": strange, "stages": {strange: 1.0}}
        counted.note("act", {"partner": "Partner 1", **fields})
        counted.note("refused", {"partner": "Partner 1", "reason": strange, "times": 1})
    samples = page(counted)
    partners = {dict(labels).get("partner") for _, labels in samples} - {None}
    assert len(partners) == metrics.MAX_PARTNERS + 2  # other, and nobody known
    other = {"partner": metrics.OTHER, "method": "Sync", "code": "OK"}
    assert samples[key("mutuals_calls_total", **other)] == 2 * metrics.MAX_PARTNERS
    assert samples[key("mutuals_refusals_total", partner="Partner 1", reason="calls")] == 2
    assert len(samples) - len(before) < 100, "whatever is not on a list is one and the same"


def page(counted: Metrics) -> dict[Key, float]:
    """The samples of a registry."""
    from prometheus_client import generate_latest

    return samples_of(generate_latest(counted.registry).decode())
