"""Matches that break off and go on, with both peers' stores: journal, budgets, guards, what is left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import Company, Pair, contact, deliver, paired
from support.streams import MemoryStream

from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.agreement import Side
from mutuals.models.run import Run, RunState
from mutuals.protocol import lists, match
from mutuals.protocol.items import Rows, as_rows
from mutuals.protocol.journal import Began
from mutuals.protocol.messages import Blinded, Counted, Resume
from mutuals.runs import journal as journal_module
from mutuals.runs.journal import MatchJournal, Opening
from mutuals.runs.lifecycle import ABANDONED_AFTER, expire_runs
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.resume import resume_match
from mutuals.runs.spool import load_matched
from mutuals.runs.spool_files import journal_path
from mutuals.store.rows import SuppressionRow

LEFT = [contact(f"L{i}", f"person{i}@example.com") for i in range(20)]
RIGHT = [contact(f"R{i}", f"person{i}@example.com") for i in range(10, 30)]
ROWS = {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "WORK_SIZE", 4)
    monkeypatch.setattr(match, "TAGS_PER_MESSAGE", 4)


def cut_after(stream: MemoryStream, messages: int) -> MemoryStream:
    """The line breaks once so many messages have left this end."""
    left = iter(range(messages))

    def alter(message: Any) -> list[Any]:
        if next(left, None) is None:
            stream.close()
            raise MutualsError(ErrorCode.UNREACHABLE, "The connection is down.")
        return [message]

    stream.alter = alter
    return stream


def begin(pair: Pair, cut: int, side: Side = Side.PROPOSER) -> Run:
    """A match whose line breaks after ``cut`` messages of one side; the run as the initiator has it."""
    here = side is Side.PROPOSER

    def initiate(stream: MemoryStream) -> Run:
        return initiate_match(
            pair.left.peer, pair.digest, cut_after(stream, cut) if here else stream, pair.pool
        )

    def respond(stream: MemoryStream) -> Run:
        partner = pair.right.partner()
        return respond_match(pair.right.peer, partner, stream if here else cut_after(stream, cut), pair.pool)

    with suppress(MutualsError):
        pair.both(initiate, respond)
    return newest(pair.left)


def go_on(pair: Pair, run: Run, cut: int | None = None) -> tuple[Run, Run]:
    def respond(stream: MemoryStream) -> Run:
        ours = stream if cut is None else cut_after(stream, cut)
        return respond_match(pair.right.peer, pair.right.partner(), ours, pair.pool)

    return pair.both(
        lambda stream: resume_match(pair.left.peer, run.run_id, stream, pair.pool),
        respond,
    )


def newest(company: Company) -> Run:
    with company.peer.store.transaction() as tx:
        return tx.runs.list()[-1]


def events(company: Company, run: Run) -> list[str]:
    with company.peer.store.transaction() as tx:
        entries = tx.log.entries(run.agreement)
    return [entry.event for entry in entries if entry.body.get("run") == run.run_id]


def refused(action: Callable[[], Any]) -> ErrorCode:
    with pytest.raises(MutualsError) as caught:
        action()
    return caught.value.code


def files(pair: Pair, run: Run) -> list[str]:
    found = (path for side in pair.sides.values() for path in side.peer.home.spool.glob(f"{run.run_id}.*"))
    return sorted(path.suffix for path in found)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One pair for all: each test has a run of its own, a second younger than the one before."""
    with paired(tmp_path_factory.mktemp("resumed"), ROWS) as built:
        yield built


@pytest.fixture(autouse=True)
def a_second_later(pair: Pair) -> None:
    pair.left.clock.now += timedelta(seconds=1)


@pytest.mark.parametrize("side", Side)
def test_a_match_goes_on_wherever_the_line_broke(pair: Pair, side: Side) -> None:
    taken_up = 0
    for cut in range(1 + (side is Side.PARTNER), 15, 2):
        pair.left.clock.now += timedelta(seconds=1)
        run = begin(pair, cut, side)
        if newest(pair.right).run_id != run.run_id:
            continue  # the Accept was lost; only the responder knows of a run
        before = {run.state, newest(pair.right).state}
        left, right = go_on(pair, run)
        taken_up += RunState.MATCHING in before
        assert (left.state, right.state, left.count, right.count) == (
            RunState.COUNTED,
            RunState.COUNTED,
            10,
            10,
        )
        assert left.th == right.th
        for company in pair.sides.values():
            assert load_matched(company.peer, company.run(run.run_id)).outcome.count == 10
            assert company.run(run.run_id).match_key is None
            assert events(company, run).count("run.opened") == events(company, run).count("run.counted") == 1
    assert taken_up > 3
    for company in pair.sides.values():
        partner = company.partner().fingerprint
        with company.peer.store.transaction() as tx:
            charged = tx.budgets.usage(partner, company.clock.now - timedelta(days=1))
            assert charged.runs == len(tx.runs.list())


def test_a_match_is_interrupted_again_and_again(pair: Pair) -> None:
    run = begin(pair, 3)
    for _ in range(30):
        if newest(pair.left).state is RunState.COUNTED:
            break
        with suppress(MutualsError):
            go_on(pair, run, cut=2)  # its Resume and one more
    go_on(pair, run)
    assert [newest(company).count for company in pair.sides.values()] == [10, 10]
    assert "run.resumed" in events(pair.left, run)
    assert "run.interrupted" in events(pair.left, run)


def test_a_match_that_was_killed_leaves_an_unfinished_record(pair: Pair) -> None:
    run = begin(pair, 3)  # before anything is settled: what is, no process can lose
    for company in pair.sides.values():
        path = journal_path(company.peer, run)
        if company.run(run.run_id).match_key is not None:  # else all there is was settled
            path.write_bytes(path.read_bytes()[:-7])
    assert [end.count for end in go_on(pair, run)] == [10, 10]


def test_a_journal_in_pieces_fails_the_run_on_both_sides(pair: Pair) -> None:
    run = begin(pair, 5)
    path = journal_path(pair.right.peer, run)
    path.write_bytes(path.read_bytes()[:100])
    assert refused(lambda: go_on(pair, run)) is ErrorCode.RUN_STATE
    assert newest(pair.right).state is RunState.FAILED
    deliver(pair.right, pair.left)
    assert newest(pair.left).reason == "The match failed on the partner's side."
    expire_runs(pair.left.peer)
    assert files(pair, run) == []


def test_nothing_of_an_interrupted_match_lies_open(pair: Pair) -> None:
    run = begin(pair, 5)
    company = pair.left
    with MatchJournal.open(company.peer, run) as journal:
        items = journal.opening.items
        assert len(items) == 20
        list(journal.entries())
    path = journal_path(company.peer, run)
    assert path.stat().st_mode & 0o777 == 0o600
    data = path.read_bytes()
    assert not any(row.tobytes() in data for row in items)
    assert (run.match_key or b"gone with the last point") not in data


def test_only_one_process_goes_on_with_a_match(pair: Pair) -> None:
    run = begin(pair, 5)
    with MatchJournal.open(pair.left.peer, run):
        assert refused(lambda: go_on(pair, run)) is ErrorCode.BUSY
    assert newest(pair.left).state is RunState.MATCHING
    assert go_on(pair, run)[0].count == 10


def test_a_withdrawal_meanwhile_destroys_the_match(tmp_path: Path) -> None:
    with paired(tmp_path, ROWS) as pair:
        run = begin(pair, 5)
        with pair.left.peer.store.transaction() as tx:
            tx.suppressions.put(SuppressionRow(b"h" * 32, "withdrawn", pair.left.clock()))
        assert refused(lambda: go_on(pair, run)) is ErrorCode.STALE
        assert newest(pair.left).state is RunState.STALE
        deliver(pair.left, pair.right)
        assert newest(pair.right).state is RunState.STALE
        expire_runs(pair.right.peer)
        assert files(pair, run) == []


def test_an_abandoned_match_expires_on_both_sides(pair: Pair) -> None:
    run = begin(pair, 5)
    pair.left.clock.now += ABANDONED_AFTER + timedelta(minutes=1)
    for company in pair.sides.values():
        expire_runs(company.peer)
        assert newest(company).reason == "It was interrupted and never resumed."
    assert refused(lambda: go_on(pair, run)) is ErrorCode.RUN_STATE
    assert files(pair, run) == []


def test_the_log_of_the_responder_says_that_its_accept_was_lost(pair: Pair) -> None:
    def initiated() -> int:
        with pair.left.peer.store.transaction() as tx:
            return len(tx.runs.list())

    before = initiated()
    with suppress(IndexError):  # the initiator has no run
        begin(pair, 0, Side.PARTNER)
    assert initiated() == before
    pair.left.clock.now += ABANDONED_AFTER + timedelta(minutes=1)
    expire_runs(pair.right.peer)
    run = newest(pair.right)
    assert run.reason == (
        "Nothing came after this side's Accept, which was lost on its way, or the partner stopped there."
    )
    with pair.right.peer.store.transaction() as tx:
        failed = [row for row in tx.log.of(run.agreement) if run.run_id in json.dumps(row.body)][-1]
    assert (failed.event, failed.body["reason"]) == ("run.failed", run.reason)


def test_a_match_is_taken_up_a_bounded_number_of_times(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "RESUMED_AT_MOST", 2)
    run = begin(pair, 3)
    for _ in range(2):
        with suppress(MutualsError):
            go_on(pair, run, cut=1)
    assert refused(lambda: go_on(pair, run)) is ErrorCode.RUN_STATE
    assert newest(pair.left).state is RunState.FAILED


CRAFTED: dict[str, Callable[[Resume], Any]] = {
    "another run": lambda resume: replace(resume, sid=bytes(32)),
    "more points than there are": lambda resume: replace(resume, points=21),
    "part of a message": lambda resume: replace(resume, points=1),
    "other points": lambda resume: replace(resume, points=4, points_digest=bytes(32)),
    "a commitment of its own": lambda resume: replace(resume, commitment=bytes(32)),
    "tags before they are due": lambda resume: replace(resume, tags=1, tags_digest=bytes(32)),
    "finished before the end": lambda resume: replace(resume, finished=True),
    "points in place of Resume": lambda resume: Blinded(0, bytes(33)),
    "a signature in place of Resume": lambda resume: Counted(bytes(64)),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_partner_that_lies_about_where_it_stands_ends_the_run(pair: Pair, what: str) -> None:
    run = begin(pair, 4)

    def lie(stream: MemoryStream) -> Run:
        stream.alter = lambda message: [CRAFTED[what](message) if isinstance(message, Resume) else message]
        return respond_match(pair.right.peer, pair.right.partner(), stream, pair.pool)

    def honest(stream: MemoryStream) -> Run:
        try:
            return resume_match(pair.left.peer, run.run_id, stream, pair.pool)
        except PartnerFault:
            stream.close()
            raise

    with pytest.raises(MutualsError):
        pair.both(honest, lie)
    ended = newest(pair.left)
    assert ended.state is RunState.FAILED
    assert ended.reason is not None
    assert ended.reason.startswith("The partner broke the protocol")


def test_points_that_were_accepted_cannot_be_exchanged_for_others(pair: Pair) -> None:
    """The partner's second list differs from the first in what this side holds already: the hashes tell."""
    run = _begun_with_points_of(pair)
    with MatchJournal.open(pair.right.peer, newest(pair.right)) as journal:
        entries = list(journal.entries())
    path = journal_path(pair.right.peer, run)
    path.unlink()
    other = Opening(random_items(20), journal.opening.dummies, False, 0)
    with MatchJournal.create(pair.right.peer, newest(pair.right), other) as forged:
        forged.add(next(entry for entry in entries if isinstance(entry, Began)))
    with pytest.raises(MutualsError):
        go_on(pair, run)
    assert RunState.FAILED in {newest(company).state for company in pair.sides.values()}
    assert not any(newest(company).count for company in pair.sides.values())


def _begun_with_points_of(pair: Pair) -> Run:
    """A match that broke off when the left side held points of the right one; which of them came first is chance."""
    for _ in range(50):
        pair.left.clock.now += timedelta(seconds=1)
        run = begin(pair, 5, Side.PARTNER)
        if run.state is RunState.MATCHING and newest(pair.right).match_key is not None:
            with MatchJournal.open(pair.left.peer, run) as journal:
                if any(isinstance(entry, Blinded) for entry in journal.entries()):
                    return run
    raise AssertionError("the left side never held any")


def random_items(count: int) -> Rows:
    return as_rows(os.urandom(32 * count), 32)
