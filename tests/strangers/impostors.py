"""Servers that answer at the house's endpoint without being the house, and a friend who calls there.

An impostor is a TLS server of Python's own, so that it can do what ours never would; it notes what it gets to see.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mutuals.clock import utc_now
from mutuals.crypto.tls import generate_tls_key, issue_certificate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.cards import card_bytes, issue_card
from mutuals.identity.partners import add_partner, review_card
from mutuals.protocol.messages import Approve, ExchangeStart, TagCommit
from mutuals.transport.connection import PartnerConnection
from mutuals.transport.streams import ClientStream
from mutuals.transport.wire import SyncMessage
from strangers.certificates import Pair, authority, issued
from strangers.house import House
from strangers.visits import own_pair

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@dataclass
class Seen:
    """What an impostor got: connections, the clients' certificates, and bytes of their messages."""

    connections: int = 0
    shaken: int = 0
    certificates: int = 0
    received: bytes = b""


@dataclass(frozen=True)
class Impostor:
    """One way to pose as the house; ``pose`` prepares the friend's view and gives the server's TLS, or none."""

    name: str
    code: str
    pose: Callable[[House], ssl.SSLContext | None] = field(repr=False)


@contextmanager
def answering(house: House, context: ssl.SSLContext | None) -> Iterator[Seen]:
    """Answer at the house's endpoint with ``context``, or without TLS."""
    seen = Seen()
    host, _, port = house.past.endpoint.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError, OSError):
                    line, _ = listener.accept()
                    seen.connections += 1
                    _talk(line, context, seen)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join(5)


def _talk(line: socket.socket, context: ssl.SSLContext | None, seen: Seen) -> None:
    line.settimeout(1)
    with line, suppress(OSError):
        if context is None:
            line.sendall(SETTINGS)
            _read(line, Seen())  # a ClientHello, which holds no message
            return
        with context.wrap_socket(line, server_side=True) as secure:
            seen.shaken += 1
            seen.certificates += secure.getpeercert(binary_form=True) is not None
            secure.sendall(SETTINGS)
            _read(secure, seen)


def _read(line: socket.socket, seen: Seen) -> None:
    while data := line.recv(4096):
        seen.received += data


def calls(connection: PartnerConnection) -> list[MutualsError | None]:
    """How each of the five calls of our own client ends."""
    return [
        _ending(connection.ping),
        _ending(lambda: connection.sync(SyncMessage((), ()))),
        _ending(lambda: _stream(connection.match(), TagCommit(b"c" * 32))),
        _ending(lambda: _stream(connection.reveal(), Approve(b"s" * 32, b"s" * 64))),
        _ending(lambda: _stream(connection.exchange(), ExchangeStart(b"s" * 32))),
    ]


def _stream(call: ClientStream[Any, Any], message: object) -> None:
    with call as stream:
        stream.send(message)
        stream.receive()


def _ending(call: Callable[[], object]) -> MutualsError | None:
    try:
        call()
    except MutualsError as error:
        return error
    return None


# Poses


def _context(house: House, pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    # It would like to know who calls, and takes anybody's word for it.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=house.peers["friend"].tls_certificate.decode())
    pem = house.folder / "impostor.pem"
    pem.write_bytes(b"".join(pair))
    context.load_cert_chain(pem)
    return context


def _genuine(house: House) -> ssl.SSLContext:
    """The house itself, for comparison: the same server, and it sees what the others must not."""
    return _context(house, own_pair(house.peer))


def _stranger(house: House) -> ssl.SSLContext:
    return _context(house, own_pair(house.peers["stranger"]))


def _other_partner(house: House) -> ssl.SSLContext:
    """A peer that the friend knows and trusts, but did not call."""
    other = house.peers["other"]
    friend = house.peers["friend"]
    with friend.store.transaction() as tx:
        review = review_card(tx, card_bytes(other.card), own=friend.card.card, now=house.clock())
        add_partner(tx, review, house.clock())
    return _context(house, own_pair(other))


def _right_name(house: House) -> ssl.SSLContext:
    key = generate_tls_key()
    return _context(house, (key, issue_certificate(key, house.peer.fingerprint, utc_now())))


def _by_an_authority(house: House) -> ssl.SSLContext:
    return _context(house, issued(authority(), house.peer.fingerprint))


def _by_another_partners_key(house: House) -> ssl.SSLContext:
    return _context(house, issued(own_pair(house.peers["other"]), house.peer.fingerprint))


def _by_the_houses_key(house: House) -> ssl.SSLContext:
    """Whoever held the house's TLS key once cannot make certificates that outlive it."""
    return _context(house, issued(own_pair(house.peer), house.peer.fingerprint))


def _dated(start: timedelta) -> Callable[[House], ssl.SSLContext]:
    def pose(house: House) -> ssl.SSLContext:
        """The house's own key under a certificate of another time, which the friend has on its card."""
        peer, at = house.peer, utc_now() + start
        certificate = issue_certificate(peer.tls_key, peer.fingerprint, at)
        _friend_imports(
            house,
            card_bytes(issue_card(peer.config, peer.signing_key, peer.log_key.public, certificate, 2, at)),
            at,
        )
        return _context(house, (peer.tls_key, certificate))

    return pose


def _before_the_renewal(house: House) -> ssl.SSLContext:
    """The house's old key and certificate, after the friend imported its next card."""
    peer, now = house.peer, house.clock()
    certificate = issue_certificate(generate_tls_key(), peer.fingerprint, utc_now())
    _friend_imports(
        house,
        card_bytes(issue_card(peer.config, peer.signing_key, peer.log_key.public, certificate, 2, now)),
        now,
    )
    return _context(house, own_pair(peer))


def _friend_imports(house: House, card: bytes, now: datetime) -> None:
    friend = house.peers["friend"]
    with friend.store.transaction() as tx:
        review = review_card(tx, card, own=friend.card.card, now=now)
        add_partner(tx, review, now)


def _tls_1_2(house: House) -> ssl.SSLContext:
    """The house's own key, but no better than TLS 1.2, with every cipher suite that OpenSSL has for it."""
    context = _genuine(house)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


GENUINE = Impostor("the house itself", "", _genuine)
PEER_IDENTITY, UNREACHABLE = ErrorCode.PEER_IDENTITY.value, ErrorCode.UNREACHABLE.value

IMPOSTORS: tuple[Impostor, ...] = (
    Impostor("server without TLS", UNREACHABLE, lambda _: None),
    Impostor("server with TLS 1.2 and the right key", UNREACHABLE, _tls_1_2),
    Impostor("server of a stranger", PEER_IDENTITY, _stranger),
    Impostor("server of another partner", PEER_IDENTITY, _other_partner),
    Impostor("server under the right name, self-signed", PEER_IDENTITY, _right_name),
    Impostor("server under the right name, by an authority", PEER_IDENTITY, _by_an_authority),
    Impostor(
        "server under the right name, by another partner's key", PEER_IDENTITY, _by_another_partners_key
    ),
    Impostor("server under the right name, by the partner's own key", PEER_IDENTITY, _by_the_houses_key),
    Impostor("server with an expired certificate", PEER_IDENTITY, _dated(timedelta(days=-500))),
    Impostor("server with a certificate not yet valid", PEER_IDENTITY, _dated(timedelta(days=20))),
    Impostor("server with the certificate of before the renewal", PEER_IDENTITY, _before_the_renewal),
)

__all__ = ["GENUINE", "IMPOSTORS", "Impostor", "Seen", "answering", "calls"]
