"""An attack as a row of the table: what the cheat does, where it must be stopped, and carrying it out.

Every row runs the protocol by the product's own code up to one stage, in which the cheat's messages are altered or a
script takes the cheat's place. The honest side is the product, at both ends of a real connection.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from support.pairing import Company

from hostile.curves import CURVES, Curve
from hostile.wire import PATIENCE, Alter, Caller, Line
from hostile.world import LIMITS, World
from mutuals.crypto.signing import SigningKey
from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Role, Run, RunState
from mutuals.protocol.messages import (
    Approve,
    Blinded,
    ConfirmMac,
    ConfirmShare,
    Counted,
    Envelope,
    Hello,
    Positions,
    TagCommit,
    Tags,
)
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.export import open_received
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.preview import preview_exchange
from mutuals.runs.reveal import initiate_reveal, respond_reveal
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import connect
from mutuals.transport.wire import EXCHANGE, MATCH, REVEAL

INITIATOR, RESPONDER = Role.INITIATOR, Role.RESPONDER


GIVES_UP = 5.0
"""Seconds that a cheat whose own software has failed waits for the honest side to end the call."""


class Stage(StrEnum):
    """The three calls of a run."""

    MATCH = "match"
    REVEAL = "reveal"
    EXCHANGE = "exchange"


METHODS = {Stage.MATCH: MATCH, Stage.REVEAL: REVEAL, Stage.EXCHANGE: EXCHANGE}


class Left(IntEnum):
    """The furthest that anything of the honest side's got: each includes what stands before it."""

    NOTHING = 0
    GREETING = 1
    POINTS = 2
    TAGS = 3
    APPROVAL = 4
    POSITIONS = 5
    PROOF = 6
    RECORDS = 7


_LEVELS: dict[type, Left] = {
    Hello: Left.GREETING,
    Blinded: Left.POINTS,
    TagCommit: Left.TAGS,
    Tags: Left.TAGS,
    Counted: Left.TAGS,
    Approve: Left.APPROVAL,
    Positions: Left.POSITIONS,
    ConfirmShare: Left.PROOF,
    ConfirmMac: Left.PROOF,
    Envelope: Left.RECORDS,
}

T = TypeVar("T")


@dataclass(frozen=True)
class By(Mapping[Role, T]):
    """A value for each role that the cheat may have."""

    initiator: T
    responder: T

    def __getitem__(self, role: Role) -> T:
        return self.initiator if role is INITIATOR else self.responder

    def __iter__(self) -> Any:
        return iter(Role)

    def __len__(self) -> int:
        return len(Role)


@dataclass(frozen=True)
class Attack:
    """A row. Values given as ``By`` depend on the cheat's role.

    ``alter`` makes from the cheat what turns its messages into others; ``script`` acts in place of its software;
    ``afterwards`` goes on once that has given up. ``code`` and ``words`` are the honest side's error and a part of its
    operator's sentence, which tells which check it was; no code: the attack gains nothing and need not be stopped.
    ``state`` is where the honest side's run ends, nothing where none came into being. ``leaves`` and ``records`` are
    the most that may have left the house. ``opens``: the fault shows when an operator opens the records. ``also``
    are errors of calls on the way.
    """

    name: str
    what: str
    stage: Stage
    step: str
    code: ErrorCode | By[ErrorCode | None] | None
    words: str | By[str]
    leaves: Left | By[Left]
    state: RunState | By[RunState | None] | None = RunState.FAILED
    alter: Callable[[Cheat], Alter] | None = None
    script: Callable[[Cheat], None] | None = None
    afterwards: Callable[[Cheat], None] | None = None
    prepare: Callable[[Cheat], None] | None = None
    check: Callable[[Cheat, Result], None] | None = None
    cheats: tuple[Role, ...] = (INITIATOR, RESPONDER)
    agreement: str = "main"
    records: int | By[int] = 0
    count_only: bool = False
    hasty: bool = False
    opens: bool = False
    also: tuple[ErrorCode, ...] = ()

    def rows(self) -> list[Row]:
        """One for each role that the cheat may have."""
        return [Row(self, role) for role in self.cheats]


@dataclass(frozen=True)
class Row:
    """An attack by a cheat in one role."""

    attack: Attack
    cheat: Role

    @property
    def name(self) -> str:
        """What the table and the tests call it."""
        return f"{self.attack.name}, by the {self.cheat}"

    def expected(self, name: str) -> Any:
        """A value of the attack for this role."""
        value = getattr(self.attack, name)
        return value[self.cheat] if isinstance(value, By) else value


@dataclass
class Result:
    """What happened: the honest side's error, its run, and what left the house."""

    row: Row
    code: ErrorCode | None = None
    message: str = ""
    codes: list[str] = field(default_factory=list)
    run: Run | None = None
    left: dict[str, int] = field(default_factory=dict)
    level: Left = Left.NOTHING
    problems: list[str] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether it ended as the row says."""
        return not self.problems


class Cheat:
    """The cheating company during one attack, and what it knows."""

    def __init__(self, world: World, row: Row) -> None:
        self.world = world
        self.row = row
        self.role = row.cheat
        self.company: Company = world.cheat
        self.honest: Company = world.honest
        self.digest = world.agreements[row.attack.agreement]
        self.lines: dict[Stage, Line] = {}
        self.more: list[Line] = []
        self.run_id = ""
        self.pool: Pool = world.pool
        self._caller: Caller | None = None
        self.error: BaseException | None = None
        self.notes: list[str] = []
        self.notes_of: dict[str, Any] = {}

    @property
    def key(self) -> SigningKey:
        """The signing key on its card."""
        return self.company.peer.signing_key

    @property
    def curve(self) -> Curve:
        """The curve of the engine that was agreed on."""
        return CURVES[self.world.engine_of(self.row.attack.agreement)]

    @property
    def line(self) -> Line:
        """Its end of the latest call."""
        return list(self.lines.values())[-1]

    def partner(self) -> PartnerRow:
        """The honest side as it knows it."""
        return self.world.row(self.company, self.honest)

    def again(self, method: Any) -> Line:
        """Another call, as the initiator."""
        line = self.caller.call(method)
        self.more.append(line)
        return line

    @property
    def caller(self) -> Caller:
        """Its channel, new for every row: gRPC counts calls whose objects Python has not collected yet, and refuses
        further ones on the same connection."""
        if self._caller is None:
            hasty = self.world.hasty_endpoint if self.row.attack.hasty else None
            self._caller = Caller(self.company.peer, self.partner(), hasty)
        return self._caller

    def close(self) -> None:
        """Close the channel."""
        if self._caller is not None:
            self._caller.close()

    def follow(self, stage: Stage, line: Line) -> None:
        """Do what honest software does in this stage; only the messages may be altered."""
        peer, pool = self.company.peer, self.pool
        count_only = self.row.attack.count_only
        match stage, self.role:
            case Stage.MATCH, Role.INITIATOR:
                run = initiate_match(peer, self.digest, line, pool, count_only=count_only)
                self.run_id = run.run_id
            case Stage.MATCH, Role.RESPONDER:
                self.run_id = respond_match(peer, self.partner(), line, pool).run_id
            case Stage.REVEAL, Role.INITIATOR:
                initiate_reveal(peer, self.run_id, line)
            case Stage.REVEAL, Role.RESPONDER:
                respond_reveal(peer, self.partner(), line)
            case Stage.EXCHANGE, Role.INITIATOR:
                initiate_exchange(peer, self.run_id, line)
            case Stage.EXCHANGE, Role.RESPONDER:
                respond_exchange(peer, self.partner(), line)

    def act(self, stage: Stage, line: Line) -> None:
        """Its part of a stage, crooked in the stage of the attack."""
        attack = self.row.attack
        crooked = stage is attack.stage
        self.lines[stage] = line
        if crooked and attack.alter is not None:
            line.alter = attack.alter(self)
        try:
            if crooked and attack.script is not None:
                attack.script(self)
            else:
                self.follow(stage, line)
        except Exception as error:
            self.error = error
        if crooked and attack.afterwards is not None:
            with suppress(MutualsError):
                attack.afterwards(self)
        if self.error is None or not crooked:
            line.hang_up()
        if not line.wait_until_over(None if self.error is None else min(GIVES_UP, line.patience)):
            line.cancel()


def carry_out(world: World, row: Row) -> Result:
    """Attack, then compare with what the row says."""
    cheat = Cheat(world, row)
    try:
        return _carry_out(world, row, cheat)
    finally:
        cheat.close()


def _carry_out(world: World, row: Row, cheat: Cheat) -> Result:
    result = Result(row)
    attack = row.attack
    known: set[str] = set()
    logged = 0
    stages = _unplayed(cheat, known)
    if stages[0] is Stage.MATCH:
        world.clear()
        if attack.prepare is not None:
            attack.prepare(cheat)
        known = set(world.runs())
    for stage in stages:
        _permit(cheat, stage)
        logged = len(world.log())
        error = play(cheat, stage)
        if stage is attack.stage:
            result.code = error.code if error else None
            result.message = error.message if error else ""
            break
        if error is not None:
            raise AssertionError(f"{row.name}: the {stage} before the attack failed: {error}")
        if attack.prepare is None:
            world.save(_so_far(cheat, stage), (dict(cheat.lines), cheat.run_id, frozenset(known)))
    if cheat.role is INITIATOR:
        world.wait_for_log(logged, METHODS[attack.stage].name)
    world.server._places.wait_until_empty(PATIENCE)
    world.hasty._places.wait_until_empty(PATIENCE)
    if cheat.role is INITIATOR:
        _from_log(result, world.log()[logged:])
    new = [run for run_id, run in world.runs().items() if run_id not in known]
    result.run = new[0] if new else None
    if attack.opens and result.run is not None:
        _open(result, cheat)
    _count(result, cheat)
    _judge(result, cheat, len(new))
    if attack.check is not None:
        try:
            attack.check(cheat, result)
        except MutualsError as error:
            result.problems.append(error.message)
    result.problems += cheat.notes
    if result.problems:
        result.problems.append(
            f"the cheat's call ended with {cheat.line.code}, its software with {cheat.error!r}"
        )
    return result


def _so_far(cheat: Cheat, stage: Stage) -> tuple[Any, ...]:
    """What tells one beginning of a run from another."""
    attack = cheat.row.attack
    # Whether the honest side authorises the reveal depends on the stage of the attack; nothing else does.
    return attack.agreement, attack.count_only, cheat.role, stage


def _unplayed(cheat: Cheat, known: set[str]) -> list[Stage]:
    """The stages still to be played, after going back to where an earlier attack began; sets what was ``known``."""
    attack = cheat.row.attack
    stages = list(Stage)
    for stage in reversed(stages[: stages.index(attack.stage)]):
        if attack.prepare is None and (saved := cheat.world.restore(_so_far(cheat, stage))) is not None:
            cheat.lines, cheat.run_id = dict(saved[0]), saved[1]
            known.update(saved[2])
            return stages[stages.index(stage) + 1 :]
    return stages


def play(cheat: Cheat, stage: Stage) -> MutualsError | None:
    """One stage of a run between the cheat and the honest side."""
    return _as_caller(cheat, stage) if cheat.role is INITIATOR else _as_server(cheat, stage)


def _as_caller(cheat: Cheat, stage: Stage) -> MutualsError | None:
    """The cheat calls; what the honest side made of it is in its log."""
    attack = cheat.row.attack
    line = cheat.caller.call(METHODS[stage])
    cheat.act(stage, line)
    if stage is not attack.stage and (line.code or cheat.error):
        return MutualsError(ErrorCode.INTERNAL, f"{line.code} {cheat.error}")
    return None


def _as_server(cheat: Cheat, stage: Stage) -> MutualsError | None:
    """The honest side calls the cheat; the error that its operator gets."""
    world, peer = cheat.world, cheat.honest.peer
    answered = threading.Event()

    def answer(line: Line) -> None:
        try:
            cheat.act(stage, line)
        finally:
            answered.set()

    world.hostile.answer = answer
    try:
        with connect(peer, world.row(cheat.honest, cheat.company), LIMITS) as connection:
            match stage:
                case Stage.MATCH:
                    with connection.match() as stream:
                        initiate_match(
                            peer, cheat.digest, stream, world.pool, count_only=cheat.row.attack.count_only
                        )
                case Stage.REVEAL:
                    with connection.reveal() as stream:
                        initiate_reveal(peer, cheat.run_id, stream)
                case Stage.EXCHANGE:
                    with connection.exchange() as stream:
                        initiate_exchange(peer, cheat.run_id, stream)
    except MutualsError as error:
        return error
    except Exception as error:
        return MutualsError(ErrorCode.INTERNAL, f"An error without a code: {type(error).__name__}")
    finally:
        # A local refusal never reaches the cheat.
        if stage in cheat.lines or not answered.wait(0.5):
            answered.wait(PATIENCE)
    return None


def _permit(cheat: Cheat, stage: Stage) -> None:
    """Under the agreement that asks for authorisations: the cheat gives its own, the honest side not in the stage
    of the attack."""
    attack = cheat.row.attack
    if attack.agreement != "ask" or stage is Stage.MATCH:
        return
    for company in (cheat.company, cheat.honest):
        if company is cheat.honest and stage is attack.stage:
            continue
        run = company.run(cheat.run_id)
        if stage is Stage.REVEAL:
            authorise_reveal(company.peer, run, company.keys)
        else:
            preview = preview_exchange(company.peer, cheat.run_id)
            names = [item.shared.name for item in preview.outgoing.fields]
            authorise_exchange(company.peer, preview.run, names, preview.digest, company.keys)


def _from_log(result: Result, lines: list[dict[str, Any]]) -> None:
    """What the honest server noted about the calls since."""
    errors = [line for line in lines if line.get("code", "OK") != "OK"]
    result.codes = sorted({line["code"] for line in errors})
    errors = [line for line in errors if line["code"] not in result.row.attack.also] or errors
    if errors:
        result.code = ErrorCode(errors[-1]["code"])
        result.message = errors[-1].get("message", errors[-1].get("error", ""))


def _open(result: Result, cheat: Cheat) -> None:
    """An operator of the honest side opens what arrived."""
    try:
        open_received(cheat.honest.peer, cheat.run_id, cheat.honest.keys)
    except MutualsError as error:
        result.code, result.message = error.code, error.message


def _count(result: Result, cheat: Cheat) -> None:
    """What the cheat was sent, by kind."""
    left = dict.fromkeys(("points", "tags", "positions", "records"), 0)
    for line in (*cheat.lines.values(), *cheat.more):
        for message in line.seen:
            result.level = max(result.level, _LEVELS.get(type(message), Left.NOTHING))
            match message:
                case Blinded(_, points):
                    left["points"] += len(points) // cheat.curve.size
                case Tags(_, tags):
                    left["tags"] += len(tags) // 16
                case Positions(_, positions):
                    left["positions"] += len(positions)
                case Envelope():
                    left["records"] += len(message.records)
    result.left = {name: number for name, number in left.items() if number}


_WAITING = {RunState.MATCHING, RunState.COUNTED, RunState.REVEALED, RunState.EXCHANGING, RunState.DONE}
_LEAK = re.compile(r"[0-9a-f]{16}|@|\\x|person\d")


def _judge(result: Result, cheat: Cheat, runs: int) -> None:
    """Compare with the row."""
    row, world, problems = result.row, cheat.world, result.problems

    def expect(holds: bool, otherwise: str) -> None:
        if not holds:
            problems.append(otherwise)

    code, state = row.expected("code"), row.expected("state")
    expect(result.code == code, f"the honest side's error is {result.code}, not {code}")
    if code is not None:
        expect(row.expected("words") in result.message, f"stopped elsewhere: {result.message!r}")
        expect(not set(result.codes) - {code, *row.attack.also}, f"more than one error: {result.codes}")
        expect(not _LEAK.search(result.message), "its sentence holds data")
    if state is None:
        expect(runs == 0, "a run came into being")
    elif expect_one := result.run:
        expect(runs == 1, f"{runs} runs came into being")
        expect(expect_one.state is state, f"its run is {expect_one.state}, not {state}")
        if state not in _WAITING:
            reason = expect_one.reason or ""
            wanted = "" if state is RunState.COUNT_ONLY else row.expected("words")
            expect(wanted in reason and reason.endswith("." * bool(wanted)), f"its reason is {reason!r}")
            kept = world.kept(expect_one)
            expect(not kept, f"still there: {', '.join(kept)}")
    else:
        problems.append("no run came into being")
    leaves, records = row.expected("leaves"), row.expected("records")
    expect(result.level <= leaves, f"{result.level.name} left the house")
    expect(result.left.get("records", 0) <= records, f"{result.left.get('records')} records left the house")
    try:
        world.still_serving()
    except MutualsError as error:
        problems.append(f"the server no longer answers: {error.message}")
