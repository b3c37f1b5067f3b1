"""Companies with a home each, and servers that answer over real loopback TLS."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from mutuals.engines.workers import InlinePool
from mutuals.identity.cards import card_bytes
from mutuals.identity.home import Config, Home, Kdf
from mutuals.identity.initialise import FirstOperator, init_home
from mutuals.identity.partners import add_partner, review_card
from mutuals.peer import Peer
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import PartnerConnection, connect
from mutuals.transport.options import Limits
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

QUICK = Limits(unary=10, stream=30, idle=10, drain=2, runs=3, runs_per_partner=2, unary_calls=4, free_disk=0)


PASSPHRASE = b"correct horse battery"


class SettableClock:
    """The time that tests set; it starts now."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Company:
    """One company: its open peer, its clock, and what its server logged."""

    peer: Peer
    clock: SettableClock

    @property
    def endpoint(self) -> str:
        """Where its card says that it can be reached."""
        assert self.peer.card.card.endpoint is not None
        return self.peer.card.card.endpoint

    def knows(self, other: Company) -> PartnerRow:
        """Import the other's card."""
        with self.peer.store.transaction() as tx:
            review = review_card(tx, card_bytes(other.peer.card), own=self.peer.card.card, now=self.clock())
            return add_partner(tx, review, self.clock())

    def partner(self, other: Company) -> PartnerRow:
        """The other's row."""
        with self.peer.store.transaction() as tx:
            row = tx.partners.get(other.peer.fingerprint.hex())
        assert row is not None
        return row

    def forgets(self, other: Company) -> None:
        """Remove the other."""
        with self.peer.store.transaction() as tx:
            tx.partners.remove(other.peer.fingerprint.hex(), self.clock())

    @contextmanager
    def serving(self, limits: Limits = QUICK) -> Iterator[PeerServer]:
        """Answer at the endpoint of the card."""
        log = ServerLog(self.clock, self.peer.home.log / "server.log", stderr=False)
        server = PeerServer(self.peer, InlinePool(), self.endpoint, log=log, limits=limits)
        server.start()
        try:
            yield server
        finally:
            server.stop(grace=0)
            log.close()

    def call(self, other: Company, limits: Limits = QUICK) -> PartnerConnection:
        """A connection to the other."""
        return connect(self.peer, self.partner(other), limits)

    def log_lines(self) -> list[dict[str, Any]]:
        """What the server logged so far."""
        path = self.peer.home.log / "server.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log_text(self) -> str:
        """The same as it stands in the file."""
        return (self.peer.home.log / "server.log").read_text()


def set_up(root: Path, name: str, *, reachable: bool = True) -> Company:
    """A home in ``root`` and the open peer in it; close the peer after use."""
    clock = SettableClock()
    config = Config(
        organisation=name,
        endpoint=f"127.0.0.1:{free_port()}" if reachable else None,
        kdf=Kdf(memory_kib=8, iterations=1, lanes=1),
    )
    init_home(Home(root), config, FirstOperator("olga", "marketing"), PASSPHRASE, clock())
    return Company(Peer.open(root, clock), clock)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MakeCompany(Protocol):
    """The fixture ``company``."""

    def __call__(self, name: str, *, reachable: bool = True) -> Company:
        """A company that is closed when the test ends."""
