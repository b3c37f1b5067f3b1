"""The two lists of a match in flight: the own one on its way out, the partner's on its way in (steps 4 to 7).

Curve arithmetic happens elsewhere: a list names the ``Work`` to be done and takes results back in any order. What it
sends is in order and contiguous all the same, and so is what it accepts.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mutuals.engines.base import Engine, Operation
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.items import Rows, as_rows
from mutuals.protocol.messages import MAX_CHUNK_BYTES, Blinded
from mutuals.protocol.points import NewPoints
from mutuals.protocol.transcript import TAG_SIZE, BlindedDigest, tags_of

WORK_SIZE = 2048
"""Items in one piece of work: about 0.3 s on one core with the slowest engine, so that cancelling is prompt."""


@dataclass(frozen=True)
class Work:
    """Positions ``start`` to ``stop`` (exclusive) of a list, waiting for ``operation``."""

    operation: Operation
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Held:
    """The first ``points`` points of a list, and the ``BlindedDigest`` over them."""

    points: int
    digest: bytes


def cut(operation: Operation, start: int, stop: int) -> list[Work]:
    """The range as pieces of work."""
    return [Work(operation, at, min(at + WORK_SIZE, stop)) for at in range(start, stop, WORK_SIZE)]


class OwnList:
    """Own items, their points once blinded, and how far they were sent."""

    def __init__(self, role: Role, items: Rows, engine: Engine, points: NewPoints) -> None:
        self._items = items
        self._point_size = engine.point_size
        self._role = role
        self._waiting: set[Work] = set(cut(Operation.BLIND, 0, len(items)))
        self._ready: dict[int, tuple[Work, bytes]] = {}
        self._sent = 0
        self._held = Held(0, b"")
        self._digest = BlindedDigest(role, len(items))
        self.points = points(len(items), engine.point_size)

    def works(self) -> list[Work]:
        """The blinding there is left to do, in order."""
        return _in_order(self._waiting)

    def input(self, work: Work) -> bytes:
        """The items of ``work``."""
        return self._items[work.start : work.stop].tobytes()

    def take(self, work: Work, points: bytes) -> list[Blinded]:
        """Take the points of ``work``; the messages that can be sent now, in order.

        Raises PartnerFault where the partner claims to hold points (``resume``) that turn out to be others.
        """
        self._waiting.remove(work)
        _check_result(points, work, self._point_size)
        self.points.put(work.start, points)
        self._ready[work.start] = (work, points)
        messages = []
        while (ready := self._ready.pop(self._sent, None)) is not None:
            done, chunk = ready
            self._digest.update(chunk)
            self._sent = done.stop
            if done.stop > self._held.points:
                messages.append(Blinded(done.start, chunk))
            elif done.stop == self._held.points:
                _check_held(self._digest, self._held)
        return messages

    def resume(self, held: Held) -> Iterator[Blinded]:
        """The partner holds ``held`` of this list: of what was handed out before, the messages it lacks.

        It may hold more than this side remembers to have blinded; ``take`` then checks and does not send it again.
        Raises PartnerFault (BAD_MESSAGE) where it claims to hold other points, or a part of a message.
        """
        if held.points > len(self._items) or (held.points % WORK_SIZE and held.points != len(self._items)):
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner holds points that it was never sent.")
        self._held = held
        if held.points <= self._sent:
            prefix = BlindedDigest(self._role, len(self._items))
            for work in cut(Operation.BLIND, 0, held.points):
                prefix.update(self.points.get(work.start, work.stop))
            _check_held(prefix, held)
        return (
            Blinded(work.start, self.points.get(work.start, work.stop))
            for work in cut(Operation.BLIND, held.points, self._sent)
        )

    @property
    def complete(self) -> bool:
        """True once every point was handed out for sending."""
        return self._sent == len(self._items)

    @property
    def out(self) -> bool:
        """True once the partner can have them all; after an interruption, perhaps before they are computed again."""
        return self.complete or self._held.points == len(self._items)

    def digest(self) -> bytes:
        """Step 7, once complete."""
        return self._digest.digest()


class PartnerList:
    """The partner's points as they arrive, and their tags once reblinded."""

    def __init__(self, role: Role, size: int, engine: Engine, sid: bytes, points: NewPoints) -> None:
        """``role`` is the partner's; ``size`` the number of points it announced."""
        self._engine = engine
        self._sid = sid
        self._received = 0
        self._waiting: set[Work] = set()
        self._digest = BlindedDigest(role, size)
        self.points = points(size, engine.point_size)
        # Memory that is not written to costs nothing: an announcement alone does not fill ours.
        self.tags: Rows = np.empty((size, TAG_SIZE), np.uint8)

    def take(self, message: Blinded) -> list[Work]:
        """Take the next points (step 5); the reblinding to be done on them.

        Raises PartnerFault (BAD_MESSAGE) for a chunk that is empty, too big, out of order, beyond the announced
        size, or holds a point that is not canonical.
        """
        count, rest = divmod(len(message.points), self._engine.point_size)
        if rest or not count or len(message.points) > MAX_CHUNK_BYTES:
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "A message with the partner's points has a wrong size.")
        if message.start != self._received:
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE,
                f"The partner sent points from position {message.start:,} where {self._received:,} was due.",
            )
        stop = self._received + count
        if stop > len(self.points):
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE,
                f"The partner sent more points than the {len(self.points):,} it announced.",
            )
        self._engine.check_points(message.points)
        self.points.put(self._received, message.points)
        self._digest.update(message.points)
        works = cut(Operation.REBLIND, self._received, stop)
        self._waiting.update(works)
        self._received = stop
        return works

    def works(self) -> list[Work]:
        """The reblinding there is left to do on what came, in order."""
        return _in_order(self._waiting)

    def input(self, work: Work) -> bytes:
        """The points of ``work``."""
        return self.points.get(work.start, work.stop)

    def tags_for(self, work: Work, points: bytes) -> bytes:
        """The tags of the reblinded points of ``work``, which are all that is kept of them (step 6).

        Raises PartnerFault (BAD_MESSAGE) where a point is zero. That they are distinct is checked on the tags.
        """
        _check_result(points, work, self._engine.point_size)
        rows = as_rows(points, self._engine.point_size)
        if not rows.any(axis=1).all():
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner sent a point that vanishes under our key.")
        return tags_of(self._sid, points, self._engine.point_size)

    def take_tags(self, work: Work, tags: bytes) -> None:
        """Take the tags of the points of ``work``."""
        self._waiting.remove(work)
        self.tags[work.start : work.stop] = as_rows(tags, TAG_SIZE)

    @property
    def held(self) -> Held:
        """What came so far."""
        return Held(self._received, self._digest.digest())

    @property
    def missing(self) -> int:
        """How many points are still to come."""
        return len(self.points) - self._received

    @property
    def received(self) -> bool:
        """True once as many points as announced are in."""
        return self._received == len(self.points)

    @property
    def complete(self) -> bool:
        """True once all of them have their tag."""
        return self.received and not self._waiting

    def digest(self) -> bytes:
        """Step 7, once received."""
        return self._digest.digest()


def _in_order(works: Iterable[Work]) -> list[Work]:
    return sorted(works, key=lambda work: work.start)


def _check_held(ours: BlindedDigest, held: Held) -> None:
    if not hmac.compare_digest(ours.digest(), held.digest):
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner holds other points than it was sent.")


def _check_result(points: bytes, work: Work, point_size: int) -> None:
    if len(points) != len(work) * point_size:
        raise MutualsError(ErrorCode.INTERNAL, "A worker returned another number of points than asked for.")
