"""Attempts to get something from the house's server, each by all five calls and the health service.

A visitor knows everything about the house but its secrets: the endpoint, the certificate, the digest of the friend's
agreement and the ids of its runs.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

import grpc

from mutuals.clock import utc_now
from mutuals.crypto.tls import generate_tls_key, issue_certificate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.cards import card_bytes, issue_card, parse_card, tls_pin
from mutuals.identity.initialise import renew_card
from mutuals.identity.partners import add_partner, review_card
from mutuals.models.run import Role
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.protocol.hello import MatchTerms, make_hello
from mutuals.protocol.messages import Approve, ExchangeStart
from mutuals.store.rows import PartnerRow
from mutuals.transport import credentials
from mutuals.transport.credentials import server_name
from mutuals.transport.options import channel_options
from mutuals.transport.wire import EXCHANGE, MATCH, PING, REVEAL, SYNC, Method, Ping, SyncMessage
from mutuals.v1 import error_pb2
from strangers.certificates import Pair, authority, issued
from strangers.house import House

SECONDS = 5.0
REFRESH_SECONDS = credentials.REFRESH_SECONDS
HEALTH = "/grpc.health.v1.Health/Check"


@dataclass(frozen=True)
class Heard:
    """What one call of a visitor brought: ``code`` is ours, if it got as far as that."""

    call: str
    status: grpc.StatusCode
    code: ErrorCode | None
    details: str
    metadata: str
    answers: int

    @property
    def text(self) -> str:
        """All words that came along."""
        return f"{self.details} {self.metadata}"


@dataclass(frozen=True)
class Visit:
    """One attempt. ``stopped_where`` and ``code`` are what DESIGN.md promises."""

    name: str
    stopped_where: str
    code: str
    carry_out: Callable[[House], list[Heard]]


HANDSHAKE = "TLS handshake"
GUARD = "guard, on every call"
IMPORT = "import of the card"
AGREEMENT = "lookup of the agreement"
RUN = "lookup of the run"
GREETING = "check of the greeting"


# Calling


@contextmanager
def channel(house: House, pair: Pair | None, *, plain: bool = False) -> Iterator[grpc.Channel]:
    """A channel of nobody's software to the house, with ``pair`` as key and certificate."""
    card = house.peer.card.card
    options = channel_options(server_name(card), local=True)
    if plain:
        made = grpc.insecure_channel(house.past.endpoint, options)
    else:
        key, chain = pair or (None, None)
        trust = grpc.ssl_channel_credentials(card.tls_certificate.encode(), key, chain)
        made = grpc.secure_channel(house.past.endpoint, trust, options)
    with closing(made):
        yield made


def every_call(house: House, over: grpc.Channel, caller: Peer, **changes: Any) -> list[Heard]:
    """All calls, with first messages as the real partner would send them, signed by ``caller``."""
    sid = changes.get("sid", house.past.revealed)
    agreement = changes.get("agreement", house.past.friends_agreement)
    approve = Approve(changes.get("sid", house.past.counted), caller.signing_key.sign(b"approved"))
    return [
        ask(over, PING, PING.request.encode(Ping())),
        ask(over, SYNC, SYNC.request.encode(SyncMessage((), ()))),
        ask(over, MATCH, opening(house, caller, agreement)),
        ask(over, REVEAL, REVEAL.request.encode(approve)),
        ask(over, EXCHANGE, EXCHANGE.request.encode(ExchangeStart(sid))),
        _ask(over, HEALTH, b"", streaming=False),
    ]


def opening(house: House, caller: Peer, agreement: str) -> bytes:
    """An Open of ``caller`` that is right in everything, under the agreement with this digest."""
    profile = get_profile("uid2-v1")
    terms = MatchTerms(
        agreement=bytes.fromhex(agreement),
        engine="x25519",
        profile=profile.name,
        profile_digest=profile.digest(),
        initiator=caller.fingerprint,
        responder=house.peer.fingerprint,
        min_set_size=0,
        max_set_size=1000,
    )
    hello = make_hello(
        Role.INITIATOR, terms, 6, b"n" * 32, b"k" * 1216, house.clock(), signing_key=caller.signing_key
    )
    return MATCH.request.encode(hello)


def ask(over: grpc.Channel, method: Method[Any, Any], message: bytes) -> Heard:
    """One call with one message."""
    return _ask(over, method.path, message, streaming=method in (MATCH, REVEAL, EXCHANGE))


def _ask(over: grpc.Channel, path: str, message: bytes, *, streaming: bool) -> Heard:
    name = path.rpartition("/")[2]
    heard = threading.Event()

    def requests() -> Iterator[bytes]:
        yield message
        heard.wait(SECONDS)  # whoever leaves at once may not be answered

    call: Any = (
        over.stream_stream(path)(requests(), timeout=SECONDS)
        if streaming
        else over.unary_stream(path)(message, timeout=SECONDS)
    )
    answers = 0
    with suppress(grpc.RpcError):
        for _ in call:
            answers += 1
            heard.set()
    heard.set()
    metadata = [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]
    codes = [
        ErrorCode(error_pb2.ErrorDetail.FromString(value).code)
        for key, value in metadata
        if key == "mutuals-error-bin"
    ]
    shown = " ".join(f"{key}={value!r}" for key, value in metadata)
    return Heard(name, call.code(), codes[0] if codes else None, call.details() or "", shown, answers)


def raw(house: House, context: ssl.SSLContext | None) -> list[Heard]:
    """The opening of an HTTP/2 connection by other means than gRPC; ``answers`` counts bytes."""
    host, _, port = house.past.endpoint.rpartition(":")
    received = b""
    text = "the connection was closed"
    try:
        with socket.create_connection((host, int(port)), timeout=SECONDS) as plain:
            line = context.wrap_socket(plain, server_hostname="house") if context else plain
            with line:
                line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                received = line.recv(4096)
    except OSError as error:
        text = str(error)
    # An HTTP/2 server opens with a SETTINGS frame; anything shorter or else is no answer.
    answered = len(received) > 8 and received[3] == 4
    return [Heard("connect", grpc.StatusCode.UNAVAILABLE, None, text, "", int(answered))]


def tls_context(house: House, pair: Pair) -> ssl.SSLContext:
    """A TLS client that believes anybody and shows ``pair``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    pem = house.folder / "visitor.pem"
    pem.write_bytes(b"".join(pair))
    context.load_cert_chain(pem)
    return context


# The visits


def own_pair(peer: Peer) -> Pair:
    """Key and certificate of ``peer``."""
    return peer.tls_key, peer.tls_certificate


def _with(house: House, pair: Pair | None, caller: str = "stranger") -> list[Heard]:
    with channel(house, pair) as over:
        return every_call(house, over, house.peers[caller])


def no_certificate(house: House) -> list[Heard]:
    return _with(house, None)


def stranger(house: House) -> list[Heard]:
    return _with(house, own_pair(house.peers["stranger"]))


def stranger_with_a_partners_name(house: House) -> list[Heard]:
    """Self-signed, with the friend's name in it, over a key of the stranger's."""
    key = generate_tls_key()
    return _with(house, (key, issue_certificate(key, house.peers["friend"].fingerprint, utc_now())))


def partners_certificate_without_its_key(house: House) -> list[Heard]:
    """The friend's certificate is public; the stranger shows it and signs with a key of its own."""
    return _with(house, (house.peers["stranger"].tls_key, house.peers["friend"].tls_certificate))


def signed_by_a_partners_key(house: House) -> list[Heard]:
    """A partner is no authority: a certificate it signs for another key opens nothing."""
    friend = house.peers["friend"]
    return _with(house, issued(own_pair(friend), friend.fingerprint))


def card_by_an_authority(house: House) -> list[Heard]:
    """A card whose certificate an authority issued: nobody's root may become the authority's."""
    peer = house.peers["stranger"]
    key, chain = issued(authority(), peer.fingerprint)
    leaf = chain[: chain.index(b"-----END CERTIFICATE-----") + len(b"-----END CERTIFICATE-----\n")]
    signed = issue_card(peer.config, peer.signing_key, peer.log_key.public, leaf, 2, house.clock())
    try:
        parse_card(card_bytes(signed), now=house.clock())
    except MutualsError as refused:
        heard = Heard("partner add", grpc.StatusCode.PERMISSION_DENIED, refused.code, refused.message, "", 0)
        return [heard, *_with(house, (key, chain))]
    return [Heard("partner add", grpc.StatusCode.OK, None, "", "", 1)]


def same_authority_other_key(house: House) -> list[Heard]:
    """Even if the handshake trusted an authority, its certificate for another key is not a partner's."""
    root = authority()
    return _trusting(house, root, issued(root, house.peers["friend"].fingerprint))


def same_authority_partners_key(house: House) -> list[Heard]:
    """Nor is another certificate over a partner's key the one on its card."""
    root, friend = authority(), house.peers["friend"]
    return _trusting(house, root, issued(root, friend.fingerprint, friend.tls_key))


def _trusting(house: House, root: Pair, pair: Pair) -> list[Heard]:
    """Visit while the handshake also trusts ``root``: as if that check had failed us."""
    honest = credentials.PartnerTrust._roots

    def wider(self: credentials.PartnerTrust) -> bytes:
        return honest(self) + b"\n" + root[1]

    try:
        with mock.patch.object(credentials.PartnerTrust, "_roots", wider):
            time.sleep(REFRESH_SECONDS)
            return _with(house, pair, "friend")
    finally:
        time.sleep(REFRESH_SECONDS)


def _dated(house: House, start: timedelta) -> list[Heard]:
    """Visit with a certificate of the newcomer that begins ``start`` from now, and is on its card."""
    peer = house.peers["newcomer"]
    issued_at = utc_now() + start
    certificate = issue_certificate(peer.tls_key, peer.fingerprint, issued_at)
    signed = issue_card(peer.config, peer.signing_key, peer.log_key.public, certificate, 2, issued_at)
    with house.peer.store.transaction() as tx:
        add_partner(
            tx, review_card(tx, card_bytes(signed), own=house.peer.card.card, now=issued_at), issued_at
        )
    house.note()
    time.sleep(REFRESH_SECONDS)
    return _with(house, (peer.tls_key, certificate), "newcomer")


def expired(house: House) -> list[Heard]:
    return _dated(house, timedelta(days=-500))


def not_yet_valid(house: House) -> list[Heard]:
    return _dated(house, timedelta(days=20))


def expired_on_an_old_connection(house: House) -> list[Heard]:
    """The house's clock passes the end of the certificate while the friend is connected."""
    return _after(house, lambda: _turn(house, timedelta(days=500)))


def not_valid_by_the_clock_of_the_house(house: House) -> list[Heard]:
    return _after(house, lambda: _turn(house, timedelta(days=-20)))


def _turn(house: House, by: timedelta) -> None:
    house.clock.now += by


def removed_on_an_old_connection(house: House) -> list[Heard]:
    return _after(house, lambda: house.removes("friend"))


def removed_on_a_new_connection(house: House) -> list[Heard]:
    house.removes("newcomer")
    time.sleep(REFRESH_SECONDS)
    return _with(house, own_pair(house.peers["newcomer"]), "newcomer")


def _after(house: House, change: Callable[[], None]) -> list[Heard]:
    """Let the friend in, change something, and see whether its open connection still gets it anything."""
    friend = house.peers["friend"]
    with channel(house, own_pair(friend)) as over:
        assert ask(over, PING, PING.request.encode(Ping())).answers == 1
        before = house.clock.now
        change()
        heard = every_call(house, over, friend)
        house.clock.now = before
        return heard


def old_card_on_an_old_connection(house: House) -> list[Heard]:
    return _after(house, lambda: _renew(house, "friend"))


def old_card_on_a_new_connection(house: House) -> list[Heard]:
    pair = own_pair(house.peers["newcomer"])
    _renew(house, "newcomer")
    time.sleep(REFRESH_SECONDS)
    return _with(house, pair, "newcomer")


def _renew(house: House, name: str) -> PartnerRow:
    """``name`` renews its card, and the house imports the new one."""
    peer = house.peers[name]
    signed = renew_card(
        peer.home, peer.config, signing_key=peer.signing_key, previous=peer.card, now=house.clock()
    )
    assert tls_pin(signed.card.tls_certificate) != tls_pin(peer.card.card.tls_certificate)
    with house.peer.store.transaction() as tx:
        review = review_card(tx, card_bytes(signed), own=house.peer.card.card, now=house.clock())
        row = add_partner(tx, review, house.clock())
    house.note()
    house.peers[name] = Peer.open(peer.home.root, house.clock)
    peer.close()
    return row


def plaintext(house: House) -> list[Heard]:
    with channel(house, None, plain=True) as over:
        heard = every_call(house, over, house.peers["friend"])
    return [*heard, *raw(house, None)]


def tls_1_2(house: House) -> list[Heard]:
    """With everything else right: the friend's own key and certificate."""
    context = tls_context(house, own_pair(house.peers["friend"]))
    assert raw(house, context)[0].answers == 1, "TLS 1.3 with the same key gets an answer"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return raw(house, context)


def no_agreement(house: House) -> list[Heard]:
    return _partner_asks(house, "newcomer", MATCH, house.past.friends_agreement)


def no_such_agreement(house: House) -> list[Heard]:
    """What the answers to somebody else's agreement must be equal to."""
    return _partner_asks(house, "newcomer", MATCH, "ab" * 32)


def somebody_elses_agreement(house: House) -> list[Heard]:
    return _partner_asks(house, "other", MATCH, house.past.friends_agreement)


def _partner_asks(house: House, caller: str, method: Method[Any, Any], name: str) -> list[Heard]:
    """One call of a partner, naming the agreement (hex) or run (hex) ``name``."""
    peer = house.peers[caller]
    if method is MATCH:
        message = opening(house, peer, name)
    elif method is REVEAL:
        message = REVEAL.request.encode(Approve(bytes.fromhex(name), peer.signing_key.sign(b"approved")))
    else:
        message = EXCHANGE.request.encode(ExchangeStart(bytes.fromhex(name)))
    with channel(house, own_pair(peer)) as over:
        return [ask(over, method, message)]


def _asks(caller: str, method: Method[Any, Any], run: str) -> Callable[[House], list[Heard]]:
    def carry_out(house: House) -> list[Heard]:
        sid = {"counted": house.past.counted, "revealed": house.past.revealed, "none": b"s" * 32}[run]
        return _partner_asks(house, caller, method, sid.hex())

    return carry_out


def own_agreement_in_anothers_name(house: House) -> list[Heard]:
    """A partner opens under its own agreement with a greeting that names, and is signed by, somebody else."""
    other, friend = house.peers["other"], house.peers["friend"]
    message = opening(house, friend, house.past.others_agreement)
    with channel(house, own_pair(other)) as over:
        return [ask(over, MATCH, message)]


PEER_IDENTITY = ErrorCode.PEER_IDENTITY.value
UNREACHABLE = ErrorCode.UNREACHABLE.value
UNKNOWN_AGREEMENT = ErrorCode.AGREEMENT_UNKNOWN.value
UNKNOWN_RUN = ErrorCode.RUN_UNKNOWN.value

VISITS: tuple[Visit, ...] = (
    Visit("no certificate", HANDSHAKE, UNREACHABLE, no_certificate),
    Visit("plaintext", HANDSHAKE, UNREACHABLE, plaintext),
    Visit("TLS 1.2 with a partner's own key", HANDSHAKE, UNREACHABLE, tls_1_2),
    Visit("self-signed stranger", HANDSHAKE, UNREACHABLE, stranger),
    Visit("stranger under a partner's name", HANDSHAKE, UNREACHABLE, stranger_with_a_partners_name),
    Visit(
        "a partner's certificate without its key",
        HANDSHAKE,
        UNREACHABLE,
        partners_certificate_without_its_key,
    ),
    Visit("certificate signed by a partner's key", HANDSHAKE, UNREACHABLE, signed_by_a_partners_key),
    Visit("card with an authority's certificate", IMPORT, PEER_IDENTITY, card_by_an_authority),
    Visit("same authority, another key", GUARD, PEER_IDENTITY, same_authority_other_key),
    Visit(
        "same authority, a partner's key, another certificate",
        GUARD,
        PEER_IDENTITY,
        same_authority_partners_key,
    ),
    Visit("expired certificate", HANDSHAKE, UNREACHABLE, expired),
    Visit("certificate not yet valid", HANDSHAKE, UNREACHABLE, not_yet_valid),
    Visit("certificate expired since it connected", GUARD, PEER_IDENTITY, expired_on_an_old_connection),
    Visit(
        "certificate not yet valid by our clock", GUARD, PEER_IDENTITY, not_valid_by_the_clock_of_the_house
    ),
    Visit("removed partner on an old connection", GUARD, PEER_IDENTITY, removed_on_an_old_connection),
    Visit("removed partner on a new connection", HANDSHAKE, UNREACHABLE, removed_on_a_new_connection),
    Visit(
        "certificate of before the renewal, old connection",
        GUARD,
        PEER_IDENTITY,
        old_card_on_an_old_connection,
    ),
    Visit(
        "certificate of before the renewal, new connection",
        HANDSHAKE,
        UNREACHABLE,
        old_card_on_a_new_connection,
    ),
    Visit("partner without an agreement: match", AGREEMENT, UNKNOWN_AGREEMENT, no_agreement),
    Visit("agreement that does not exist: match", AGREEMENT, UNKNOWN_AGREEMENT, no_such_agreement),
    Visit("somebody else's agreement: match", AGREEMENT, UNKNOWN_AGREEMENT, somebody_elses_agreement),
    Visit(
        "own agreement, greeting signed by somebody else",
        GREETING,
        ErrorCode.BAD_MESSAGE.value,
        own_agreement_in_anothers_name,
    ),
    *(
        Visit(f"{whose}: {method.name.lower()}", RUN, UNKNOWN_RUN, _asks(caller, method, run))
        for method, known in ((REVEAL, "counted"), (EXCHANGE, "revealed"))
        for whose, caller, run in (
            ("partner without an agreement, somebody else's run", "newcomer", known),
            ("somebody else's run", "other", known),
            ("run that does not exist", "other", "none"),
        )
    ),
)
