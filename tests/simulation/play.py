"""One seed: two companies, a network, faults, and people who go on with what was broken off.

    found = simulate(seed)          # raises Violation where something is not as it must be

First everything goes wrong that the seed's weather has in store, then it clears up, time passes, and whoever has
begun something ends it. Then ``check`` looks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType, SimpleNamespace
from unittest.mock import patch

import lifecycle.world as lifecycle_world
from lifecycle.world import Choice, PolicyChoice, World

from mutuals import documents
from mutuals.agreement.chain import LIVING
from mutuals.models.agreement import Side
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.protocol import exchange as exchanging
from mutuals.protocol import lists
from mutuals.protocol import match as matching
from mutuals.runs import drive_match
from mutuals.runs import match as match_run
from mutuals.runs import reveal as reveal_run
from mutuals_client import delivery, driving, patience
from simulation import dice
from simulation.check import Violation, check_seed, check_withdrawn
from simulation.commands import (
    accept,
    amend,
    clear,
    decide,
    end,
    halt,
    lift,
    permit_exchange,
    permit_reveal,
    propose,
    revoke,
    sync,
    tidy,
)
from simulation.commands import match as start_match
from simulation.disk import SimStore
from simulation.faults import Weather
from simulation.remembered import remembering
from simulation.schedule import Stuck, Task, Threads
from simulation.simulated import Simulation
from simulation.witness import BOTH_KNOW

FAULTS = 12
"""How many come where the weather is given."""

TAIL = 60
"""Lines of the trace that a failure shows."""

ACTS = {
    "next": 60,
    "sync": 8,
    "tidy": 5,
    "match": 5,
    "suspend": 3,
    "lift": 2,
    "propose": 2,
    "amend": 6,
    "revoke": 4,
    "decide": 3,
    "terminate": 1,
}
"""What somebody does while everything goes wrong, and how often."""

NOTHING: Mapping[str, int] = MappingProxyType({})

TRIES = 4
"""How often a match is called in fair weather before it must go on."""

LATE = 200
"""Steps by which the second of two that happen at a time begins late, at most: a match or an exchange takes as many."""

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


class Play:
    """What people do in one seed."""

    def __init__(self, simulation: Simulation, meanwhile: Mapping[str, int] = NOTHING) -> None:
        self._simulation = simulation
        self._meanwhile = meanwhile
        self._chance = simulation.chance
        self._tried: Counter[str] = Counter()
        self._refused: set[str] = set()
        """Runs that the partner will not go on with, as it has answered in fair weather."""

    def storm(self) -> None:
        """While everything goes wrong."""
        simulation, chance = self._simulation, self._chance
        simulation.weather.calm = False
        for _ in range(chance.randint(3, 8)):
            tasks = [self._start(ACTS)]
            if chance.random() < (0.8 if self._meanwhile else 0.3):
                tasks.append(self._start(self._meanwhile or ACTS, chance.randint(0, LATE)))
            simulation.finish(*tasks)
            if chance.random() < 0.15:
                simulation.pass_time(timedelta(minutes=chance.choice((1, 20, 300, 2000, 12_000))))
        simulation.weather.calm = True

    def calm(self) -> None:
        """What was begun is ended."""
        simulation = self._simulation
        for number in range(ROUNDS):
            self._deliver_and_clear()
            if self._advance():
                pass
            elif self._over() or any(
                run.state is RunState.DONE for side in Side for run in simulation.runs(side)
            ):
                break
            else:  # in fair weather a run is possible, whatever was before
                simulation.do(Side.PROPOSER, "match", start_match(self._digest(Side.PROPOSER)))
            if number == ROUNDS // 2:
                simulation.pass_time(timedelta(days=2))
                self._tidy()  # whoever was killed in a reveal is looked at after an hour
        else:
            simulation.violations.append(f"something did not end in {ROUNDS} rounds of fair weather")
        check_withdrawn(simulation)

    def end(self) -> None:
        """One side terminates, or both at once, in whatever weather is left; then so much time passes that everything
        is over and certified.
        """
        simulation, chance = self._simulation, self._chance
        if chance.random() < 0.4:
            simulation.weather.again(chance.randint(0, 4))
            sides = chance.choice(((Side.PROPOSER,), (Side.PARTNER,), tuple(Side), tuple(Side)))
            simulation.finish(*(self._terminate(side) for side in sides))
            for side in chance.choices(tuple(Side), k=chance.randint(1, 4)):
                name, act = chance.choice((("tidy", tidy), ("sync", sync)))
                simulation.do(side, name, act)
            simulation.weather.calm = True
            self._deliver_and_clear()
        simulation.pass_time(timedelta(days=45))
        self._tidy()
        self._deliver_and_clear()
        simulation.pass_time(timedelta(days=40))
        for _ in range(2):
            self._tidy()
            self._deliver_and_clear()
        simulation.scheduler.finish()

    def _tidy(self) -> None:
        for side in Side:
            self._simulation.do(side, "tidy", tidy)

    def _deliver_and_clear(self) -> None:
        """Do what was asked for, carry what waits in an outbox, and look at runs that are half revealed."""
        simulation = self._simulation
        for side in Side:
            for person in sorted(simulation.asked[side] - simulation.witness.now(side).withdrawn):
                simulation.do(side, "revoke", revoke(simulation, side, person))
            if simulation.halts(side):
                simulation.do(side, "lift", lift(simulation, side, self._digest(side)))
            if simulation.proposals(side):
                simulation.do(side, "accept", accept(simulation, side))
        for _ in range(3):  # what is taken may be answered by a document of its own
            if not sum(self._deliver(side) for side in Side):
                break
        for side in Side:
            if any(run.state is RunState.HALF_REVEALED for run in simulation.runs(side)):
                simulation.do(side, "clear", clear)

    def _deliver(self, side: Side) -> bool:
        """Carry what waits at a side; whether there was anything."""
        with self._simulation.store(side).transaction() as tx:
            waiting = tx.outbox.pending()
        if waiting:
            self._simulation.do(side, "sync", sync)
        return bool(waiting)

    def _digest(self, side: Side) -> str:
        return self._simulation.current(side).digest

    def _over(self) -> bool:
        """Whether the agreement has ended with a side, or been terminated there."""
        rows = [self._simulation.current(side) for side in Side]
        return any(row.state not in LIVING or row.ends_at is not None for row in rows)

    def _start(self, acts: Mapping[str, int], late: int = 0) -> Task:
        """Something that somebody does, by how often what happens; ``late`` by so many steps."""
        simulation, side = self._simulation, self._chance.choice(tuple(Side))
        if simulation.proposals(side) and self._chance.random() < 0.4:
            return simulation.begin(side, "accept", accept(simulation, side), late)
        name = self._chance.choices(tuple(acts), tuple(acts.values()))[0]
        if name == "next":
            return self._next(late)
        if name == "terminate":
            return self._terminate(side, late)
        act: Callable[[Peer], object]
        digest = self._digest(side)
        match name:
            case "match":
                act = start_match(digest)
            case "suspend":
                act = halt(simulation, side, digest)
            case "lift":
                act = lift(simulation, side, digest)
            case "accept":
                act = accept(simulation, side)
            case "propose":
                act = propose(simulation, side, self._choice())
            case "amend":
                act = amend(simulation, side, self._choice())
            case "revoke":
                act = self._revocation(side)
            case "decide":
                act = decide(simulation, side, PolicyChoice(self._chance.choice((None, "marketing"))))
            case _:
                act = sync if name == "sync" else tidy
        return simulation.begin(side, name, act, late)

    def _choice(self) -> Choice:
        """What another agreement, or another version, says otherwise."""
        return Choice(finish=self._chance.random() < 0.5, fields=self._chance.choice((1, 2, 2)))

    def _revocation(self, side: Side) -> Callable[[Peer], object]:
        """Of one of those whom both know, once in a seed: enough must be left for a run."""
        simulation = self._simulation
        person = self._chance.choice(sorted(BOTH_KNOW))
        person = min(simulation.asked[side], default=person)
        simulation.asked[side].add(person)
        return revoke(simulation, side, person)

    def _terminate(self, side: Side, late: int = 0) -> Task:
        act = end(self._simulation, side, self._digest(side), cause=self._chance.random() < 0.7)
        return self._simulation.begin(side, "terminate", act, late)

    def _next(self, late: int) -> Task:
        """What comes next in the latest run that has not ended, or another match."""
        simulation, chance = self._simulation, self._chance
        initiator = Side.PROPOSER if chance.random() < 0.8 else Side.PARTNER
        run = self._latest()
        if run is None:
            return simulation.begin(initiator, "match", start_match(self._digest(initiator)), late)
        if run[1].state is RunState.MATCHING:
            return simulation.begin(run[0], "match", start_match(run[1].agreement), late)
        side, state, run_id = run[0], run[1].state, run[1].run_id
        permit = permit_reveal if state in {RunState.COUNTED, RunState.REVEALING} else permit_exchange
        name = "reveal" if permit is permit_reveal else "exchange"
        simulation.do(side.other, f"permit {name}", permit(simulation, side.other, run_id))
        return simulation.begin(side, name, permit(simulation, side, run_id), late)

    def _latest(self) -> tuple[Side, Run] | None:
        """The latest run that has not ended on the side that started it."""
        waiting = [
            (side, run)
            for side in Side
            for run in self._simulation.runs(side)
            if run.role is Role.INITIATOR and not run.state.final and run.state is not RunState.HALF_REVEALED
        ]
        return max(waiting, key=lambda one: one[1].opened_at, default=None)

    def _advance(self) -> bool:
        """Go on with every run that waits, as the side that started it; whether there was one."""
        simulation, waited = self._simulation, False
        for side in Side:
            for run in simulation.runs(side):
                if run.role is not Role.INITIATOR or run.state.final or run.run_id in self._refused:
                    continue
                waited = True
                before = self._simulation.answers
                if run.state is RunState.MATCHING:
                    simulation.do(side, "match", start_match(run.agreement))
                    after = simulation.run(side, run.run_id)
                    may = not self._over() and all(self._digest(each) == run.agreement for each in Side)
                    self._tried[run.run_id] += may and after is not None and after.state is RunState.MATCHING
                    if self._tried[run.run_id] == TRIES:
                        simulation.violations.append(
                            f"the match of run {run.run_id} does not go on in fair weather"
                        )
                elif run.state in {RunState.COUNTED, RunState.REVEALING}:
                    for each in (side.other, side):
                        simulation.do(each, "reveal", permit_reveal(simulation, each, run.run_id))
                else:
                    for each in (side.other, side):
                        simulation.do(each, "exchange", permit_exchange(simulation, each, run.run_id))
                if simulation.answers > before:
                    self._refused.add(run.run_id)
        return waited


def simulate(
    seed: int,
    *,
    verbose: bool = False,
    style: dict[str, float] | None = None,
    meanwhile: Mapping[str, int] = NOTHING,
) -> Found:
    """Play ``seed`` and check what it came to, in its own weather or that of ``style``; ``meanwhile`` says what
    happens at the same time as something else, where that is not anything.

    Raises Violation, with the tail of its trace.
    """
    dice.make_worlds()
    with (
        dice.loaded(seed) as privates,
        patch.object(lifecycle_world, "MemoryStore", SimStore),
        World.begin("active") as world,
    ):
        simulation = Simulation(seed, world, privates)
        if style is not None:
            simulation.weather = Weather(simulation.weather.chance, style, left=FAULTS)
        try:
            with _replaced(simulation):
                play = Play(simulation, meanwhile)
                try:
                    play.storm()
                    play.calm()
                    play.end()
                except Stuck as stuck:
                    simulation.violations.append(str(stuck))
                finally:
                    simulation.weather.calm = True
                    with suppress(Stuck):
                        simulation.scheduler.close()
                    simulation.violations += simulation.scheduler.failed
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
        enter(remembering())
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
        for user in (match_run, reveal_run):
            enter(patch.object(user, "read_own_set", simulation.own_set(user.read_own_set)))
        enter(patch.object(lists, "WORK_SIZE", 3))
        enter(patch.object(matching, "TAGS_PER_MESSAGE", 2))
        enter(patch.object(exchanging, "MAX_RECORDS_PER_ENVELOPE", 3))
        yield
