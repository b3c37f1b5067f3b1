"""Calls between two peers as gRPC carries them: a stream is reliable and in order while it lives, and then it breaks.

What was on its way may be lost from some message on, in each direction; either end may notice at once, or not before
it has waited for too long (``IDLE_SECONDS``). A message may be held up for long, and a unary call may be lost before
or after it was answered, come twice, or come late, after others that were made later.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from mutuals.errors import ERRORS, ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.transport.status import to_wire
from mutuals.transport.streams import left_early
from simulation.schedule import Scheduler

CAPACITY = 3
"""Messages that a direction holds before ``send`` waits."""

Touch = Callable[[str, str], str | None]
"""Told of every place where something may go wrong: kind and description; says what the network is to do."""


def unreachable(why: str) -> MutualsError:
    """The error of a call whose line is down."""
    return MutualsError(ErrorCode.UNREACHABLE, why)


class _Pipe:
    """One direction."""

    def __init__(self) -> None:
        self.items: deque[Any] = deque()
        self.held = False
        self.lost = False
        """The line is down and neither end was told."""
        self.ended: BaseException | None = None
        """What the receiver gets once it has taken what is there."""
        self.shut: BaseException | None = None
        """What the sender gets."""

    def finish(self, error: BaseException, *, drop: bool = False) -> None:
        if drop:
            self.items.clear()
        self.ended = self.ended or error
        self.shut = self.shut or error
        self.held = False


class End:
    """One end of a call, as ``mutuals.runs.ports.MessageStream``."""

    def __init__(self, line: Line, outgoing: _Pipe, incoming: _Pipe) -> None:
        self._line = line
        self.outgoing = outgoing
        self.incoming = incoming

    def send(self, message: Any) -> None:
        """See ``MessageStream.send``."""
        line, pipe = self._line, self.outgoing
        line.meet("send", f"sends {type(message).__name__} on {line.name}")
        line.scheduler.wait(lambda: pipe.shut is not None or len(pipe.items) < CAPACITY)
        if pipe.shut is not None:
            raise pipe.shut
        if line.look is not None:
            line.look(message)
        if not pipe.lost:
            pipe.items.append(message)

    def receive(self) -> Any:
        """See ``MessageStream.receive``."""
        line, pipe = self._line, self.incoming
        line.meet("receive", f"waits for a message on {line.name}")
        line.scheduler.wait(lambda: pipe.ended is not None or (bool(pipe.items) and not pipe.held))
        if pipe.items:
            message = pipe.items.popleft()
            line.scheduler.note(f"gets {type(message).__name__} on {line.name}")
            return message
        assert pipe.ended is not None
        raise pipe.ended


class Line:
    """One streaming call, from ``client`` to whoever answers."""

    def __init__(
        self,
        scheduler: Scheduler,
        name: str,
        chance: random.Random,
        touch: Touch,
        look: Callable[[object], None] | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.name = name
        self.look = look
        self.over = False
        self.answered = False
        self._chance = chance
        self._touch = touch
        there, back = _Pipe(), _Pipe()
        self.client = End(self, there, back)
        self.server = End(self, back, there)

    def meet(self, site: str, what: str) -> None:
        """Something may happen to the call before a message is sent or received."""
        match self._touch(site, what):
            case "break":
                self.cut()
            case "hold":
                self._chance.choice((self.client, self.server)).incoming.held = True

    # --- how a call ends --------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """The line breaks; the tail of what was on its way is lost, and each end notices at once or much later."""
        self.scheduler.note(f"{self.name} breaks")
        for end in (self.client, self.server):
            for _ in range(self._chance.randint(0, len(end.incoming.items))):
                end.incoming.items.pop()
            end.incoming.lost = True
        for end in (self.client, self.server):
            if self._chance.random() < 0.7:
                self.notice(end)

    def notice(self, end: End) -> None:
        """An end of a broken line finds out."""
        if end is self.client:
            error = unreachable("The line broke.")
            end.incoming.finish(error)
        else:
            error = left_early("The partner")
            end.incoming.finish(error, drop=self._chance.random() < 0.5)
        end.outgoing.shut = end.outgoing.shut or error
        end.incoming.lost = end.outgoing.lost = True

    def client_leaves(self) -> None:
        """The calling side cancels, or its process died."""
        error = left_early("The partner")
        self.server.incoming.finish(error, drop=True)
        self.server.outgoing.finish(error, drop=True)

    def client_finishes(self) -> None:
        """The calling side has nothing more to send."""
        self.server.incoming.finish(left_early("The partner"))

    def server_ends(self, error: BaseException | None) -> None:
        """The answering side is through: what it sent still arrives, then its error, as far as it may be told."""
        self.answered = True
        there = self.server.incoming  # whoever still waits on this side is woken, as the call is over here
        there.items.clear()
        there.ended = there.ended or left_early("The partner")
        if self.client.incoming.lost:
            return
        told: BaseException = left_early("The partner")
        if error is not None:
            code = to_wire(error).code
            told = PartnerRefused(code, f"The partner refused: {ERRORS[code].public}")
        self.client.incoming.finish(told)
        self.client.outgoing.finish(told, drop=True)

    def server_dies(self) -> None:
        """The process that answers is gone."""
        if not self.answered:
            self.client.incoming.lost = self.client.outgoing.lost = True
            if self._chance.random() < 0.7:
                self.notice(self.client)

    def leave(self, error: BaseException | None, *, clean: bool) -> None:
        """The calling side's ``with`` ends; waits for the last word where it ends well. Raises what that says."""
        self.over = True
        if not clean:
            self.client_leaves()
            return
        self.client_finishes()
        pipe = self.client.incoming
        self.scheduler.wait(lambda: pipe.ended is not None or bool(pipe.items))
        if pipe.items:
            self.client_leaves()
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner sent a message after the last one.")
        assert pipe.ended is not None
        if isinstance(pipe.ended, MutualsError) and pipe.ended.code is ErrorCode.CANCELLED:
            return
        raise pipe.ended

    def wake(self) -> bool:
        """Everybody waits: what was held up comes, or whoever waits for too long gives up; whether that was so."""
        changed = False
        for end in (self.client, self.server):
            if end.incoming.held:
                end.incoming.held = False
                changed = True
        if changed:
            return True
        for end in (self.client, self.server):
            if end.incoming.lost and end.incoming.ended is None:
                self.scheduler.note(f"{self.name}: nothing came for too long")
                self.notice(end)
                return True
        return False
