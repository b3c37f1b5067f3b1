"""What a flooder does, until it is told to stop. Some are partners, some strangers; none keeps to anything."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc

from flood.world import LARGEST
from mutuals.crypto.tls import generate_tls_key, issue_certificate
from mutuals.identity.partners import partner_card
from mutuals.models.run import Role
from mutuals.normalisation.profile import get_profile
from mutuals.peer import Peer
from mutuals.protocol.hello import MatchTerms, make_hello
from mutuals.transport.credentials import channel_credentials, server_name
from mutuals.transport.wire import MATCH, PING, SYNC, Ping, SyncMessage
from mutuals.v1 import error_pb2

LINES = 4
"""Connections of a flooder that is a partner."""
CALLS = 200
"""Calls that it holds open at a time."""
CONNECTIONS = 2000
"""Connections of a stranger."""
MEGABYTE = 1024 * 1024


class Flooder:
    """What all floods need: a partner's keys, its connections, and the books about what came back."""

    def __init__(self, peer: Peer, agreement: str, stop: threading.Event, calls: int = CALLS) -> None:
        self.peer = peer
        self.agreement = agreement
        self.stop = stop
        self.calls = calls
        self.sent = 0
        self.heard: Counter[str] = Counter()
        with peer.store.transaction() as tx:
            (house,) = tx.partners.list()
        self.card = partner_card(house)
        host, _, port = str(self.card.endpoint).rpartition(":")
        self.address = host, int(port)

    def channel(self, **options: Any) -> Any:
        """A connection of its own (grpc.Channel), whose messages may have any size."""
        given: list[tuple[str, Any]] = [
            ("grpc.ssl_target_name_override", server_name(self.card)),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_retries", 0),
        ]
        trust = channel_credentials(self.peer, self.card)
        return grpc.secure_channel(str(self.card.endpoint), trust, given, **options)

    def hello(self, size: int) -> bytes:
        """An Open that is right in everything, and announces ``size`` items."""
        profile = get_profile("uid2-v1")
        terms = MatchTerms(
            agreement=bytes.fromhex(self.agreement),
            engine="x25519",
            profile=profile.name,
            profile_digest=profile.digest(),
            initiator=self.peer.fingerprint,
            responder=bytes.fromhex(self._house()),
            min_set_size=0,
            max_set_size=LARGEST,
        )
        nonce = threading.get_ident().to_bytes(16, "big") + time.monotonic_ns().to_bytes(16, "big")
        signed = make_hello(
            Role.INITIATOR,
            terms,
            size,
            nonce,
            b"k" * 1216,
            self.peer.clock(),
            signing_key=self.peer.signing_key,
        )
        return MATCH.request.encode(signed)

    def _house(self) -> str:
        with self.peer.store.transaction() as tx:
            (house,) = tx.partners.list()
        return house.fingerprint

    def note(self, call: Any) -> None:
        """Write down how a call ended."""
        for key, value in call.trailing_metadata() or ():
            if key == "mutuals-error-bin":
                self.heard[error_pb2.ErrorDetail.FromString(value).code] += 1
                return
        self.heard[call.code().name] += 1

    def spin(self, threads: int, action: Callable[[int], None]) -> None:
        """Do ``action`` in so many threads, over and over, until told to stop."""

        def work(number: int) -> None:
            while not self.stop.is_set():
                action(number)

        running = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
        for thread in running:
            thread.start()
        self.stop.wait()
        for thread in running:
            thread.join(5)

    def hold(self, calls: Iterator[Any], *first: bytes) -> None:
        """Keep ``calls`` calls open that send ``first`` and then nothing, and read nothing; open anew what ends."""
        free = threading.Semaphore(self.calls)

        def silent() -> Iterator[bytes]:
            yield from first
            self.stop.wait()

        def ended(over: Any) -> None:
            self.note(over)
            free.release()

        while not self.stop.is_set():
            if free.acquire(timeout=0.2):
                self.sent += 1
                made = next(calls)(silent())
                made.add_done_callback(ended)
                time.sleep(0.002)


def opens(flooder: Flooder) -> None:
    """Open a match, hang up when an answer is there or half a second is over, and open the next."""
    channels = [flooder.channel() for _ in range(LINES)]

    def once(number: int) -> None:
        flooder.sent += 1
        call = channels[number % LINES].stream_stream(MATCH.path)(iter([flooder.hello(500)]), timeout=0.5)
        with suppress(grpc.RpcError):
            next(call)
            flooder.heard["an answer"] += 1
        call.cancel()
        if not (call.done() and call.code() is grpc.StatusCode.CANCELLED):
            flooder.note(call)

    flooder.spin(4 * LINES, once)


def stalled(flooder: Flooder) -> None:
    """Calls of all kinds without a first message."""
    channels = [flooder.channel() for _ in range(LINES)]
    paths = (PING.path, MATCH.path, SYNC.path)
    calls = itertools.cycle([line.stream_stream(path) for path in paths for line in channels])
    flooder.hold(calls)


def slow_reader(flooder: Flooder) -> None:
    """Matches of which nothing is read: the house has megabytes to send."""
    calls = itertools.cycle([flooder.channel().stream_stream(MATCH.path) for _ in range(LINES)])
    flooder.hold(calls, flooder.hello(500))


def syncs(flooder: Flooder) -> None:
    """Syncs without documents, as fast as they are answered."""
    calls = [flooder.channel().unary_unary(SYNC.path) for _ in range(LINES)]
    message = SYNC.request.encode(SyncMessage((), ()))
    flooder.spin(4 * LINES, lambda number: _ask(flooder, calls[number % LINES], message))


def cancelled(flooder: Flooder) -> None:
    """Pings that are cancelled the moment they leave."""
    calls = [flooder.channel().unary_unary(PING.path) for _ in range(LINES)]
    message = PING.request.encode(Ping())

    def once(number: int) -> None:
        flooder.sent += 1
        future = calls[number].future(message)
        time.sleep(0.0005)
        future.cancel()
        flooder.heard["hung up"] += 1

    flooder.spin(LINES, once)


def bomb(flooder: Flooder) -> None:
    """Thirty mebibytes of nothing, some thirty kilobytes once compressed."""
    calls = [flooder.channel(compression=grpc.Compression.Gzip).unary_unary(PING.path) for _ in range(LINES)]
    message = bytes(30 * MEGABYTE)
    flooder.spin(LINES, lambda number: _ask(flooder, calls[number], message))


def metadata(flooder: Flooder) -> None:
    """Metadata of 20 KiB to a mebibyte."""
    calls = [flooder.channel().unary_unary(PING.path) for _ in range(LINES)]
    message = PING.request.encode(Ping())
    sizes = itertools.cycle([20 * 1024, 60 * 1024, MEGABYTE])
    flooder.spin(
        LINES, lambda number: _ask(flooder, calls[number], message, metadata=[("x-huge", "a" * next(sizes))])
    )


def messages(flooder: Flooder) -> None:
    """Messages of eight mebibytes, where one is allowed."""
    calls = [flooder.channel().unary_unary(PING.path) for _ in range(LINES)]
    message = bytes(8 * MEGABYTE)
    flooder.spin(LINES, lambda number: _ask(flooder, calls[number], message))


def announced(flooder: Flooder) -> None:
    """Matches of a hundred million items each, by what they say."""
    calls = [flooder.channel().stream_stream(MATCH.path) for _ in range(LINES)]

    def once(number: int) -> None:
        flooder.sent += 1
        call = calls[number](iter([flooder.hello(LARGEST)]), timeout=5)
        with suppress(grpc.RpcError):
            next(call)
            flooder.heard["an answer"] += 1
        call.cancel()
        flooder.note(call)

    flooder.spin(LINES, once)


def connections(flooder: Flooder) -> None:
    """Two thousand connections that say nothing."""
    lines: list[socket.socket] = []
    while not flooder.stop.is_set():
        if len(lines) < CONNECTIONS:
            with suppress(OSError):
                lines.append(socket.create_connection(flooder.address, timeout=2))
                lines[-1].setblocking(False)
                flooder.sent += 1
                continue
        lines = [line for line in lines if _open(line, flooder.heard)]
        flooder.stop.wait(0.2)
    flooder.heard["open at the end"] = len(lines)


def handshakes(flooder: Flooder) -> None:
    """Strangers that shake hands, without a certificate and with one that nobody knows."""
    key = generate_tls_key()
    pem = flooder.peer.home.root / "stranger.pem"
    pem.write_bytes(key + issue_certificate(key, b"s" * 32, flooder.peer.clock()))
    nobody, stranger = _tls(), _tls()
    stranger.load_cert_chain(pem)
    contexts = itertools.cycle([nobody, stranger])

    def once(_: int) -> None:
        flooder.sent += 1
        try:
            with (
                socket.create_connection(flooder.address, timeout=5) as plain,
                next(contexts).wrap_socket(plain, server_hostname="house") as line,
            ):
                line.recv(1)
            flooder.heard["closed"] += 1
        except ssl.SSLError:
            flooder.heard["refused in the handshake"] += 1
        except OSError:
            flooder.heard["closed"] += 1

    flooder.spin(16, once)


def _ask(flooder: Flooder, call: Any, message: bytes, **options: Any) -> None:
    flooder.sent += 1
    try:
        _, made = call.with_call(message, timeout=30, **options)
    except grpc.RpcError as error:
        made = error
    flooder.note(made)


def _open(line: socket.socket, heard: Counter[str]) -> bool:
    try:
        while line.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    heard["closed"] += 1
    line.close()
    return False


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


FLOODS: dict[str, Callable[[Flooder], None]] = {
    "Opens, hung up": opens,
    "calls without a message": stalled,
    "matches that nobody reads": slow_reader,
    "syncs": syncs,
    "pings, hung up at once": cancelled,
    "compressed bombs": bomb,
    "huge metadata": metadata,
    "messages of 8 MiB": messages,
    "100,000,000 announced": announced,
    "2,000 silent connections": connections,
    "strangers' handshakes": handshakes,
}
