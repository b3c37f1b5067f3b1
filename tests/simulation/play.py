"""One seed: two companies, a network, faults, and people who go on with what was broken off.

    found = simulate(seed)          # raises Violation where something is not as it must be

First everything goes wrong that the seed's weather has in store, then it clears up, time passes, and whoever has
begun something ends it. Then ``check`` looks.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import lifecycle.world as lifecycle_world
from lifecycle.world import World

from mutuals import documents
from mutuals.documents import Handler
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError, PartnerRefused
from mutuals.models.agreement import Side
from mutuals.models.run import Role, Run, RunState
from mutuals.obligations.retention import keep_retention
from mutuals.peer import Peer
from mutuals.protocol import exchange as exchanging
from mutuals.protocol import lists
from mutuals.protocol import match as matching
from mutuals.runs import drive_match
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.lifecycle import end_run, expire_runs
from mutuals.runs.preview import preview_exchange
from mutuals.store.database import Transaction
from mutuals.store.rows import PartnerRow
from mutuals_client import delivery, driving, patience
from simulation import dice
from simulation.check import Violation, check_received, check_seed
from simulation.company import Connection, Server
from simulation.disk import Files, SimStore, failing_disk, failing_store
from simulation.faults import Weather
from simulation.network import Line
from simulation.schedule import Killed, Process, Scheduler, Stuck, Task, Threads

TAIL = 60
"""Lines of the trace that a failure shows."""

ROUNDS = 14
"""How often a person tries again in fair weather before something counts as stuck."""


@dataclass
class Found:
    """What a seed came to."""

    seed: int
    steps: int
    digest: str
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    records: int = 0
    documents: int = 0
    said: Counter[str] = field(default_factory=Counter)


class Simulation:
    """Everything of one seed."""

    def __init__(self, seed: int, world: World, privates: dict[bytes, bytes]) -> None:
        self.seed = seed
        self.world = world
        self.privates = privates
        self.chance = random.Random(f"people {seed}")
        self.scheduler = Scheduler(random.Random(f"order {seed}"))
        self.weather = Weather.of(random.Random(f"weather {seed}"))
        self.files = Files(self.scheduler, self.meet, random.Random(f"disk {seed}"))
        self.pool = InlinePool()
        self.violations: list[str] = []
        self.said: Counter[str] = Counter()
        self.applied: Counter[tuple[Side, str, bytes]] = Counter()
        """How often a side carried out a document of its partner's."""
        self.sent: dict[Side, dict[str, None]] = {side: {} for side in Side}
        """The ids of the documents that were ever in a side's outbox."""
        self.records = 0
        self.answers = 0
        """How often a partner said that a run cannot go on."""
        self.lines: list[Line] = []
        self._net = random.Random(f"network {seed}")
        self._servers: dict[Side, Server] = {}
        self._clients: dict[Side, list[Process]] = {side: [] for side in Side}
        self._done: set[tuple[Side, str]] = set()
        self._count = 0
        self.scheduler.when_idle.append(lambda: any(line.wake() for line in self.lines))
        for side in Side:
            store = self.store(side)
            store.meet, store.scheduler = self.meet, self.scheduler

    # --- what can go wrong ------------------------------------------------------------------------------------------

    def meet(self, site: str, what: str) -> None:
        """A place where store or files may fail, or the process end."""
        self.scheduler.note(what)
        process = self.scheduler.current.process
        if not process.alive:
            raise Killed
        match self.weather.at(site):
            case "kill":
                self.scheduler.kill(process)
            case "power":
                self.lose_power(self._side(process))
            case "fail" if site in {"begin", "commit"}:
                raise failing_store()
            case "fail":
                raise failing_disk(self._net)

    def touch(self, site: str, what: str) -> str | None:
        """A place where a message may be lost, or the process end; what the network does."""
        self.scheduler.note(what)
        process = self.scheduler.current.process
        if not process.alive:
            raise Killed
        self.scheduler.wait()
        fault = self.weather.at(site)
        if fault == "kill":
            self.scheduler.kill(process)
        if fault == "power":
            self.lose_power(self._side(process))
        if fault == "clock":
            self.pass_time(timedelta(seconds=self.chance.choice((20, 400, 4000, 90_000))))
        return fault

    def lose_power(self, side: Side) -> None:
        """Every process of a side ends, and what was not synced may be gone."""
        self.scheduler.note(f"{side} loses power")
        processes = [self._servers[side].process] if side in self._servers else []
        processes += self._clients[side]
        own = self.scheduler.current.process
        for process in sorted(processes, key=lambda process: process is own):
            if process is not own:
                self.scheduler.kill(process)
        self.files.lose_power(self.world.peer(side).home.spool)
        if own in processes:
            self.scheduler.kill(own)

    def judge(self, where: str, error: BaseException) -> None:
        """An error that reached a person or a partner: it must be one of ours, or the disk's own."""
        self.scheduler.note(f"{where}: {type(error).__name__} {getattr(error, 'code', error)}")
        own = isinstance(error, MutualsError) and (
            error.code is not ErrorCode.INTERNAL or isinstance(error, PartnerRefused)
        )
        if not own and not isinstance(error, OSError):
            self.violations.append(f"{where}: {type(error).__name__}: {error}")
        code = error.code.value if isinstance(error, MutualsError) else type(error).__name__
        self.answers += isinstance(error, PartnerRefused) and error.code is ErrorCode.RUN_STATE
        self.said[f"{where.split(' ', 1)[-1]}: {code}"] += 1

    def told(self, error: Exception) -> None:
        """A document could not be taken now."""
        self.judge("x takes a document", error)

    # --- the companies ----------------------------------------------------------------------------------------------

    def store(self, side: Side) -> SimStore:
        """The side's store."""
        store = self.world.peer(side).store
        assert isinstance(store, SimStore)
        return store

    def server(self, side: Side) -> Server:
        """The side's server, started again where it was killed."""
        server = self._servers.get(side)
        if server is None or not server.process.alive:
            server = Server(self, side, Process(f"{side} server"), self.open(side))
            self._servers[side] = server
        return server

    def open(self, side: Side) -> Peer:
        """A process opens its home."""
        peer = Peer.open(self.world.peer(side).home.root, self.world.clock)
        peer._store = self.store(side)
        return peer

    def line(self, kind: str) -> Line:
        """A line for a streaming call."""
        self._count += 1
        self.lines = [line for line in self.lines if not (line.over and line.answered)]
        line = Line(self.scheduler, f"{kind} {self._count}", self._net, self.touch)
        self.lines.append(line)
        return line

    def connect(self, peer: Peer, partner: PartnerRow, **_: object) -> Connection:
        """In place of ``mutuals.transport.connection.connect``."""
        side = next(side for side in Side if self.world.fingerprint(side) == peer.fingerprint)
        return Connection(self, side, partner)

    def run(self, side: Side, run_id: str) -> Run | None:
        """A run as a side has it."""
        with self.store(side).transaction() as tx:
            return tx.runs.get(run_id)

    def look(self) -> None:
        """What can be checked at any time: whatever is done is complete; which documents there are."""
        for side in Side:
            with self.store(side).transaction() as tx:
                self.sent[side].update((row.document_id, None) for row in tx.outbox.pending())
            for run in self.world.runs(side):
                if run.state is RunState.DONE and (side, run.run_id) not in self._done:
                    self._done.add((side, run.run_id))
                    self.records += check_received(self, side, run)

    def counted(self, kind: str, handler: Handler) -> Handler:
        """A handler of documents, that is counted where what it did is committed."""

        def handle(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
            handler(tx, peer, partner, body)
            key = (self._side(self.scheduler.current.process), kind, body)
            self.scheduler.current.on_commit.append(lambda: self.applied.update((key,)))

        return handle

    # --- people and time --------------------------------------------------------------------------------------------

    def begin(self, side: Side, name: str, act: Callable[[Peer], object]) -> Task:
        """A command, in a process of its own."""
        process = Process(f"{side} client")
        alive = [one for one in self._clients[side] if one.alive]
        self._clients[side] = [*alive[-3:], process]

        def work() -> None:
            try:
                act(self.open(side))
            except Exception as error:
                self.judge(f"{side} {name}", error)
            else:
                self.scheduler.note(f"{name} went well")
                self.said[f"{name}: went well"] += 1

        return self.scheduler.start(process, name, work)

    def do(self, side: Side, name: str, act: Callable[[Peer], object]) -> None:
        """A command, to its end or that of its process."""
        self.finish(self.begin(side, name, act))

    def finish(self, *tasks: Task) -> None:
        """Wait for commands, and look at what they left."""
        self.scheduler.wait(lambda: all(task.finished for task in tasks))
        self.look()

    def sleep(self, seconds: float) -> None:
        """In place of ``time.sleep``."""
        self.scheduler.wait(lambda: False, seconds)
        self.pass_time(timedelta(seconds=seconds))

    def pass_time(self, span: timedelta) -> None:
        """The clock goes on."""
        self.scheduler.note(f"{span} pass")
        self.world.clock.now += span

    def _side(self, process: Process) -> Side:
        return next(side for side in Side if process.name.startswith(side.value))


# --- commands -------------------------------------------------------------------------------------------------------


def match(digest: str) -> Callable[[Peer], object]:
    """``mutuals match``."""
    return lambda peer: driving.match(
        peer, digest, operator="anna", patience=patience.Patience(), showing=_nobody
    )


def permit_reveal(simulation: Simulation, side: Side, run_id: str) -> Callable[[Peer], object]:
    """An operator permits the reveal, where nobody has; the side that started the run calls."""

    def act(peer: Peer) -> None:
        def permit(run: Run, active: Any) -> None:
            if driving.reveal_authorised(peer, run, active) is None:
                authorise_reveal(peer, run, simulation.world.keys[side]["anna"])

        run = simulation.run(side, run_id)
        if run is not None:
            driving.reveal(peer, run, permit, patience=patience.Patience(), showing=_nobody)

    return act


def permit_exchange(simulation: Simulation, side: Side, run_id: str) -> Callable[[Peer], object]:
    """An operator looks at the preview and permits it, where the run is revealed; whoever started the run calls."""

    def act(peer: Peer) -> None:
        run = simulation.run(side, run_id)
        if run is None:
            return
        if run.state is RunState.REVEALED:
            preview = preview_exchange(peer, run_id)
            names = [item.shared.name for item in preview.outgoing.fields]
            keys = simulation.world.keys[side]["anna"]
            authorise_exchange(peer, preview.run, names, preview.digest, keys)
        if run.role is Role.INITIATOR:
            driving.exchange(peer, run, patience=patience.Patience(), showing=_nobody)

    return act


def sync(peer: Peer) -> None:
    """``mutuals sync``."""
    with peer.store.transaction() as tx:
        (partner,) = tx.partners.list()
    delivery.try_sync(peer, partner)


def tidy(peer: Peer) -> None:
    """What the server does from time to time."""
    expire_runs(peer)
    keep_retention(peer)


def clear(simulation: Simulation, side: Side) -> Callable[[Peer], object]:
    """``mutuals runs clear``, of whatever is half revealed."""

    def act(peer: Peer) -> None:
        with peer.store.transaction() as tx:
            runs = tx.runs.list()
        for run in runs:
            if run.state is RunState.HALF_REVEALED:
                end_run(peer, run, RunState.FAILED, reason="Cleared.")

    return act


def _nobody() -> Any:
    return nullcontext(None)


# --- a seed ---------------------------------------------------------------------------------------------------------


class Play:
    """What people do in one seed."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._chance = simulation.chance
        self._refused: set[str] = set()
        """Runs that the partner will not go on with, as it has answered in fair weather."""
        (self._digest,) = simulation.world.truth.deals

    def storm(self) -> None:
        """While everything goes wrong."""
        simulation, chance = self._simulation, self._chance
        simulation.weather.calm = False
        for _ in range(chance.randint(3, 8)):
            tasks = [self._start(chance.random())]
            if chance.random() < 0.3:
                tasks.append(self._start(chance.random()))
            simulation.finish(*tasks)
            if chance.random() < 0.15:
                simulation.pass_time(timedelta(minutes=chance.choice((1, 20, 300, 2000, 12_000))))
        simulation.weather.calm = True

    def calm(self) -> None:
        """What was begun is ended; then so much time passes that nothing may wait any longer."""
        simulation = self._simulation
        for number in range(ROUNDS):
            for side in Side:
                simulation.do(side, "sync", sync)
                simulation.do(side, "clear", clear(simulation, side))
            if self._advance():
                pass
            elif any(run.state is RunState.DONE for side in Side for run in simulation.world.runs(side)):
                break
            else:  # in fair weather a run is possible, whatever was before
                simulation.do(Side.PROPOSER, "match", match(self._digest))
            if number == ROUNDS // 2:
                simulation.pass_time(timedelta(days=2))
        else:
            simulation.violations.append(f"something did not end in {ROUNDS} rounds of fair weather")
        simulation.pass_time(timedelta(days=45))
        for _ in range(3):
            for side in Side:
                simulation.do(side, "tidy", tidy)
                simulation.do(side, "clear", clear(simulation, side))
                simulation.do(side, "sync", sync)
        simulation.scheduler.wait(lambda: len(simulation.scheduler._tasks) == 1)

    def _start(self, roll: float) -> Task:
        simulation, side = self._simulation, self._chance.choice(tuple(Side))
        if roll < 0.7:
            return self._next()
        if roll < 0.85:
            return simulation.begin(side, "sync", sync)
        if roll < 0.92:
            return simulation.begin(side, "tidy", tidy)
        return simulation.begin(side, "match", match(self._digest))

    def _next(self) -> Task:
        """What comes next in the latest run that has not ended, or another match."""
        simulation, chance = self._simulation, self._chance
        initiator = Side.PROPOSER if chance.random() < 0.8 else Side.PARTNER
        run = self._latest()
        if run is None or run[1].state is RunState.MATCHING:
            return simulation.begin(initiator if run is None else run[0], "match", match(self._digest))
        side, state, run_id = run[0], run[1].state, run[1].run_id
        permit = permit_reveal if state in {RunState.COUNTED, RunState.REVEALING} else permit_exchange
        name = "reveal" if permit is permit_reveal else "exchange"
        simulation.do(side.other, f"permit {name}", permit(simulation, side.other, run_id))
        return simulation.begin(side, name, permit(simulation, side, run_id))

    def _latest(self) -> tuple[Side, Run] | None:
        """The latest run that has not ended on the side that started it."""
        waiting = [
            (side, run)
            for side in Side
            for run in self._simulation.world.runs(side)
            if run.role is Role.INITIATOR and not run.state.final and run.state is not RunState.HALF_REVEALED
        ]
        return max(waiting, key=lambda one: one[1].opened_at, default=None)

    def _advance(self) -> bool:
        """Go on with every run that waits, as the side that started it; whether there was one."""
        simulation, waited = self._simulation, False
        for side in Side:
            for run in simulation.world.runs(side):
                if run.role is not Role.INITIATOR or run.state.final or run.run_id in self._refused:
                    continue
                waited = True
                before = self._simulation.answers
                if run.state is RunState.MATCHING:
                    simulation.do(side, "match", match(run.agreement))
                elif run.state in {RunState.COUNTED, RunState.REVEALING}:
                    for each in (side.other, side):
                        simulation.do(each, "reveal", permit_reveal(simulation, each, run.run_id))
                else:
                    for each in (side.other, side):
                        simulation.do(each, "exchange", permit_exchange(simulation, each, run.run_id))
                if simulation.answers > before:
                    self._refused.add(run.run_id)
        return waited


def simulate(seed: int, *, verbose: bool = False) -> Found:
    """Play ``seed`` and check what it came to. Raises Violation, with the tail of its trace."""
    with (
        dice.loaded(seed) as privates,
        patch.object(lifecycle_world, "MemoryStore", SimStore),
        World.begin("active") as world,
    ):
        simulation = Simulation(seed, world, privates)
        try:
            with _replaced(simulation):
                play = Play(simulation)
                try:
                    play.storm()
                    play.calm()
                except Stuck as stuck:
                    simulation.violations.append(str(stuck))
                finally:
                    simulation.weather.calm = True
                    with suppress(Stuck):
                        simulation.scheduler.close()
                found = Found(
                    seed,
                    simulation.scheduler.steps,
                    simulation.scheduler.digest(),
                    simulation.weather.came,
                    records=simulation.records,
                    said=simulation.said,
                )
                check_seed(simulation, found)
        finally:
            if verbose:
                print("\n".join(simulation.scheduler.trace))
    if simulation.violations:
        told = [line for line in simulation.scheduler.trace if not line.endswith("begins a transaction")]
        tail = "\n".join(told[-TAIL:])
        what = "\n".join(simulation.violations)
        raise Violation(
            f"Seed {seed}, step {simulation.scheduler.steps}:\n{what}\n"
            f"faults: {dict(simulation.weather.came)}\n{tail}\n"
            f"Again: python -m simulation --replay {seed} -v"
        )
    return found


@contextmanager
def _replaced(simulation: Simulation) -> Iterator[None]:
    """What the product uses of the world outside, by what the simulation has in its place."""
    threads = Threads(simulation.scheduler)
    clock = SimpleNamespace(sleep=simulation.sleep, monotonic=lambda: simulation.scheduler.now)
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(simulation.files.watched())
        counted = {kind: simulation.counted(kind, handler) for kind, handler in documents.HANDLERS.items()}
        enter(patch.dict(documents.HANDLERS, counted))
        enter(patch.object(drive_match, "threading", threads))
        enter(patch.object(drive_match, "queue", threads))
        enter(patch("mutuals.transport.connection.connect", simulation.connect))
        enter(patch.object(Peer, "open_pool", lambda *_: nullcontext(simulation.pool)))
        enter(patch.object(delivery, "can_be_called", lambda _: True))
        enter(patch.object(driving, "time", clock))
        enter(patch.object(patience, "sleep", simulation.sleep))
        enter(patch.object(patience, "monotonic", clock.monotonic))
        enter(patch.object(patience, "random", simulation.chance))
        enter(patch.object(lists, "WORK_SIZE", 3))
        enter(patch.object(matching, "TAGS_PER_MESSAGE", 4))
        enter(patch.object(exchanging, "MAX_RECORDS_PER_ENVELOPE", 3))
        yield
