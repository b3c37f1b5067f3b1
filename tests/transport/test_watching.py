"""The metrics of a server against what really happened, and what watching it may not cost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.companies import QUICK, MakeCompany, free_port
from support.pairing import Pair, contact, paired
from support.revealed import authorise_both
from support.watching import Key, Watcher, key, samples_of, watched

import mutuals_server.watching
from mutuals.agreement.document import agreement_id
from mutuals.agreement.suspension import suspend
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Run
from mutuals.runs.authorisation import authorise_reveal
from mutuals_client import driving
from mutuals_client.patience import Patience
from mutuals_client.progress import progress_bars
from mutuals_server import metrics, readiness
from mutuals_server.log import ServerLog
from mutuals_server.metrics import Metrics
from mutuals_server.serve import PeerServer
from mutuals_server.watching import Watching

SHARED = [contact(str(number), f"both{number}@example.com") for number in range(3)]
LEFT = [*SHARED, contact("l", "left@example.com", "+4930123456")]
RIGHT = [*SHARED, contact("r", "right@example.com")]


@dataclass
class Watched:
    """Two companies; the right one serves. Both are watched, the left one for what its commands do."""

    pair: Pair
    left: Watcher
    right: Watcher

    def match(self) -> Run:
        """Match as the command does, but for its worker processes."""
        peer = self.pair.left.peer
        peer.open_pool = lambda: nullcontext(InlinePool())  # type: ignore[method-assign,assignment]  # a test's
        return driving.match(
            peer,
            agreement_id(self.pair.digest),
            operator="anna",
            patience=Patience(),
            showing=progress_bars,
        ).run

    def log(self, side: str) -> list[dict[str, Any]]:
        """The lines that one side wrote about acts."""
        company, name = {
            "left": (self.pair.left, "client.log"),
            "right": (self.pair.right, "server.log"),
        }[side]
        text = (company.peer.home.log / name).read_text()
        return [line for line in map(json.loads, text.splitlines()) if line["event"] == "act"]


@contextmanager
def scene(root: Path, **changes: Any) -> Iterator[Watched]:
    """``changes`` are to the agreement."""
    lists = {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT}
    with ExitStack() as stack:
        pair = stack.enter_context(paired(root, lists, endpoint=f"127.0.0.1:{free_port()}", **changes))
        right = pair.right.peer
        log = ServerLog(pair.right.clock, right.home.server_log, stderr=False)
        stack.callback(log.close)
        watchers = [
            stack.enter_context(watched(pair.left.peer, ServerLog(pair.left.clock, stderr=False))),
            stack.enter_context(watched(right, log)),
        ]
        server = PeerServer(right, InlinePool(), right.config.listen, log=log, limits=QUICK)
        server.start()
        stack.callback(server.stop, 0)
        yield Watched(pair, *watchers)


def test_the_metrics_of_a_whole_run_are_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0)
    with scene(tmp_path, matching={"runs_per_30_days": 1}) as both:
        run = both.match()
        for side in both.pair.sides.values():
            authorise_reveal(side.peer, side.run(run.run_id), side.keys)
        options: dict[str, Any] = {"patience": Patience(), "showing": progress_bars}
        driving.reveal(both.pair.left.peer, run, lambda *_: None, **options)
        authorise_both(both.pair, run.run_id)
        done = driving.exchange(both.pair.left.peer, both.pair.left.run(run.run_id), **options)
        assert done is not None
        with pytest.raises(MutualsError) as refused:
            both.match()
        assert refused.value.code is ErrorCode.BUDGET_EXHAUSTED
        left, right = both.left.samples(), both.right.samples()
        lines = {side: both.log(side) for side in ("left", "right")}
        company = both.pair.right
        with company.peer.store.transaction() as tx:
            suspend(tx, company.peer, both.pair.digest, "A pause.", None, company.keys)
        company.clock.now += timedelta(days=900)
        later = both.right.samples()

    for line in (*lines["left"][:3], *lines["right"][:3]):
        assert (line["run"], line["code"]) == (run.run_id, "OK"), "one id finds it in both logs"
    assert [line["kind"] for line in lines["left"]] == ["match", "reveal", "exchange", "match"]
    assert [line["kind"] for line in lines["right"][:3]] == ["match", "reveal", "exchange"]
    assert lines["left"][3]["code"] == "BUDGET_EXHAUSTED"
    moved = {"match": (run.own_size, run.partner_size), "reveal": (3, 3), "exchange": (3, 3)}
    for kind, (ours, theirs) in moved.items():
        for samples, role, partner, out, into in (
            (left, "initiator", "Right SA", ours, theirs),
            (right, "responder", "Left Ltd", theirs, ours),
        ):
            act = {"partner": partner, "kind": kind}
            assert samples[key("mutuals_runs_total", **act, role=role, code="OK")] == 1
            assert samples[key("mutuals_items_total", **act, direction="sent")] == out
            assert samples[key("mutuals_items_total", **act, direction="received")] == into
            assert samples[key("mutuals_run_duration_seconds_count", role=role, kind=kind)] >= 1
        for one, other in (("sent", "received"), ("received", "sent")):
            assert (
                left[key("mutuals_message_bytes_total", partner="Right SA", kind=kind, direction=one)]
                == right[key("mutuals_message_bytes_total", partner="Left Ltd", kind=kind, direction=other)]
                > 0
            )
        assert right[key("mutuals_runs_under_way", partner="Left Ltd", kind=kind)] == 0
    assert stages(right) == {
        ("match", "read"),
        ("match", "blind"),
        ("match", "partner_blinds"),
        ("match", "compare"),
        ("reveal", "read"),
        ("reveal", "reveal"),
        ("exchange", "exchange"),
    }
    budget = {"role": "initiator", "kind": "match", "code": "BUDGET_EXHAUSTED"}
    assert left[key("mutuals_runs_total", partner="Right SA", **budget)] == 1
    for method, least in {"Match": 1, "Reveal": 1, "Exchange": 1, "Sync": 4}.items():
        assert right[key("mutuals_calls_total", partner="Left Ltd", method=method, code="OK")] >= least
        assert right[key("mutuals_call_duration_seconds_count", method=method)] >= least
    for name, value in {
        "mutuals_budget_runs_used": 1,
        "mutuals_budget_runs_allowed": 1,
        "mutuals_budget_items_used": run.own_size,
        "mutuals_outbox_documents": 0,
        "mutuals_outbox_oldest_age_seconds": 0,
    }.items():
        assert right[key(name, partner="Left Ltd")] == value, name
    assert right[key("mutuals_runs_stored", partner="Left Ltd", role="responder", state="done")] == 1
    assert 390 < right[key("mutuals_certificate_days_left")] <= 397
    assert 390 < right[key("mutuals_partner_certificate_days_left", partner="Left Ltd")] <= 397
    assert right[key("mutuals_retention_overdue_seconds")] == 0
    assert right[key("mutuals_housekeeping_last_success_timestamp_seconds")] > 0
    assert later[key("mutuals_outbox_documents", partner="Left Ltd")] == 1
    assert later[key("mutuals_outbox_oldest_age_seconds", partner="Left Ltd")] == 900 * 86400
    assert later[key("mutuals_retention_overdue_seconds")] > 0
    assert later[key("mutuals_certificate_days_left")] < -500
    assert later[key("mutuals_budget_runs_used", partner="Left Ltd")] == 0


def stages(samples: dict[Key, float]) -> set[tuple[str, str]]:
    """Kind and stage of every histogram of stages."""
    labels = [dict(found) for name, found in samples if name == "mutuals_stage_duration_seconds_count"]
    return {(found["kind"], found["stage"]) for found in labels}


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


def test_slow_callers_have_few_places_and_little_time(
    company: MakeCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = company("Acme Ltd")
    monkeypatch.setattr(mutuals_server.watching, "SECONDS", 0.5)
    with watched(acme.peer, ServerLog(acme.clock, stderr=False)) as watcher:
        idle = [
            socket.create_connection(("127.0.0.1", watcher.port), timeout=20)
            for _ in range(mutuals_server.watching.MOST_CONNECTIONS)
        ]
        for one in idle:
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")  # and no end of it
        with socket.create_connection(("127.0.0.1", watcher.port), timeout=20) as late:
            assert closed_by_server(late)
        for one in idle:
            assert closed_by_server(one)
            one.close()
        assert watcher.get("/health")[0] == 200


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
