"""What leaves is what was shown and authorised, or nothing: whatever changes between the look and the sending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import Company, Pair, contact
from support.peers import Ends, run_both
from support.revealed import Snapshot, authorise, authorise_both, exchange, reveal_once
from support.streams import MemoryStream

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Role, RunState
from mutuals.obligations.revoke import carry_out, lift_revocation, plan_revocation
from mutuals.protocol import exchange as protocol
from mutuals.protocol.messages import EnvelopeAck, ExchangeStart
from mutuals.runs import preview as preview_module
from mutuals.runs.authorisation import standing_previews
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.moved import exchange_summary
from mutuals.runs.outgoing import authorise_preview, stored_envelopes
from mutuals.runs.preview import Preview, preview_exchange

LEFT = [contact(f"L{i}", f"person{i}@example.com", city=f"Planted City {i}") for i in range(6)]
RIGHT = [contact(f"R{i}", f"person{i}@example.com", score=str(i)) for i in range(6)]
ROWS = {"left": LEFT, "right": RIGHT}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT)


@pytest.fixture(scope="module")
def mandated(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT, permission={"exchange": "mandate"})


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def mandates(mandated: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with mandated.copy(tmp_path) as pair:
        yield pair


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_RECORDS_PER_ENVELOPE", 2)


def company(pair: Pair, name: str) -> Company:
    return pair.sides[Side.PROPOSER if name == "left" else Side.PARTNER]


def changed(name: str) -> list[dict[str, str]]:
    """The list of that side with another value in one row."""
    field = "city" if name == "left" else "score"
    return [row | {field: "999"} if number == 3 else row for number, row in enumerate(ROWS[name])]


def withdraw(side: Company, *contacts: str) -> None:
    carry_out(side.peer, plan_revocation(side.peer, contacts, "withdrawal", side.keys), side.keys)


def assert_nothing_moved(pair: Pair, run_id: str) -> None:
    for side in pair.sides.values():
        run = side.run(run_id)
        assert run.state is RunState.REVEALED
        assert not stored_envelopes(side.peer, run)
        with side.peer.store.transaction() as tx:
            assert tx.received.count(run_id) == 0


def call(
    pair: Pair,
    run_id: str,
    *,
    expected: bytes | None = None,
    at: Callable[[Any], None] | None = None,
) -> Ends:
    """An exchange in which ``at`` sees every message of the responder before the initiator does."""

    def watched(stream: MemoryStream) -> MemoryStream:
        def alter(message: Any) -> list[Any]:
            if at is not None:
                at(message)
            return [message]

        stream.alter = alter
        return stream

    return run_both(
        {
            Role.INITIATOR: lambda s: initiate_exchange(pair.left.peer, run_id, s, expected=expected),
            Role.RESPONDER: lambda s: respond_exchange(pair.right.peer, pair.right.partner(), watched(s)),
        }
    )


def code(ends: Ends, role: Role) -> ErrorCode:
    error = ends.errors[role]
    assert isinstance(error, MutualsError), error
    return error.code


def refused(code: ErrorCode, act: Callable[[], object]) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        act()
    assert caught.value.code is code
    return caught.value


# --- the source -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_source_changed_after_the_look_sends_nothing(pair: Pair, snapshot: Snapshot, side: str) -> None:
    seen: Preview = preview_exchange(company(pair, side).peer, snapshot.run_id)
    company(pair, side).write(changed(side))  # while the question was on the screen
    authorise_preview(company(pair, side).peer, seen, company(pair, side).keys)
    authorise(company(pair, "right" if side == "left" else "left"), snapshot.run_id)
    ends = exchange(pair, snapshot.run_id)
    if side == "left":
        assert code(ends, Role.INITIATOR) is ErrorCode.PREVIEW_CHANGED
    else:  # why is nothing that the partner is told
        assert code(ends, Role.RESPONDER) is ErrorCode.NOT_AUTHORISED_YET
    assert_nothing_moved(pair, snapshot.run_id)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_same_records_in_another_order_are_the_same_preview(
    pair: Pair, snapshot: Snapshot, side: str
) -> None:
    before = preview_exchange(company(pair, side).peer, snapshot.run_id)
    authorise_both(pair, snapshot.run_id)
    company(pair, side).write([contact("new", "nobody@example.com"), *reversed(ROWS[side])])
    after = preview_exchange(company(pair, side).peer, snapshot.run_id)
    assert (after.digest, after.id) == (before.digest, before.id)
    assert not exchange(pair, snapshot.run_id).errors
    summary = exchange_summary(company(pair, side).peer, company(pair, side).run(snapshot.run_id))
    assert summary.preview == before.id


# --- what else a preview rests on -----------------------------------------------------------------------------------


def test_what_is_authorised_rests_on_what_it_rested_on_when_it_was_shown(
    pair: Pair, snapshot: Snapshot
) -> None:
    seen = preview_exchange(pair.left.peer, snapshot.run_id)
    act = lambda: authorise_preview(pair.left.peer, seen, pair.left.keys)  # noqa: E731
    withdraw(pair.left, "L0")
    assert "withdrawn" in refused(ErrorCode.PREVIEW_CHANGED, act).message
    seen = preview_exchange(pair.left.peer, snapshot.run_id)
    pair.left.clock.now += timedelta(minutes=1)
    lift_revocation(pair.left.peer, ["L0"], pair.left.keys)
    withdraw(pair.left, "L1")  # as many as before
    assert "withdrawn" in refused(ErrorCode.PREVIEW_CHANGED, act).message
    seen = preview_exchange(pair.left.peer, snapshot.run_id)
    pair.left.clock.now += timedelta(days=1)
    assert "new day" in refused(ErrorCode.PREVIEW_CHANGED, act).message
    seen = preview_exchange(pair.left.peer, snapshot.run_id)
    with pair.left.peer.store.transaction() as tx:
        tx.runs.update(snapshot.run_id, {RunState.REVEALED}, state=RunState.EXPIRED)
    refused(ErrorCode.RUN_STATE, act)
    with pair.left.peer.store.transaction() as tx:
        assert not tx.authorisations.given("exchange", snapshot.run_id)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_consent_that_ends_at_midnight_is_not_sent_after_it(
    pair: Pair, snapshot: Snapshot, side: str
) -> None:
    own = company(pair, side)
    last = own.clock().date() - timedelta(days=730)
    own.write([row | {"consent_at": str(last), "notified_at": str(last)} for row in ROWS[side]])
    authorise_both(pair, snapshot.run_id)

    def midnight(message: Any) -> None:
        if isinstance(message, ExchangeStart):  # both have prepared, nothing has left
            own.clock.now += timedelta(days=1)

    ends = call(pair, snapshot.run_id, at=midnight)
    assert ends.errors
    assert_nothing_moved_from(own, snapshot.run_id)
    # What is authorised now is the preview of that day, in which nobody takes part.
    authorise(own, snapshot.run_id)
    assert not exchange(pair, snapshot.run_id).errors
    assert exchange_summary(own.peer, own.run(snapshot.run_id)).contacts_sent == 0


def assert_nothing_moved_from(own: Company, run_id: str) -> None:
    assert own.run(run_id).state is RunState.REVEALED
    assert not stored_envelopes(own.peer, own.run(run_id))


def test_midnight_alone_stops_nothing(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)

    def midnight(message: Any) -> None:
        if isinstance(message, ExchangeStart):
            pair.left.clock.now += timedelta(days=1)

    assert not call(pair, snapshot.run_id, at=midnight).errors


def test_a_withdrawal_between_two_envelopes_stops_what_is_left(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    seen: list[Any] = []

    def withdrawing(message: Any) -> None:
        if isinstance(message, EnvelopeAck) and not seen:
            seen.append(message)
            withdraw(pair.left, *(row["contact_id"] for row in LEFT))

    ends = call(pair, snapshot.run_id, at=withdrawing)
    assert code(ends, Role.INITIATOR) is ErrorCode.STALE
    with pair.right.peer.store.transaction() as tx:
        assert tx.received.count(snapshot.run_id) == 2


# --- mandates -------------------------------------------------------------------------------------------------------


def test_under_a_mandate_too_what_was_shown_is_sent_or_nothing(mandates: Pair, mandated: Snapshot) -> None:
    seen = preview_exchange(mandates.left.peer, mandated.run_id)
    mandates.left.write(changed("left"))
    ends = call(mandates, mandated.run_id, expected=seen.digest)
    assert code(ends, Role.INITIATOR) is ErrorCode.PREVIEW_CHANGED
    assert seen.id in str(ends.errors[Role.INITIATOR])
    assert_nothing_moved(mandates, mandated.run_id)
    now = preview_exchange(mandates.left.peer, mandated.run_id)
    assert not call(mandates, mandated.run_id, expected=now.digest).errors


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_mandate_takes_the_place_of_a_preview_that_was_authorised(
    mandates: Pair, mandated: Snapshot, side: str
) -> None:
    own = company(mandates, side)
    authorise(own, mandated.run_id)
    own.write(changed(side))
    for _ in range(2):  # the first voids the authorisation; the second must not fall back on the mandate
        assert exchange(mandates, mandated.run_id).errors
        assert_nothing_moved(mandates, mandated.run_id)
    run = own.run(mandated.run_id)
    with own.peer.store.transaction() as tx:
        assert not standing_previews(tx, run, own.clock())
    authorise(own, mandated.run_id)
    assert not exchange(mandates, mandated.run_id).errors


def test_no_mandate_takes_the_place_of_an_authorisation_that_expired(
    mandates: Pair, mandated: Snapshot
) -> None:
    authorise(mandates.left, mandated.run_id)
    mandates.left.clock.now += timedelta(days=8)
    assert code(exchange(mandates, mandated.run_id), Role.INITIATOR) is ErrorCode.NOT_AUTHORISED_YET


# --- names ----------------------------------------------------------------------------------------------------------


def test_the_log_names_the_preview_at_each_step(pair: Pair, snapshot: Snapshot) -> None:
    first = preview_exchange(pair.left.peer, snapshot.run_id)
    authorise_both(pair, snapshot.run_id)
    pair.left.write(changed("left"))
    second = preview_exchange(pair.left.peer, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    authorise(pair.left, snapshot.run_id)
    assert not exchange(pair, snapshot.run_id).errors
    with pair.left.peer.store.transaction() as tx:
        entries = [
            (entry.event, entry.body.get("authorised"), entry.body["preview"])
            for entry in tx.log.entries(pair.digest)
            if "preview" in entry.body
        ]
    assert entries == [
        ("exchange.authorised", None, first.id),
        ("run.preview_changed", first.id, second.id),
        ("exchange.authorised", None, second.id),
        ("run.exchange_prepared", None, second.id),
    ]


def test_the_values_are_at_hand_only_for_who_looks(pair: Pair, snapshot: Snapshot) -> None:
    assert preview_exchange(pair.left.peer, snapshot.run_id).outgoing.columns
    run = pair.left.run(snapshot.run_id)
    active = preview_exchange(pair.left.peer, snapshot.run_id).active
    assert not preview_module.preview_run(pair.left.peer, run, active).outgoing.columns
