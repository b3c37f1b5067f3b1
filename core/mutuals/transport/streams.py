"""A bidirectional gRPC call as a ``mutuals.runs.ports.MessageStream``, alike on both sides.

    incoming          reader thread ──► Pipe ──► receive()
    outgoing          send() ──► Pipe ──► the iterator that gRPC takes messages from

Both pipes hold a few messages, and few bytes of them: whoever is ahead waits, and through gRPC's flow control so does
the partner. What ends a call closes both pipes, so that a thread waiting in either wakes at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

import grpc

from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.transport.options import PENDING_BYTES, PENDING_MESSAGES, READ_AHEAD_BYTES, Limits
from mutuals.transport.status import from_rpc_error
from mutuals.transport.wire import Method

T = TypeVar("T")
Outgoing = TypeVar("Outgoing")
Incoming = TypeVar("Incoming")


class Ended(Exception):
    """Nothing more will come out of the pipe."""


class Pipe(Generic[T]):
    """A queue of a few messages between two threads, with an end.

    ``finish`` lets what is inside come out first; ``close`` drops it.
    """

    def __init__(self, capacity: int = PENDING_MESSAGES, most_bytes: int = PENDING_BYTES) -> None:
        self._items: deque[tuple[T, int]] = deque()
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changed = threading.Condition()
        self._finished = False
        self._error: BaseException | None = None

    def put(self, item: T, timeout: float | None = None, *, size: int = 0) -> None:
        """Add ``item`` of ``size`` bytes, waiting for room. Raises TimeoutError, or what ended the pipe (by default
        Ended).
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._finished or self._has_room(size), timeout):
                raise TimeoutError
            if self._finished:
                raise self._error or Ended
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> T:
        """The next item, waiting for one. Raises TimeoutError, or what ended the pipe (Ended by default)."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._finished or bool(self._items), timeout):
                raise TimeoutError
            if not self._items:
                raise self._error or Ended
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing more goes in; what is inside comes out, then ``error`` or Ended. The first end counts."""
        with self._changed:
            if not self._finished:
                self._finished = True
                self._error = error
                self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """End at once, dropping what is inside; also ends a pipe that was finishing."""
        with self._changed:
            self._items.clear()
            self._bytes = 0
            if not self._finished or self._error is None:
                self._error = error
            self._finished = True
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        return not self._items or (
            len(self._items) < self._capacity and self._bytes + size <= self._most_bytes
        )


class PipeStream(Generic[Outgoing, Incoming]):
    """The MessageStream of a run: what the drivers see of a call.

    ``partner`` is the organisation at the other end, which may let this side wait for ``idle`` seconds, and for its
    first message no longer than ``first`` says. ``on_stuck`` is called where it has taken no message for so long: gRPC
    may be waiting for it too, and only cancelling the call ends that.
    """

    def __init__(
        self, partner: str, idle: float, on_stuck: Callable[[], object], *, first: float | None = None
    ) -> None:
        self.incoming: Pipe[Incoming] = Pipe(most_bytes=READ_AHEAD_BYTES)
        self.outgoing: Pipe[Outgoing] = Pipe()
        self._partner = partner
        self._idle = idle
        self._first = idle if first is None else min(first, idle)
        self._heard = False
        self._on_stuck = on_stuck

    @property
    def heard(self) -> bool:
        """Whether the partner has sent anything yet."""
        return self._heard

    def send(self, message: Outgoing) -> None:
        """See ``MessageStream.send``."""
        try:
            self.outgoing.put(message, self._idle)
        except TimeoutError:
            error = self._stalled("has taken no message", self._idle)
            self._on_stuck()
            raise error from None
        except Ended:
            raise self._ended_early() from None

    def receive(self) -> Incoming:
        """See ``MessageStream.receive``."""
        patience = self._idle if self._heard else self._first
        try:
            message = self.incoming.get(patience)
        except TimeoutError:
            raise self._stalled("has sent nothing", patience) from None
        except Ended:
            raise self._ended_early() from None
        self._heard = True
        return message

    def close(self, error: BaseException) -> None:
        """The call is over: wake whoever waits, and let nobody wait any more."""
        self.incoming.close(error)
        self.outgoing.close(error)

    def _stalled(self, what: str, seconds: float) -> MutualsError:
        error = MutualsError(
            ErrorCode.UNREACHABLE,
            f"{self._partner} {what} for {seconds:.0f} seconds.",
            hint="Nothing is lost; try again.",
        )
        self.close(error)
        return error

    def _ended_early(self) -> MutualsError:
        return left_early(self._partner)


def left_early(partner: str) -> MutualsError:
    """The error where ``partner`` went away in the middle of a run: somebody stopped it there, and no evidence."""
    return MutualsError(ErrorCode.CANCELLED, f"{partner} left before the end.", hint="Try again.")


class ClientStream(Generic[Outgoing, Incoming]):
    """A call this side makes, as a context manager that gives the MessageStream.

    Leaving it normally says that nothing more will be sent and waits for the partner's last word, raising
    where that is an error; leaving it by an exception cancels the call.
    """

    def __init__(
        self, channel: grpc.Channel, method: Method[Outgoing, Incoming], partner: str, limits: Limits
    ) -> None:
        self._channel = channel
        self._method = method
        self._partner = partner
        self._limits = limits

    def __enter__(self) -> PipeStream[Outgoing, Incoming]:
        self._stream: PipeStream[Outgoing, Incoming] = PipeStream(
            self._partner, self._limits.idle, self._cancel
        )
        start: Any = self._channel.stream_stream(self._method.path)
        self._call = start(self._outgoing(), timeout=self._limits.stream)
        self._reader = threading.Thread(target=self._read, name="mutuals-reader", daemon=True)
        self._reader.start()
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None:
            self._cancel()
            self._stream.close(MutualsError(ErrorCode.CANCELLED, "This side gave up the call."))
            return
        self._stream.outgoing.finish()
        try:
            self._stream.incoming.get(self._limits.idle)
        except Ended:
            return
        except TimeoutError:
            self._cancel()
            raise MutualsError(
                ErrorCode.UNREACHABLE,
                f"{self._partner} did not end the call.",
                hint="Nothing is lost; try again.",
            ) from None
        self._cancel()
        raise PartnerFault(ErrorCode.BAD_MESSAGE, f"{self._partner} sent a message after the last one.")

    def _cancel(self) -> None:
        self._call.cancel()

    def _outgoing(self) -> Iterator[bytes]:
        encode = self._method.request.encode
        while True:
            try:
                message = self._stream.outgoing.get()
            except Exception:
                return  # the call is over, one way or the other; receive() tells how
            yield encode(message)

    def _read(self) -> None:
        decode = self._method.response.decode
        try:
            for data in self._call:
                self._stream.incoming.put(decode(data), size=len(data))
            self._stream.incoming.finish()
            # The partner is done; whatever this side still wants to send has no taker.
            self._stream.outgoing.close()
        except grpc.RpcError as error:
            self._fail(from_rpc_error(error, self._partner))
        except MutualsError as error:  # a malformed message
            self._cancel()
            self._fail(error)
        except Exception as error:
            self._cancel()
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._stream.incoming.finish(error)
        self._stream.outgoing.close(error)


__all__ = ["ClientStream", "Ended", "Pipe", "PipeStream", "left_early"]
