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
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.partners import partner_card
from mutuals.peer import Peer
from mutuals.protocol.messages import ExchangeMessage, MatchMessage, RevealMessage
from mutuals.store.rows import PartnerRow
from mutuals.transport.credentials import channel_credentials, server_name
from mutuals.transport.options import DEFAULT_LIMITS, Limits, channel_options
from mutuals.transport.status import from_rpc_error
from mutuals.transport.streams import ClientStream
from mutuals.transport.wire import EXCHANGE, MATCH, PING, REVEAL, SYNC, Method, Ping, Pong, SyncMessage

Request = TypeVar("Request")
Response = TypeVar("Response")


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

    def __init__(self, channel: grpc.Channel, partner: PartnerRow, limits: Limits) -> None:
        self.partner = partner
        self._channel = channel
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
    channel = grpc.secure_channel(
        card.endpoint,
        channel_credentials(peer, card),
        channel_options(server_name(card), local=_is_local(card.endpoint)),
    )
    return PartnerConnection(channel, partner, limits)


def _is_local(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
