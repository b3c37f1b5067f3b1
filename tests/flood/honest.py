"""What the honest partner does meanwhile, and how long it takes: as our own software calls, over new connections."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flood.world import Partner
from mutuals.engines.workers import InlinePool
from mutuals.errors import MutualsError
from mutuals.peer import Peer
from mutuals.runs.match import initiate_match
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import connect
from mutuals.transport.sync import sync_partner

PINGS, SYNCS = 6, 3


@dataclass
class Took:
    """Seconds that calls took, by kind, and what failed."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def median(self, kind: str) -> float:
        """The median of one kind, infinite where none came through."""
        return statistics.median(self.seconds.get(kind) or [float("inf")])


class Honest:
    """The partner with its home open; a context manager."""

    def __init__(self, partner: Partner) -> None:
        self._peer = Peer.open(partner.home)
        self._agreement = partner.agreement
        with self._peer.store.transaction() as tx:
            (self._house,) = tx.partners.list()

    def __enter__(self) -> Honest:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()

    def work(self) -> Took:
        """Some pings and syncs, and a match."""
        took = Took()
        for _ in range(PINGS):
            self._timed(took, "ping", lambda connection: connection.ping())
        for _ in range(SYNCS):
            self._timed(took, "sync", lambda connection: sync_partner(self._peer, connection))
        self._timed(took, "match", self._match)
        return took

    def _match(self, connection: Any) -> None:
        with connection.match() as stream:
            initiate_match(self._peer, self._agreement, stream, InlinePool(), count_only=True)

    def _timed(self, took: Took, kind: str, action: Callable[[Any], object]) -> None:
        start = time.perf_counter()
        try:
            with connect(self._peer, self._row()) as connection:
                action(connection)
        except MutualsError as error:
            took.failed.append(f"{kind}: {error.code.value} {error.message}")
        else:
            took.seconds.setdefault(kind, []).append(time.perf_counter() - start)

    def _row(self) -> PartnerRow:
        return self._house
