"""The local port for those who watch the server: ``/metrics`` for Prometheus, ``/health`` and ``/ready``.

    watching = Watching(peer, pool, log, limits, ("127.0.0.1", 9464))
    watching.start()
    ...
    watching.stop()

Plain HTTP without a login, hence on the loopback interface unless somebody wrote otherwise (docs/adr/0018). Bounded:
so many connections, so many seconds for each, one request a connection, nothing of it kept.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import choose_encoder

from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.local import is_loopback
from mutuals.peer import Peer
from mutuals.transport.options import Limits
from mutuals_server.follow import Follower
from mutuals_server.gauges import Gauges
from mutuals_server.log import ServerLog, describe
from mutuals_server.metrics import Metrics
from mutuals_server.readiness import Readiness

MOST_CONNECTIONS = 8
SECONDS = 10.0
"""How long one connection may last in all."""

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"

Answer = Callable[[str, str], tuple[HTTPStatus, str, bytes]]
"""Of a path and an Accept header: status, content type and body."""


class Watching:
    """Counts what ``log`` is told, and answers at ``address`` (host, port; port 0 picks a free one)."""

    def __init__(
        self, peer: Peer, pool: Pool, log: ServerLog, limits: Limits, address: tuple[str, int]
    ) -> None:
        self._address = address
        self._log = log
        self._metrics = Metrics()
        self._readiness = Readiness(peer, pool, limits)
        self._metrics.registry.register(Gauges(self._readiness, pool, self._metrics.partner))
        self._commands = Follower(peer.home.client_log, self._metrics.note_act)
        self._server: _Server | None = None
        log.observe(self._metrics.note)
        log.observe(self._readiness.note)

    def start(self) -> int:
        """Begin to answer; the port. Raises MutualsError (LOCAL) where it cannot listen there."""
        host, port = self._address
        try:
            self._server = _Server(self._address, self._answer, local=is_loopback(host))
        except OSError as error:
            raise MutualsError(
                ErrorCode.LOCAL,
                f"The metrics cannot be offered on {host}:{port}: {error.strerror}.",
                hint="Choose another address: mutuals serve --metrics HOST:PORT",
            ) from error
        threading.Thread(target=self._server.serve_forever, name="mutuals-watching", daemon=True).start()
        found: int = self._server.server_address[1]
        return found

    def stop(self) -> None:
        """Answer no more. Safe to call twice."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self._commands.close()

    def _answer(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        try:
            return self._look(path, accept)
        except Exception as error:
            self._log.event("watching_failed", **describe(error))
            return HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"This failed; the server's log says why.\n"

    def _look(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            self._commands.update()
            encode, kind = choose_encoder(accept)
            return HTTPStatus.OK, kind, encode(self._metrics.registry)
        if path == "/health":
            return HTTPStatus.OK, _JSON, _json({"alive": True})
        if path == "/ready":
            problems = self._readiness.look().problems
            status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
            return status, _JSON, _json({"ready": not problems, "reasons": problems})
        return HTTPStatus.NOT_FOUND, _TEXT, b"There are /metrics, /health and /ready.\n"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    """A thread for each of a few connections; one more is closed unheard."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], answer: Answer, *, local: bool) -> None:
        self.answer = answer
        self.local = local
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, if there is one for it."""
        if self._places.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:  # the system has no thread left
                self._places.release()
                raise
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, in its thread; cut off when its time is over, wherever it is."""
        timer = threading.Timer(SECONDS, _cut, [request])
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: the default prints a traceback, and a caller that hung up is no news."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One request, answered under HTTP/1.0: the connection ends with it."""

    server: _Server
    timeout = SECONDS
    server_version = "mutuals"
    sys_version = ""
    error_content_type = _TEXT
    error_message_format = "%(code)d %(message)s\n"

    def do_GET(self) -> None:
        """Answer. The name is the library's."""
        if self.server.local and not is_loopback(_host(self.headers.get("Host", "localhost"))):
            # A page in a browser here may have this address under a name of its own (DNS rebinding).
            self._send(
                HTTPStatus.FORBIDDEN, _TEXT, b"Only for callers who know that this is their own machine.\n"
            )
            return
        path = self.path.partition("?")[0]
        self._send(*self.server.answer(path, self.headers.get("Accept", "")))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a scrape is no news."""

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _host(header: str) -> str:
    """The name or address in a Host header, without the port."""
    return header.partition("]")[0].lstrip("[") if header.startswith("[") else header.partition(":")[0]
