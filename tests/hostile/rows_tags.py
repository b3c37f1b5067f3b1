"""Attacks on tags, the count, and the end of the match (DESIGN §6, steps 8 to 12)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from hostile.attack import INITIATOR, RESPONDER, Attack, Cheat, Left, Stage
from hostile.craft import (
    forged_tags,
    on,
    with_cheat,
)
from hostile.wire import Alter
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import RunState
from mutuals.protocol.messages import Counted, TagCommit, Tags
from mutuals.protocol.transcript import counted_bytes

BAD = ErrorCode.BAD_MESSAGE


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
        state=RunState.MATCHING,
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
        state=RunState.MATCHING,
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
        "",
        Left.TAGS,
        state=RunState.MATCHING,
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


TAG_ATTACKS: tuple[Attack, ...] = (*TAGS, *ENDS)
