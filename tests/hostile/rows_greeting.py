"""Attacks before the first point: greetings, budgets, bytes that are no message (DESIGN §6, steps 1 to 3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hostile.attack import INITIATOR, RESPONDER, Attack, By, Cheat, Left, Stage
from hostile.craft import (
    STRANGER,
    greeting,
    on,
)
from hostile.world import ITEMS
from mutuals.crypto.hpke import generate_keypair
from mutuals.errors import ErrorCode
from mutuals.models.run import RunState
from mutuals.normalisation import get_profile
from mutuals.protocol.messages import Blinded, Hello

BAD = ErrorCode.BAD_MESSAGE
OPEN = By(Left.NOTHING, Left.GREETING)  # a bad Open is answered by nothing; a bad Accept follows our Open


def _open(name: str, what: str, code: Any, words: Any, alter: Any, step: str = "2", **more: Any) -> Attack:
    return Attack(name, what, Stage.MATCH, step, code, words, OPEN, state=None, alter=alter, **more)


def _the_other_engine(_: Cheat, hello: Hello) -> str:
    return "openmined" if hello.engine == "x25519" else "x25519"


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
        greeting(engine=_the_other_engine),
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
        engine=cheat.world.engine,
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
        By("neither an Open nor a Resume", "sent Blinded where it was not due"),
        lambda cheat: Blinded(0, next(cheat.curve.fresh(2))),
        "1",
    ),
    Attack(
        "a message of two megabytes",
        "Once greeted, it sends a message larger than any may be.",
        Stage.MATCH,
        "4 (gRPC)",
        By(ErrorCode.CANCELLED, BAD),
        By("", "over the limit"),
        By(Left.POINTS, Left.GREETING),
        state=By(RunState.FAILED, None),
        script=_two_megabytes,
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
GREETING_ATTACKS: tuple[Attack, ...] = (*GREETINGS, *BYTES, *BUDGETS)
