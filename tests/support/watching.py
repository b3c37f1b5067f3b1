"""Reading the metrics of a server as Prometheus does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from mutuals.engines.workers import InlinePool, Pool
from mutuals.peer import Peer
from mutuals.transport.options import Limits
from mutuals_server.log import ServerLog
from mutuals_server.watching import Watching
from support.companies import QUICK

Key = tuple[str, frozenset[tuple[str, str]]]


class Watcher:
    """Somebody who asks the local port of a server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and reasons of /ready."""
        status, body = self.get("/ready")
        return status, json.loads(body)["reasons"]

    def samples(self) -> dict[Key, float]:
        """Every sample of one scrape, by name and labels."""
        status, body = self.get("/metrics")
        assert status == 200
        return samples_of(body)


def samples_of(text: str) -> dict[Key, float]:
    """The samples of a page of metrics."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> Key:
    """The key of a sample."""
    return name, frozenset(labels.items())


@contextmanager
def watched(
    peer: Peer, log: ServerLog, pool: Pool | None = None, limits: Limits = QUICK
) -> Iterator[Watcher]:
    """The local port of a server that writes ``log``."""
    watching = Watching(peer, pool or InlinePool(), log, limits, ("127.0.0.1", 0))
    try:
        yield Watcher(watching.start())
    finally:
        watching.stop()
