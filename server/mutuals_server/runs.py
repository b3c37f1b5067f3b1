"""Answering the calls that carry a run: a thread that works, a thread that reads, and gRPC's own that writes.

The work is done in a thread of its own, because gRPC takes outgoing messages from an iterator. Once nobody waits
for the result any more, ``cancelled`` turns true and both ends of the stream raise; the place that the run held is
free when its thread has really ended.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Run
from mutuals.protocol.messages import Approve, ExchangeStart
from mutuals.runs.ports import Cancelled, MessageStream
from mutuals.shortid import short_id
from mutuals.transport.options import Limits
from mutuals.transport.streams import Ended, PipeStream, left_early
from mutuals.transport.wire import Method
from mutuals_server.guard import Call
from mutuals_server.refusals import Reason, Refused
from mutuals_server.room import Room

TAKE_OVER_SECONDS = 10.0
"""How long a call whose run goes on over another one may take to end."""

Incoming = TypeVar("Incoming")
Outgoing = TypeVar("Outgoing")


class RunPlaces:
    """How many runs may go on at the same time, in all and with one partner, whatever became of their calls."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._taken: Counter[str] = Counter()

    def take(self, partner: str) -> None:
        """Take a place for a run with the partner of this fingerprint. Raises Refused."""
        with self._changed:
            if self._taken.total() >= self._limits.runs:
                raise Refused(Reason.RUNS, f"All {self._limits.runs} places for runs are taken.")
            if self._taken[partner] >= self._limits.runs_per_partner:
                raise Refused(
                    Reason.RUNS, f"The partner already has {self._limits.runs_per_partner} runs going on."
                )
            self._taken[partner] += 1

    def leave(self, partner: str) -> None:
        """Give the place back."""
        with self._changed:
            self._taken[partner] -= 1
            self._changed.notify_all()

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until no run goes on; whether that came true within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._taken.total() == 0, timeout)


class RunAnswer:
    """Everything that answers one kind of streaming call needs besides the call itself."""

    def __init__(self, limits: Limits, places: RunPlaces, room: Room) -> None:
        self._limits = limits
        self._places = places
        self._room = room
        self._changed = threading.Condition()
        self._carrying: dict[str, Call] = {}

    def carry(self, call: Call, run_id: str) -> None:
        """``call`` carries this run from now on.

        One that carried it before, and whose broken line nobody has noticed here, ends first. Raises MutualsError
        (BUSY) where it does not.
        """
        call.run_id = run_id
        if call.place is not None:
            call.place.carries(run_id)
        with self._changed:
            before = self._carrying.get(run_id)
            if before is not None:
                before.context.cancel()
                if not self._changed.wait_for(lambda: run_id not in self._carrying, TAKE_OVER_SECONDS):
                    raise MutualsError(ErrorCode.BUSY, f"Run {run_id} is still under way on another call.")
            self._carrying[run_id] = call

    def _drop(self, call: Call) -> None:
        with self._changed:
            if call.run_id is not None and self._carrying.get(call.run_id) is call:
                del self._carrying[call.run_id]
                self._changed.notify_all()

    def answer(
        self,
        method: Method[Incoming, Outgoing],
        requests: Iterator[bytes],
        call: Call,
        respond: Callable[[MessageStream[Outgoing, Incoming], Cancelled], Run | None],
    ) -> Iterator[bytes]:
        """The messages of this side, while ``respond`` works on its end of the stream.

        Raises what ``respond`` raises, once the messages it sent before are out.
        """
        stream: PipeStream[Outgoing, Incoming] = PipeStream(
            call.partner.name, self._limits.idle, call.context.cancel, first=self._limits.first
        )
        cancelled = threading.Event()

        def over() -> None:
            cancelled.set()
            stream.close(left_early(call.partner.name))

        def work() -> None:
            try:
                with self._room.place(call.partner.fingerprint) as call.place:
                    run = respond(stream, cancelled.is_set)
                if run is not None:
                    call.run_id = run.run_id
                stream.outgoing.finish()
            except BaseException as error:
                stream.outgoing.finish(error)
            finally:
                self._drop(call)
                self._places.leave(call.partner.fingerprint)
                stream.incoming.close()

        def read() -> None:
            try:
                self._read(method, requests, call, stream, cancelled)
            except grpc.RpcError:  # the call is over; nobody may be left to take an error from the other end
                over()
            except BaseException as error:  # malformed
                stream.incoming.finish(error)

        self._places.take(call.partner.fingerprint)
        try:
            try:
                threading.Thread(target=work, name="mutuals-work", daemon=True).start()
            except BaseException:  # the system has no thread left
                self._places.leave(call.partner.fingerprint)
                raise
            threading.Thread(target=read, name="mutuals-read", daemon=True).start()
            if not call.context.add_callback(over):
                over()
            yield from self._outgoing(method, stream)
        except MutualsError as error:
            if error.code is ErrorCode.UNREACHABLE and not stream.heard:
                raise Refused(Reason.STALLED, error.message, error.code) from error
            raise
        finally:
            over()

    def _read(
        self,
        method: Method[Incoming, Outgoing],
        requests: Iterator[bytes],
        call: Call,
        stream: PipeStream[Outgoing, Incoming],
        cancelled: threading.Event,
    ) -> None:
        """Hand what arrives to the run, no faster than the partner may send."""
        for data in requests:
            self._room.check_disk()
            # Nothing is refused: unread, the partner has to wait, by gRPC's flow control.
            cancelled.wait(call.account.received(len(data)))
            message = method.request.decode(data)
            if call.run_id is None and isinstance(message, Approve | ExchangeStart):
                call.run_id = short_id("R", message.sid)
            stream.incoming.put(message, size=len(data))
        # The partner is done, or the call broke: gRPC reports the end of its messages a moment before that.
        stream.incoming.finish()

    def _outgoing(
        self, method: Method[Incoming, Outgoing], stream: PipeStream[Outgoing, Incoming]
    ) -> Iterator[bytes]:
        deadline = time.monotonic() + self._limits.stream
        while True:
            try:
                message = stream.outgoing.get(max(0.0, deadline - time.monotonic()))
            except Ended:
                return
            except TimeoutError:
                raise MutualsError(
                    ErrorCode.CANCELLED, f"A run took longer than {self._limits.stream:.0f} seconds."
                ) from None
            yield method.response.encode(message)
