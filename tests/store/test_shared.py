"""One company's store used by its server and by two batch jobs at once, through whole matches and reveals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from support import postgres, postgres_homes
from support.pairing import Company, Pair, contact, paired
from support.revealed import authorise_both
from support.streams import stream_pair

from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.home import Home
from mutuals.models.agreement import Side
from mutuals.models.run import RunState
from mutuals.peer import Peer
from mutuals.runs.authorisation import authorise_reveal, grant_mandate
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.reveal import _Execution, initiate_reveal, respond_reveal

ALLOWED = 3
ROWS = [contact("C-1", "ada@example.com"), contact("C-2", "ben@example.com")]


@pytest.fixture
def pair(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Two companies whose budgets are ``ALLOWED`` runs, with their stores on this backend."""
    if backend == "postgres":
        monkeypatch.setattr(Home, "store_url", postgres_homes.store_url)
    with paired(
        tmp_path,
        {Side.PROPOSER: ROWS, Side.PARTNER: ROWS},
        matching={"runs_per_30_days": ALLOWED},
        permission={"reveal": "mandate"},
    ) as made:
        yield made
    for side in made.sides.values():
        if name := postgres.named_in(side.peer.home.store):
            postgres.drop_database(name)


@pytest.fixture
def processes(pair: Pair) -> Iterator[list[Peer]]:
    """The left company three times: its server, and two batch jobs. Each opens the home and the store for itself."""
    root, clock = pair.left.peer.home.root, pair.left.clock
    with Peer.open(root, clock) as server, Peer.open(root, clock) as one, Peer.open(root, clock) as other:
        yield [server, one, other]


End = Callable[[Any], Any]


def at_once(*meetings: tuple[End, End]) -> list[Any]:
    """Let all pairs of ends meet at the same time; of each pair what its first end returned, or an error."""
    start = Barrier(2 * len(meetings))

    def play(end: End, stream: Any) -> Any:
        start.wait(60)
        try:
            return end(stream)
        except BaseException:
            stream.close()
            raise

    with ThreadPoolExecutor(2 * len(meetings)) as threads:
        playing: list[tuple[Future[Any], Future[Any]]] = []
        for ends in meetings:
            first, second = zip(ends, stream_pair(), strict=True)
            playing.append((threads.submit(play, *first), threads.submit(play, *second)))
    return [_outcome(*ends) for ends in playing]


def _outcome(*ends: Future[Any]) -> Any:
    errors = [error for end in ends if (error := end.exception()) is not None]
    return (
        min(errors, key=lambda error: getattr(error, "code", None) is ErrorCode.UNREACHABLE, default=None)
        or ends[0].result()
    )


def used(company: Company, partner: Company) -> int:
    with company.peer.store.transaction() as tx:
        since = company.clock() - timedelta(days=30)
        return tx.budgets.usage(partner.peer.fingerprint.hex(), since).runs


def test_a_server_and_two_jobs_never_charge_more_than_the_budget(pair: Pair, processes: list[Peer]) -> None:
    left, right, pool = pair.left, pair.right, InlinePool()

    def starts(peer: Peer) -> End:
        return lambda stream: initiate_match(peer, pair.digest, stream, pool)

    def answers(peer: Peer, partner: Company, own: Company) -> End:
        return lambda stream: respond_match(peer, own.partner(), stream, pool)

    server, one, other = processes
    outcomes = at_once(
        (starts(one), answers(right.peer, left, right)),
        (starts(other), answers(right.peer, left, right)),
        (starts(right.peer), answers(server, right, left)),
        (starts(one), answers(right.peer, left, right)),
        (starts(right.peer), answers(server, right, left)),
    )
    done = [run for run in outcomes if not isinstance(run, BaseException)]
    refused = [error for error in outcomes if isinstance(error, BaseException)]
    assert {error.code for error in refused if isinstance(error, MutualsError)} == {
        ErrorCode.BUDGET_EXHAUSTED
    }
    assert len(done) <= ALLOWED
    charged = used(left, right), used(right, left)
    assert max(charged) == ALLOWED
    assert min(charged) >= len(done)
    with left.peer.store.transaction() as tx:
        assert {run.sid for run in done} <= {run.sid for run in tx.runs.list()}
        numbers = [entry.seq for entry in tx.log.entries()]
        assert numbers == list(range(1, len(numbers) + 1))


def test_of_two_jobs_that_reveal_one_run_one_does(pair: Pair, processes: list[Peer]) -> None:
    mine, theirs = pair.match()
    for company, run in ((pair.left, mine), (pair.right, theirs)):
        authorise_reveal(company.peer, run, company.keys)
    _, one, other = processes

    def meeting(job: Peer) -> tuple[End, End]:
        return (
            lambda stream: initiate_reveal(job, mine.run_id, stream),
            lambda stream: respond_reveal(pair.right.peer, pair.right.partner(), stream),
        )

    outcomes = at_once(meeting(one), meeting(other))
    errors = [error for error in outcomes if isinstance(error, BaseException)]
    assert len(errors) == 1
    assert isinstance(errors[0], MutualsError)
    assert pair.left.run(mine.run_id).state is RunState.REVEALED
    assert pair.right.run(theirs.run_id).state is RunState.REVEALED


def test_two_jobs_that_exchange_one_run_at_once_end_it_once(pair: Pair, processes: list[Peer]) -> None:
    run, _ = pair.match()
    for company in pair.sides.values():
        authorise_reveal(company.peer, company.run(run.run_id), company.keys)
    pair.reveal(run.run_id)
    authorise_both(pair, run.run_id)
    _, one, other = processes

    def meeting(job: Peer) -> tuple[End, End]:
        return (
            lambda stream: initiate_exchange(job, run.run_id, stream),
            lambda stream: respond_exchange(pair.right.peer, pair.right.partner(), stream),
        )

    outcomes = at_once(meeting(one), meeting(other))
    failed = {outcome.code for outcome in outcomes if isinstance(outcome, MutualsError)}
    assert failed <= {ErrorCode.RUN_STATE, ErrorCode.UNREACHABLE}, outcomes
    if failed:  # as after any interruption
        (again,) = at_once(meeting(one)) if pair.left.run(run.run_id).state is not RunState.DONE else (None,)
        assert not isinstance(again, BaseException), again
    for company in pair.sides.values():
        assert company.run(run.run_id).state is RunState.DONE
        with company.peer.store.transaction() as tx:
            assert tx.received.count(run.run_id) == len(ROWS)
            events = [entry.event for entry in tx.log.entries(pair.digest)]
        assert events.count("run.exchanged") == events.count("run.done") == 1
        assert events.count("run.exchange_prepared") == 1


def test_a_mandate_for_one_run_reveals_one_however_many_jobs_ask_at_once(
    pair: Pair, processes: list[Peer]
) -> None:
    """Both were found permitted before either let its positions go."""
    runs = [pair.match()[0] for _ in range(2)]
    _, one, other = processes
    allowed = {"acts": ("reveal",), "max_runs": 1, "expires_at": pair.left.clock() + timedelta(days=1)}
    grant_mandate(pair.left.peer, pair.digest, pair.left.keys, **allowed)  # type: ignore[arg-type]
    revealing = [_Execution.prepare(job, run) for job, run in zip((one, other), runs, strict=True)]
    revealing[0]._before_positions()
    with pytest.raises(MutualsError, match="used up") as refused:
        revealing[1]._before_positions()
    assert refused.value.code is ErrorCode.NOT_AUTHORISED_YET
    assert [pair.left.run(run.run_id).state for run in runs] == [RunState.REVEALING, RunState.COUNTED]
