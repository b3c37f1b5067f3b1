"""Attacks on a match that goes on after its line broke (docs/protocol.md §8): all that a Resume may claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hostile.attack import INITIATOR, Attack, Cheat, Left, Result, Stage
from hostile.craft import on
from hostile.wire import Alter
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Run, RunState
from mutuals.protocol.messages import Blinded, Counted, Resume, TagCommit, Tags
from mutuals.runs.match import initiate_match
from mutuals.runs.resume import resume_match
from mutuals.transport.wire import MATCH

BAD = ErrorCode.BAD_MESSAGE


def _break_off(cheat: Cheat, at: type) -> Run:
    """A match of the cheat's, whose line breaks when it is sent the first message of a kind; its run."""
    mark = len(cheat.world.log())

    def hear(message: Any) -> Any:
        if isinstance(message, at):
            cheat.line.cancel()
            raise MutualsError(ErrorCode.UNREACHABLE, "The line broke.")
        return message

    cheat.line.hear = hear
    try:
        initiate_match(cheat.company.peer, cheat.digest, cheat.line, cheat.pool)
    except MutualsError:
        cheat.world.wait_for_log(mark, MATCH.name)
    with cheat.company.peer.store.transaction() as tx:
        return next(run for run in tx.runs.list() if run.state is RunState.MATCHING)


def _go_on(cheat: Cheat, run: Run, alter: Alter) -> None:
    """Take it up again, with altered messages."""
    mark = len(cheat.world.log())
    line = cheat.again(MATCH)
    line.alter = alter
    try:
        resume_match(cheat.company.peer, run.run_id, line, cheat.pool)
        line.hang_up()
    except MutualsError:
        line.wait_until_over()
    cheat.world.wait_for_log(mark, MATCH.name)


def _resumed(make: Callable[[Cheat], Alter]) -> Callable[[Cheat], None]:
    """Break off once the honest side has all points, and so has committed; go on by ``make``."""
    return lambda cheat: _go_on(cheat, _break_off(cheat, TagCommit), make(cheat))


def _lie(**claims: Any) -> Callable[[Cheat], Alter]:
    return on(Resume, lambda message: [replace(message, **claims)])


def _row(name: str, what: str, words: str, make: Callable[[Cheat], Alter], **more: Any) -> Attack:
    return Attack(
        name,
        what,
        Stage.MATCH,
        "Resume",
        BAD,
        words,
        Left.TAGS,
        script=_resumed(make),
        cheats=(INITIATOR,),
        also=(ErrorCode.CANCELLED,),
        **more,
    )


def _friends_run(cheat: Cheat) -> None:
    """Take up a run that the honest side has with somebody else."""
    world = cheat.world
    theirs = world.friend_counts()
    cheat.notes_of["run"] = theirs.run_id
    mark = len(world.log())
    cheat.line.put(Resume(theirs.sid, 0, bytes(32), b"", 0, b""))
    cheat.line.wait_until_over()
    world.wait_for_log(mark, MATCH.name)


def _untouched(cheat: Cheat, result: Result) -> None:
    """The friend's run is as it was."""
    run = cheat.world.runs()[cheat.notes_of["run"]]
    if run.state is not RunState.COUNTED:
        result.problems.append(f"the friend's run is {run.state}")


def _twice(cheat: Cheat) -> None:
    """Ask for what was counted again, after the end."""
    world = cheat.world
    run = initiate_match(cheat.company.peer, cheat.digest, cheat.line, cheat.pool)
    cheat.line.hang_up()
    cheat.line.wait_until_over()
    again = cheat.again(MATCH)
    again.put(Resume(run.sid, 0, bytes(32), b"", 0, b""))
    again.saw(Counted)
    again.hang_up()
    again.wait_until_over()
    if [type(message) for message in again.seen] != [Resume, Counted]:
        cheat.notes.append(f"it was sent {[type(message).__name__ for message in again.seen]}")
    with world.honest.peer.store.transaction() as tx:
        if len([one for one in tx.runs.list() if one.sid == run.sid]) != 1:
            cheat.notes.append("there are two runs")


RESUME_ATTACKS = (
    _row(
        "more points than there are",
        "It claims to hold more points than it was owed.",
        "never sent",
        _lie(points=13),
    ),
    _row(
        "points that were not sent",
        "It claims to hold other points than those it was sent.",
        "other points than it was sent",
        _lie(points_digest=bytes(32)),
    ),
    _row(
        "a commitment it made up",
        "It claims that the honest side had committed to something else.",
        "another commitment than it was sent",
        _lie(commitment=bytes(32)),
    ),
    _row(
        "tags before they were due",
        "It claims to hold tags that the honest side has not sent.",
        "The partner holds",  # other tags or tags too early: the honest side may have sent its own
        _lie(tags=1, tags_digest=bytes(32)),
    ),
    _row(
        "the end before the end",
        "It claims to have the honest side's count.",
        "has finished a match that this side has not",
        _lie(finished=True),
    ),
    _row(
        "points in place of Resume",
        "It goes on without saying which run it goes on with, so none ends.",
        "neither an Open nor a Resume",
        on(Resume, lambda _: [Blinded(0, bytes(32))]),
        state=RunState.MATCHING,
    ),
    _row(
        "points accepted before",
        "It sends points for places that have theirs.",
        "sent Blinded where it was not due",
        on(Tags, lambda message: [Blinded(0, bytes(12 * 32)), message]),
    ),
    _row(
        "other tags after the break",
        "It changes a tag after its commitment, on another line.",
        "not those it had committed to",
        on(Tags, lambda message: [replace(message, tags=bytes(16) + message.tags[16:])]),
    ),
    _row(
        "another commitment after the break",
        "It commits anew on another line, before its tags.",
        "sent TagCommit where it was not due",
        on(Tags, lambda message: [TagCommit(bytes(32)), message]),
    ),
    Attack(
        "somebody else's match taken up",
        "It takes up a match that the honest side has with a friend.",
        Stage.MATCH,
        "Resume",
        ErrorCode.RUN_UNKNOWN,
        "did not start here",
        Left.NOTHING,
        RunState.COUNTED,  # the friend's
        script=_friends_run,
        check=_untouched,
        cheats=(INITIATOR,),
    ),
    Attack(
        "what was counted, once more",
        "It asks for the end of a match that has ended, as if it had heard nothing of it.",
        Stage.MATCH,
        "Resume",
        None,
        "",
        Left.TAGS,
        RunState.COUNTED,
        script=_twice,
        cheats=(INITIATOR,),
    ),
)
