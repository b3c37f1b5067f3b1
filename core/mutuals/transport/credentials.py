"""Mutual TLS under pinned certificates (DESIGN §4).

Every peer's certificate is its own trust root. A caller trusts the one certificate on the partner's card, and asks for
it by name; the server trusts those of all its partners, and looks for changes at each new connection, so that a partner
added, renewed or removed counts at once. While a rotation is under way, a server shows each caller the certificate that
it asks for, and a caller shows a partner the one that the partner knows (docs/adr/0016-rotation.md). Which partner a
call belongs to, and whether it still is one, is decided by the server's guard for every call.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

import grpc

from mutuals.crypto.tls import name_to_ask_for
from mutuals.identity.cards import fingerprint_of
from mutuals.identity.partners import good_certificates
from mutuals.models.card import Card
from mutuals.peer import Peer

_logger = logging.getLogger(__name__)

REFRESH_SECONDS = 0.2
"""New connections within this time share one look into the store, so that a flood of them costs little."""

PATIENCE_SECONDS = 1.0
RENEWED_SECONDS = 4.0
"""How long a connection waits for a look, and where a card was renewed; the handshake may take 10 seconds."""


@dataclass(frozen=True)
class TlsPair:
    """A TLS key and its certificate (PEM)."""

    key: bytes = field(repr=False)
    certificate: bytes


def own_pairs(peer: Peer) -> tuple[TlsPair, ...]:
    """What ``peer`` may show: the pairs of before while they are good, oldest first, and last the present one."""
    earlier = (TlsPair(pair.key.encode(), pair.certificate.encode()) for pair in peer.earlier)
    return *earlier, TlsPair(peer.tls_key, peer.tls_certificate)


def channel_credentials(peer: Peer, partner: Card, pair: TlsPair | None = None) -> grpc.ChannelCredentials:
    """Credentials to call ``partner`` and nobody else, as ``peer``, who shows ``pair`` or the present one."""
    shown = pair or own_pairs(peer)[-1]
    return grpc.ssl_channel_credentials(
        root_certificates=partner.tls_certificate.encode(),
        private_key=shown.key,
        certificate_chain=shown.certificate,
    )


def server_name(partner: Card) -> str:
    """The name to ask for, which the certificate on the partner's card has, whatever host its endpoint has."""
    return name_to_ask_for(partner.tls_certificate.encode(), fingerprint_of(partner))


def server_credentials(peer: Peer, trust: PartnerTrust | None = None) -> grpc.ServerCredentials:
    """Credentials of the peer's server: its own certificate, and a handshake with its partners alone."""
    trust = trust or PartnerTrust(peer)
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
        self._looking: threading.Event | None = None
        self._looked_at = 0.0
        self._loaded: tuple[tuple[TlsPair, ...], bytes] | None = None
        self._configuration: grpc.ServerCertificateConfiguration | None = None
        self._given: tuple[tuple[TlsPair, ...], bytes] | None = None
        self._card: tuple[int, int] | None = None
        self._outdated = False

    def load(self) -> grpc.ServerCertificateConfiguration:
        """The configuration of this moment. Raises MutualsError where home or store cannot be read."""
        configuration = self._look()
        with self._lock:
            self._given = self._loaded
        return configuration

    def _look(self) -> grpc.ServerCertificateConfiguration:
        self._card = self._card_file()
        self._outdated = False
        pairs = self._own()
        # gRPC needs one; the guard refuses it, as no partner's.
        roots = self._roots() or pairs[-1].certificate
        # gRPC shows the first that has the name which the caller asks for; those of before have only that of their key
        # and the peer's, by which callers ask whose card has a certificate of before there were rotations.
        configuration = grpc.ssl_server_certificate_configuration(
            [(pair.key, pair.certificate) for pair in pairs], root_certificates=roots
        )
        with self._lock:
            self._loaded, self._configuration = (pairs, roots), configuration
        return configuration

    def look_again(self) -> None:
        """Have the next connection wait for a look into the store: a card came whose owner may use it at once."""
        self._outdated = True

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """For every new connection: a new configuration, or nothing where it is as before.

        Never raises: gRPC would let the handshake go on regardless. Where home or store cannot be read the last
        configuration stays in force; the guard refuses every call then. gRPC lets one connection at a time ask: so
        one waits for a look, and not for long where the store has much to do, and those behind it do not. All wait a
        little longer where a card was renewed, since its owner, or who has it, may go by it already.
        """
        try:
            for _ in range(2):  # a look under way may have begun before the card came
                renewed = self._outdated or self._card_file() != self._card
                look = self._begin(renewed)
                if look is not None:
                    look.wait(RENEWED_SECONDS if renewed else PATIENCE_SECONDS)
                if not renewed:
                    break
            with self._lock:
                if self._loaded == self._given:
                    return None
                self._given = self._loaded
                return self._configuration
        except Exception:
            return None

    def _begin(self, renewed: bool) -> threading.Event | None:
        """A look to wait for; nothing where the last one is recent, or another connection waits for one."""
        with self._lock:
            if self._looking is not None:
                return self._looking if renewed else None
            if not renewed and time.monotonic() - self._looked_at < REFRESH_SECONDS:
                return None
            done = self._looking = threading.Event()

        def look() -> None:
            try:
                self._look()
            except Exception as error:  # the next one may succeed
                _logger.debug("No look at the partners' certificates: %s.", type(error).__name__)
            finally:
                with self._lock:
                    self._looking, self._looked_at = None, time.monotonic()
                done.set()

        try:
            threading.Thread(target=look, name="mutuals-trust", daemon=True).start()
        except BaseException:  # the system has no thread left
            with self._lock:
                self._looking = None
            raise
        return done

    def _own(self) -> tuple[TlsPair, ...]:
        """The own keys and certificates, from the home again: ``mutuals card --renew`` may have replaced them."""
        return own_pairs(Peer.open(self._peer.home.root, self._peer.clock))

    def _card_file(self) -> tuple[int, int] | None:
        """What changes with every card, and costs next to nothing to ask."""
        try:
            found = self._peer.home.card.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _roots(self) -> bytes:
        with self._peer.store.transaction() as tx:
            rows = tx.partners.list()
        now = self._peer.clock()
        return b"\n".join(pem.encode() for row in rows for pem in good_certificates(row, now))
