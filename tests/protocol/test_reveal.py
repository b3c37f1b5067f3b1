from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.peers import KEYS, NO_HOOKS, match_session, reveal, reveal_session, shared_items
from support.pump import pump_match, pump_reveal
from support.streams import Alter

from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, frame
from mutuals.models.run import Role
from mutuals.protocol.messages import Approve, ConfirmMac, ConfirmShare, Positions
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.reveal import AboutToReveal, Paired, RevealState
from mutuals.runs.drive_reveal import RevealHooks

Outcomes = dict[Role, MatchOutcome]


def matched(own: int = 30, shared: int = 12) -> Outcomes:
    numbers = {Role.INITIATOR: range(own), Role.RESPONDER: range(own - shared, 2 * own - shared)}
    ends = pump_match(
        {role: match_session(role, [f"email:user{n}@example.com" for n in numbers[role]]) for role in Role}
    )
    return {role: ends[role] for role in Role}


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    return matched()


def test_both_sides_rank_the_same_pairs_by_handle(outcomes: Outcomes) -> None:
    ends = reveal(outcomes)
    items = {role: shared_items(outcomes[role], ends[role]) for role in Role}
    assert items[Role.INITIATOR] == items[Role.RESPONDER]
    assert len(items[Role.INITIATOR]) == 12
    message = frame(Context.PAIR, outcomes[Role.INITIATOR].sid)
    handles = [hmac.digest(item, message, "sha256") for item in items[Role.INITIATOR]]
    assert handles == sorted(handles)


def test_an_empty_overlap_can_be_revealed() -> None:
    assert [len(reveal(matched(3, 0))[role]) for role in Role] == [0, 0]


def test_many_positions_travel_in_chunks() -> None:
    outcomes = matched(20_000, 20_000)
    ends = reveal(outcomes)
    assert shared_items(outcomes[Role.INITIATOR], ends[Role.INITIATOR]) == shared_items(
        outcomes[Role.RESPONDER], ends[Role.RESPONDER]
    )


# --- the order of things --------------------------------------------------------------------------------------------


def test_nothing_leaves_before_its_hook_and_the_responder_waits_for_the_initiator(outcomes: Outcomes) -> None:
    log: list[str] = []

    def note(what: str) -> Callable[..., None]:
        return lambda *_: log.append(what)

    def watch(role: Role) -> Alter:
        def alter(message: Any) -> list[Any]:
            log.append(f"{role}: {type(message).__name__}")
            return [message]

        return alter

    hooks = {
        role: RevealHooks(
            note(f"{role} rechecks"),
            note(f"{role} will reveal"),
            note(f"{role} checks pairs"),
            note(f"{role} reveals"),
        )
        for role in Role
    }
    reveal(outcomes, hooks, {role: watch(role) for role in Role})

    def before(first: str, second: str) -> bool:
        return log.index(first) < log.index(second)

    assert before("responder rechecks", "responder: Approve")
    assert before("initiator rechecks", "initiator will reveal")
    for role in Role:
        assert before(f"{role} rechecks", "initiator: Positions")
        assert before(f"{role} will reveal", f"{role} reveals")
        assert before(f"{role} reveals", f"{role}: Positions")
        assert before(f"{role} checks pairs", f"{role}: ConfirmShare")
    assert before("initiator: Positions", "responder: Positions")
    assert before("initiator: ConfirmShare", "responder: ConfirmShare")
    assert before("responder: ConfirmMac", "initiator: ConfirmMac")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("hook", ["recheck", "before_positions"])
def test_a_hook_that_raises_keeps_the_positions_at_home(outcomes: Outcomes, role: Role, hook: str) -> None:
    left: list[Role] = []

    def refuse() -> None:
        raise MutualsError(ErrorCode.STALE, "A contact withdrew.")

    def watch(who: Role) -> Alter:
        def alter(message: Any) -> list[Any]:
            if isinstance(message, Positions):
                left.append(who)
            return [message]

        return alter

    ends = reveal(outcomes, {role: replace(NO_HOOKS, **{hook: refuse})}, {who: watch(who) for who in Role})
    error = ends.errors[role]
    assert isinstance(error, MutualsError)
    assert error.code is ErrorCode.STALE
    assert role not in left
    if hook == "recheck":
        assert left == []


@pytest.mark.parametrize("role", list(Role))
def test_pairs_below_the_threshold_are_never_confirmed(outcomes: Outcomes, role: Role) -> None:
    def refuse(positions: np.ndarray) -> None:
        assert len(positions) == 12
        raise MutualsError(ErrorCode.BELOW_THRESHOLD, "Too few contacts.")

    ends = reveal(outcomes, {role: replace(NO_HOOKS, check_pairs=refuse)})
    assert isinstance(ends.errors[role], MutualsError)
    assert role.other in ends.errors
    assert not ends.results


# --- a partner who cheats -------------------------------------------------------------------------------------------

Change = Callable[[Any], list[Any]]


def cheated(outcomes: Outcomes, kind: type, change: Change, cheat: Role) -> PartnerFault:
    sessions = {role: reveal_session(outcomes[role]) for role in Role}
    alter: Alter = lambda message: change(message) if isinstance(message, kind) else [message]  # noqa: E731
    ends = pump_reveal(sessions, {cheat: alter})
    error = ends.errors.get(cheat.other)
    assert isinstance(error, PartnerFault), error
    assert cheat.other not in ends.results
    assert sessions[cheat.other].state is RevealState.FAILED
    return error


def swapped(message: Positions) -> list[Positions]:
    first, second, *rest = message.positions
    return [replace(message, positions=(second, first, *rest))]


def unused(message: Positions) -> int:
    return min(set(range(30)) - set(message.positions))


POSITION_CHANGES: dict[str, tuple[Change, str]] = {
    "repeated": (lambda m: [replace(m, positions=(m.positions[1], *m.positions[1:]))], "twice"),
    "out of range": (lambda m: [replace(m, positions=(30, *m.positions[1:]))], "outside"),
    "far out of range": (lambda m: [replace(m, positions=(2**32 - 1, *m.positions[1:]))], "outside"),
    "too many": (lambda m: [replace(m, positions=(*m.positions, unused(m)))], "more positions"),
    "from a later place": (lambda m: [replace(m, start=1)], "where 0 was due"),
    "an empty message": (lambda m: [replace(m, positions=()), m], "without positions"),
    "too few": (lambda m: [replace(m, positions=m.positions[:-1]), ConfirmShare(bytes(33))], "not due"),
    "sent again": (lambda m: [m, m], "not due"),
}


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize("name", POSITION_CHANGES)
def test_positions_that_are_not_what_was_counted_are_refused(
    outcomes: Outcomes, name: str, cheat: Role
) -> None:
    change, words = POSITION_CHANGES[name]
    fault = cheated(outcomes, Positions, change, cheat)
    assert fault.code is ErrorCode.BAD_MESSAGE
    assert words in fault.message


@pytest.mark.parametrize("cheat", list(Role))
def test_one_displaced_position_is_caught_by_the_confirmation(outcomes: Outcomes, cheat: Role) -> None:
    """The cheat's own software does not stop where the honest side's proof is not what it expected."""
    sessions = {role: reveal_session(outcomes[role]) for role in Role}

    def displace(message: Any) -> list[Any]:
        if isinstance(message, Positions):
            return [replace(message, positions=(unused(message), *message.positions[1:]))]
        if isinstance(message, ConfirmShare):
            vars(sessions[cheat]._confirmation)["check_mac"] = lambda mac: None
        return [message]

    ends = pump_reveal(sessions, {cheat: displace})
    error = ends.errors[cheat.other]
    assert isinstance(error, PartnerFault)
    assert error.code is ErrorCode.CONFIRMATION_FAILED
    assert cheat.other not in ends.results


@pytest.mark.parametrize("cheat", list(Role))
def test_positions_in_another_order_name_the_same_pairs(outcomes: Outcomes, cheat: Role) -> None:
    """Ranks come from the items, not from the order of the positions, so a permutation moves no record."""
    sessions = {role: reveal_session(outcomes[role]) for role in Role}
    ends = pump_reveal(sessions, {cheat: lambda m: swapped(m) if isinstance(m, Positions) else [m]})
    assert shared_items(outcomes[Role.INITIATOR], ends[Role.INITIATOR]) == shared_items(
        outcomes[Role.RESPONDER], ends[Role.RESPONDER]
    )


APPROVE_CHANGES: dict[str, tuple[Change, ErrorCode]] = {
    "another run": (lambda m: [replace(m, sid=b"\x01" * 32)], ErrorCode.RUN_UNKNOWN),
    "no signature": (lambda m: [replace(m, signature=bytes(64))], ErrorCode.BAD_MESSAGE),
    "positions first": (lambda m: [Positions(0, (1,)), m], ErrorCode.BAD_MESSAGE),
    "twice": (lambda m: [m, m], ErrorCode.BAD_MESSAGE),
}


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize("name", APPROVE_CHANGES)
def test_an_approval_of_anything_else_is_refused(outcomes: Outcomes, name: str, cheat: Role) -> None:
    change, code = APPROVE_CHANGES[name]
    assert cheated(outcomes, Approve, change, cheat).code is code


def test_an_approval_of_another_count_is_refused(outcomes: Outcomes) -> None:
    other = {
        role: replace(outcomes[role], transcript=replace(outcomes[role].transcript, count=11))
        for role in Role
    }
    ends = pump_reveal(
        {
            Role.INITIATOR: reveal_session(other[Role.INITIATOR]),
            Role.RESPONDER: reveal_session(outcomes[Role.RESPONDER]),
        }
    )
    assert isinstance(ends.errors[Role.RESPONDER], PartnerFault)


def test_our_own_approval_sent_back_is_refused(outcomes: Outcomes) -> None:
    session = reveal_session(outcomes[Role.INITIATOR])
    (ours,) = session.start()
    with pytest.raises(PartnerFault, match="approval"):
        session.receive(ours.message)


@pytest.mark.parametrize("cheat", list(Role))
@pytest.mark.parametrize("kind", [ConfirmShare, ConfirmMac])
def test_a_confirmation_message_that_is_noise_is_refused(outcomes: Outcomes, kind: type, cheat: Role) -> None:
    noise = ConfirmShare(b"\x09" * 33) if kind is ConfirmShare else ConfirmMac(bytes(32))
    assert cheated(outcomes, kind, lambda m: [noise], cheat).code is ErrorCode.CONFIRMATION_FAILED


def test_our_own_confirmation_sent_back_is_refused(outcomes: Outcomes) -> None:
    """The initiator hears its own share, as it is and with the side byte of the other side, then its own MAC."""
    sent: list[Any] = []

    def hold(message: Any) -> list[Any]:
        sent.append(message)
        return [message]

    for marker in (None, b"B"):
        sent.clear()
        session = reveal_session(outcomes[Role.INITIATOR])
        drop: Alter = lambda m: [] if isinstance(m, ConfirmShare | ConfirmMac) else [m]  # noqa: E731
        pump_reveal(
            {Role.INITIATOR: session, Role.RESPONDER: reveal_session(outcomes[Role.RESPONDER])},
            {Role.INITIATOR: hold, Role.RESPONDER: drop},
        )
        share = next(message.share for message in sent if isinstance(message, ConfirmShare))
        echo = share if marker is None else marker + share[1:]
        with pytest.raises(PartnerFault) as caught:
            session.receive(ConfirmShare(echo))
        assert caught.value.code is ErrorCode.CONFIRMATION_FAILED


def test_a_mac_before_the_share_is_refused(outcomes: Outcomes) -> None:
    fault = cheated(outcomes, ConfirmShare, lambda m: [ConfirmMac(bytes(32)), m], Role.RESPONDER)
    assert "not due" in fault.message


def test_the_initiators_proof_stays_home_where_the_responders_was_wrong(outcomes: Outcomes) -> None:
    left: list[Any] = []

    def watch(message: Any) -> list[Any]:
        left.append(message)
        return [message]

    pump_reveal(
        {role: reveal_session(outcomes[role]) for role in Role},
        {
            Role.INITIATOR: watch,
            Role.RESPONDER: lambda m: [ConfirmMac(bytes(32))] if isinstance(m, ConfirmMac) else [m],
        },
    )
    assert not any(isinstance(message, ConfirmMac) for message in left)


# --- our own mistakes -----------------------------------------------------------------------------------------------


def test_calls_out_of_order_are_our_own_mistake(outcomes: Outcomes) -> None:
    session = reveal_session(outcomes[Role.RESPONDER])
    for call in (session.start, session.approve, session.release, session.confirm):
        with pytest.raises(RuntimeError, match="not possible"):
            call()


def test_a_dead_session_stays_dead(outcomes: Outcomes) -> None:
    session = reveal_session(outcomes[Role.RESPONDER])
    with pytest.raises(PartnerFault):
        session.receive(ConfirmMac(bytes(32)))
    with pytest.raises(RuntimeError, match="over"):
        session.receive(Approve(outcomes[Role.RESPONDER].sid, bytes(64)))


def test_the_log_line_of_an_event_tells_no_position(outcomes: Outcomes) -> None:
    assert repr(Paired(np.arange(3, dtype=np.uint32))) == "Paired()"
    assert repr(AboutToReveal()) == "AboutToReveal()"


def test_the_approval_covers_role_and_transcript(outcomes: Outcomes) -> None:
    outcome = outcomes[Role.INITIATOR]
    (sent,) = reveal_session(outcome).start()
    KEYS[Role.INITIATOR].public.verify(
        frame(Context.APPROVE, Role.INITIATOR.value, outcome.th), sent.message.signature
    )
