"""Attacks on the reveal: approval, positions, confirmation (DESIGN §6, steps 13 to 19)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hostile.attack import INITIATOR, RESPONDER, Attack, By, Cheat, Left, Result, Row, Stage, play
from hostile.craft import on, with_cheat
from hostile.rows_greeting import own_open, put
from hostile.wire import Alter
from hostile.world import ITEMS, SHARED
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import RunState
from mutuals.protocol.messages import Approve, ConfirmMac, ConfirmShare, Positions
from mutuals.protocol.transcript import approve_bytes
from mutuals.runs.spool import load_matched, load_overlap
from mutuals.transport.wire import REVEAL

BAD = ErrorCode.BAD_MESSAGE
# The initiator approves first: where its approval is bad, the responder has not given its own yet.
ASKED = By(Left.TAGS, Left.APPROVAL)
# The initiator's positions leave first: where they are bad, the responder's stay, and its run has just failed.
PLACES = By(Left.APPROVAL, Left.POSITIONS)
HALF = By(RunState.FAILED, RunState.HALF_REVEALED)


def _approve(name: str, what: str, code: Any, words: Any, alter: Any, **more: Any) -> Attack:
    return Attack(name, what, Stage.REVEAL, "13", code, words, ASKED, alter=alter, **more)


def _another_count(cheat: Cheat, message: Approve) -> list[Any]:
    run = cheat.company.run(cheat.run_id)
    transcript = load_matched(cheat.company.peer, run).outcome.transcript
    other = replace(transcript, count=transcript.count - 1)
    return [replace(message, signature=cheat.key.sign(approve_bytes(cheat.role, other.th)))]


def _friends_run(cheat: Cheat) -> None:
    """Let the friend match with the honest side; the cheat gets to know the run's id."""
    cheat.notes_of["sid"] = cheat.world.friend_counts().sid


def _run_of_other_role(cheat: Cheat) -> None:
    """A run that the honest side started with the cheat."""
    other = Cheat(cheat.world, Row(cheat.row.attack, RESPONDER))
    assert play(other, Stage.MATCH) is None
    cheat.notes_of["sid"] = cheat.company.run(other.run_id).sid


def _named(cheat: Cheat, message: Approve) -> list[Any]:
    return [replace(message, sid=cheat.notes_of["sid"])]


def _twice(cheat: Cheat) -> None:
    """Reveal, then ask for the same again with the approval that was good before."""
    approvals: list[Any] = []
    line = cheat.line

    def keep(message: Any) -> list[Any]:
        approvals.extend([message] if isinstance(message, Approve) else [])
        return [message]

    line.alter = keep
    cheat.follow(Stage.REVEAL, line)
    line.hang_up()
    line.wait_until_over()
    again = cheat.again(REVEAL)
    again.put(approvals[0])
    again.wait_until_over()


def approval_of(cheat: Cheat) -> Approve:
    """The initiator's approval of the run, made by hand."""
    run = cheat.company.run(cheat.run_id)
    assert run.th is not None
    return Approve(run.sid, cheat.key.sign(approve_bytes(INITIATOR, run.th)))


APPROVALS = (
    _approve(
        "no authorisation",
        "It approves a reveal that nobody at the honest side has authorised.",
        ErrorCode.NOT_AUTHORISED_YET,
        "No operator of yours has authorised the reveal",
        None,
        state=RunState.COUNTED,
        agreement="ask",
        cheats=(INITIATOR,),
    ),
    _approve(
        "approval under another count",
        "It approves the reveal of one pair fewer than was counted.",
        BAD,
        "not a signature over this run and its count",
        with_cheat(Approve, _another_count),
    ),
    _approve(
        "approval of an earlier run",
        "It signs another transcript than that of this run.",
        BAD,
        "not a signature over this run and its count",
        with_cheat(
            Approve,
            lambda cheat, m: [
                replace(m, signature=cheat.key.sign(approve_bytes(cheat.role, os.urandom(32))))
            ],
        ),
    ),
    _approve(
        "approval echoed",
        "It sends the honest side's approval back.",
        BAD,
        "not a signature over this run and its count",
        with_cheat(Approve, lambda cheat, m: [cheat.line.saw(Approve)]),
        cheats=(RESPONDER,),
    ),
    _approve(
        "approval of no run",
        "It approves a run that does not exist.",
        ErrorCode.RUN_UNKNOWN,
        By("did not start here", "approved another run"),
        on(Approve, lambda m: [replace(m, sid=bytes(32))]),
        state=By(RunState.COUNTED, RunState.FAILED),
    ),
    _approve(
        "somebody else's run",
        "It approves the run of the honest side with another partner.",
        ErrorCode.RUN_UNKNOWN,
        "did not start here",
        with_cheat(Approve, _named),
        prepare=_friends_run,
        state=RunState.COUNTED,
        cheats=(INITIATOR,),
    ),
    _approve(
        "from the wrong end",
        "It starts the reveal of a run that the honest side had started.",
        ErrorCode.RUN_UNKNOWN,
        "did not start here",
        with_cheat(Approve, _named),
        prepare=_run_of_other_role,
        state=RunState.COUNTED,
        cheats=(INITIATOR,),
    ),
    _approve(
        "positions before approval",
        "It sends positions where its approval is due.",
        BAD,
        By("was not an Approve", "sent Positions where it was not due"),
        on(Approve, lambda m: [Positions(0, (0, 1))]),
        state=By(RunState.COUNTED, RunState.FAILED),
    ),
    Attack(
        "a run revealed twice",
        "It asks once more for the reveal of a run that is revealed.",
        Stage.REVEAL,
        "14",
        ErrorCode.RUN_STATE,
        "is not waiting for its reveal",
        Left.PROOF,
        script=_twice,
        state=RunState.REVEALED,
        cheats=(INITIATOR,),
    ),
    Attack(
        "a reveal after counting only",
        "It asks for the reveal of a run that was for the count alone.",
        Stage.REVEAL,
        "14",
        ErrorCode.RUN_STATE,
        "is not waiting for its reveal",
        Left.TAGS,
        script=put(approval_of),
        state=RunState.COUNT_ONLY,
        count_only=True,
        cheats=(INITIATOR,),
    ),
)


def _places(name: str, what: str, words: str, change: Callable[[Any], Any], step: str = "17") -> Attack:
    return Attack(name, what, Stage.REVEAL, step, BAD, words, PLACES, state=HALF, alter=on(Positions, change))


def _displaced(positions: tuple[int, ...]) -> tuple[int, ...]:
    """The first pair now names a contact that is in no pair."""
    other = next(place for place in range(ITEMS) if place not in positions)
    return (other, *positions[1:])


def _guess(cheat: Cheat) -> None:
    """Answer the honest side's proof, which did not fit, with a proof all the same."""
    if cheat.role is INITIATOR:
        cheat.line.saw(ConfirmMac)
        cheat.line.put(ConfirmMac(os.urandom(32)))


def _exact_overlap(cheat: Cheat, result: Result) -> None:
    """The honest side has the very pairs that there are: contacts of one number."""
    pairs = {}
    for company in (cheat.honest, cheat.company):
        run = company.run(cheat.run_id)
        pairs[company.peer.name] = [ids[0][1:] for ids in load_overlap(company.peer, run).pairs]
    honest, other = pairs.values()
    if honest != other or len(honest) != SHARED:
        result.problems.append("the pairs are not those that there are")


def _leave_with_positions(cheat: Cheat) -> None:
    """Take the honest side's positions, and give no proof."""

    def alter(message: Any) -> list[Any]:
        if isinstance(message, ConfirmShare) or (isinstance(message, Positions) and cheat.role is RESPONDER):
            cheat.line.saw(Positions)
            raise MutualsError(ErrorCode.CANCELLED, "The cheat leaves.")
        return [message]

    cheat.line.alter = alter
    with suppress(MutualsError):
        cheat.follow(Stage.REVEAL, cheat.line)
    cheat.line.hang_up()
    cheat.line.wait_until_over()


POSITIONS = (
    _places(
        "a position outside of the list",
        "It names a position behind the end of the honest side's list.",
        "outside of our list",
        lambda m: [replace(m, positions=(ITEMS, *m.positions[1:]))],
    ),
    _places(
        "a huge position",
        "It names the largest position that fits into a message.",
        "outside of our list",
        lambda m: [replace(m, positions=(2**32 - 1, *m.positions[1:]))],
    ),
    _places(
        "a position twice",
        "It names a position twice in place of another.",
        "a position twice",
        lambda m: [replace(m, positions=(m.positions[1], *m.positions[1:]))],
    ),
    _places(
        "too many positions",
        "It names one position more than was counted.",
        "more positions than the 6",
        lambda m: [
            replace(m, positions=(*m.positions, next(n for n in range(ITEMS) if n not in m.positions)))
        ],
    ),
    _places(
        "too few positions",
        "It names one position fewer than was counted, and goes on.",
        "sent ConfirmShare where it was not due",
        lambda m: [replace(m, positions=m.positions[:-1]), ConfirmShare(bytes(33))],
    ),
    _places(
        "positions from a later place",
        "Its positions begin with the second.",
        "from 1 where 0 was due",
        lambda m: [replace(m, start=1)],
    ),
    _places(
        "no positions",
        "It sends a message without positions.",
        "length of positions is out of range",
        lambda m: [replace(m, positions=())],
        "15 (wire)",
    ),
    Attack(
        "takes the positions and leaves",
        "It takes the honest side's positions and ends the call.",
        Stage.REVEAL,
        "18",
        ErrorCode.CANCELLED,
        "left before the end",
        By(Left.POSITIONS, Left.POSITIONS),
        state=RunState.HALF_REVEALED,
        script=_leave_with_positions,
    ),
    Attack(
        "one displaced position",
        "In place of one pair it names another of the honest side's contacts.",
        Stage.REVEAL,
        "18",
        ErrorCode.CONFIRMATION_FAILED,
        "not the same as ours",
        Left.PROOF,
        state=RunState.HALF_REVEALED,
        alter=on(Positions, lambda m: [replace(m, positions=_displaced(m.positions))]),
        afterwards=_guess,
    ),
    Attack(
        "permuted positions",
        "It sends the right positions in another order. Pairs are ranked by what they are, not by where they came.",
        Stage.REVEAL,
        "17 (no effect)",
        None,
        "",
        Left.PROOF,
        state=RunState.REVEALED,
        alter=on(Positions, lambda m: [replace(m, positions=m.positions[::-1])]),
        check=_exact_overlap,
    ),
)


def _proof(name: str, what: str, words: Any, alter: Any, code: Any = ErrorCode.CONFIRMATION_FAILED) -> Attack:
    step = "18" if code is not BAD else "18 (wire)"
    return Attack(
        name, what, Stage.REVEAL, step, code, words, Left.PROOF, state=RunState.HALF_REVEALED, alter=alter
    )


def _side(cheat: Cheat) -> bytes:
    return b"A" if cheat.role is INITIATOR else b"B"


def _share(element: bytes) -> Callable[[Cheat], Alter]:
    return with_cheat(ConfirmShare, lambda cheat, m: [ConfirmShare(_side(cheat) + element)])


_P25519 = 2**255 - 19
CONFIRMATIONS = (
    _proof(
        "a share that is no point",
        "Its SPAKE2 message is not on the curve.",
        "share is not valid",
        _share((2).to_bytes(32, "little")),
    ),
    _proof(
        "the identity as a share",
        "Its SPAKE2 message is the identity, to make the key known.",
        "share is not valid",
        _share((1).to_bytes(32, "little")),
    ),
    _proof(
        "a share of small order",
        "Its SPAKE2 message has order two.",
        "share is not valid",
        _share((_P25519 - 1).to_bytes(32, "little")),
    ),
    _proof(
        "a short share",
        "Its SPAKE2 message lacks a byte.",
        "share has 32 bytes",
        on(ConfirmShare, lambda m: [ConfirmShare(m.share[:-1])]),
        BAD,
    ),
    _proof(
        "another proof",
        "Its proof is made up.",
        "not the same as ours",
        on(ConfirmMac, lambda m: [ConfirmMac(bytes(32))]),
    ),
    replace(
        _proof(
            "Confirm share echoed",
            "It sends the honest side's SPAKE2 message back as its own.",
            "share is not valid",
            with_cheat(
                ConfirmShare, lambda cheat, m: [ConfirmShare(b"B" + cheat.line.saw(ConfirmShare).share[1:])]
            ),
        ),
        cheats=(RESPONDER,),
    ),
    replace(
        _proof(
            "Confirm MAC echoed",
            "It sends the honest side's proof back as its own.",
            "not the same as ours",
            with_cheat(ConfirmMac, lambda cheat, m: [cheat.line.saw(ConfirmMac)]),
        ),
        cheats=(INITIATOR,),
    ),
)


def _half_revealed(cheat: Cheat) -> None:
    """An attack that broke off half revealed, and nobody has looked at it yet."""
    displaced = next(attack for attack in POSITIONS if attack.name == "one displaced position")
    other = Cheat(cheat.world, Row(displaced, INITIATOR))
    play(other, Stage.MATCH)
    play(other, Stage.REVEAL)
    other.close()
    cheat.notes_of["sid"] = cheat.company.run(other.run_id).sid


def _another_guess(cheat: Cheat) -> Approve:
    with cheat.company.peer.store.transaction() as tx:
        run = tx.runs.by_sid(cheat.notes_of["sid"])
    assert run is not None
    assert run.th is not None
    return Approve(run.sid, cheat.key.sign(approve_bytes(INITIATOR, run.th)))


def _reveal_again(cheat: Cheat) -> None:
    """A call of its own: that of the match is not used."""
    again = cheat.again(REVEAL)
    again.put(_another_guess(cheat))
    again.wait_until_over()
    cheat.line.hang_up()


BLOCKS = (
    Attack(
        "another run after a half revealed one",
        "After a displaced position it opens a new run.",
        Stage.MATCH,
        "19",
        ErrorCode.BLOCKED,
        "broke off half revealed",
        Left.NOTHING,
        state=None,
        prepare=_half_revealed,
        script=put(own_open),
        cheats=(INITIATOR,),
    ),
    Attack(
        "another guess in the same run",
        "After a displaced position it asks for the reveal of the same run again.",
        Stage.MATCH,
        "18",
        ErrorCode.RUN_STATE,
        "is not waiting for its reveal",
        Left.NOTHING,
        state=None,
        prepare=_half_revealed,
        script=_reveal_again,
        also=(ErrorCode.CANCELLED,),
        cheats=(INITIATOR,),
    ),
)
REVEAL_ATTACKS: tuple[Attack, ...] = (*APPROVALS, *POSITIONS, *CONFIRMATIONS, *BLOCKS)
