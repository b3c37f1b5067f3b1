"""The short form of ``make flood``: one partner takes all that it can get, another one works on."""

from __future__ import annotations

import threading
from pathlib import Path

from flood.floods import Flooder, stalled
from flood.honest import Honest
from flood.world import build
from mutuals.peer import Peer


def test_a_partner_that_holds_all_its_streams_holds_up_nobody_else(tmp_path: Path) -> None:
    place = build(tmp_path, large=100)
    stop = threading.Event()
    with place.serving(), Peer.open(place.flooder.home) as peer, Honest(place.honest) as honest:
        flooder = Flooder(peer, place.flooder.agreement, stop, calls=30)
        flood = threading.Thread(target=stalled, args=(flooder,), daemon=True)
        flood.start()
        for _ in range(6000):
            if flooder.heard["BUSY"] >= 40:  # it has what it can get
                break
            stop.wait(0.01)
        assert flooder.heard["BUSY"] >= 40
        took = honest.work()
        stop.set()
        flood.join(10)
    assert took.failed == []
    refused = place.refused()
    assert {"runs", "calls_at_a_time"} <= refused.keys()
    assert sum(refused.values()) > place.forget_log(), "refusals are counted, not written down one by one"
