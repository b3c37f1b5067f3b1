"""What may happen next: one rule for each act, by any operator, entitled or not, at any time.

A rule that the product refuses changes nothing that the truth knows of, and is counted by its error code. After every
step nothing may have left that the truth did not allow. A history begins at one of the stages of ``world``, so that
short histories also reach the end of a life.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lifecycle.people import HELD, PURPOSE
from lifecycle.world import OPERATORS, STAGES, Choice, PolicyChoice, World
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Run, RunState
from mutuals.protocol import exchange

SIDES = st.sampled_from(list(Side))
ANYBODY = st.sampled_from(OPERATORS)
MOSTLY_ANNA = st.one_of(st.just("anna"), st.just("anna"), ANYBODY)
INDEX = st.integers(0, 5)
CUT = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 6))
DAYS = st.sampled_from([0.1, 1, 3, 6, 11, 35])
CHOICES = st.builds(
    Choice,
    days=st.sampled_from([60, 12]),
    notice_days=st.sampled_from([5, 0]),
    mandate=st.booleans(),
    both_ways=st.sampled_from([True, True, False]),
    fields=st.sampled_from([2, 1]),
    departments=st.sampled_from([("marketing", "sales"), ("marketing",), ("legal",)]),
    finish=st.booleans(),
)
POLICIES = st.builds(
    PolicyChoice,
    sales_shared_by=st.sampled_from(["marketing", "sales", None]),
    sales_exported_by=st.sampled_from(["sales", "marketing", None]),
    four_eyes=st.sampled_from([(), ("exchange",), ("reveal", "export"), ("sign", "terminate")]),
)


@dataclass(frozen=True)
class Disturbance:
    """Something that happens at one company meanwhile, done by whoever is named."""

    what: str
    side: Side
    operator: str
    person: int
    days: float
    policy: PolicyChoice
    choice: Choice


EVENTS = (
    "purpose",
    "age",
    "notice",
    "suppress",
    "remove",
    "restore",
    "revoke",
    "disable",
    "policy",
    "suspend",
    "breach",
    "close breach",
    "terminate",
    "terminate with cause",
    "amend",
    "time",
    "restart",
)
DISTURBANCES = st.builds(
    Disturbance,
    what=st.runner().flatmap(lambda self: st.sampled_from(self.events)),
    side=SIDES,
    operator=MOSTLY_ANNA,
    person=INDEX,
    days=DAYS,
    policy=POLICIES,
    choice=CHOICES,
)


@dataclass
class Figures:
    """What all histories of this process came to."""

    histories: int = 0
    steps: int = 0
    left: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Count another process's in."""
        self.histories += other.histories
        self.steps += other.steps
        for name in ("left", "done", "refused"):
            getattr(self, name).update(getattr(other, name))


FIGURES = Figures()


def take_figures() -> Figures:
    """The figures of this process since this was last asked."""
    taken = copy.deepcopy(FIGURES)
    vars(FIGURES).update(vars(Figures()))
    return taken


SETTINGS = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=14,
    phases=[Phase.generate, Phase.shrink],
)
"""For every run of the machine; how many histories is the caller's."""

_SIGNING = frozenset(
    {
        "propose",
        "accept",
        "reject",
        "withdraw",
        "terminate",
        "suspend",
        "breach",
        "close breach",
        "resume",
        "deliver",
        "retention",
        "revoke",
    }
)
"""Acts that put something into an outbox from which a side's knowledge follows, or complete an agreement."""


class Lifecycle(RuleBasedStateMachine):
    """Two companies from the exchange of cards to the end."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self._world: World | None = None

    @property
    def world(self) -> World:
        """The world of this history."""
        assert self._world is not None
        return self._world

    stages: tuple[str, ...] = STAGES[::-1]
    """Where a history may begin."""
    events: tuple[str, ...] = EVENTS
    """What may happen meanwhile."""
    on_disk = False
    """Whether the stores are files, as the product's are."""

    @initialize(stage=st.runner().flatmap(lambda self: st.sampled_from(self.stages)))
    def begin(self, stage: str) -> None:
        """Cards were exchanged; perhaps more has happened."""
        self._open.enter_context(patch.object(exchange, "MAX_RECORDS_PER_ENVELOPE", 3))
        self._world = self._open.enter_context(World.begin(stage, on_disk=self.on_disk))

    def teardown(self) -> None:
        """Count, and remove the homes."""
        if self._world is not None:
            FIGURES.histories += 1
            FIGURES.left.update(self.world.watch.left)
        self._open.close()

    def attempt(self, name: str, act: Callable[[], Any]) -> None:
        """Do something that may be refused; only a refusal that names its reason is one."""
        FIGURES.steps += 1
        try:
            act()
            FIGURES.done[name] += 1
        except MutualsError as error:
            if error.code is ErrorCode.INTERNAL:
                raise
            FIGURES.refused[f"{name}: {error.code.value}"] += 1
        if name in _SIGNING:
            self.world.settle()

    @invariant()
    def nothing_left_that_was_not_allowed(self) -> None:
        """The one claim of all this."""
        if self._world is not None:
            assert not self.world.watch.violations, self.world.watch.violations

    # --- agreements -------------------------------------------------------------------------------------------------

    @rule(side=SIDES, choice=CHOICES, operator=MOSTLY_ANNA, amends=st.one_of(st.none(), INDEX))
    def propose(self, side: Side, choice: Choice, operator: str, amends: int | None) -> None:
        """A new agreement, or a next version of any that there is, which may stand against another one."""
        before = None if amends is None or not self.agreements() else self.agreement(amends)
        self.attempt("propose", lambda: self.world.propose(side, choice, operator, before))

    @precondition(lambda self: self.unanswered())
    @rule(
        side=SIDES,
        operator=MOSTLY_ANNA,
        index=INDEX,
        answer=st.sampled_from(["accept", "accept", "reject", "withdraw"]),
    )
    def answer(self, side: Side, operator: str, index: int, answer: str) -> None:
        """Any side tries to answer any proposal."""
        digest = self.unanswered()[index % len(self.unanswered())]
        self.attempt(answer, lambda: getattr(self.world, answer)(side, digest, operator))

    @rule(side=SIDES, choice=CHOICES, operator=MOSTLY_ANNA, amends=st.booleans())
    def agree(self, side: Side, choice: Choice, operator: str, amends: bool) -> None:
        """A new agreement or version that the other side accepts at once, with mandates where it permits them."""
        known = self.agreements()
        before = known[0] if amends and known else None
        self.attempt("propose", lambda: self.world.propose(side, choice, operator, before))
        if self.agreements() == known:
            return
        digest = self.agreement(0)
        self.attempt("deliver", self.world.deliver_all)
        self.attempt("accept", lambda: self.world.accept(side.other, digest, operator))
        self.attempt("deliver", self.world.deliver_all)
        if choice.mandate:
            for each in Side:
                self.attempt("mandate", lambda each=each: self.world.grant_mandate(each, digest, "anna"))

    @precondition(lambda self: self.halted())
    @rule(operator=MOSTLY_ANNA, index=INDEX)
    def resume(self, operator: str, index: int) -> None:
        """Lift a halt."""
        side, digest = self.halted()[index % len(self.halted())]
        self.attempt("resume", lambda: self.world.resume(side, digest, operator))

    @rule(side=SIDES, index=INDEX, everything=st.booleans())
    def deliver(self, side: Side, index: int, everything: bool) -> None:
        """Carry everything, or one document out of order; without this rule all is withheld."""
        if everything:
            self.attempt("deliver", self.world.deliver_all)
        elif self.world.outbox(side):
            self.attempt("deliver", lambda: self.world.deliver(side, index))

    # --- what happens meanwhile -------------------------------------------------------------------------------------

    @rule(event=DISTURBANCES)
    def disturb(self, event: Disturbance) -> None:
        """Something happens, delivered or not."""
        self.happen(event)

    def happen(self, event: Disturbance) -> None:
        """Let it happen, if the product lets it."""
        world, side, operator = self.world, event.side, event.operator
        held = HELD[side]
        person = held[event.person % len(held)]
        digest = self.agreement(0) if self.agreements() else None
        changes = _list_changes(world.now.date())
        match event.what:
            case "time":
                world.pass_days(event.days)
            case "restart":
                world.restart(side)
            case "revoke":
                self.attempt("revoke", lambda: world.revoke(side, person, operator))
            case "close breach":
                self.attempt("close breach", lambda: world.close_breach(side, operator))
            case "disable":
                self.attempt("disable", lambda: world.disable(side, operator))
            case "policy":
                self.attempt("policy", lambda: world.approve_policy(side, event.policy, operator))
            case what if what in changes:
                world.change_list(side, person, **changes[what])
            case _ if digest is None:
                return
            case "suspend":
                self.attempt("suspend", lambda: world.suspend(side, digest, operator))
            case "breach":
                self.attempt("breach", lambda: world.breach(side, digest, operator))
            case "amend":
                self.attempt("propose", lambda: world.propose(side, event.choice, operator, digest))
            case what:
                cause = what == "terminate with cause"
                self.attempt("terminate", lambda: world.terminate(side, digest, operator, cause=cause))

    # --- runs -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.agreements())
    @rule(side=SIDES, index=INDEX, cut=CUT)
    def match(self, side: Side, index: int, cut: int | None) -> None:
        """Match, under whatever agreement."""
        digest = self.agreement(index)
        self.attempt("match", lambda: self.world.match(side, digest, cut))

    @precondition(lambda self: self.agreements())
    @rule(side=SIDES)
    def whole_run(self, side: Side) -> None:
        """A run from the match to the export, if nothing stands against it."""
        known = self.all_runs()
        digest = self.agreement(0)
        self.attempt("match", lambda: self.world.match(side, digest))
        if self.all_runs() != known:
            for _ in range(3):
                self.permit_and_carry_out(0, ("anna", "anna"), None, None)

    @precondition(lambda self: self.all_runs())
    @rule(
        index=INDEX,
        operators=st.tuples(MOSTLY_ANNA, MOSTLY_ANNA),
        cut=CUT,
        event=st.one_of(st.none(), DISTURBANCES),
    )
    def go_on(
        self, index: int, operators: tuple[str, str], cut: int | None, event: Disturbance | None
    ) -> None:
        """What comes next in a run; between the permission and the act something may happen."""
        self.permit_and_carry_out(index, operators, event, cut)

    @precondition(lambda self: self.all_runs())
    @rule(operators=st.tuples(MOSTLY_ANNA, MOSTLY_ANNA), cut=st.integers(1, 5), event=DISTURBANCES)
    def interrupted(self, operators: tuple[str, str], cut: int, event: Disturbance) -> None:
        """The next step of the latest run breaks off, something happens, and it is taken up again."""
        run_id = self.run_id(0)
        self.permit_and_carry_out(0, operators, None, cut)
        self.happen(event)
        if any(run.run_id == run_id and not run.state.final for run in self.world.runs(event.side)):
            self.attempt("exchange", lambda: self.world.exchange(run_id))

    def permit_and_carry_out(
        self, index: int, operators: tuple[str, str], event: Disturbance | None, cut: int | None
    ) -> None:
        """Permit the next step of a run on both sides and carry it out; at the end look at the records."""
        run_id = self.run_id(index)
        initiator = self.world.truth.runs[run_id].initiator
        state = None
        for side, operator in zip(Side, operators, strict=True):
            run = self.some_run(side, index)
            if run is None:
                return
            if run.state is RunState.COUNTED:
                self.permit("reveal", side, run, operator)
            elif run.state is RunState.REVEALED:
                self.permit("exchange", side, run, operator)
            elif run.state is RunState.DONE:
                self.read(side, run_id, operator)
            elif run.state is RunState.HALF_REVEALED:
                self.attempt("clear", lambda side=side, run=run: self.world.clear(side, run))
            if side is initiator:
                state = run.state
        if event is not None:
            self.happen(event)
        if state is RunState.COUNTED:
            self.attempt("reveal", lambda: self.world.reveal(run_id, cut))
        elif state in {RunState.REVEALED, RunState.EXCHANGING}:
            self.attempt("exchange", lambda: self.world.exchange(run_id, cut))

    @precondition(lambda self: self.all_runs())
    @rule(
        side=SIDES,
        index=INDEX,
        operator=ANYBODY,
        act=st.sampled_from(["reveal", "exchange", "export", "mandate"]),
        other=MOSTLY_ANNA,
    )
    def authorise(self, side: Side, index: int, operator: str, act: str, other: str) -> None:
        """Anybody tries to permit something, to themselves or somebody else."""
        run = self.some_run(side, index)
        if run is not None and act == "export":
            approve = self.world.approve_export
            self.attempt("approve export", lambda: approve(side, run.run_id, other, operator))
            self.read(side, run.run_id, other)
        elif run is not None:
            self.permit(act, side, run, operator)

    def permit(self, act: str, side: Side, run: Run, operator: str) -> None:
        """Permit a reveal, an exchange after a look at its preview, or both by a standing mandate."""
        world = self.world
        if act == "mandate":
            self.attempt("mandate", lambda: world.grant_mandate(side, run.agreement, operator))
        elif act == "reveal":
            self.attempt("authorise reveal", lambda: world.authorise_reveal(side, run, operator))
        else:
            self.attempt("authorise exchange", lambda: world.authorise_exchange(side, run.run_id, operator))

    @precondition(lambda self: self.all_runs())
    @rule(index=INDEX, act=st.sampled_from(["exchange", "exchange", "reveal"]), cut=CUT)
    def carry_out(self, index: int, act: str, cut: int | None) -> None:
        """Reveal or exchange, whatever the state."""
        run_id = self.run_id(index)
        self.attempt(act, lambda: getattr(self.world, act)(run_id, cut))

    @precondition(lambda self: self.all_runs())
    @rule(side=SIDES, index=INDEX, operator=ANYBODY)
    def export(self, side: Side, index: int, operator: str) -> None:
        """Anybody tries to read what was received."""
        self.read(side, self.run_id(index), operator)

    def read(self, side: Side, run_id: str, operator: str) -> None:
        """Export what a run received."""

        def act() -> None:
            FIGURES.left["exported rows"] += self.world.export(side, run_id, operator)

        self.attempt("export", act)

    @rule(side=SIDES, days=st.sampled_from([0, 0, 11, 41, 70]))
    def retention(self, side: Side, days: int) -> None:
        """After some time whatever is due is destroyed; what must be gone cannot be read by anybody."""
        self.world.pass_days(days)
        self.attempt("retention", lambda: self.world.keep_retention(side))

    # --- choosing ---------------------------------------------------------------------------------------------------

    def agreements(self) -> list[str]:
        """The digests of everything ever proposed, the latest first."""
        return list(self.world.truth.deals)[::-1]

    def agreement(self, index: int) -> str:
        """One of them, mostly a late one."""
        known = self.agreements()
        return known[index % len(known)]

    def unanswered(self) -> list[str]:
        """The digests that do not bind both sides, the latest first."""
        houses = self.world.truth.houses.values()
        return [digest for digest in self.agreements() if any(digest not in house.bound for house in houses)]

    def halted(self) -> list[tuple[Side, str]]:
        """The sides that know of a halt, and of which agreement."""
        houses = self.world.truth.houses.items()
        return [(side, chain) for side, house in houses for chain, ids in house.halts.items() if ids]

    def all_runs(self) -> list[str]:
        """The ids of all runs, the latest first."""
        return list(self.world.truth.runs)[::-1]

    def run_id(self, index: int) -> str:
        """One of them."""
        known = self.all_runs()
        return known[index % len(known)]

    def some_run(self, side: Side, index: int) -> Run | None:
        """A run as the side holds it, if it does."""
        wanted = self.run_id(index)
        return next((run for run in self.world.runs(side) if run.run_id == wanted), None)


def _list_changes(today: date) -> dict[str, dict[str, Any]]:
    """What may change about a person in a list."""
    return {
        "purpose": {"purpose": "something-else"},
        "age": {"consent_at": today - timedelta(days=729)},
        "notice": {"notified_at": None},
        "suppress": {"suppressed": True},
        "remove": {"listed": False},
        "restore": {
            "listed": True,
            "purpose": PURPOSE,
            "consent_at": today,
            "notified_at": today,
            "suppressed": False,
        },
    }


class Short(Lifecycle):
    """The same for histories of a few steps, which begin where a whole run would lead and need none."""

    whole_run = None  # type: ignore[assignment]  # a rule that is none is not drawn


class OnDisk(Lifecycle):
    """The same, with the product's own store, in a file."""

    on_disk = True
