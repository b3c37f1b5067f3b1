"""Calling a partner.

    with connect(peer, partner) as connection:
        connection.ping()
        with connection.match() as stream:
            run = initiate_match(peer, agreement, stream, pool)

Nothing is sent before the first call. Worker processes must be started before a connection is made (DESIGN §11).
"""

from __future__ import annotations

import ipaddress
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.partners import partner_card
from mutuals.models.card import Card
from mutuals.peer import Peer
from mutuals.protocol.messages import ExchangeMessage, MatchMessage, RevealMessage
from mutuals.rotation import knows_certificate
from mutuals.store.rows import PartnerRow
from mutuals.transport.credentials import TlsPair, channel_credentials, own_pairs, server_name
from mutuals.transport.options import DEFAULT_LIMITS, Limits, channel_options
from mutuals.transport.status import from_rpc_error
from mutuals.transport.streams import ClientStream
from mutuals.transport.wire import EXCHANGE, MATCH, PING, REVEAL, SYNC, Method, Ping, Pong, SyncMessage

Request = TypeVar("Request")
Response = TypeVar("Response")

PROBE_SECONDS = 10.0
"""How long a partner may take to say whether it knows a certificate."""


@dataclass(frozen=True)
class PingReply:
    """Who answered, and how long the call took in seconds."""

    pong: Pong
    seconds: float

    @property
    def version(self) -> int:
        """The partner's protocol version."""
        return self.pong.version

    @property
    def now(self) -> datetime:
        """The partner's time when it answered (aware)."""
        return self.pong.now


class PartnerConnection:
    """A channel to one partner. Every call raises MutualsError as ``from_rpc_error`` says.

    PartnerRefused where the partner gave a reason; UNREACHABLE where it could not be reached or the line broke;
    PEER_IDENTITY where somebody else answers; PartnerFault where what came back is malformed.
    """

    def __init__(self, line: Line, partner: PartnerRow, limits: Limits) -> None:
        self.partner = partner
        self._line = line
        self._channel = line.open()
        self._limits = limits

    def ping(self) -> PingReply:
        """Ask who is there."""
        start = time.perf_counter()
        pong = self._unary(PING, Ping())
        return PingReply(pong, time.perf_counter() - start)

    def sync(self, message: SyncMessage) -> SyncMessage:
        """Hand over documents and receipts; what the partner has in return (``mutuals.transport.sync``)."""
        return self._unary(SYNC, message)

    def match(self) -> ClientStream[MatchMessage, MatchMessage]:
        """A stream for steps 1 to 12."""
        return ClientStream(self._channel, MATCH, self.partner.name, self._limits)

    def reveal(self) -> ClientStream[RevealMessage, RevealMessage]:
        """A stream for steps 13 to 19."""
        return ClientStream(self._channel, REVEAL, self.partner.name, self._limits)

    def exchange(self) -> ClientStream[ExchangeMessage, ExchangeMessage]:
        """A stream for the sealed records."""
        return ClientStream(self._channel, EXCHANGE, self.partner.name, self._limits)

    def renew(self) -> None:
        """Go on under the present certificate where the partner has come to know it; between two calls."""
        before = self._channel
        if self._line.changed():
            self._channel = self._line.open()
            before.close()

    def close(self) -> None:
        """End the connection and whatever still goes over it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unary(self, method: Method[Request, Response], message: Request) -> Response:
        call: Any = self._channel.unary_unary(method.path)
        try:
            data: bytes = call(method.request.encode(message), timeout=self._limits.unary)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.partner.name) from error
        return method.response.decode(data)


def connect(
    peer: Peer, partner: PartnerRow, limits: Limits = DEFAULT_LIMITS, *, otherwise: str | None = None
) -> PartnerConnection:
    """A connection to ``partner`` at the endpoint of its card, as ``peer``.

    ``otherwise`` is the hint where the card has none: how else what the caller is about can be done; by default that
    the partner synchronises.

    Raises MutualsError: UNREACHABLE where its card has no endpoint, PEER_IDENTITY where the partner was removed.
    """
    if partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"{partner.name} was removed from the partners.",
            hint="Add its card again: mutuals partner add FILE",
        )
    card = partner_card(partner)
    if card.endpoint is None:
        raise MutualsError(
            ErrorCode.UNREACHABLE,
            f"{partner.name} cannot be called: its card has no endpoint. It has to call you.",
            hint=otherwise or f"Keep “mutuals serve” running, and ask {partner.name} to run: mutuals sync",
        )
    return PartnerConnection(Line(peer, partner, card, card.endpoint), partner, limits)


class Line:
    """How to reach a partner: at which endpoint, and under which of the own certificates."""

    def __init__(self, peer: Peer, partner: PartnerRow, card: Card, endpoint: str) -> None:
        self._peer = peer
        self._partner = partner
        self._card = card
        self._endpoint = endpoint
        self._pair: TlsPair | None = None

    def open(self) -> grpc.Channel:
        """A channel under the certificate that the partner knows.

        During a rotation a partner may have imported the new card by hand, which this side has not heard of: it is
        asked under the certificate of before, and under the new one where that gets no answer.
        """
        with Peer.open(self._peer.home.root, self._peer.clock) as fresh:
            pairs = own_pairs(fresh)
            if len(pairs) > 1 and self._known(fresh):
                pairs = pairs[-1:]
        answering = (pair for pair in pairs if self._answers(pair)) if len(pairs) > 1 else iter(pairs)
        self._pair = next(answering, pairs[0])
        return self._channel(self._pair)

    def changed(self) -> bool:
        """Whether the partner has come to know the present certificate since the channel was opened."""
        with Peer.open(self._peer.home.root, self._peer.clock) as fresh:
            return own_pairs(fresh)[-1] != self._pair and self._known(fresh)

    def _known(self, fresh: Peer) -> bool:
        with self._peer.store.transaction() as tx:
            return knows_certificate(tx, fresh, self._partner.fingerprint)

    def _answers(self, pair: TlsPair) -> bool:
        with closing(self._channel(pair)) as channel:
            call: Any = channel.unary_unary(PING.path)
            try:
                call(PING.request.encode(Ping()), timeout=PROBE_SECONDS)
            except grpc.RpcError:
                return False
            return True

    def _channel(self, pair: TlsPair) -> grpc.Channel:
        return grpc.secure_channel(
            self._endpoint,
            channel_credentials(self._peer, self._card, pair),
            channel_options(server_name(self._card), local=_is_local(self._endpoint)),
        )


def _is_local(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
