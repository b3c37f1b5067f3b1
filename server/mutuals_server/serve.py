"""The gRPC server of a peer: starting it, and stopping it without dropping what goes on.

server = PeerServer(peer, pool, "127.0.0.1:8443", log=log)
port = server.start()
...
server.stop(grace=20)
"""

from __future__ import annotations

import errno
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.text import valid_endpoint
from mutuals.peer import Peer
from mutuals.transport.credentials import PartnerTrust, server_credentials
from mutuals.transport.options import DEFAULT_LIMITS, WAITING_CALLS, Limits, server_options
from mutuals.transport.wire import SERVICE
from mutuals_server.guard import Guard
from mutuals_server.housekeeping import Housekeeping
from mutuals_server.log import ServerLog
from mutuals_server.runs import RunPlaces
from mutuals_server.service import PeerService

AFTERMATH_SECONDS = 2.0
"""How long a stopping server waits for the threads of runs it has cancelled."""

# A watch never ends and would hold one of few threads for good.
_HIDDEN = frozenset({"/grpc.health.v1.Health/Watch"})


class PeerServer:
    """Answers the partners of ``peer`` at ``listen`` (``host:port``; port 0 picks a free one).

    The pool must have been started: its processes may not be made once gRPC runs (DESIGN §11).
    """

    def __init__(
        self, peer: Peer, pool: Pool, listen: str, *, log: ServerLog, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._peer = peer
        self._listen = listen
        self._log = log
        self._places = RunPlaces(limits)
        self._trust = PartnerTrust(peer)
        self._health = health.HealthServicer()
        self._guard = Guard(peer, log, _HIDDEN, limits)
        self._housekeeping = Housekeeping(peer, log, after=self._guard.end_outdated)
        self._server = grpc.server(
            ThreadPoolExecutor(limits.threads, thread_name_prefix="mutuals-call"),
            handlers=[PeerService(peer, pool, limits, self._places, log, self._documents_came).handler()],
            interceptors=[self._guard],
            options=server_options(limits),
            maximum_concurrent_rpcs=limits.threads + WAITING_CALLS,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def start(self) -> int:
        """Begin to answer; the port. Raises MutualsError (LOCAL) where it cannot listen there."""
        if not _valid(self._listen):  # gRPC would take port 99999 for another one
            raise _cannot_listen(self._listen, "it is not host:port")
        try:
            port = self._server.add_secure_port(self._listen, server_credentials(self._peer, self._trust))
        except RuntimeError as error:
            raise _cannot_listen(self._listen, _why(self._listen)) from error
        self._server.start()
        self._housekeeping.start()
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return port

    def _documents_came(self) -> None:
        """A partner's document may have ended something, or renewed a card."""
        self._trust.look_again()
        self._housekeeping.wake()

    def stop(self, grace: float, hurry: threading.Event | None = None) -> None:
        """Take no new call, let those under way finish for ``grace`` seconds, cancel the rest. Blocks.

        Once ``hurry`` is set, the rest is cancelled at once.
        """
        self._health.enter_graceful_shutdown()
        ended = self._server.stop(grace)
        while not ended.wait(0.1):
            if hurry is not None and hurry.is_set():
                self._server.stop(None)
        self._places.wait_until_empty(AFTERMATH_SECONDS)
        self._housekeeping.stop()
        self._guard.refusals.tell()


def _valid(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    return valid_endpoint(listen) or (port == "0" and valid_endpoint(f"{host}:1"))


def _why(listen: str) -> str:
    """Why gRPC cannot listen there, which it does not say: binding once more does."""
    host, _, port = listen.rpartition(":")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "another program already does, perhaps a second “mutuals serve”"
        if error.errno == errno.EACCES:
            return "the system does not permit that port"
    return "the address is not one of this machine"


def _cannot_listen(listen: str, reason: str) -> MutualsError:
    return MutualsError(
        ErrorCode.LOCAL,
        f"The server cannot listen on {listen}: {reason}.",
        hint="Choose another address: mutuals serve --listen HOST:PORT",
    )
