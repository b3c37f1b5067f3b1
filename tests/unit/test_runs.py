"""Match and reveal with both peers' stores, sources and agreements: guards, states, budgets, what is destroyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pairing import Company, Pair, contact, deliver, paired

from mutuals.documents import take_document
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Run, RunState
from mutuals.protocol.items import items_for, row_keys
from mutuals.runs import match as runs_match
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.keys import subject
from mutuals.runs.lifecycle import describe, expire_runs
from mutuals.runs.outgoing import authorisation_for
from mutuals.runs.prepare import OrderedItems, order_items
from mutuals.runs.preview import preview_exchange
from mutuals.runs.reveal import initiate_reveal, respond_reveal
from mutuals.runs.spool import load_matched, load_overlap
from mutuals.runs.waiting import waits_for
from mutuals.signed_documents import sign_document
from mutuals.transport.streams import left_early

LEFT = [contact(f"L{i}", f"person{i}@example.com", city=f"City {i}") for i in range(8)]
RIGHT = [contact(f"R{i}", f"Person{i}@Example.com ", score=str(i)) for i in range(4, 12)]
ROWS = {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT}


def authorise(pair: Pair, run: Run) -> None:
    for side in pair.sides.values():
        authorise_reveal(side.peer, side.run(run.run_id), side.keys)


def refused(action: Callable[[], Any]) -> ErrorCode:
    with pytest.raises(MutualsError) as caught:
        action()
    return caught.value.code


def spools(pair: Pair) -> Sequence[Path]:
    return [path for side in pair.sides.values() for path in side.peer.home.spool.iterdir()]


def test_match_and_reveal_give_both_sides_the_same_pairs(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        left, right = pair.match()
        assert (left.count, right.count) == (4, 4)
        assert left.th == right.th
        assert left.run_id == right.run_id
        authorise(pair, left)
        left, right = pair.reveal(left.run_id)
        assert left.state is right.state is RunState.REVEALED
        ours = load_overlap(pair.left.peer, left).pairs
        theirs = load_overlap(pair.right.peer, right).pairs
        found = {(own[0], other[0]) for own, other in zip(ours, theirs, strict=True)}
        assert found == {(f"L{i}", f"R{i}") for i in range(4, 8)}


def test_reveal_waits_until_both_sides_authorised_it(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.NOT_AUTHORISED_YET
        authorise_reveal(pair.left.peer, run, pair.left.keys)
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.NOT_AUTHORISED_YET
        assert pair.left.run(run.run_id).state is RunState.COUNTED
        assert pair.right.run(run.run_id).state is RunState.COUNTED
        authorise_reveal(pair.right.peer, pair.right.run(run.run_id), pair.right.keys)
        assert pair.reveal(run.run_id)[0].state is RunState.REVEALED


def test_contact_withdrawn_between_count_and_reveal_destroys_the_run(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        authorise(pair, run)
        pair.right.write([row | {"consent": ""} if row["contact_id"] == "R9" else row for row in RIGHT])
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.STALE
        right = pair.right.run(run.run_id)
        assert (right.state, right.spool_key) == (RunState.STALE, None)
        with pair.right.peer.store.transaction() as tx:
            assert tx.keys.wrapped(subject(run.run_id), "anna") is None
        assert not list(pair.right.peer.home.spool.iterdir())
        again, _ = pair.match()
        assert again.count == 4


def test_count_only_keeps_nothing_but_the_count(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        left, right = pair.match(count_only=True)
        assert left.state is right.state is RunState.COUNT_ONLY
        assert (left.count, left.spool_key, right.spool_key) == (4, None, None)
        assert not spools(pair)


def test_overlap_below_the_minimum_ends_the_run_and_shows_no_count(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS, matching={"min_overlap": 5}) as pair:
        assert refused(pair.match) is ErrorCode.BELOW_THRESHOLD
        for side in pair.sides.values():
            with side.peer.store.transaction() as tx:
                (run,) = tx.runs.list()
            assert (run.state, run.count, run.spool_key) == (RunState.BELOW_THRESHOLD, None, None)
        assert not spools(pair)


def test_minimum_holds_for_distinct_contacts_too(tmp_path: Path) -> None:
    phones = {
        Side.PROPOSER: [contact(f"L{i}", f"p{i}@example.com", f"+4915112345{i:03}") for i in range(3)],
        Side.PARTNER: [contact(f"R{i}", f"p{i}@example.com", f"015112345{i:03}") for i in range(3)],
    }
    with paired(tmp_path, phones, matching={"min_overlap": 4}) as pair:
        run, _ = pair.match()
        assert run.count == 6
        authorise(pair, run)
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.BELOW_THRESHOLD
        assert pair.right.run(run.run_id).state is not RunState.REVEALED
        assert not spools(pair)


@pytest.mark.parametrize(
    ("matching", "code"),
    [
        ({"min_set_size": 9}, ErrorCode.SET_TOO_SMALL),
        ({"max_set_size": 7}, ErrorCode.SET_TOO_LARGE),
        ({"items_per_30_days": 7}, ErrorCode.BUDGET_EXHAUSTED),
    ],
)
def test_a_set_outside_the_bounds_is_refused_before_anything_is_charged(
    tmp_path: Path, matching: dict[str, int], code: ErrorCode
) -> None:
    with paired(tmp_path, ROWS, matching=matching) as pair:
        assert refused(pair.match) is code
        with pair.left.peer.store.transaction() as tx:
            assert tx.runs.list() == []


def test_budget_counts_runs_over_30_days_and_refunds_none(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS, matching={"runs_per_30_days": 2}) as pair:
        pair.match(count_only=True)
        pair.match()
        assert refused(pair.match) is ErrorCode.BUDGET_EXHAUSTED
        pair.left.clock.now += timedelta(days=30, seconds=1)
        assert pair.match()[0].count == 4


def test_difference_between_two_counts_tells_nothing_about_few_contacts(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS, matching={"min_change_between_runs": 3}) as pair:
        pair.match()
        pair.left.write(LEFT[:-1])
        assert refused(pair.match) is ErrorCode.AGREEMENT_FORBIDS
        pair.left.write(LEFT[:-3])
        assert pair.match()[0].count == 1


@pytest.mark.parametrize("state", [s for s in AgreementState if s is not AgreementState.ACTIVE])
def test_no_match_unless_the_agreement_is_active(tmp_path: Path, state: AgreementState) -> None:
    with paired(tmp_path, ROWS) as pair:
        with pair.right.peer.store.transaction() as tx:
            tx.agreements.set_state(pair.digest, state, pair.right.clock(), None)
        assert refused(pair.match) is ErrorCode.AGREEMENT_NOT_ACTIVE


def test_an_agreement_suspended_while_the_list_is_read_begins_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with paired(tmp_path, ROWS) as pair:

        def slowly(*args: Any) -> OrderedItems:
            with pair.right.peer.store.transaction() as tx:
                tx.agreements.set_state(pair.digest, AgreementState.SUSPENDED, pair.right.clock(), None)
            return order_items(*args)

        monkeypatch.setattr(runs_match, "order_items", slowly)
        assert refused(pair.match) is ErrorCode.AGREEMENT_NOT_ACTIVE
        with pair.right.peer.store.transaction() as tx:
            assert not tx.runs.list()


def test_no_match_after_the_term_and_no_reveal_after_its_date(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        authorise(pair, run)
        pair.left.clock.now += timedelta(days=15)
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.RUN_STATE
        for side in pair.sides.values():
            expire_runs(side.peer)
            expired = side.run(run.run_id)
            assert (expired.state, expired.spool_key) == (RunState.EXPIRED, None)
        assert not spools(pair)
        pair.left.clock.now += timedelta(days=100)
        assert refused(pair.match) is ErrorCode.AGREEMENT_NOT_ACTIVE


def test_half_revealed_run_blocks_new_ones(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        with pair.left.peer.store.transaction() as tx:
            tx.runs.update(run.run_id, {RunState.COUNTED}, state=RunState.HALF_REVEALED)
        assert refused(pair.match) is ErrorCode.BLOCKED


def test_clocks_an_hour_apart_are_refused(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        now = pair.left.clock.now
        pair.right.peer.clock = lambda: now + timedelta(hours=1)
        assert refused(pair.match) is ErrorCode.CLOCK_SKEW


def test_padding_hides_the_size_and_changes_nothing_else(tmp_path: Path) -> None:
    many = [contact(f"L{i}", f"person{i}@example.com") for i in range(30)]
    rows = {Side.PROPOSER: many, Side.PARTNER: RIGHT}
    with paired(tmp_path, rows, matching={"pad_sizes": True}) as pair:
        left, right = pair.match()
        assert 30 < left.own_size == right.partner_size <= 37
        assert left.count == 8
        with pair.right.peer.store.transaction() as tx:  # what is charged is what was announced
            charged = tx.budgets.usage(right.partner, right.opened_at - timedelta(days=1))
        assert charged.items == left.own_size
        matched = load_matched(pair.left.peer, left)
        known = items_for(bytes.fromhex(pair.digest), [f"email:person{i}@example.com" for i in range(30)])
        real = np.setdiff1d(np.arange(left.own_size), matched.dummies)
        assert len(matched.dummies) == left.own_size - 30
        assert sorted(row_keys(matched.outcome.items[real])) == sorted(row_keys(known))
        authorise(pair, left)
        left, _ = pair.reveal(left.run_id)
        assert load_overlap(pair.left.peer, left).count == 8


def test_partner_is_told_that_a_run_became_stale(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        authorise(pair, run)
        pair.left.write([row | {"suppressed": "true"} if row["contact_id"] == "L1" else row for row in LEFT])
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.STALE
        assert pair.right.run(run.run_id).state is RunState.COUNTED
        deliver(pair.left, pair.right)
        ended = pair.right.run(run.run_id)
        assert (ended.state, ended.spool_key) == (RunState.STALE, None)
        expire_runs(pair.right.peer)
        assert not spools(pair)


def test_a_reveal_stopped_before_any_position_left_can_be_tried_again(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        authorise(pair, run)
        left, right = pair.left, pair.right
        code = refused(
            lambda: pair.both(
                lambda stream: initiate_reveal(
                    left.peer,
                    run.run_id,
                    stream,
                    cancelled=lambda: left.run(run.run_id).state is RunState.REVEALING,
                ),
                lambda stream: respond_reveal(right.peer, right.partner(), stream),
            )
        )
        assert code is ErrorCode.CANCELLED
        assert [side.run(run.run_id).state for side in (left, right)] == [RunState.COUNTED] * 2
        assert left.run(run.run_id).reveal_by == run.reveal_by
        assert pair.reveal(run.run_id)[0].state is RunState.REVEALED


def test_initiator_below_the_minimum_spares_the_partner_a_half_revealed_run(tmp_path: Path) -> None:
    """One contact of the initiator holds what two of the responder hold: the minimum fails on one side alone."""
    rows = {
        Side.PROPOSER: [
            contact("L1", "p1@example.com;p2@example.com"),
            contact("L2", "p3@example.com"),
        ],
        Side.PARTNER: [contact(f"R{i}", f"p{i}@example.com") for i in (1, 2, 3)],
    }
    with paired(tmp_path, rows, matching={"min_overlap": 3}) as pair:
        run, _ = pair.match()
        authorise(pair, run)
        assert refused(lambda: pair.reveal(run.run_id)) is ErrorCode.BELOW_THRESHOLD
        deliver(pair.left, pair.right)
        for side in pair.sides.values():
            assert side.run(run.run_id).state is RunState.BELOW_THRESHOLD
        assert not spools(pair)
        assert pair.match()[0].count == 3


@pytest.mark.parametrize(
    "note",
    [
        {"sid": "00" * 32, "state": "stale"},
        {"sid": "zz", "state": "stale"},
        {"state": "stale"},
        {"sid": 7, "state": "stale"},
        {"sid": "00" * 32, "state": "done"},
        {"sid": "00" * 32, "state": ["stale"]},
    ],
)
def test_a_note_about_no_run_of_ours_is_refused(tmp_path: Path, note: dict[str, Any]) -> None:
    with paired(tmp_path, ROWS) as pair:
        document = sign_document(pair.left.peer, "run-ended", note)
        assert not take_document(pair.right.peer, pair.right.partner(), document).accepted


def test_a_note_does_not_undo_a_run_that_is_done_or_failed(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        with pair.right.peer.store.transaction() as tx:
            tx.runs.update(run.run_id, {RunState.COUNTED}, state=RunState.DONE)
        note = sign_document(pair.left.peer, "run-ended", {"sid": run.sid.hex(), "state": "stale"})
        assert take_document(pair.right.peer, pair.right.partner(), note).accepted
        assert pair.right.run(run.run_id).state is RunState.DONE


def waiting(company: Company, run: Run) -> str | None:
    current = company.run(run.run_id)
    with company.peer.store.transaction() as tx:
        return waits_for(tx, current, company.clock())


def test_each_side_is_told_whose_turn_it_is(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        for company in (pair.left, pair.right):
            assert str(waiting(company, run)).startswith("your mutuals reveal by 20")
        authorise(pair, run)
        assert str(waiting(pair.left, run)).startswith("the partner to authorise, then your mutuals reveal")
        assert str(waiting(pair.right, run)).startswith("the partner, who carries it out: mutuals reveal")
        pair.reveal(run.run_id)
        preview = preview_exchange(pair.right.peer, run.run_id)
        authorise_exchange(pair.right.peer, preview.run, ["score"], preview.digest, pair.right.keys)
        assert str(waiting(pair.left, run)).startswith("your mutuals exchange by")
        assert str(waiting(pair.right, run)).startswith("the partner, who carries it out: mutuals exchange")


def test_under_a_standing_mandate_nobody_waits_for_the_partners_operator(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS, permission={"reveal": "mandate", "exchange": "mandate"}) as pair:
        run, _ = pair.match()
        assert str(waiting(pair.left, run)).startswith("your mutuals reveal by 20")
        assert str(waiting(pair.right, run)).startswith("the partner, who carries it out: mutuals reveal")


def test_an_authorisation_that_lapsed_is_this_sides_turn_again(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run, _ = pair.match()
        authorise(pair, run)
        pair.reveal(run.run_id)
        preview = preview_exchange(pair.right.peer, run.run_id)
        authorise_exchange(pair.right.peer, preview.run, ["score"], preview.digest, pair.right.keys)
        pair.right.write([row | {"score": "99"} for row in RIGHT])
        changed = preview_exchange(pair.right.peer, run.run_id)
        assert refused(lambda: authorisation_for(pair.right.peer, changed)) is ErrorCode.PREVIEW_CHANGED
        assert "because what it would send has changed" in str(waiting(pair.right, run))


def test_a_run_that_somebody_stopped_says_so_and_blames_nobody() -> None:
    assert describe(KeyboardInterrupt()) == "Stopped by hand on this side."
    assert describe(left_early("Beta SA")) == "Beta SA left before the end."
