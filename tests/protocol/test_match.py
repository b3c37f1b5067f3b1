from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import EACH_ENGINE, needs_openmined
from support.peers import KEYS, TERMS, TOY, match_session, reveal_session, shared_items
from support.pump import pump_match, pump_reveal
from support.streams import Alter

from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, digest, frame
from mutuals.models.run import Role
from mutuals.protocol.items import items_for
from mutuals.protocol.lists import WORK_SIZE
from mutuals.protocol.match import TAGS_PER_MESSAGE, MatchSession
from mutuals.protocol.messages import Blinded, Hello, TagCommit, Tags
from mutuals.protocol.outcome import MatchOutcome


def identifiers(numbers: Sequence[int] | set[int] | range) -> list[str]:
    return [f"email:user{number}@example.com" for number in numbers]


def sessions(ours: list[str], theirs: list[str], engine: str = "toy") -> dict[Role, MatchSession]:
    terms = replace(TERMS, engine=engine)
    lists = {Role.INITIATOR: ours, Role.RESPONDER: theirs}
    return {role: match_session(role, lists[role], terms, TOY if engine == "toy" else None) for role in Role}


def overlap_by_protocol(ours: list[str], theirs: list[str], engine: str = "toy") -> list[list[bytes]]:
    """The shared items as each side has them in the end, by rank; through match, spool and reveal."""
    ends = pump_match(sessions(ours, theirs, engine))
    outcomes = {role: MatchOutcome.from_bytes(ends[role].to_bytes()) for role in Role}
    assert outcomes[Role.INITIATOR].th == outcomes[Role.RESPONDER].th
    assert [outcomes[role].own_size for role in Role] == [len(ours), len(theirs)]
    assert [outcomes[role].partner_size for role in Role] == [len(theirs), len(ours)]
    revealed = pump_reveal({role: reveal_session(outcomes[role]) for role in Role})
    return [shared_items(outcomes[role], revealed[role]) for role in Role]


def expect_overlap(ours: list[str], theirs: list[str], engine: str = "toy") -> None:
    left, right = overlap_by_protocol(ours, theirs, engine)
    shared = items_for(TERMS.agreement, sorted(set(ours) & set(theirs)))
    assert left == right
    assert sorted(left) == sorted(row.tobytes() for row in shared)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_both_sides_find_exactly_the_shared_items(ours: set[int], theirs: set[int]) -> None:
    expect_overlap(identifiers(ours), identifiers(theirs))


SHAPES = {
    "both empty": (range(0), range(0)),
    "one empty": (range(0), range(5)),
    "one each, shared": (range(1), range(1)),
    "one each, not shared": (range(1), range(1, 2)),
    "all shared": (range(30), range(30)),
    "none shared": (range(30), range(30, 60)),
    "very unequal": (range(3), range(2, 300)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("engine", ["toy", *EACH_ENGINE])
def test_every_shape_of_lists_with_every_engine(shape: str, engine: str) -> None:
    ours, theirs = SHAPES[shape]
    expect_overlap(identifiers(ours), identifiers(theirs), engine)


@pytest.mark.parametrize("size", [WORK_SIZE - 1, WORK_SIZE, 2 * WORK_SIZE + 1, TAGS_PER_MESSAGE + 5])
def test_lists_longer_than_a_chunk(size: int) -> None:
    expect_overlap(identifiers(range(size)), identifiers(range(size - 100, size + 700)))


def test_chunks_do_not_change_the_transcript() -> None:
    """The digest of a Blinded list is over the list, not over how it travelled."""
    cut_finely = {
        Role.INITIATOR: lambda message: (
            [
                Blinded(message.start + at, message.points[8 * at : 8 * at + 8])
                for at in range(len(message.points) // 8)
            ]
            if isinstance(message, Blinded)
            else [message]
        )
    }
    ends = pump_match(sessions(identifiers(range(40)), identifiers(range(30, 60))), cut_finely)
    assert ends[Role.INITIATOR].th == ends[Role.RESPONDER].th
    assert ends[Role.INITIATOR].count == 10


def test_results_may_come_back_in_any_order() -> None:
    session = match_session(Role.INITIATOR, identifiers(range(5 * WORK_SIZE)))
    responder = match_session(Role.RESPONDER, [])
    (opened,) = session.start()
    responder.receive(opened.message)
    (accepted,) = responder.proceed()
    session.receive(accepted.message)
    works = session.proceed()
    sent = []
    for work in reversed(works):
        points = session.engine.blind(session.key, session.input(work))
        sent += [event.message for event in session.finish(work, points)]
    assert [message.start for message in sent[:-1]] == [work.start for work in works]
    assert isinstance(sent[-1], TagCommit)


def test_the_same_result_twice_is_our_own_mistake() -> None:
    session = match_session(Role.INITIATOR, identifiers(range(3 * WORK_SIZE)))
    responder = match_session(Role.RESPONDER, [])
    responder.receive(session.start()[0].message)
    session.receive(responder.proceed()[0].message)
    work = session.proceed()[1]
    points = session.engine.blind(session.key, session.input(work))
    session.finish(work, points)
    with pytest.raises(KeyError):
        session.finish(work, points)


def test_no_tag_leaves_before_the_partners_commitment_is_in() -> None:
    order: list[tuple[Role, type]] = []

    def record(role: Role) -> Alter:
        def note(message: object) -> list[object]:
            order.append((role, type(message)))
            return [message]

        return note

    pump_match(
        sessions(identifiers(range(20)), identifiers(range(10, 30))), {role: record(role) for role in Role}
    )
    for role in Role:
        assert order.index((role, Tags)) > order.index((role.other, TagCommit))


def test_the_key_is_gone_when_the_commitment_is_out_and_everything_at_the_end() -> None:
    pair = sessions(identifiers(range(9)), identifiers(range(5)))
    keys = {role: pair[role]._key for role in Role}
    gone: dict[Role, bool] = {}

    def watch(message: object) -> list[object]:
        if isinstance(message, TagCommit):
            gone[Role.INITIATOR] = keys[Role.INITIATOR] == bytes(8) and pair[Role.INITIATOR]._key is None
        return [message]

    ends = pump_match(pair, {Role.INITIATOR: watch})
    assert ends[Role.INITIATOR].count == 5
    assert gone == {Role.INITIATOR: True}
    for role in Role:
        assert keys[role] == bytes(8)
        with pytest.raises(RuntimeError, match="destroyed"):
            _ = pair[role].key
        assert len(pair[role]._items) == 0


def test_the_transcript_hash_is_over_what_design_says() -> None:
    seen: dict[tuple[Role, type], object] = {}
    points = dict.fromkeys(Role, b"")

    def watch(role: Role) -> Alter:
        def note(message: object) -> list[object]:
            seen[(role, type(message))] = message
            if isinstance(message, Blinded):
                points[role] += message.points
            return [message]

        return note

    ends = pump_match(
        sessions(identifiers(range(20)), identifiers(range(15, 40))), {role: watch(role) for role in Role}
    )
    outcome: MatchOutcome = ends[Role.INITIATOR]
    hellos = [seen[(role, Hello)] for role in Role]
    sid = digest(Context.SID, *(hello.signed_bytes() for hello in hellos if isinstance(hello, Hello)))
    assert outcome.sid == sid
    blinded = [
        hashlib.sha256(frame(Context.BLINDED, role.value, len(points[role]) // 8) + points[role]).digest()
        for role in Role
    ]
    commitments = []
    for role in Role:
        commit, tags = seen[(role, TagCommit)], seen[(role, Tags)]
        assert isinstance(commit, TagCommit)
        assert isinstance(tags, Tags)
        assert commit.commitment == digest(
            Context.TAGS, sid, role.value, *blinded, tags.nonce, hashlib.sha256(tags.tags).digest()
        )
        commitments.append(commit.commitment)
    assert outcome.th == digest(Context.TH, sid, *blinded, *commitments, 5)
    for role in Role:
        signature = ends[role].counted_own
        KEYS[role].public.verify(frame(Context.COUNTED, role.value, outcome.th), signature)
        assert ends[role.other].counted_partner == signature


def test_two_runs_over_the_same_lists_share_nothing() -> None:
    ours, theirs = identifiers(range(10)), identifiers(range(5, 15))
    one, two = (pump_match(sessions(ours, theirs))[Role.INITIATOR] for _ in range(2))
    assert one.sid != two.sid
    assert one.th != two.th


def test_fixed_randomness_gives_a_fixed_transcript() -> None:
    def run() -> bytes:
        pair = {
            role: match_session(
                role,
                [],
                key=bytes(7) + bytes([number + 2]),
                randbytes=lambda size, number=number: bytes([number]) * size,
            )
            for number, role in enumerate(Role)
        }
        th: bytes = pump_match(pair)[Role.INITIATOR].th
        return th

    assert run() == run()


def test_an_outcome_survives_the_spool() -> None:
    outcome = pump_match(sessions(identifiers(range(20)), identifiers(range(15, 40))))[Role.RESPONDER]
    kept = MatchOutcome.from_bytes(outcome.to_bytes())
    assert kept.transcript == outcome.transcript
    assert np.array_equal(kept.items, outcome.items)
    assert np.array_equal(kept.partner_positions, outcome.partner_positions)
    assert (kept.role, kept.partner_size) == (Role.RESPONDER, 20)
    assert outcome.items.tobytes().hex()[:16] not in repr(outcome)


@pytest.mark.parametrize("damage", [b"", b"\x00\x00", b"\xff" * 40])
def test_other_bytes_are_no_outcome(damage: bytes) -> None:
    with pytest.raises(ValueError, match="not"):
        MatchOutcome.from_bytes(damage)
    whole = pump_match(sessions([], []))[Role.INITIATOR].to_bytes()
    with pytest.raises(ValueError, match="not"):
        MatchOutcome.from_bytes(whole[:-1])


@pytest.mark.parametrize(
    ("low", "high", "code"), [(0, 4, ErrorCode.SET_TOO_LARGE), (6, 9, ErrorCode.SET_TOO_SMALL)]
)
def test_an_own_list_out_of_bounds_never_starts(low: int, high: int, code: ErrorCode) -> None:
    with pytest.raises(MutualsError, match="Our list has 5 items") as caught:
        match_session(
            Role.INITIATOR, identifiers(range(5)), replace(TERMS, min_set_size=low, max_set_size=high)
        )
    assert caught.value.code is code


def test_an_own_item_twice_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="distinct"):
        match_session(Role.INITIATOR, identifiers([1, 2, 1]))


def test_calls_out_of_order_are_our_own_mistake() -> None:
    session = match_session(Role.RESPONDER, [])
    with pytest.raises(RuntimeError, match="not possible"):
        session.start()
    with pytest.raises(RuntimeError, match="not possible"):
        session.proceed()
    session.destroy()
    session.destroy()
    with pytest.raises(RuntimeError, match="over"):
        session.receive(TagCommit(bytes(32)))


@needs_openmined
@settings(max_examples=8)
@given(st.sets(st.integers(0, 25), max_size=16), st.sets(st.integers(0, 25), max_size=16))
def test_both_engines_find_the_same(ours: set[int], theirs: set[int]) -> None:
    lists = identifiers(ours), identifiers(theirs)
    found = {engine: overlap_by_protocol(*lists, engine) for engine in ("x25519", "openmined")}
    shared = sorted(row.tobytes() for row in items_for(TERMS.agreement, identifiers(ours & theirs)))
    for left, right in found.values():
        assert left == right  # by rank: the same pairs on both sides
        assert sorted(left) == shared
