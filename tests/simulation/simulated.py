"""The world of one seed: two companies, what breaks between and below them, and what was seen of it."""

from __future__ import annotations

import copy
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from lifecycle.world import World

from mutuals.agreement.active import ActiveAgreement
from mutuals.agreement.chain import current_of
from mutuals.documents import Handler
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.protocol.messages import Blinded, TagCommit, Tags
from mutuals.runs.prepare import OwnSet
from mutuals.store.database import Transaction
from mutuals.store.rows import AgreementRow, PartnerRow
from simulation.check import check_received
from simulation.company import Connection, Server
from simulation.disk import Files, SimStore, failing_disk, failing_store
from simulation.faults import Weather
from simulation.network import Line
from simulation.schedule import Killed, Process, Scheduler, Task
from simulation.witness import Witness

OWN_SETS: dict[Any, OwnSet] = {}


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
        (self.first,) = world.truth.deals
        """The digest of the agreement's first version."""
        self.asked: dict[Side, set[int]] = {side: set() for side in Side}
        """Who has withdrawn from a company, whether it has carried that out or not."""
        self.violations: list[str] = []
        self.said: Counter[str] = Counter()
        self.applied: Counter[tuple[Side, str, bytes]] = Counter()
        """How often a side carried out a document of its partner's."""
        self.sent: dict[Side, dict[str, None]] = {side: {} for side in Side}
        """The ids of the documents that were ever in a side's outbox."""
        self.begun: set[tuple[Side, str]] = set()
        """The runs, by side, of which a point has left: from then on nothing of them may be lost."""
        self.records = 0
        self.answers = 0
        """How often a partner said that a run cannot go on."""
        self.lines: list[Line] = []
        self._net = random.Random(f"network {seed}")
        self._servers: dict[Side, Server] = {}
        self._clients: dict[Side, list[Process]] = {side: [] for side in Side}
        self._done: set[tuple[Side, str]] = set()
        self._runs: dict[Side, tuple[int, list[Run]]] = {}
        self._looked: dict[Side, int] = {}
        """How often each store had been changed when its runs were read, and when it was looked at."""
        self._count = 0
        self.scheduler.when_idle.append(lambda: any(line.wake() for line in self.lines))
        self.witness = Witness(self)
        for side in Side:
            self.store(side).watch(side, self.meet, self.scheduler, self.witness)

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
        accused = isinstance(error, PartnerFault) or (
            isinstance(error, PartnerRefused) and error.code is ErrorCode.BAD_MESSAGE
        )
        late = isinstance(error, MutualsError) and error.code is ErrorCode.CLOCK_SKEW
        if accused and not (
            late and self.weather.came["send: clock"]
        ):  # a greeting may have been under way for long
            self.violations.append(f"{where}: an honest partner is accused: {error}")
        for side, run_id in self.begun:
            if (
                where.startswith(side.value)
                and f"{run_id} " in str(error)
                and "gone or damaged" in str(error)
            ):
                self.violations.append(f"{where}: {error}")
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
        peer = copy.copy(self.world.peer(side))  # what it reads from its home is the same every time
        peer._lock = threading.Lock()
        return peer

    @contextmanager
    def unobserved(self) -> Iterator[None]:
        """What is read meanwhile is read by nobody's process: nothing can go wrong, and nobody has their turn."""
        task = self.scheduler.current
        before, task.quiet = task.quiet, True
        try:
            yield
        finally:
            task.quiet = before

    def own_set(self, read: Callable[..., OwnSet]) -> Callable[..., OwnSet]:
        """Reads the source, which never changes here, once for all simulations of a day in which the same withdrew."""

        def remembered(peer: Peer, active: ActiveAgreement, *_: object) -> OwnSet:
            known = self.witness.now(self._side(self.scheduler.current.process))
            today = self.world.clock.now.date()
            key = (active.digest, peer.fingerprint, today, known.withdrawn, known.policies)
            if key not in OWN_SETS:
                with self.unobserved():
                    OWN_SETS[key] = read(peer, active)
            return OWN_SETS[key]

        return remembered

    def line(self, kind: str) -> Line:
        """A line for a streaming call."""
        self._count += 1
        self.lines = [line for line in self.lines if not (line.over and line.answered)]
        line = Line(self.scheduler, f"{kind} {self._count}", self._net, self.touch, self._sees)
        self.lines.append(line)
        return line

    def connect(self, peer: Peer, partner: PartnerRow, **_: object) -> Connection:
        """In place of ``mutuals.transport.connection.connect``."""
        side = next(side for side in Side if self.world.fingerprint(side) == peer.fingerprint)
        return Connection(self, side, partner)

    def halts(self, side: Side) -> list[str]:
        """The ids of the side's own suspensions that are in force."""
        with self.store(side).transaction() as tx:
            agreements = {row.digest: row.own_side for row in tx.agreements.list()}
            return [
                row.suspension_id
                for row in tx.suspensions.list()
                if row.lifted_at is None and agreements.get(row.agreement) is row.side
            ]

    def proposals(self, side: Side) -> list[str]:
        """The digests of what the partner proposed and the side has not answered."""
        with self.store(side).transaction() as tx:
            return [
                row.digest
                for row in tx.agreements.list()
                if row.state is AgreementState.PROPOSED and row.own_side is Side.PARTNER
            ]

    def current(self, side: Side) -> AgreementRow:
        """The version of the agreement that counts at a side."""
        with self.store(side).transaction() as tx:
            (first,) = (row for row in tx.agreements.list() if row.digest == self.first)
            return current_of(tx, first)

    def _sees(self, message: object) -> None:
        """A message leaves."""
        side = self._side(self.scheduler.current.process)
        self.witness.leaves(side, message)
        if isinstance(message, Blinded | TagCommit | Tags):
            with self.unobserved():
                runs = self.runs(side)
            self.begun.update((side, run.run_id) for run in runs if run.state is RunState.MATCHING)

    def runs(self, side: Side) -> list[Run]:
        """The runs that a side holds, read again only where its store has changed."""
        changes = self.store(side).changes
        if side not in self._runs or self._runs[side][0] != changes:
            self._runs[side] = (changes, self.world.runs(side))
        return self._runs[side][1]

    def run(self, side: Side, run_id: str) -> Run | None:
        """A run as a side has it."""
        with self.store(side).transaction() as tx:
            return tx.runs.get(run_id)

    def look(self) -> None:
        """What can be checked at any time: whatever is done is complete; which documents there are."""
        for side in Side:
            changes = self.store(side).changes
            if self._looked.get(side) == changes:
                continue
            self._looked[side] = changes
            with self.store(side).transaction() as tx:
                self.sent[side].update((row.document_id, None) for row in tx.outbox.pending())
            for run in self.runs(side):
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

    def begin(self, side: Side, name: str, act: Callable[[Peer], object], late: int = 0) -> Task:
        """A command, in a process of its own, which begins ``late`` by so many steps."""
        process = Process(f"{side} client")
        alive = [one for one in self._clients[side] if one.alive]
        self._clients[side] = [*alive[-3:], process]

        due = self.scheduler.steps + late

        def work() -> None:
            self.scheduler.wait(lambda: self.scheduler.steps >= due, 60.0)
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
