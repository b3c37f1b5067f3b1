"""Whether the peer can serve its partners now: what ``/ready`` answers, and which checks stand behind it.

    ready = Readiness(peer, pool)
    ready.look().problems        # {} or {"store": "The store is locked by another process."}

A server that is not ready goes on answering: what it cannot do it refuses call by call, and it may be well again by the
next one. Nothing here ends or holds up a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mutuals.engines.workers import Pool
from mutuals.monitoring.readings import Readings, read_peer
from mutuals.peer import Peer
from mutuals.transport.options import Limits
from mutuals_server.sampling import Sample, Sampled

CHECKS = ("taking_calls", "store", "workers", "certificate", "disk")

FRESH_SECONDS = 10.0
"""How long what was read of the store and the disk counts as of now."""

WORKERS_FRESH_SECONDS = 30.0


@dataclass(frozen=True)
class Look:
    """``problems`` are sentences by check, none where the peer is ready; ``readings`` the numbers out of the store."""

    problems: dict[str, str]
    readings: Sample[Readings]


class Readiness:
    """The checks of one server, each looked at by a thread of its own while somebody asks."""

    def __init__(self, peer: Peer, pool: Pool, limits: Limits) -> None:
        self._peer = peer
        self._limits = limits
        self._store = Sampled(lambda: read_peer(peer), fresh_seconds=FRESH_SECONDS)
        self._workers = Sampled(pool.check, fresh_seconds=WORKERS_FRESH_SECONDS)
        self._draining = False

    def note(self, event: str, fields: dict[str, Any]) -> None:
        """Hear from the server's log that it is stopping."""
        if event == "draining":
            self._draining = True

    def look(self) -> Look:
        """Look at everything; takes a few seconds at most. Never raises."""
        found = {"taking_calls": "The server is stopping."} if self._draining else {}
        store, workers = self._store.latest(), self._workers.latest()
        if store.problem is not None:
            found["store"] = store.problem
        if workers.problem is not None:
            found["workers"] = workers.problem
        if store.value is not None:
            if store.value.valid_until <= self._peer.clock():
                found["certificate"] = f"The TLS certificate expired on {store.value.valid_until:%Y-%m-%d}."
            if store.value.disk_free < self._limits.free_disk:
                found["disk"] = f"{store.value.disk_free / 1e6:,.0f} MB are free on the disk of the home."
        return Look(found, store)
