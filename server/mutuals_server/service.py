"""PeerService: what each call of a partner does (proto/mutuals/v1/peer.proto).

Handlers take and give bytes, and a ``mutuals_server.guard.Call`` in place of gRPC's context. There is no generated
servicer: gRPC would parse requests before the guard, and answer a malformed one in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from mutuals.agreement.ending import TERMINATION
from mutuals.engines.workers import Pool
from mutuals.identity.partners import partner_card
from mutuals.models.run import Role, Run
from mutuals.models.statistics import Act as Kind
from mutuals.normalisation.profile import profile_digests
from mutuals.obligations.certificates import CERTIFICATE
from mutuals.obligations.certificates_due import REMINDER
from mutuals.peer import Peer
from mutuals.protocol.messages import VERSION, ExchangeMessage, MatchMessage, RevealMessage
from mutuals.rotation import CARD
from mutuals.runs.acts import Act, act_noted
from mutuals.runs.ended import RUN_ENDED
from mutuals.runs.exchange import respond_exchange
from mutuals.runs.match import respond_match
from mutuals.runs.ports import Cancelled, MessageStream
from mutuals.runs.reveal import respond_reveal
from mutuals.transport.options import Limits
from mutuals.transport.sync import answer_sync
from mutuals.transport.wire import EXCHANGE, MATCH, PING, REVEAL, SERVICE, SYNC, Pong
from mutuals_server.log import ServerLog, describe
from mutuals_server.progress import LoggedProgress
from mutuals_server.room import Room
from mutuals_server.runs import RunAnswer, RunPlaces

ENDINGS = frozenset({TERMINATION, CERTIFICATE, REMINDER, RUN_ENDED, CARD})
"""Kinds of documents after which something may have to be destroyed, certified or cut off at once."""


class PeerService:
    """The handlers, for one peer. ``pool`` does the arithmetic of matches; ``places`` bounds the runs; ``ended`` is
    called after a partner's document about the end of an agreement or a run.
    """

    def __init__(
        self,
        peer: Peer,
        pool: Pool,
        limits: Limits,
        places: RunPlaces,
        log: ServerLog,
        ended: Callable[[], None],
    ) -> None:
        self._peer = peer
        self._ended = ended
        self._pool = pool
        self._log = log
        self._runs = RunAnswer(limits, places, Room(peer, limits))

    def handler(self) -> grpc.GenericRpcHandler:
        """All calls under the name of the service."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                PING.name: grpc.unary_unary_rpc_method_handler(self.ping),
                SYNC.name: grpc.unary_unary_rpc_method_handler(self.sync),
                MATCH.name: grpc.stream_stream_rpc_method_handler(self.match),
                REVEAL.name: grpc.stream_stream_rpc_method_handler(self.reveal),
                EXCHANGE.name: grpc.stream_stream_rpc_method_handler(self.exchange),
            },
        )

    def ping(self, data: bytes, call: Any) -> bytes:
        """What the two sides should have alike, for the caller to compare."""
        PING.request.decode(data)
        own = Peer.open(self._peer.home.root, self._peer.clock).card.card  # it may have been renewed since
        pong = Pong(
            VERSION,
            self._peer.clock(),
            profiles=profile_digests(),
            card=own.serial,
            your_card=partner_card(call.partner).serial,
        )
        return PING.response.encode(pong)

    def sync(self, data: bytes, call: Any) -> bytes:
        """Documents and receipts, both ways."""

        def failed(error: Exception) -> None:
            self._log.event("document_failed", partner=call.partner.name, **describe(error))

        request = SYNC.request.decode(data)
        response = answer_sync(self._peer, call.partner, request, failed)
        if any(document.kind == CARD for document in request.documents):
            self._log.event("card_received", partner=call.partner.name)
        if any(document.kind in ENDINGS for document in request.documents):
            self._ended()
        return SYNC.response.encode(response)

    def match(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
        """Steps 1 to 12."""

        def respond(stream: MessageStream[MatchMessage, MatchMessage], cancelled: Cancelled) -> Run:
            with self._noted("match", call) as act:

                def began(run: Run) -> None:
                    act.began(run)
                    self._runs.carry(call, run.run_id)

                return respond_match(
                    self._peer,
                    call.partner,
                    act.metered(stream),
                    self._pool,
                    progress=act,
                    cancelled=cancelled,
                    began=began,
                    make_room=call.place.claim,
                )

        return self._runs.answer(MATCH, requests, call, respond)

    def reveal(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
        """Steps 13 to 19."""

        def respond(stream: MessageStream[RevealMessage, RevealMessage], cancelled: Cancelled) -> Run:
            with self._noted("reveal", call) as act:
                return respond_reveal(
                    self._peer, call.partner, act.metered(stream), progress=act, cancelled=cancelled
                )

        return self._runs.answer(REVEAL, requests, call, respond)

    def exchange(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
        """The sealed records, both directions alternating."""

        def respond(stream: MessageStream[ExchangeMessage, ExchangeMessage], cancelled: Cancelled) -> None:
            with self._noted("exchange", call) as act:
                respond_exchange(
                    self._peer, call.partner, act.metered(stream), progress=act, cancelled=cancelled
                )

        return self._runs.answer(EXCHANGE, requests, call, respond)

    @contextmanager
    def _noted(self, kind: Kind, call: Any) -> Iterator[Act]:
        """Around the answer to a call: its line in the log, under the id of its run once that is known."""
        progress = LoggedProgress(self._log, call.partner.name, lambda: call.run_id)
        with act_noted(self._log, kind, Role.RESPONDER, call.partner.name, progress) as act:
            try:
                yield act
            finally:
                act.run_id = act.run_id or call.run_id
