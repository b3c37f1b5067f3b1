"""The cheat's end of a call: a message stream that sends whatever it is told to, and remembers what it was sent.

The product's own code drives it where the cheat is honest still; ``Line.alter`` turns each of its messages into any
number of others, of which ``bytes`` go out as they are. ``Line.hear`` gets each that it is sent, and may raise.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import grpc

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.partners import partner_card
from mutuals.peer import Peer
from mutuals.store.rows import PartnerRow
from mutuals.transport.credentials import channel_credentials, server_credentials, server_name
from mutuals.transport.options import channel_options
from mutuals.transport.status import ERROR_METADATA
from mutuals.transport.wire import EXCHANGE, MATCH, REVEAL, SERVICE, Method
from mutuals.v1 import error_pb2

PATIENCE = 20.0
"""Seconds after which a test gives up on a side that should have acted."""

Alter = Callable[[Any], Iterable[Any]]
Kind = TypeVar("Kind")

_END = object()


class Line:
    """One end of one call. ``seen`` is everything the honest side sent, in order."""

    patience = PATIENCE

    def __init__(self, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> None:
        self._encode = encode
        self._decode = decode
        self._outgoing: queue.Queue[Any] = queue.Queue(16)
        self._incoming: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._over = False
        self.seen: list[Any] = []
        self.alter: Alter = lambda message: [message]
        self.hear: Callable[[Any], Any] = lambda message: message
        self.code: ErrorCode | str | None = None
        self.cancel: Callable[[], object] = self.hang_up

    # --- MessageStream ------------------------------------------------------------------------------------------

    def send(self, message: Any) -> None:
        for altered in self.alter(message):
            self.put(altered)

    def receive(self) -> Any:
        message = self._incoming.get(timeout=self.patience)
        if message is _END:
            raise MutualsError(ErrorCode.UNREACHABLE, "The honest side ended the call.")
        return self.hear(message)

    # --- what a cheat may do besides ----------------------------------------------------------------------------

    def put(self, message: Any) -> None:
        """Send this, whatever it is; waits while the honest side does not take it."""
        self._put(message if isinstance(message, bytes) else self._encode(message))

    def hang_up(self) -> None:
        """Say that nothing more will be sent."""
        with suppress(MutualsError):
            self._put(_END)

    @property
    def is_over(self) -> bool:
        """Whether the honest side has ended the call."""
        return self._over

    def saw(self, kind: type[Kind], nth: int = 0) -> Kind:
        """The honest side's ``nth`` message of this kind; waits for it."""

        def found() -> list[Kind]:
            return [message for message in self.seen if isinstance(message, kind)]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) > nth or self._over, self.patience)
            if len(found()) <= nth:
                raise MutualsError(ErrorCode.UNREACHABLE, f"The honest side never sent its {kind.__name__}.")
            return found()[nth]

    def wait_until_over(self, patience: float | None = None) -> bool:
        """Wait until the honest side has ended the call; whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._over, patience or self.patience)

    # --- what carries it ----------------------------------------------------------------------------------------

    def outgoing(self) -> Iterator[bytes]:
        """What gRPC sends."""
        while not self._over:
            with suppress(queue.Empty):
                if (data := self._outgoing.get(timeout=0.05)) is _END:
                    return
                yield data

    def take(self, data: bytes) -> None:
        """What gRPC received."""
        message = self._decode(data)
        with self._changed:
            self.seen.append(message)
            self._changed.notify_all()
        self._incoming.put(message)

    def over(self, code: ErrorCode | str | None) -> None:
        """The honest side ended the call, with this code if with any."""
        with self._changed:
            if not self._over:
                self._over, self.code = True, code
                self._changed.notify_all()
        self._incoming.put(_END)

    def _put(self, data: Any) -> None:
        while not self._over:
            with suppress(queue.Full):
                return self._outgoing.put(data, timeout=0.05)
        raise MutualsError(ErrorCode.UNREACHABLE, "The honest side ended the call.")


class Caller:
    """The cheat's channel to the honest server."""

    def __init__(self, peer: Peer, partner: PartnerRow, endpoint: str | None = None) -> None:
        card = partner_card(partner)
        self._channel = grpc.secure_channel(
            endpoint or str(card.endpoint),
            channel_credentials(peer, card),
            # What the honest side would refuse must be able to leave.
            [*channel_options(server_name(card), local=True), ("grpc.max_send_message_length", -1)],
        )

    def call(self, method: Method[Any, Any]) -> Line:
        """A call that has begun."""
        line = Line(method.request.encode, method.response.decode)
        call: Any = self._channel.stream_stream(method.path)(line.outgoing(), timeout=6 * PATIENCE)

        def read() -> None:
            try:
                for data in call:
                    line.take(data)
                line.over(None)
            except grpc.RpcError as error:
                line.over(_code(error))

        threading.Thread(target=read, name="hostile-read", daemon=True).start()
        line.cancel = call.cancel
        return line

    def close(self) -> None:
        self._channel.close()


class HostileServer:
    """The cheat's server: its card and port are proper, what it answers is not.

    ``answer`` is called with the line of each call, in a thread of its own; the call ends when it returns.
    """

    def __init__(self, peer: Peer, endpoint: str) -> None:
        self.answer: Callable[[Line], None] = lambda line: None
        handlers = {
            method.name: grpc.stream_stream_rpc_method_handler(self._handler(method))
            for method in (MATCH, REVEAL, EXCHANGE)
        }
        self._server = grpc.server(
            ThreadPoolExecutor(8, thread_name_prefix="hostile-call"),
            handlers=[grpc.method_handlers_generic_handler(SERVICE, handlers)],
            options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)],
        )
        if not self._server.add_secure_port(endpoint, server_credentials(peer)):
            raise RuntimeError("the port is taken")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0)

    def _handler(self, method: Method[Any, Any]) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
        def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            line = Line(method.response.encode, method.request.decode)

            def read() -> None:
                try:
                    for data in requests:
                        line.take(data)
                except Exception:  # the honest side cancelled
                    line.over(None)

            def work() -> None:
                try:
                    self.answer(line)
                finally:
                    line.hang_up()

            context.add_callback(lambda: line.over(None))
            for task in (read, work):
                threading.Thread(target=task, name=f"hostile-{task.__name__}", daemon=True).start()
            yield from line.outgoing()

        return handle


def _code(error: Any) -> ErrorCode | str:
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_METADATA:
            return ErrorCode(error_pb2.ErrorDetail.FromString(value).code)
    return f"{error.code().name} ({error.details()})"
