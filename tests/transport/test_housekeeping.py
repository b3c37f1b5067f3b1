"""The server's own timer: it goes on whatever fails, at once when a partner's document asks for it, and ends."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.homes import make_peer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.obligations.retention import RetentionReport
from mutuals.peer import Peer
from mutuals_server import housekeeping
from mutuals_server.housekeeping import Housekeeping
from mutuals_server.log import ServerLog

NOTHING = RetentionReport((), (), (), 0, None, (), (), (), ("It waits.",))


def test_rounds_go_on_after_a_failure_and_end_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[str] = []
    done = threading.Semaphore(0)
    outcomes: list[Any] = [
        MutualsError(ErrorCode.LOCAL, "The store is full."),
        ValueError("jane@example.com"),
        NOTHING,
    ]

    def keep_retention(peer: Peer, *, trigger: str) -> RetentionReport:
        rounds.append(trigger)
        outcome = outcomes[len(rounds) - 1]
        done.release()
        if isinstance(outcome, Exception):
            raise outcome
        return NOTHING

    monkeypatch.setattr(housekeeping, "keep_retention", keep_retention)
    with Peer.open(make_peer(tmp_path / "home")) as peer:
        log = ServerLog(peer.clock, tmp_path / "server.log", stderr=False)
        keeping = Housekeeping(peer, log, timedelta(hours=1))
        keeping.stop()  # before it began
        keeping = Housekeeping(peer, log, timedelta(hours=1))
        keeping.start()
        assert done.acquire(timeout=10), "at once"
        for _ in range(2):
            keeping.wake()
            assert done.acquire(timeout=10), "when woken"
        keeping.stop()
        keeping.stop()
        log.close()
    assert rounds == ["server"] * 3
    text = (tmp_path / "server.log").read_text()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert events == ["retention_failed", "retention_failed", "retention_incomplete"]
    assert "The store is full." in text
    assert "jane" not in text, "no text of an exception that is not ours"
