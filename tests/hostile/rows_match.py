"""Attacks on the match: greeting, points, tags, count (DESIGN §6, steps 1 to 12)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from support.toy_engine import P as TOY_P

from hostile.attack import INITIATOR, RESPONDER, Attack, By, Cheat, Left, Stage
from hostile.craft import (
    STRANGER,
    P,
    forged_tags,
    greeting,
    off_curve,
    on,
    on_curve,
    points,
    third,
    uncompressed,
    with_cheat,
)
from hostile.wire import Alter
from hostile.world import ITEMS
from mutuals.crypto.hpke import generate_keypair
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import RunState
from mutuals.normalisation import get_profile
from mutuals.protocol.messages import Blinded, Counted, Hello, TagCommit, Tags
from mutuals.protocol.transcript import counted_bytes

BAD = ErrorCode.BAD_MESSAGE
OPEN = By(Left.NOTHING, Left.GREETING)  # a bad Open is answered by nothing; a bad Accept follows our Open


def _open(name: str, what: str, code: Any, words: Any, alter: Any, step: str = "2", **more: Any) -> Attack:
    return Attack(name, what, Stage.MATCH, step, code, words, OPEN, state=None, alter=alter, **more)


def _later(hello: Hello) -> int:
    return hello.sent_at + 3600


GREETINGS = (
    _open("another version", "It speaks version 2.", ErrorCode.VERSION, "version 2", greeting(version=2)),
    _open(
        "another's signature",
        "Its greeting is signed by a key that is on no card.",
        BAD,
        "not signed by the key on its card",
        on(Hello, lambda m: [replace(m, signature=STRANGER.sign(m.signed_bytes()))]),
    ),
    _open(
        "changed after signing",
        "It announces another size than it signed.",
        BAD,
        "not signed by the key on its card",
        on(Hello, lambda m: [replace(m, set_size=m.set_size + 1)]),
    ),
    _open(
        "an agreement nobody signed",
        "It names an agreement that does not exist.",
        ErrorCode.AGREEMENT_UNKNOWN,
        By("not with it", "another agreement"),
        greeting(agreement=b"\x01" * 32),
    ),
    _open(
        "somebody else's agreement",
        "It names the agreement that the honest side has with another partner.",
        ErrorCode.AGREEMENT_UNKNOWN,
        By("not with it", "another agreement"),
        greeting(agreement=lambda cheat, _: bytes.fromhex(cheat.world.agreements["friend"])),
    ),
    _open(
        "another engine",
        "It names an engine that was not agreed.",
        ErrorCode.ENGINE_MISMATCH,
        "another engine",
        greeting(engine="toy"),
    ),
    _open(
        "another profile",
        "It normalises by another profile.",
        ErrorCode.PROFILE_MISMATCH,
        "other rules",
        greeting(profile="strict-v1"),
    ),
    _open(
        "another release of the profile",
        "Its profile has another digest.",
        ErrorCode.PROFILE_MISMATCH,
        "other rules",
        greeting(profile_digest=b"\x01" * 32),
    ),
    _open(
        "a greeting between others",
        "Its greeting names a third company as a party of the run.",
        ErrorCode.PEER_IDENTITY,
        "other peers than the two of us",
        greeting(initiator=lambda cheat, _: cheat.world.friend.peer.fingerprint),
    ),
    _open(
        "another clock",
        "Its greeting is an hour from now.",
        ErrorCode.CLOCK_SKEW,
        "60 minutes",
        greeting(sent_at=lambda _, hello: _later(hello)),
    ),
    _open(
        "too large a list",
        "It announces more items than agreed.",
        ErrorCode.SET_TOO_LARGE,
        "allows at most",
        greeting(set_size=2_000_000),
    ),
    _open(
        "too small a list",
        "It announces fewer items than agreed.",
        ErrorCode.SET_TOO_SMALL,
        "asks for at least",
        greeting(set_size=ITEMS - 1),
        agreement="large sets",
    ),
    _open(
        "another ending",
        "It answers that the run goes on after the count, which was not asked for.",
        ErrorCode.AGREEMENT_FORBIDS,
        "ends with the count",
        greeting(count_only=False),
        cheats=(RESPONDER,),
        count_only=True,
    ),
    _open(
        "a short nonce",
        "Its nonce has 31 bytes.",
        BAD,
        "nonce has 31 bytes",
        greeting(nonce=b"\x01" * 31),
        step="2 (wire)",
    ),
    _open(
        "a short receiving key",
        "Its receiving key lacks a byte.",
        BAD,
        "receiving_key has 1215 bytes",
        greeting(receiving_key=b"\x01" * 1215),
        step="2 (wire)",
    ),
    _open(
        "a receiving key that is none",
        "Its receiving key has the right size, and no record could be sealed to it.",
        BAD,
        "receiving key",
        greeting(receiving_key=b"\xff" * 1216),
    ),
    _open(
        "a receiving key of small order",
        "The X25519 half of its receiving key is a point of small order.",
        BAD,
        "receiving key",
        greeting(receiving_key=lambda _, hello: hello.receiving_key[:-32] + bytes(32)),
    ),
    _open(
        "a name of 5,000 letters",
        "Its greeting names an engine with 5,000 letters.",
        BAD,
        "engine is not a name",
        greeting(engine="x" * 5000),
        step="2 (wire)",
    ),
)


def _greeted(cheat: Cheat) -> None:
    """Begin as whoever answers must: by waiting for the Open."""
    if cheat.role is RESPONDER:
        cheat.line.saw(Hello)


def put(make: Callable[[Cheat], Any]) -> Callable[[Cheat], None]:
    """Instead of a greeting, send this."""

    def script(cheat: Cheat) -> None:
        _greeted(cheat)
        cheat.line.put(make(cheat))
        cheat.line.wait_until_over()

    return script


def _raw(name: str, what: str, words: Any, make: Callable[[Cheat], Any], step: str = "1 (wire)") -> Attack:
    return Attack(name, what, Stage.MATCH, step, BAD, words, OPEN, state=None, script=put(make))


def _echoed_greeting(cheat: Cheat) -> Hello:
    """The honest side's Open, as an Accept."""
    return replace(cheat.line.saw(Hello), role=RESPONDER)


def own_open(cheat: Cheat) -> Hello:
    """A proper Open, from a cheat whose own software would not begin."""
    profile = get_profile("uid2-v1")
    hello = Hello(
        role=INITIATOR,
        agreement=bytes.fromhex(cheat.digest),
        engine="openmined",
        profile=profile.name,
        profile_digest=profile.digest(),
        set_size=ITEMS,
        initiator=cheat.company.peer.fingerprint,
        responder=cheat.honest.peer.fingerprint,
        nonce=bytes(32),
        receiving_key=generate_keypair().public,
        sent_at=int(cheat.company.clock().timestamp()),
    )
    return replace(hello, signature=cheat.key.sign(hello.signed_bytes()))


def _two_megabytes(cheat: Cheat) -> None:
    if cheat.role is INITIATOR:
        cheat.line.put(own_open(cheat))
    cheat.line.saw(Hello)
    cheat.line.put(bytes(2 * 1024 * 1024))
    cheat.line.wait_until_over()


BYTES = (
    _raw("garbage", "It sends bytes that are no message.", "cannot be parsed", lambda _: b"\xff" * 40),
    _raw("an empty message", "It sends a message in which nothing is set.", "it is empty", lambda _: b""),
    Attack(
        "greeting echoed",
        "It answers with the honest side's own greeting.",
        Stage.MATCH,
        "2",
        BAD,
        "not signed by the key on its card",
        Left.GREETING,
        state=None,
        script=put(_echoed_greeting),
        cheats=(RESPONDER,),
    ),
    _raw(
        "points before a greeting",
        "It sends points first.",
        By("was not an Open", "sent Blinded where it was not due"),
        lambda _: Blinded(0, next(on_curve())),
        "1",
    ),
    Attack(
        "a message of two megabytes",
        "Once greeted, it sends a message larger than any may be.",
        Stage.MATCH,
        "4 (gRPC)",
        By(ErrorCode.CANCELLED, BAD),
        By("left before the end", "over the limit"),
        By(Left.POINTS, Left.GREETING),
        state=By(RunState.FAILED, None),
        script=_two_megabytes,
    ),
)


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


def _tags(name: str, what: str, words: Any, alter: Any, step: str = "10", **more: Any) -> Attack:
    return Attack(name, what, Stage.MATCH, step, BAD, words, Left.TAGS, alter=alter, **more)


def _copied(cheat: Cheat) -> Alter:
    """Wait for the honest side's commitment and its tags, and send them as the own."""

    def alter(message: Any) -> list[Any]:
        if isinstance(message, TagCommit | Tags):
            return [cheat.line.saw(type(message))]
        return [message]

    return alter


TAGS = (
    _tags(
        "copied commitment and tags",
        "It sends the honest side's commitment and tags as its own, to forge a full match.",
        "not those it had committed to",
        _copied,
    ),
    _tags(
        "other tags than committed to",
        "It changes a tag after its commitment.",
        "not those it had committed to",
        on(Tags, lambda m: [replace(m, tags=bytes(16) + m.tags[16:])]),
    ),
    _tags(
        "another nonce",
        "It opens its commitment with another nonce.",
        "not those it had committed to",
        on(Tags, lambda m: [replace(m, nonce=bytes(32))]),
    ),
    _tags(
        "tags out of order",
        "It commits to and sends its tags in another order.",
        "not in ascending order",
        forged_tags(lambda tags: tags[16:32] + tags[:16] + tags[32:]),
    ),
    _tags(
        "a tag twice",
        "It commits to and sends a tag twice in place of another.",
        "not in ascending order",
        forged_tags(lambda tags: tags[:16] + tags[:16] + tags[32:]),
    ),
    _tags(
        "more tags than points",
        "It commits to and sends one tag more than it was given points.",
        "more tags than the 12 points",
        forged_tags(lambda tags: tags + b"\xff" * 16),
    ),
    _tags(
        "fewer tags than points",
        "It keeps a tag back.",
        "sent Counted where it was not due",
        on(Tags, lambda m: [replace(m, tags=m.tags[:-16])]),
        afterwards=lambda cheat: cheat.line.put(Counted(bytes(64))),
    ),
    _tags(
        "tags from a later place",
        "Its tags begin with number 6.",
        "where 0 was due",
        on(Tags, lambda m: [Tags(6, m.tags[96:])]),
    ),
    _tags(
        "tags without a commitment",
        "It sends its tags and never commits to them.",
        "sent Tags where it was not due",
        on(TagCommit, lambda m: [Tags(0, bytes(16), bytes(32))]),
        "9",
    ),
    _tags(
        "two commitments",
        "It commits twice.",
        "sent TagCommit where it was not due",
        on(TagCommit, lambda m: [m, m]),
    ),
    _tags(
        "half a tag",
        "Its tags are cut in the middle of one.",
        "not a multiple of 16 bytes",
        on(Tags, lambda m: [replace(m, tags=m.tags[:-8])]),
        "10 (wire)",
    ),
    _tags(
        "a count of its own",
        "It signs another count.",
        "another count",
        with_cheat(
            Counted, lambda cheat, m: [Counted(cheat.key.sign(counted_bytes(cheat.role, b"\x01" * 32)))]
        ),
        "12",
    ),
    _tags(
        "Counted echoed",
        "It sends the honest side's signature back.",
        "another count",
        with_cheat(Counted, lambda cheat, m: [cheat.line.saw(Counted)]),
        "12",
    ),
)


def _stop_at_commitment(cheat: Cheat, *, silent: bool = False, cancel: bool = False) -> None:
    """Be honest up to the own points; then end the call, say nothing, or cancel."""
    line = cheat.line

    def alter(message: Any) -> list[Any]:
        if isinstance(message, TagCommit):
            raise MutualsError(ErrorCode.CANCELLED, "The cheat stops here.")
        return [message]

    line.alter = alter
    with suppress(MutualsError):
        cheat.follow(Stage.MATCH, line)
    if cancel:
        line.saw(TagCommit)
        line.cancel()
    elif not silent:
        line.hang_up()
    line.wait_until_over()


ENDS = (
    Attack(
        "ends early",
        "It ends the call after its points.",
        Stage.MATCH,
        "8",
        ErrorCode.CANCELLED,
        "left before the end",
        Left.TAGS,
        script=_stop_at_commitment,
    ),
    Attack(
        "falls silent",
        "It sends nothing any more after its points.",
        Stage.MATCH,
        "8 (time)",
        ErrorCode.UNREACHABLE,
        "has sent nothing for 1 seconds",
        Left.TAGS,
        script=lambda cheat: _stop_at_commitment(cheat, silent=True),
        cheats=(INITIATOR,),
        hasty=True,
    ),
    Attack(
        "hangs up",
        "It cancels the call after its points.",
        Stage.MATCH,
        "8 (gRPC)",
        ErrorCode.CANCELLED,
        "left before the end",
        Left.TAGS,
        script=lambda cheat: _stop_at_commitment(cheat, cancel=True),
        cheats=(INITIATOR,),
    ),
    Attack(
        "a word after the last",
        "It goes on sending when the match is over.",
        Stage.MATCH,
        "12",
        BAD,
        "after the last one",
        Left.TAGS,
        state=RunState.COUNTED,
        alter=on(Counted, lambda m: [m, m]),
        cheats=(RESPONDER,),
    ),
)


def _one_run_before(cheat: Cheat) -> None:
    """Use the budget up, whatever happened before."""
    with cheat.honest.peer.store.transaction() as tx:
        tx.budgets.charge(
            cheat.company.peer.fingerprint.hex(), cheat.digest, os.urandom(32), ITEMS, cheat.honest.clock()
        )


BUDGETS = (
    Attack(
        "more runs than agreed",
        "It opens a run when its budget of runs is used up.",
        Stage.MATCH,
        "2",
        ErrorCode.BUDGET_EXHAUSTED,
        "runs with this partner in 30 days",
        OPEN,
        state=None,
        agreement="one run",
        prepare=_one_run_before,
        script=put(own_open),
        cheats=(INITIATOR,),
    ),
    Attack(
        "more items than agreed",
        "It announces more items than are left in its budget.",
        Stage.MATCH,
        "2",
        ErrorCode.BUDGET_EXHAUSTED,
        "items in 30 days",
        OPEN,
        state=None,
        agreement="few items",
        alter=greeting(set_size=100_001),
    ),
)
MATCH_ATTACKS: tuple[Attack, ...] = (*GREETINGS, *BYTES, *BUDGETS, *POINTS, *TAGS, *ENDS)
