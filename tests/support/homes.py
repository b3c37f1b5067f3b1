"""Peers for tests of identity: real homes with an operator whose passphrase costs next to nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mutuals.identity.home import Config, Home, Kdf
from mutuals.identity.initialise import FirstOperator, init_home, renew_card
from mutuals.models.card import SignedCard
from mutuals.peer import Peer

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PASSPHRASE = b"correct horse"
CHEAP = Kdf(memory_kib=64, iterations=1, lanes=1)


def make_peer(root: Path, organisation: str = "Acme Ltd", **config: object) -> Path:
    """A home at ``root`` with the operator ``anna``; the path."""
    settings = Config.model_validate({"organisation": organisation, "kdf": CHEAP, **config})
    init_home(Home(root), settings, FirstOperator("anna", "marketing"), PASSPHRASE, NOW)
    return root


def open_peer(root: Path, now: datetime = NOW) -> Peer:
    """The peer at ``root``, whose clock stands at ``now``."""
    return Peer.open(root, clock=lambda: now)


def renew(root: Path, now: datetime = NOW) -> SignedCard:
    """Renew the card of the peer at ``root``, as ``mutuals card --renew`` does."""
    with open_peer(root, now) as peer:
        return renew_card(peer.home, peer.config, signing_key=peer.signing_key, previous=peer.card, now=now)
