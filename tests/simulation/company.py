"""A company while it is simulated: its server, its commands, and how one calls the other.

Commands are the client's own (``mutuals_client.driving``), answers the product's; only what carries the calls, and the
time, is not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mutuals.errors import ERRORS, ErrorCode, MutualsError, PartnerRefused
from mutuals.models.agreement import Side
from mutuals.models.run import Run
from mutuals.peer import Peer
from mutuals.runs.exchange import respond_exchange
from mutuals.runs.match import respond_match
from mutuals.runs.reveal import respond_reveal
from mutuals.store.rows import PartnerRow
from mutuals.transport.status import to_wire
from mutuals.transport.sync import answer_sync
from mutuals.transport.wire import SyncMessage
from simulation.network import Line, unreachable
from simulation.schedule import Killed, Process, Task

if TYPE_CHECKING:
    from simulation.simulated import Simulation

TAKE_OVER_SECONDS = 10.0
"""As the server waits for a call whose run goes on over another one."""


@dataclass
class Call:
    """A streaming call that a server answers."""

    line: Line
    run_id: str | None = None
    done: bool = False


@dataclass
class Server:
    """``mutuals serve`` of one side."""

    simulation: Simulation
    side: Side
    process: Process
    peer: Peer
    carrying: dict[str, Call] = field(default_factory=dict)

    def answer(self, kind: str, line: Line) -> None:
        """Answer a streaming call, in a task of its own."""
        call = Call(line)

        def work() -> None:
            error: BaseException | None = None
            try:
                self._respond(kind, call)
            except Killed:
                raise
            except BaseException as raised:
                error = raised
                self.simulation.judge(f"{self.side} answers {kind}", raised)
            finally:
                call.done = True
                if call.run_id is not None and self.carrying.get(call.run_id) is call:
                    del self.carrying[call.run_id]
            line.server_ends(error)

        self.process.at_death.append(line.server_dies)
        self.simulation.scheduler.start(self.process, f"answers {line.name}", work)

    def _respond(self, kind: str, call: Call) -> None:
        stream, partner = call.line.server, self.partner()
        pipe = stream.outgoing

        def cancelled() -> bool:
            return pipe.shut is not None

        match kind:
            case "match":
                respond_match(
                    self.peer,
                    partner,
                    stream,
                    self.simulation.pool,
                    cancelled=cancelled,
                    began=partial(self._carry, call),
                )
            case "reveal":
                respond_reveal(self.peer, partner, stream, cancelled=cancelled)
            case _:
                respond_exchange(self.peer, partner, stream, cancelled=cancelled)

    def _carry(self, call: Call, run: Run) -> None:
        """As ``mutuals_server.runs.RunAnswer.carry``: a call that carried the run before ends first."""
        call.run_id = run.run_id
        before = self.carrying.get(run.run_id)
        if before is not None:
            before.line.client_leaves()
            self.simulation.scheduler.wait(lambda: before.done, TAKE_OVER_SECONDS)
            if not before.done:
                raise MutualsError(ErrorCode.BUSY, f"Run {run.run_id} is still under way on another call.")
        self.carrying[run.run_id] = call

    def partner(self) -> PartnerRow:
        """The other side."""
        with self.peer.store.transaction() as tx:
            (row,) = tx.partners.list()
        return row


class Connection:
    """As ``mutuals.transport.connection.PartnerConnection``."""

    def __init__(self, simulation: Simulation, side: Side, partner: PartnerRow) -> None:
        self._simulation = simulation
        self._side = side
        self.partner = partner

    def match(self) -> AbstractContextManager[Any]:
        """A stream for a match."""
        return self._stream("match")

    def reveal(self) -> AbstractContextManager[Any]:
        """A stream for a reveal."""
        return self._stream("reveal")

    def exchange(self) -> AbstractContextManager[Any]:
        """A stream for an exchange."""
        return self._stream("exchange")

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    @contextmanager
    def _stream(self, kind: str) -> Iterator[Any]:
        simulation = self._simulation
        if simulation.touch("call", f"calls to {kind}") in {"lost", "late"}:
            raise unreachable("Nobody answers.")
        line = simulation.line(kind)
        simulation.scheduler.current.process.at_death.append(partial(_orphan, line, simulation.chance))
        simulation.server(self._side.other).answer(kind, line)
        try:
            yield line.client
        except Killed:
            raise
        except BaseException as error:
            line.leave(error, clean=False)
            raise
        line.leave(None, clean=True)

    def sync(self, request: SyncMessage) -> SyncMessage:
        """One call: it may be lost on its way or on its way back, come twice, or late."""
        simulation, side = self._simulation, self._side.other
        fault = simulation.touch(
            "call", f"syncs {len(request.documents)} documents, {len(request.receipts)} receipts"
        )
        for document in request.documents:
            simulation.world.watch.document(self._side, document.kind, document.body)
        if fault == "lost":
            raise unreachable("Nobody answers.")
        if fault == "late":
            self._answer(side, request, late=simulation.chance.randint(1, 400))
            raise unreachable("Nobody answers in time.")
        first = self._answer(side, request)
        second = self._answer(side, request) if fault == "twice" else first
        for answer in {id(first): first, id(second): second}.values():
            simulation.scheduler.wait(lambda answer=answer: answer.task.finished)  # type: ignore[misc]
        answer = simulation.chance.choice((first, second))
        if fault == "answer lost" or (answer.error is None and answer.response is None):
            raise unreachable("The answer did not come.")
        if answer.error is not None:
            code = to_wire(answer.error).code
            raise PartnerRefused(code, f"The partner refused: {ERRORS[code].public}")
        assert answer.response is not None
        return answer.response

    def _answer(self, side: Side, request: SyncMessage, late: int = 0) -> Answer:
        simulation = self._simulation
        server, answer = simulation.server(side), Answer()
        due = simulation.scheduler.steps + late

        def work() -> None:
            simulation.scheduler.wait(lambda: simulation.scheduler.steps >= due, 3600.0)
            try:
                answer.response = answer_sync(server.peer, server.partner(), request, simulation.told)
            except Exception as error:
                simulation.judge(f"{side} answers sync", error)
                answer.error = error

        answer.task = simulation.scheduler.start(server.process, "answers sync", work)
        return answer


class Answer:
    """What became of a unary call; neither where the process died that was at it."""

    task: Task
    response: SyncMessage | None = None
    error: Exception | None = None


def _orphan(line: Line, chance: random.Random) -> None:
    """The calling process died; the other end notices now, or when it has waited for too long."""
    if line.over:
        return
    line.over = True
    if chance.random() < 0.6:
        line.client_leaves()
    else:
        line.server.incoming.lost = line.server.outgoing.lost = True


Work = Callable[[Peer], object]
