"""One line in the log for each act of a run, on either side: what it was, how it ended, how long it took, what moved.

    with act_noted(log, "match", Role.INITIATOR, "Beta SA", progress) as act:
        run = initiate_match(peer, digest, act.metered(stream), pool, progress=act, began=act.began)

The two sides' lines carry the same run id. What is counted is what passed the stream, also where the act failed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from mutuals.engines import get_engine
from mutuals.errors import MutualsError
from mutuals.eventlog import EventLog, describe
from mutuals.models.run import Role, Run
from mutuals.models.statistics import Act as Kind
from mutuals.protocol.messages import Blinded, Envelope, Positions
from mutuals.runs.drive_match import STAGE_HELLO, STAGE_POINTS, STAGE_TAGS, STAGE_WAIT
from mutuals.runs.drive_reveal import STAGE_REVEAL
from mutuals.runs.exchange import STAGE_EXCHANGE
from mutuals.runs.ports import MessageStream, Progress
from mutuals.runs.prepare import STAGE_READ
from mutuals.runs.resume import STAGE_RESTORE
from mutuals.runs.statistics import Meter

Outgoing = TypeVar("Outgoing")
Incoming = TypeVar("Incoming")

STAGES = {
    STAGE_READ: "read",
    STAGE_RESTORE: "restore",
    STAGE_HELLO: "partner_reads",
    STAGE_POINTS: "blind",
    STAGE_WAIT: "partner_blinds",
    STAGE_TAGS: "compare",
    STAGE_REVEAL: "reveal",
    STAGE_EXCHANGE: "exchange",
}
"""The stages by what a person is told: their names in logs and metrics."""


class Act(Meter):
    """One act under way: a Progress, and what its streams carried.

    Items are blinded points in a match, positions in a reveal, records in an exchange.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        super().__init__(progress)
        self.run_id: str | None = None
        self.items: Counter[str] = Counter()
        self._point_size: int | None = None

    def show(self, progress: Progress) -> None:
        """Pass everything on to ``progress`` from now on."""
        self._progress = progress

    def began(self, run: Run) -> None:
        """This is the run; to be called as soon as it is known, and before the first point passes."""
        self.run_id = run.run_id
        with suppress(MutualsError):  # an engine of tests
            self._point_size = get_engine(run.engine).point_size

    def metered(self, stream: MessageStream[Outgoing, Incoming]) -> MessageStream[Outgoing, Incoming]:
        """``stream``, counted."""
        return _CountedStream(super().metered(stream), self)

    def count(self, direction: str, message: object) -> None:
        """Count what is in ``message``, ``sent`` or ``received``."""
        if isinstance(message, Blinded) and self._point_size is not None:
            self.items[direction] += len(message.points) // self._point_size
        elif isinstance(message, Positions):
            self.items[direction] += len(message.positions)
        elif isinstance(message, Envelope):
            self.items[direction] += len(message.records)


class _CountedStream(Generic[Outgoing, Incoming]):
    """A MessageStream; one thread sends while another receives, so each direction counts for itself."""

    def __init__(self, stream: MessageStream[Outgoing, Incoming], act: Act) -> None:
        self._stream = stream
        self._act = act

    def send(self, message: Outgoing) -> None:
        """See ``MessageStream.send``."""
        self._stream.send(message)
        self._act.count("sent", message)

    def receive(self) -> Incoming:
        """See ``MessageStream.receive``."""
        message = self._stream.receive()
        self._act.count("received", message)
        return message


@contextmanager
def act_noted(
    log: EventLog, kind: Kind, role: Role, partner: str, progress: Progress | None = None
) -> Iterator[Act]:
    """While an act is carried out; then its line is written, whichever way it ended. ``partner`` is a name."""
    act = Act(progress)
    started = time.monotonic()
    log.quiet_event("act_began", kind=kind, role=role.value, partner=partner)
    outcome = {"code": "OK"}
    try:
        yield act
    except BaseException as error:
        outcome = describe(error)
        raise
    finally:
        effort = act.effort()
        log.event(
            "act",
            kind=kind,
            role=role.value,
            partner=partner,
            run=act.run_id,
            seconds=round(time.monotonic() - started, 3),
            **outcome,
            items_sent=act.items["sent"],
            items_received=act.items["received"],
            bytes_sent=effort.sent,
            bytes_received=effort.received,
            stages={STAGES.get(name, "other"): spent for name, spent in effort.seconds.items()},
        )
