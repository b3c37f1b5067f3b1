"""Every check of steps 2 to 12 refuses the message that was crafted to get past it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.peers import KEYS, NOW, TERMS, TOY, match_session
from support.pump import pump_match
from support.streams import Alter
from support.toy_engine import P

from mutuals.crypto.signing import SigningKey
from mutuals.engines.base import Operation
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.events import Agreed, Send, SendAll, State
from mutuals.protocol.lists import Work
from mutuals.protocol.messages import MAX_CHUNK_BYTES, Blinded, Counted, Hello, TagCommit, Tags

HONEST, CHEAT = Role.INITIATOR, Role.RESPONDER

Change = Callable[[Any], list[Any]]


def lists(count: int = 20, shared: int = 8) -> dict[Role, list[str]]:
    return {
        HONEST: [f"email:user{number}@example.com" for number in range(count)],
        CHEAT: [f"email:user{number}@example.com" for number in range(count - shared, 2 * count - shared)],
    }


def cheated(kind: type, change: Change, cheat: Role = CHEAT) -> PartnerFault:
    """Run a match in which ``cheat`` changes its messages of ``kind``; the honest side's fault.

    Also checks that the honest side is left without key, items or outcome.
    """
    pair = {role: match_session(role, items) for role, items in lists().items()}
    alter: Alter = lambda message: change(message) if isinstance(message, kind) else [message]  # noqa: E731
    ends = pump_match(pair, {cheat: alter})
    error = ends.errors.get(cheat.other)
    assert isinstance(error, PartnerFault), error
    assert cheat.other not in ends.results
    assert pair[cheat.other].state is State.FAILED
    assert pair[cheat.other]._key is None
    assert len(pair[cheat.other]._items) == 0
    return error


class Honest:
    """The honest initiator alone, up to its points, with a cheat that answers by hand."""

    def __init__(self) -> None:
        self.session = match_session(HONEST, lists()[HONEST])
        self._sent: list[Any] = []
        cheat = match_session(CHEAT, lists()[CHEAT])
        cheat.receive(self.session.start()[0].message)
        self.give(cheat.proceed()[0].message)

    def give(self, message: Any) -> None:
        """Let the honest side receive ``message`` and do all that follows from it."""
        events = list(self.session.receive(message))
        while events:
            event = events.pop(0)
            match event:
                case Send(sent):
                    self._sent.append(sent)
                case SendAll(messages):
                    self._sent += messages
                case Agreed():
                    events += self.session.proceed()
                case Work():
                    compute = TOY.blind if event.operation is Operation.BLIND else TOY.reblind
                    events += self.session.finish(event, compute(self.session.key, self.session.input(event)))

    def sent(self, kind: type) -> Any:
        """The last message of ``kind`` that the honest side sent."""
        return [message for message in self._sent if isinstance(message, kind)][-1]


def resigned(signer: Role, **changes: Any) -> Change:
    """A Hello with other contents and a good signature."""

    def change(hello: Hello) -> list[Hello]:
        other = replace(hello, **changes)
        return [replace(other, signature=KEYS[signer].sign(other.signed_bytes()))]

    return change


HELLO_CHANGES: dict[str, tuple[dict[str, Any], ErrorCode]] = {
    "another version": ({"version": 2}, ErrorCode.VERSION),
    "another agreement": ({"agreement": b"\x01" * 32}, ErrorCode.AGREEMENT_UNKNOWN),
    "another engine": ({"engine": "x25519"}, ErrorCode.ENGINE_MISMATCH),
    "another profile": ({"profile": "uid2-v1"}, ErrorCode.PROFILE_MISMATCH),
    "another profile digest": ({"profile_digest": b"\x01" * 32}, ErrorCode.PROFILE_MISMATCH),
    "another initiator": ({"initiator": b"\x01" * 32}, ErrorCode.PEER_IDENTITY),
    "another responder": ({"responder": b"\x01" * 32}, ErrorCode.PEER_IDENTITY),
    "count only": ({"count_only": True}, ErrorCode.AGREEMENT_FORBIDS),
    "a short nonce": ({"nonce": b"\x01" * 31}, ErrorCode.BAD_MESSAGE),
    "no receiving key": ({"receiving_key": b""}, ErrorCode.BAD_MESSAGE),
    "a receiving key that is none": ({"receiving_key": b"\xff" * 1216}, ErrorCode.BAD_MESSAGE),
    "a receiving key of small order": ({"receiving_key": b"r" * 1184 + bytes(32)}, ErrorCode.BAD_MESSAGE),
    "a list over the maximum": ({"set_size": TERMS.max_set_size + 1}, ErrorCode.SET_TOO_LARGE),
    "a clock behind": ({"sent_at": int(NOW.timestamp()) - 301}, ErrorCode.CLOCK_SKEW),
    "a clock ahead": ({"sent_at": int(NOW.timestamp()) + 301}, ErrorCode.CLOCK_SKEW),
    "a clock beyond all calendars": ({"sent_at": 2**64 - 1}, ErrorCode.CLOCK_SKEW),
}


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize("name", HELLO_CHANGES)
def test_a_greeting_that_names_anything_else_is_refused(name: str, cheat: Role) -> None:
    changes, code = HELLO_CHANGES[name]
    assert cheated(Hello, resigned(cheat, **changes), cheat).code is code


@pytest.mark.parametrize("cheat", list(Role))
def test_a_greeting_of_the_wrong_role_is_refused(cheat: Role) -> None:
    fault = cheated(Hello, resigned(cheat, role=cheat.other), cheat)
    assert fault.code is ErrorCode.BAD_MESSAGE
    assert "role" in fault.message


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize(
    "field", ["nonce", "receiving_key", "set_size", "sent_at", "count_only", "signature"]
)
def test_a_changed_greeting_no_longer_fits_its_signature(field: str, cheat: Role) -> None:
    def change(hello: Hello) -> list[Hello]:
        value = getattr(hello, field)
        return [replace(hello, **{field: bytes(len(value)) if isinstance(value, bytes) else not value})]

    assert "not signed" in cheated(Hello, change, cheat).message


def test_a_stranger_cannot_sign_for_the_partner() -> None:
    stranger = SigningKey(b"\x03" * 32)
    fault = cheated(Hello, lambda hello: [replace(hello, signature=stranger.sign(hello.signed_bytes()))])
    assert "not signed" in fault.message


def test_a_clock_off_by_an_hour_is_told_in_minutes() -> None:
    late = match_session(CHEAT, [], now=NOW + timedelta(hours=1))
    opened = match_session(HONEST, []).start()[0]
    with pytest.raises(PartnerFault, match="60 minutes") as caught:
        late.receive(opened.message)
    assert caught.value.code is ErrorCode.CLOCK_SKEW


def test_time_spent_reading_the_source_is_not_a_wrong_clock() -> None:
    late = match_session(CHEAT, [], now=NOW + timedelta(hours=1))
    opened = match_session(HONEST, []).start()[0]
    late.receive(opened.message, at=NOW)


def test_a_list_under_the_minimum_is_refused() -> None:
    terms = replace(TERMS, min_set_size=3)
    small = match_session(CHEAT, ["email:a@example.com"], TERMS)
    session = match_session(HONEST, [f"email:{n}@example.com" for n in range(3)], terms)
    small.receive(session.start()[0].message)
    with pytest.raises(PartnerFault, match="The partner's list has 1 items") as caught:
        session.receive(small.proceed()[0].message)
    assert caught.value.code is ErrorCode.SET_TOO_SMALL


def test_an_own_greeting_sent_back_is_no_accept() -> None:
    session = match_session(HONEST, [])
    opened = session.start()[0].message
    with pytest.raises(PartnerFault):
        session.receive(opened)


# --- points ---------------------------------------------------------------------------------------------------------


def point(value: int) -> bytes:
    return value.to_bytes(8, "big")


def set_point(place: int, value: bytes) -> Change:
    def change(message: Blinded) -> list[Blinded]:
        points = message.points[: 8 * place] + value + message.points[8 * place + 8 :]
        return [replace(message, points=points)]

    return change


BLINDED_CHANGES: dict[str, tuple[Change, str]] = {
    "non-canonical": (set_point(3, point(P + 4)), "not canonical"),
    "zero": (set_point(3, point(0)), "vanishes"),
    "repeated": (lambda m: set_point(3, m.points[:8])(m), "twice"),
    "missing": (lambda m: [replace(m, points=m.points[:-8])], "fewer points"),
    "too many": (lambda m: [replace(m, points=m.points + point(4))], "more points"),
    "sent again": (lambda m: [m, m], "not due"),
    "from a later position": (lambda m: [replace(m, start=1)], "where 0 was due"),
    "empty": (lambda m: [replace(m, points=b"")], "wrong size"),
    "cut in the middle of a point": (lambda m: [replace(m, points=m.points[:-1])], "wrong size"),
    "too big a chunk": (lambda m: [replace(m, points=bytes(MAX_CHUNK_BYTES + 8))], "wrong size"),
    "never ending": (lambda m: [m, *[Blinded(20 + n, point(n + 4)) for n in range(50)]], "not due"),
    "out of order": (
        lambda m: [Blinded(10, m.points[80:]), Blinded(0, m.points[:80])],
        "where 0 was due",
    ),
}


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize("name", BLINDED_CHANGES)
def test_points_that_are_not_what_was_announced_are_refused(name: str, cheat: Role) -> None:
    change, words = BLINDED_CHANGES[name]
    fault = cheated(Blinded, change, cheat)
    assert fault.code is ErrorCode.BAD_MESSAGE
    assert words in fault.message


def test_points_that_become_equal_under_our_key_are_refused() -> None:
    """A cheat marks items by adding torsion: two points, one result. Here −x becomes x under an even key."""
    pair = {role: match_session(role, items) for role, items in lists().items()}
    pair[HONEST]._key = bytearray((4).to_bytes(8, "big"))

    def change(message: Blinded) -> list[Blinded]:
        return set_point(3, point(P - int.from_bytes(message.points[:8], "big")))(message)

    ends = pump_match(pair, {CHEAT: lambda m: change(m) if isinstance(m, Blinded) else [m]})
    error = ends.errors[HONEST]
    assert isinstance(error, PartnerFault)
    assert "become one" in error.message


@pytest.mark.parametrize("reflected", [1, 20])
def test_our_own_points_sent_back_are_refused(reflected: int) -> None:
    honest = Honest()
    ours = honest.sent(Blinded).points
    theirs = TOY.blind(TOY.generate_key(), os.urandom(32 * 20))
    with pytest.raises(PartnerFault, match="points of ours"):
        honest.give(Blinded(0, ours[: 8 * reflected] + theirs[8 * reflected :]))


def test_points_with_another_nonce_in_the_session_give_no_overlap_but_a_fault() -> None:
    """A run relayed into another one: the tags of the two do not fit together."""
    fault = cheated(TagCommit, lambda message: [replace(message, commitment=b"\x05" * 32)])
    assert "committed to" in fault.message


# --- tags -----------------------------------------------------------------------------------------------------------


def test_a_copied_commitment_cannot_be_opened_with_the_copied_tags() -> None:
    """A cheat that copies commitment, nonce and tags would see a full match; the role is part of the commitment."""
    honest = Honest()
    honest.give(Blinded(0, TOY.blind(TOY.generate_key(), os.urandom(32 * 20))))
    honest.give(honest.sent(TagCommit))
    with pytest.raises(PartnerFault, match="committed to"):
        honest.give(honest.sent(Tags))


TAG_CHANGES: dict[str, tuple[Change, str]] = {
    "not those committed to": (lambda m: [replace(m, tags=bytes(16) + m.tags[16:])], "committed to"),
    "another nonce": (lambda m: [replace(m, nonce=b"\x07" * 32)], "committed to"),
    "no nonce": (lambda m: [replace(m, nonce=b"")], "nonce"),
    "a long nonce": (lambda m: [replace(m, nonce=b"\x07" * 33)], "nonce"),
    "one too many": (lambda m: [replace(m, tags=m.tags + b"\xff" * 16)], "more tags"),
    "one after the end": (lambda m: [m, Tags(20, b"\xff" * 16)], "not due"),
    "none": (lambda m: [replace(m, tags=b"")], "wrong size"),
    "half a tag": (lambda m: [replace(m, tags=m.tags[:-8])], "wrong size"),
    "from a later place": (lambda m: [replace(m, start=1)], "where 0 was due"),
    "a nonce in every chunk": (
        lambda m: [Tags(0, m.tags[:160], m.nonce), Tags(10, m.tags[160:], m.nonce)],
        "nonce",
    ),
    "before the commitment": (lambda m: [Counted(bytes(64))], "not due"),
}


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize("name", TAG_CHANGES)
def test_tags_that_break_the_rules_are_refused(name: str, cheat: Role) -> None:
    change, words = TAG_CHANGES[name]
    fault = cheated(Tags, change, cheat)
    assert fault.code is ErrorCode.BAD_MESSAGE
    assert words in fault.message


def test_tags_in_two_chunks_are_fine() -> None:
    pair = {role: match_session(role, items) for role, items in lists().items()}
    ends = pump_match(
        pair,
        {
            CHEAT: lambda m: (
                [Tags(0, m.tags[:160], m.nonce), Tags(10, m.tags[160:])] if isinstance(m, Tags) else [m]
            )
        },
    )
    assert ends[HONEST].count == ends[CHEAT].count == 8


@pytest.mark.parametrize("swap", ["descending", "doubled"])
def test_tags_out_of_order_are_refused_even_where_the_commitment_fits(swap: str) -> None:
    """The cheat commits to a list that is not strictly ascending, so only the order gives it away."""
    pair = {role: match_session(role, items) for role, items in lists().items()}
    cheat = pair[CHEAT]
    honest_commit = cheat._commit

    def crooked(tags: bytes) -> bytes:
        if swap == "descending":
            return tags[16:32] + tags[:16] + tags[32:]
        return tags[:16] + tags[:16] + tags[32:]

    def commit(role: Role, nonce: bytes, tags_digest: bytes) -> bytes:
        if role is CHEAT:
            tags_digest = hashlib.sha256(crooked(cheat._tags().own.tobytes())).digest()
        return honest_commit(role, nonce, tags_digest)

    vars(cheat)["_commit"] = commit  # the cheat's own software
    ends = pump_match(
        pair, {CHEAT: lambda m: [replace(m, tags=crooked(m.tags))] if isinstance(m, Tags) else [m]}
    )
    error = ends.errors[HONEST]
    assert isinstance(error, PartnerFault)
    assert "ascending" in error.message


def test_a_second_commitment_is_refused() -> None:
    assert "not due" in cheated(TagCommit, lambda m: [m, m]).message


def test_a_commitment_before_all_our_points_are_out_is_refused() -> None:
    session, partner = match_session(HONEST, lists()[HONEST]), match_session(CHEAT, [])
    partner.receive(session.start()[0].message)
    session.receive(partner.proceed()[0].message)
    session.proceed()
    with pytest.raises(PartnerFault, match="before it had all points"):
        session.receive(TagCommit(bytes(32)))


def test_a_signature_over_another_count_is_refused() -> None:
    fault = cheated(Counted, lambda m: [Counted(bytes(64))])
    assert "another count" in fault.message


def test_our_own_signature_sent_back_is_refused() -> None:
    held: list[Any] = []
    honest = match_session(HONEST, [])
    cheat = match_session(CHEAT, [])

    def hold(message: Any) -> list[Any]:
        held.append(message)
        return []

    pump_match({HONEST: honest, CHEAT: cheat}, {CHEAT: lambda m: hold(m) if isinstance(m, Counted) else [m]})
    assert honest.state is State.COUNTED
    with pytest.raises(PartnerFault, match="another count"):
        honest.receive(Counted(honest._counted_own))


def test_messages_out_of_place_are_refused() -> None:
    messages: list[Any] = [
        Blinded(0, point(4)),
        TagCommit(bytes(32)),
        Tags(0, bytes(16), bytes(32)),
        Counted(bytes(64)),
    ]
    for message in messages:
        session = match_session(HONEST, [])
        session.start()
        with pytest.raises(PartnerFault, match="not due"):
            session.receive(message)
    fault = cheated(Blinded, lambda m: [Counted(bytes(64))])
    assert "not due" in fault.message


def test_a_second_greeting_is_refused() -> None:
    assert "not due" in cheated(Hello, lambda m: [m, m]).message


def test_no_fault_tells_a_point_a_tag_or_an_item() -> None:
    seen: list[str] = []
    for changes, kind in ((BLINDED_CHANGES, Blinded), (TAG_CHANGES, Tags)):
        for change, _ in changes.values():
            fault = cheated(kind, change)
            seen.append(f"{fault.message} {fault.hint}")
    assert all(len(text) < 160 and "\\x" not in text and "example.com" not in text for text in seen)
