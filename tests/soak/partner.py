"""One partner as a process: ``python -m soak.partner HOME AGREEMENT RUNS SHARED``.

It says when it is ready. After a line ``match`` on its standard input it matches, ``RUNS`` at a time, and prints one
JSON object for each match until that ends. After a line ``flood`` it does as one does that wants to keep the others out
(``soak.flood``), after ``honest`` as before.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mutuals.engines.workers import InlinePool
from mutuals.errors import MutualsError
from mutuals.peer import Peer
from mutuals.runs.match import initiate_match
from mutuals_client.calls import partner_connection
from soak.flood import Flood

BETWEEN = 0.5


class Partner:
    """What its threads share."""

    def __init__(self, peer: Peer, agreement: str, runs: int, shared: int) -> None:
        self._peer = peer
        self._agreement = agreement
        self._runs = runs
        self._shared = shared
        self._pool = InlinePool()
        self._told = threading.Lock()
        self._over = threading.Event()
        self._honest = threading.Event()
        with peer.store.transaction() as tx:
            (partner,) = tx.partners.list()
        self._fingerprint = partner.fingerprint
        self._flood: Flood | None = None

    def work(self) -> None:
        """Until standard input ends."""
        self._tell(ready=True)
        sys.stdin.readline()
        self._honest.set()
        threads = [threading.Thread(target=self._matches, daemon=True) for _ in range(self._runs)]
        for thread in threads:
            thread.start()
            self._over.wait(BETWEEN)  # nobody starts eight commands within a second
        for line in sys.stdin:
            self._change(line.strip())
        self._over.set()
        self._change("honest")
        for thread in threads:
            thread.join(300)
            if thread.is_alive():
                self._tell(error="a match did not end")
        sys.stdout.flush()

    def _change(self, to: str) -> None:
        if to == "flood":
            self._honest.clear()
            self._flood = Flood(self._peer, self._fingerprint, self._agreement)
            self._flood.start()
        elif to == "honest":
            if self._flood is not None:
                self._tell(flooded=self._flood.stop())
                self._flood = None
            self._honest.set()

    def _matches(self) -> None:
        while not self._over.is_set():
            if self._honest.wait(0.2) and not self._over.is_set():
                self._match()

    def _match(self) -> None:
        started = time.monotonic()
        try:
            with (
                partner_connection(self._peer, self._fingerprint, to_match=self._agreement) as connection,
                connection.match() as stream,
            ):
                run = initiate_match(self._peer, self._agreement, stream, self._pool, count_only=True)
        except MutualsError as error:
            if self._honest.is_set():  # its own flood is in the way of what it was at
                self._tell(error=error.code.value, message=error.message)
            time.sleep(1)
        except Exception as error:
            self._tell(error=type(error).__name__)
            raise
        else:
            wrong = {} if run.count == self._shared else {"error": f"counted {run.count}"}
            self._tell(seconds=time.monotonic() - started, **wrong)

    def _tell(self, **values: Any) -> None:
        with self._told:
            print(json.dumps({"at": time.monotonic(), **values}), flush=True)


def main(home: str, agreement: str, runs: str, shared: str) -> None:
    """Be the partner whose home that is."""
    with Peer.open(Path(home)) as peer:
        Partner(peer, agreement, int(runs), int(shared)).work()
    # Threads of a flood may wait for a server for minutes.
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
