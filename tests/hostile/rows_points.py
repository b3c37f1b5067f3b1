"""Attacks on points (DESIGN §6, steps 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from support.toy_engine import P as TOY_P

from hostile.attack import Attack, Cheat, Left, Result, Stage
from hostile.craft import (
    P,
    greeting,
    negated,
    off_curve,
    on,
    on_curve,
    points,
    split,
    third,
    uncompressed,
    with_cheat,
)
from hostile.wire import Alter
from hostile.world import ITEMS, SHARED
from mutuals.engines.base import Operation
from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode
from mutuals.models.run import RunState
from mutuals.protocol.messages import Blinded, Hello, TagCommit

BAD = ErrorCode.BAD_MESSAGE


def _points(
    name: str, what: str, words: Any, alter: Any, step: str = "5", leaves: Left = Left.POINTS, **more: Any
) -> Attack:
    return Attack(name, what, Stage.MATCH, step, BAD, words, leaves, alter=alter, **more)


def _reflected(count: int | None) -> Any:
    def change(cheat: Cheat, message: Blinded) -> list[Any]:
        theirs = cheat.line.saw(Blinded).points
        end = len(theirs) if count is None else 33 * count
        return [Blinded(0, theirs[:end] + message.points[end:])]

    return with_cheat(Blinded, change)


def _never_ending(cheat: Cheat) -> Any:
    fresh = on_curve(10**9)

    def alter(message: Any) -> Iterator[Any]:
        yield message
        if isinstance(message, Blinded):
            start = ITEMS
            while not cheat.line.is_over and start < 100_000:
                yield Blinded(start, b"".join(next(fresh) for _ in range(50)))
                start += 50

    return alter


def _as_uncompressed(message: Blinded) -> list[Any]:
    """33 points of 65 bytes are as long as 65 points of 33 bytes."""
    fresh = on_curve()
    return [Blinded(0, b"".join(uncompressed(next(fresh)) for _ in range(33)))]


def _announce(size: int) -> Callable[[Cheat], Alter]:
    return greeting(set_size=size)


def _both(*makers: Callable[[Cheat], Alter]) -> Callable[[Cheat], Alter]:
    """One alteration after the other."""

    def make(cheat: Cheat) -> Alter:
        alters = [maker(cheat) for maker in makers]

        def alter(message: Any) -> list[Any]:
            messages = [message]
            for each in alters:
                messages = [altered for one in messages for altered in each(one)]
            return messages

        return alter

    return make


def _toy(value: Callable[[list[bytes]], bytes]) -> Callable[[Cheat], Alter]:
    return third(value, 8)


POINTS = (
    _points(
        "off the curve",
        "A point has an x that no point of the curve has.",
        "not on the curve",
        third(lambda _: off_curve()),
    ),
    _points(
        "not canonical",
        "A point's x is p plus what it should be.",
        "not reduced",
        third(lambda _: b"\x02" + (P + 5).to_bytes(32, "big")),
    ),
    _points(
        "x of all ones",
        "A point's x is the largest number that fits.",
        "not reduced",
        third(lambda _: b"\x03" + b"\xff" * 32),
    ),
    _points(
        "identity",
        "A point is 33 zero bytes, the identity as some write it.",
        "not in compressed form",
        third(lambda _: bytes(33)),
    ),
    _points(
        "identity in one byte",
        "A point is the identity as SEC 1 writes it: one zero byte.",
        "wrong size",
        third(lambda _: b"\x00"),
    ),
    _points(
        "uncompressed prefix",
        "A point of 33 bytes begins as an uncompressed one.",
        "not in compressed form",
        third(lambda all_: b"\x04" + all_[2][1:]),
    ),
    _points(
        "an unknown prefix",
        "A point begins with 05.",
        "not in compressed form",
        third(lambda all_: b"\x05" + all_[2][1:]),
    ),
    _points(
        "an uncompressed point",
        "A point has 65 bytes.",
        "wrong size",
        third(lambda all_: uncompressed(all_[2])),
    ),
    _points(
        "uncompressed points",
        "33 uncompressed points, as long as the 65 that it announced.",
        "not in compressed form",
        _both(_announce(65), on(Blinded, _as_uncompressed)),
    ),
    _points("repeated", "It sends a point twice.", "a point twice", third(lambda all_: all_[0])),
    _points(
        "one reflected",
        "Among its points is one of the honest side's.",
        "points of ours",
        _reflected(1),
    ),
    _points("all reflected", "It sends the honest side's points back.", "points of ours", _reflected(None)),
    _points(
        "equal outputs",
        "A pair of its points differs by torsion, and becomes one under the honest side's key.",
        "become one under our key",
        _toy(lambda all_: (TOY_P - int.from_bytes(all_[0], "big")).to_bytes(8, "big")),
        agreement="toy",
    ),
    _points(
        "small order",
        "A point vanishes under every key.",
        "vanishes under our key",
        _toy(lambda _: bytes(8)),
        agreement="toy",
    ),
    _points(
        "missing",
        "It sends one point fewer than announced, then goes on.",
        "fewer points than it announced",
        points(lambda all_: all_[:-1]),
        afterwards=lambda cheat: cheat.line.put(TagCommit(bytes(32))),
    ),
    _points(
        "too many",
        "It sends one point more than announced.",
        "more points than the 12 it announced",
        points(lambda all_: [*all_, next(on_curve())]),
    ),
    _points(
        "a larger announcement",
        "It announces 13 items and sends 12.",
        "fewer points than it announced",
        _both(_announce(ITEMS + 1), on(TagCommit, lambda m: [m])),
    ),
    _points(
        "a smaller announcement",
        "It announces 11 items, for its budget, and sends 12.",
        "more points than the 11 it announced",
        _announce(ITEMS - 1),
    ),
    _points(
        "a repeated chunk",
        "It sends the first half of its points twice.",
        "from position 0 where 6 was due",
        on(Blinded, lambda m: [Blinded(0, m.points[: 6 * 33]), Blinded(0, m.points[: 6 * 33])]),
    ),
    _points(
        "chunks in another order",
        "It sends the second half of its points first.",
        "from position 6 where 0 was due",
        on(Blinded, lambda m: [Blinded(6, m.points[6 * 33 :]), Blinded(0, m.points[: 6 * 33])]),
    ),
    _points(
        "the whole list again",
        "It sends all of its points, and once more.",
        "sent Blinded where it was not due",
        on(Blinded, lambda m: [m, m]),
        leaves=Left.TAGS,
    ),
    _points(
        "never ending",
        "It goes on sending points after the last that it announced.",
        "sent Blinded where it was not due",
        _never_ending,
        leaves=Left.TAGS,
    ),
    _points(
        "an empty chunk",
        "It sends a message without points.",
        "length of points is out of range",
        on(Blinded, lambda m: [Blinded(0, b""), m]),
        "4 (wire)",
    ),
    _points(
        "too large a chunk",
        "It sends more than 256 KiB of points in one message.",
        "length of points is out of range",
        on(Blinded, lambda m: [Blinded(0, bytes(33 * 8000))]),
        "4 (wire)",
    ),
    _points(
        "half a point",
        "Its chunk ends in the middle of a point.",
        "wrong size",
        on(Blinded, lambda m: [Blinded(0, m.points[:-16])]),
    ),
    _points(
        "a second greeting",
        "It greets again, with another receiving key to come.",
        "sent Hello where it was not due",
        on(Hello, lambda m: [m, m]),
        "3",
    ),
    _points(
        "commitment before its points",
        "It commits to tags before it has sent a point.",
        "fewer points than it announced",
        on(Blinded, lambda m: [TagCommit(bytes(32)), m]),
    ),
)


@dataclass(frozen=True)
class CrookedPool:
    """Workers of the cheat's that return other points than they computed: its software is consistent with them."""

    pool: Pool
    change: Callable[[list[bytes]], list[bytes]]
    processes: int = 1

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        future = self.pool.submit(engine, operation, key, data)
        if operation is Operation.REBLIND:
            return future
        changed: Future[bytes] = Future()
        changed.set_result(b"".join(self.change(split(Blinded(0, future.result())))))
        return changed


def _negating(cheat: Cheat) -> Alter:
    cheat.pool = CrookedPool(cheat.pool, lambda all_: [negated(all_[0]), *all_[1:]])
    return lambda message: [message]


def _one_lost_at_most(cheat: Cheat, result: Result) -> None:
    """The item whose point was negated is found by neither side any more; nothing else changes."""
    assert result.run is not None
    if result.run.count not in (SHARED, SHARED - 1):
        result.problems.append(f"the count is {result.run.count}")


NO_GAIN = (
    Attack(
        "a negated point",
        "It sends −P in place of P: both have the same x, but their tags differ, and it only loses that pair.",
        Stage.MATCH,
        "6 (no effect)",
        None,
        "",
        Left.TAGS,
        state=RunState.COUNTED,
        alter=_negating,
        check=_one_lost_at_most,
    ),
)
POINT_ATTACKS: tuple[Attack, ...] = (*POINTS, *NO_GAIN)
