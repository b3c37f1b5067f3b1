"""Attacks on points, whatever the curve (DESIGN §6, steps 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hostile.attack import Attack, Cheat, Left, Stage
from hostile.craft import both, greeting, on, points, third, with_cheat
from hostile.rows_curves import CURVE_ATTACKS
from hostile.wire import Alter
from hostile.world import ITEMS
from mutuals.errors import ErrorCode
from mutuals.protocol.messages import Blinded, Hello, TagCommit

BAD = ErrorCode.BAD_MESSAGE


def _points(
    name: str, what: str, words: Any, alter: Any, step: str = "5", leaves: Left = Left.POINTS, **more: Any
) -> Attack:
    return Attack(name, what, Stage.MATCH, step, BAD, words, leaves, alter=alter, **more)


def _reflected(count: int | None) -> Any:
    def change(cheat: Cheat, message: Blinded) -> list[Any]:
        theirs = cheat.line.saw(Blinded).points
        end = len(theirs) if count is None else cheat.curve.size * count
        return [Blinded(0, theirs[:end] + message.points[end:])]

    return with_cheat(Blinded, change)


def _never_ending(cheat: Cheat) -> Any:
    fresh = cheat.curve.fresh(10**9)

    def alter(message: Any) -> Iterator[Any]:
        yield message
        if isinstance(message, Blinded):
            start = ITEMS
            while not cheat.line.is_over and start < 100_000:
                yield Blinded(start, b"".join(next(fresh) for _ in range(50)))
                start += 50

    return alter


def _halves(change: Callable[[bytes, bytes], list[Any]]) -> Callable[[Cheat], Alter]:
    """The two halves of its points in other messages."""

    def changed(cheat: Cheat, message: Blinded) -> list[Any]:
        middle = 6 * cheat.curve.size
        return change(message.points[:middle], message.points[middle:])

    return with_cheat(Blinded, changed)


def _announce(size: int) -> Callable[[Cheat], Alter]:
    return greeting(set_size=size)


POINTS = (
    _points("repeated", "It sends a point twice.", "a point twice", third(lambda all_: all_[0])),
    _points(
        "one reflected",
        "Among its points is one of the honest side's.",
        "points of ours",
        _reflected(1),
    ),
    _points("all reflected", "It sends the honest side's points back.", "points of ours", _reflected(None)),
    _points(
        "vanishing",
        "A point vanishes under every key.",
        "vanishes under our key",
        third(lambda _: bytes(8)),
        agreement="toy",
    ),
    _points(
        "missing",
        "It sends one point fewer than announced, then goes on.",
        "fewer points than it announced",
        points(lambda _, all_: all_[:-1]),
        afterwards=lambda cheat: cheat.line.put(TagCommit(bytes(32))),
    ),
    _points(
        "too many",
        "It sends one point more than announced.",
        "more points than the 12 it announced",
        points(lambda curve, all_: [*all_, next(curve.fresh(2))]),
    ),
    _points(
        "a larger announcement",
        "It announces 13 items and sends 12.",
        "fewer points than it announced",
        both(_announce(ITEMS + 1), on(TagCommit, lambda m: [m])),
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
        _halves(lambda first, second: [Blinded(0, first), Blinded(0, first)]),
    ),
    _points(
        "chunks in another order",
        "It sends the second half of its points first.",
        "from position 6 where 0 was due",
        _halves(lambda first, second: [Blinded(6, second), Blinded(0, first)]),
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
        with_cheat(Blinded, lambda cheat, _: [Blinded(0, bytes(cheat.curve.size * 9000))]),
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


POINT_ATTACKS: tuple[Attack, ...] = (*POINTS, *CURVE_ATTACKS)
