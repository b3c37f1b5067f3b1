"""Mutual TLS under pinned certificates (DESIGN §4).

Every peer's certificate is its own trust root. A caller trusts the one certificate on the partner's card; the
server trusts those of all its partners, and looks for changes at each new connection, so that a partner added,
renewed or removed counts at once. Which partner a call belongs to, and whether it still is one, is decided by
the server's guard for every call.
"""

from __future__ import annotations

import threading
import time

import grpc

from mutuals.crypto.tls import tls_server_name
from mutuals.identity.cards import fingerprint_of
from mutuals.identity.partners import partner_card
from mutuals.models.card import Card
from mutuals.peer import Peer

REFRESH_SECONDS = 0.2
"""New connections within this time share one look into the store, so that a flood of them costs little."""


def channel_credentials(peer: Peer, partner: Card) -> grpc.ChannelCredentials:
    """Credentials to call ``partner`` and nobody else, as ``peer``."""
    return grpc.ssl_channel_credentials(
        root_certificates=partner.tls_certificate.encode(),
        private_key=peer.tls_key,
        certificate_chain=peer.tls_certificate,
    )


def server_name(partner: Card) -> str:
    """The name in the partner's certificate, whatever host its endpoint has."""
    return tls_server_name(fingerprint_of(partner))


def server_credentials(peer: Peer) -> grpc.ServerCredentials:
    """Credentials of the peer's server: its own certificate, and a handshake with its partners alone."""
    trust = PartnerTrust(peer)
    return grpc.dynamic_ssl_server_credentials(
        trust.load(),
        trust.fetch,  # type: ignore[arg-type]  # the stubs do not know that None means “as before”
        require_client_authentication=True,
    )


class PartnerTrust:
    """What the server shows and whom it lets through the handshake, kept up to date while it runs."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self._loaded_at = 0.0
        self._loaded: tuple[bytes, bytes, bytes] | None = None

    def load(self) -> grpc.ServerCertificateConfiguration:
        """The configuration of this moment. Raises MutualsError where home or store cannot be read."""
        # Before the look, so that a slow one does not stretch the time in which others are spared it.
        self._loaded_at = time.monotonic()
        key, certificate = self._own()
        roots = self._roots() or certificate  # gRPC needs one; the guard refuses it, as no partner's
        self._loaded = (key, certificate, roots)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=roots)

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """For every new connection: a new configuration, or nothing where it is as before.

        Never raises: gRPC would let the handshake go on regardless. Where home or store cannot be read the last
        configuration stays in force; the guard refuses every call then. Connections that come while one is
        looking do not wait for it.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if time.monotonic() - self._loaded_at < REFRESH_SECONDS:
                return None
            before = self._loaded
            configuration = self.load()
            return None if self._loaded == before else configuration
        except Exception:
            return None
        finally:
            self._lock.release()

    def _own(self) -> tuple[bytes, bytes]:
        """The own key and certificate, from the home again: ``mutuals card --renew`` may have replaced them."""
        now = Peer.open(self._peer.home.root, self._peer.clock)
        return now.tls_key, now.tls_certificate

    def _roots(self) -> bytes:
        with self._peer.store.transaction() as tx:
            rows = tx.partners.list()
        return b"\n".join(partner_card(row).tls_certificate.encode() for row in rows)
