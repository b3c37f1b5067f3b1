"""A partner that calls all the time: ``python -m soak.caller HOME``, until its standard input ends.

One thread pings over a connection that it keeps for some seconds, one connects anew for every ping, one synchronises.
In the end it prints how many calls it made, and what failed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mutuals.errors import MutualsError
from mutuals.peer import Peer
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import connect
from mutuals.transport.sync import sync_partner

KEPT_SECONDS = 3.0
PAUSE = 0.02


class Caller:
    """The threads of one partner, and what they count."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def work(self) -> None:
        """Call until standard input ends."""
        threads = [
            threading.Thread(target=self._again, args=(act,)) for act in (self._keep, self._anew, self._sync)
        ]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self._over.set()
        for thread in threads:
            thread.join(60)

    def _again(self, act: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                act()
            except MutualsError as error:
                self._count(self.failures, f"{act.__name__[1:]}: {error.code.value} {error.message}")
            self._over.wait(PAUSE)

    def _keep(self) -> None:
        until = time.monotonic() + KEPT_SECONDS
        with connect(self._peer, self._partner()) as connection:
            while time.monotonic() < until and not self._over.is_set():
                connection.ping()
                self._count(self.calls, "pings over a connection that is kept")
                self._over.wait(PAUSE)

    def _anew(self) -> None:
        with connect(self._peer, self._partner()) as connection:
            connection.ping()
            self._count(self.calls, "pings over a new connection")

    def _sync(self) -> None:
        with connect(self._peer, self._partner()) as connection:
            sync_partner(self._peer, connection)
            self._count(self.calls, "syncs")

    def _partner(self) -> PartnerRow:
        with self._peer.store.transaction() as tx:
            (row,) = tx.partners.list()
        return row

    def _count(self, counter: Counter[str], what: str) -> None:
        with self._lock:
            counter[what] += 1


def main(home: str) -> None:
    """Be the partner whose home that is."""
    with Peer.open(Path(home)) as peer:
        caller = Caller(peer)
        caller.work()
        print(json.dumps({"calls": caller.calls, "failures": caller.failures}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
