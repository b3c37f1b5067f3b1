"""PeerService: what each call of a partner does (proto/mutuals/v1/peer.proto).

Handlers take and give bytes, and a ``mutuals_server.guard.Call`` in place of gRPC's context. There is no generated
servicer: gRPC would parse requests before the guard, and answer a malformed one in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from mutuals.agreement.ending import TERMINATION
from mutuals.engines.workers import Pool
from mutuals.identity.partners import partner_card
from mutuals.models.run import Run
from mutuals.normalisation.profile import profile_digests
from mutuals.obligations.certificates import CERTIFICATE
from mutuals.obligations.certificates_due import REMINDER
from mutuals.peer import Peer
from mutuals.protocol.messages import VERSION
from mutuals.runs.ended import RUN_ENDED
from mutuals.runs.exchange import respond_exchange
from mutuals.runs.match import respond_match
from mutuals.runs.reveal import respond_reveal
from mutuals.transport.options import Limits
from mutuals.transport.sync import answer_sync
from mutuals.transport.wire import EXCHANGE, MATCH, PING, REVEAL, SERVICE, SYNC, Pong
from mutuals_server.log import ServerLog, describe
from mutuals_server.progress import LoggedProgress
from mutuals_server.runs import RunAnswer, RunPlaces

ENDINGS = frozenset({TERMINATION, CERTIFICATE, REMINDER, RUN_ENDED})
"""Kinds of documents after which something may have to be destroyed or certified at once."""


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
        self._runs = RunAnswer(limits, places, log)

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
        if any(document.kind in ENDINGS for document in request.documents):
            self._ended()
        return SYNC.response.encode(response)

    def match(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
        """Steps 1 to 12."""

        def began(run: Run) -> None:
            self._runs.carry(call, run.run_id)

        return self._runs.answer(
            MATCH,
            requests,
            call,
            lambda stream, cancelled: respond_match(
                self._peer,
                call.partner,
                stream,
                self._pool,
                progress=self._progress(call),
                cancelled=cancelled,
                began=began,
            ),
        )

    def reveal(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
        """Steps 13 to 19."""
        return self._runs.answer(
            REVEAL,
            requests,
            call,
            lambda stream, cancelled: respond_reveal(
                self._peer, call.partner, stream, progress=self._progress(call), cancelled=cancelled
            ),
        )

    def exchange(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:
        """The sealed records, both directions alternating."""
        return self._runs.answer(
            EXCHANGE,
            requests,
            call,
            lambda stream, cancelled: respond_exchange(
                self._peer, call.partner, stream, progress=self._progress(call), cancelled=cancelled
            ),
        )

    def _progress(self, call: Any) -> LoggedProgress:
        return LoggedProgress(self._log, call.partner.name, lambda: call.run_id)
