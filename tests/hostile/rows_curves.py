"""Attacks on points that are one curve's own: what has the wrong form, is no point, or is one too many."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from hostile.attack import RESPONDER, Attack, Cheat, Left, Result, Stage
from hostile.craft import both, greeting, on, third
from hostile.curves import (
    ORDER_8,
    OTHER_OF_ORDER_8,
    Curve,
    P,
    Q,
    negated,
    off_curve,
    on_curve,
    on_the_twist,
    plus_torsion,
    u_bytes,
    uncompressed,
)
from hostile.wire import Alter
from hostile.world import SHARED
from mutuals.engines.base import Operation
from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode
from mutuals.models.run import RunState
from mutuals.protocol.messages import Blinded

Points = list[bytes]


def _point(engine: str, name: str, what: str, words: str, alter: Any, step: str = "5") -> Attack:
    return Attack(
        name,
        what,
        Stage.MATCH,
        step,
        ErrorCode.BAD_MESSAGE,
        words,
        Left.POINTS,
        alter=alter,
        agreement=engine,
    )


def _as_uncompressed(message: Blinded) -> list[Any]:
    """33 points of 65 bytes are as long as 65 points of 33 bytes."""
    fresh = on_curve()
    return [Blinded(0, b"".join(uncompressed(next(fresh)) for _ in range(33)))]


def _p256(name: str, what: str, words: str, alter: Any) -> Attack:
    return _point("openmined", name, what, words, alter)


P256 = (
    _p256(
        "off the curve",
        "A point has an x that no point of the curve has.",
        "not on the curve",
        third(lambda _: off_curve()),
    ),
    _p256(
        "not canonical",
        "A point's x is p plus what it should be.",
        "not reduced",
        third(lambda _: b"\x02" + (P + 5).to_bytes(32, "big")),
    ),
    _p256(
        "x of all ones",
        "A point's x is the largest number that fits.",
        "not reduced",
        third(lambda _: b"\x03" + b"\xff" * 32),
    ),
    _p256(
        "identity",
        "A point is 33 zero bytes, the identity as some write it.",
        "not in compressed form",
        third(lambda _: bytes(33)),
    ),
    _p256(
        "identity in one byte",
        "A point is the identity as SEC 1 writes it: one zero byte.",
        "wrong size",
        third(lambda _: b"\x00"),
    ),
    _p256(
        "uncompressed prefix",
        "A point of 33 bytes begins as an uncompressed one.",
        "not in compressed form",
        third(lambda all_: b"\x04" + all_[2][1:]),
    ),
    _p256(
        "an unknown prefix",
        "A point begins with 05.",
        "not in compressed form",
        third(lambda all_: b"\x05" + all_[2][1:]),
    ),
    _p256(
        "an uncompressed point",
        "A point has 65 bytes.",
        "wrong size",
        third(lambda all_: uncompressed(all_[2])),
    ),
    _p256(
        "uncompressed points",
        "33 uncompressed points, as long as the 65 that it announced.",
        "not in compressed form",
        both(greeting(set_size=65), on(Blinded, _as_uncompressed)),
    ),
)


def _x25519(name: str, what: str, words: str, value: Callable[[Points], bytes]) -> Attack:
    return _point("x25519", name, what, words, third(value))


_SMALL = "a point of small order"
_SAME = "become one under our key"


def _marked(order: int) -> Attack:
    return _x25519(
        f"torsion of order {order}",
        f"It marks an item: beside its point it sends the point plus one of order {order}, the same under every key.",
        _SAME,
        lambda all_: plus_torsion(all_[0], order),
    )


CURVE25519 = (
    _x25519("bit 255", "A point has the bit set that X25519 ignores.", "bit 255", lambda all_: _top(all_[2])),
    _x25519(
        "repeated with bit 255", "It sends a point twice, once with bit 255.", "bit 255", lambda a: _top(a[0])
    ),
    _x25519(
        "u not reduced", "A coordinate is p plus what it should be.", "not reduced", lambda _: u_bytes(Q + 9)
    ),
    _x25519(
        "u of all ones",
        "A coordinate is the largest below bit 255.",
        "not reduced",
        lambda _: u_bytes(2**255 - 1),
    ),
    _x25519("u of zero", "A point is zero, which every key keeps.", _SMALL, lambda _: u_bytes(0)),
    _x25519("u of zero, not reduced", "A point is p, which is zero.", "not reduced", lambda _: u_bytes(Q)),
    _x25519("u of one", "A point has order 4.", _SMALL, lambda _: u_bytes(1)),
    _x25519("u of minus one", "A point of the twist has order 4.", _SMALL, lambda _: u_bytes(Q - 1)),
    _x25519("order 8", "A point has order 8.", _SMALL, lambda _: u_bytes(ORDER_8)),
    _x25519("the other of order 8", "So has this one.", _SMALL, lambda _: u_bytes(OTHER_OF_ORDER_8)),
    _x25519(
        "33 bytes", "A point is in the form of the other engine.", "wrong size", lambda _: next(on_curve())
    ),
    _marked(2),
    _marked(4),
    _marked(8),
)


def _top(point: bytes) -> bytes:
    return point[:31] + bytes([point[31] | 0x80])


# --- what gains nothing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CrookedPool:
    """Workers of the cheat's that return other points than they computed: its software is consistent with them."""

    pool: Pool
    curve: Curve
    change: Callable[[Points], Points]

    @property
    def processes(self) -> int:
        return self.pool.processes

    @property
    def executor(self) -> str:
        return self.pool.executor

    def backend(self, engine: str) -> str | None:
        return self.pool.backend(engine)

    def submit(self, engine: str, operation: Operation, key: bytes, data: bytes) -> Future[bytes]:
        future = self.pool.submit(engine, operation, key, data)
        if operation is Operation.REBLIND:
            return future
        changed: Future[bytes] = Future()
        changed.set_result(b"".join(self.change(self.curve.split(future.result()))))
        return changed


def _crooked(change: Callable[[Cheat, Points], Points]) -> Callable[[Cheat], Alter]:
    def make(cheat: Cheat) -> Alter:
        cheat.pool = CrookedPool(cheat.pool, cheat.curve, lambda all_: change(cheat, all_))
        return lambda message: [message]

    return make


def _one_lost_at_most(cheat: Cheat, result: Result) -> None:
    """The item whose point was changed is found by neither side any more; nothing else changes."""
    if result.run is not None and result.run.count not in (SHARED, SHARED - 1):
        result.problems.append(f"the count is {result.run.count}")


def _none_lost(cheat: Cheat, result: Result) -> None:
    """Nothing changes."""
    if result.run is not None and result.run.count != SHARED:
        result.problems.append(f"the count is {result.run.count}")


def _no_gain(
    engine: str, name: str, what: str, change: Callable[[Cheat, Points], Points], check: Any, **more: Any
) -> Attack:
    return Attack(
        name,
        what,
        Stage.MATCH,
        "6 (no effect)",
        None,
        "",
        Left.TAGS,
        state=RunState.COUNTED,
        alter=_crooked(change),
        check=check,
        agreement=engine,
        **more,
    )


def _with_torsion_reflected(cheat: Cheat, all_: Points) -> Points:
    """The honest side's first point, with torsion, in place of the own first one."""
    theirs = cheat.curve.split(cheat.line.saw(Blinded).points)
    return [plus_torsion(theirs[0], 8), *all_[1:]]


NO_GAIN = (
    _no_gain(
        "openmined",
        "a negated point",
        "It sends −P in place of P: both have the same x, but their tags differ, and it only loses that pair.",
        lambda _, all_: [negated(all_[0]), *all_[1:]],
        _one_lost_at_most,
    ),
    _no_gain(
        "x25519",
        "a point of the twist",
        "It sends a coordinate of the twist: under the honest side's key it stays there and matches nothing.",
        lambda _, all_: [next(on_the_twist()), *all_[1:]],
        _one_lost_at_most,
    ),
    _no_gain(
        "x25519",
        "torsion on one point",
        "It adds a point of order 8 to a point that it sends once: the honest side's key clears it.",
        lambda _, all_: [plus_torsion(all_[0], 8), *all_[1:]],
        _none_lost,
    ),
    _no_gain(
        "x25519",
        "one reflected with torsion",
        "One of its points is one of the honest side's in disguise: under that side's key twice, it matches nothing.",
        _with_torsion_reflected,
        _one_lost_at_most,
        cheats=(RESPONDER,),  # who blinds first cannot know the other's points
    ),
)
CURVE_ATTACKS: tuple[Attack, ...] = (*P256, *CURVE25519, *NO_GAIN)
