"""Bytes from the wire become messages here, and nowhere else; every size and shape is checked on the way.

    message = MATCH.request.decode(data)      a message, or PartnerFault; never anything else
    data = MATCH.request.encode(message)

What a message *means* is the protocol's business. Here it is only made sure that a digest has 32 bytes, that
a chunk is no larger than agreed, that a name is short and printable, that exactly one message is present.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mutuals.protocol.messages import ExchangeMessage, MatchMessage, RevealMessage
from mutuals.transport.wire.documents import (
    PING_REQUEST,
    PING_RESPONSE,
    SYNC_REQUEST,
    SYNC_RESPONSE,
    Ping,
    Pong,
    SyncMessage,
)
from mutuals.transport.wire.exchange import EXCHANGE_REQUEST, EXCHANGE_RESPONSE
from mutuals.transport.wire.fields import Codec
from mutuals.transport.wire.match import MATCH_REQUEST, MATCH_RESPONSE
from mutuals.transport.wire.reveal import REVEAL_REQUEST, REVEAL_RESPONSE
from mutuals.v1 import peer_pb2

SERVICE: str = peer_pb2.DESCRIPTOR.services_by_name["PeerService"].full_name

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Method(Generic[Request, Response]):
    """One remote call of PeerService: its name, and what goes each way."""

    name: str
    request: Codec[Request]
    response: Codec[Response]

    @property
    def path(self) -> str:
        """What gRPC calls it."""
        return f"/{SERVICE}/{self.name}"


PING: Method[Ping, Pong] = Method("Ping", PING_REQUEST, PING_RESPONSE)
SYNC: Method[SyncMessage, SyncMessage] = Method("Sync", SYNC_REQUEST, SYNC_RESPONSE)
MATCH: Method[MatchMessage, MatchMessage] = Method("Match", MATCH_REQUEST, MATCH_RESPONSE)
REVEAL: Method[RevealMessage, RevealMessage] = Method("Reveal", REVEAL_REQUEST, REVEAL_RESPONSE)
EXCHANGE: Method[ExchangeMessage, ExchangeMessage] = Method("Exchange", EXCHANGE_REQUEST, EXCHANGE_RESPONSE)
METHODS: tuple[Method[Any, Any], ...] = (PING, SYNC, MATCH, REVEAL, EXCHANGE)

__all__ = [
    "EXCHANGE",
    "MATCH",
    "METHODS",
    "PING",
    "REVEAL",
    "SERVICE",
    "SYNC",
    "Codec",
    "Method",
    "Ping",
    "Pong",
    "SyncMessage",
]
