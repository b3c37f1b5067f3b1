"""A man in the middle: two honest companies that each match with the cheat, which passes on what it hears."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from hostile.attack import INITIATOR, Attack, Cheat, Left, Stage
from hostile.rows_greeting import own_open
from hostile.wire import PATIENCE, Line
from hostile.world import LIMITS
from mutuals.errors import ErrorCode, MutualsError
from mutuals.protocol.messages import Blinded, Hello, TagCommit, Tags
from mutuals.runs.match import initiate_match
from mutuals.transport.connection import connect

WORDS = "not those it had committed to"


def _relay(cheat: Cheat) -> None:
    """The friend starts a match with the cheat; the cheat starts one with the honest side and lets them talk.

    It keeps their nonces, receiving keys and sizes, and signs the greetings anew, as it must: they name the parties.
    """
    world, honest = cheat.world, cheat.line
    calls: queue.Queue[Line] = queue.Queue()

    def answer(line: Line) -> None:
        calls.put(line)
        line.wait_until_over()

    world.hostile.answer = answer
    ended: list[MutualsError] = []
    victim = threading.Thread(target=lambda: ended.append(_friend_matches(cheat)))
    victim.start()
    friend = calls.get(timeout=PATIENCE)
    opened = friend.saw(Hello)
    copied = replace(
        own_open(cheat), nonce=opened.nonce, receiving_key=opened.receiving_key, set_size=opened.set_size
    )
    honest.put(replace(copied, signature=cheat.key.sign(copied.signed_bytes())))
    accepted = replace(
        honest.saw(Hello), agreement=opened.agreement, initiator=opened.initiator, responder=opened.responder
    )
    friend.put(replace(accepted, signature=cheat.key.sign(accepted.signed_bytes())))
    for kind in (Blinded, TagCommit, Tags):
        there, back = friend.saw(kind), honest.saw(kind)
        honest.put(there)
        friend.put(back)
    honest.wait_until_over()
    victim.join(PATIENCE)
    if not ended or ended[0].code is not ErrorCode.BAD_MESSAGE or WORDS not in ended[0].message:
        cheat.notes.append(f"the other victim noticed nothing: {ended}")


def _friend_matches(cheat: Cheat) -> MutualsError:
    world, peer = cheat.world, cheat.world.friend.peer
    try:
        row = world.row(world.friend, world.cheat)
        with connect(peer, row, LIMITS) as connection, connection.match() as stream:
            initiate_match(peer, world.agreements["elsewhere"], stream, world.pool)
    except MutualsError as error:
        return error
    return MutualsError(ErrorCode.INTERNAL, "The match went through.")


RELAY_ATTACKS = (
    Attack(
        "a run relayed into another",
        "It passes on what two honest companies say, each in its own run with the cheat.",
        Stage.MATCH,
        "10",
        ErrorCode.BAD_MESSAGE,
        WORDS,
        Left.TAGS,
        script=_relay,
        cheats=(INITIATOR,),
    ),
)
