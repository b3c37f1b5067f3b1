"""One store used by several processes at once: no lost update, no double run, no double charge.

The processes are real ones (``store.jobs``), on SQLite as on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect
from store import jobs
from store.jobs import Job, at_once
from store.samples import NOW, digest, furnish, hexed, run
from store.test_migrations import as_the_first_release_left_it
from support import postgres, postgres_homes
from support.companies import free_port
from support.pairing import Company, Pair, contact, paired

from mutuals.agreement.document import agreement_id
from mutuals.audit.stored import verify_store
from mutuals.documents import enqueue, sign_document
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.home import Home
from mutuals.models.agreement import Side
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.store import engine
from mutuals.store.database import Store
from mutuals.store.engine import create_store_engine
from mutuals.store.rows import BudgetUsage
from mutuals.store.schema import metadata
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

ROWS = [contact(f"C-{number}", f"person{number}@example.com") for number in range(3)]


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Job, Job]]:
    """Two other processes, which are up."""
    with Job() as one, Job() as other:
        at_once((one, jobs.nothing), (other, jobs.nothing))
        yield one, other


@contextmanager
def companies(backend: str, folder: Path, **options: object) -> Iterator[Pair]:
    """Two companies with their stores on this backend."""
    with pytest.MonkeyPatch.context() as patch:
        if backend == "postgres":
            patch.setattr(Home, "store_url", postgres_homes.store_url)
        with paired(folder, dict.fromkeys(Side, ROWS), **options) as pair:  # type: ignore[arg-type]
            yield pair
    for side in pair.sides.values():
        if name := postgres.named_in(side.peer.home.store):
            postgres.drop_database(name)


@contextmanager
def serving(company: Company) -> Iterator[None]:
    """The company's server, in this process."""
    log = ServerLog(company.clock, company.peer.home.log / "server.log", stderr=False)
    server = PeerServer(company.peer, InlinePool(), company.peer.config.listen, log=log)
    server.start()
    try:
        yield
    finally:
        server.stop(grace=0)
        log.close()


def runs_of(company: Company) -> list[Run]:
    with company.peer.store.transaction() as tx:
        return tx.runs.list()


def sound(company: Company) -> bool:
    """Whether every log of the company has all its entries in one chain, as its checkpoints say."""
    with company.peer.store.transaction() as tx:
        return not any(report.problems for report in verify_store(tx, company.peer))


# --- the store ---------------------------------------------------------------------------------------------------


def test_two_processes_charge_a_budget_up_to_its_limit_and_not_beyond(
    store_url: str, store: Store, two: tuple[Job, Job]
) -> None:
    with store.transaction() as tx:
        furnish(tx)
    charged = at_once(*((job, jobs.charge, store_url, worker, 25, 40) for worker, job in enumerate(two)))
    assert sum(charged) == 40
    with store.transaction() as tx:
        assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(40, 400)
        assert [entry.seq for entry in tx.log.entries()] == list(range(1, 41))


def test_two_processes_that_charge_the_same_runs_charge_each_once(
    store_url: str, store: Store, two: tuple[Job, Job]
) -> None:
    with store.transaction() as tx:
        furnish(tx)
    sids = [digest(str(number)) for number in range(12)]
    at_once(*((job, jobs.charge_same, store_url, sids) for job in two))
    with store.transaction() as tx:
        assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(12, 120)


def test_of_two_processes_exactly_one_takes_each_step(
    store_url: str, store: Store, two: tuple[Job, Job]
) -> None:
    names = [f"R-{number:02}" for number in range(15)]
    with store.transaction() as tx:
        furnish(tx)
        for name in names:
            tx.runs.add(replace(run(name), sid=digest(name)))
    taken = at_once(*((job, jobs.step, store_url, names) for job in two))
    assert sorted(taken[0] + taken[1]) == names
    with store.transaction() as tx:
        assert {row.state for row in tx.runs.list()} == {RunState.COUNTED}
        assert sorted(entry.body["run"] for entry in tx.log.entries()) == names
        assert [entry.seq for entry in tx.log.entries()] == list(range(1, 16))


@pytest.mark.parametrize("first", ["an empty database", "a store of the first release"])
def test_two_processes_may_make_the_tables_at_once(url: str, two: tuple[Job, Job], first: str) -> None:
    if first == "a store of the first release":
        as_the_first_release_left_it(url)
    assert at_once(*((job, jobs.open_and_close, url) for job in two)) == [None, None]
    made = create_store_engine(url)
    assert set(inspect(made).get_table_names()) == {*metadata.tables, "alembic_version"}
    made.dispose()


def test_a_process_killed_in_a_transaction_leaves_neither_a_change_nor_a_lock(
    store_url: str, store: Store
) -> None:
    with store.transaction() as tx:
        furnish(tx)
    with Job() as job:
        job.start(jobs.hold, store_url)
        assert job.result() == "holding"
        job.kill()
        with store.transaction() as tx:
            assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(0, 0)
            assert tx.log.append(None, "after", {}, NOW) == 1


def test_a_process_that_does_not_go_on_is_waited_for_and_told_of_in_a_sentence(
    backend: str, store_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.transaction() as tx:
        furnish(tx)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    impatient = Store.open(store_url)

    def enter() -> None:
        with impatient.transaction():
            pass

    with Job() as job:
        job.start(jobs.hold, store_url)
        assert job.result() == "holding"
        job.freeze()
        with pytest.raises(MutualsError, match="was in use by another process for more than") as refused:
            enter()
        assert refused.value.code is ErrorCode.LOCAL
        assert refused.value.hint
        job.kill()
    enter()
    impatient.close()


# --- a company's home --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Pair]]:
    """Two companies of which the right one can be called; and where their stores lie."""
    if request.param == "postgres" and (reason := postgres.missing()):
        pytest.skip(reason)
    endpoint = f"127.0.0.1:{free_port()}"
    with companies(request.param, tmp_path_factory.mktemp("shared"), endpoint=endpoint) as pair:
        pair.left.clock.now = datetime.now(UTC)
        yield request.param, pair


def test_two_syncs_at_once_deliver_each_document_once(shared: tuple[str, Pair], two: tuple[Job, Job]) -> None:
    backend, pair = shared
    left, right = pair.left, pair.right
    now = left.clock()
    for sender, receiver in ((left, right), (right, left)):
        for number in range(6):
            letter = sign_document(sender.peer, "letter", {"number": number})
            with sender.peer.store.transaction() as tx:
                enqueue(tx, sender.peer, receiver.peer.fingerprint.hex(), letter)
    homes = left.peer.home.root, right.peer.home.root
    outcomes = at_once(
        (two[0], jobs.sync, *homes, now, backend),
        (two[1], jobs.sync, *reversed(homes), now, backend),
    )
    assert [error for error in outcomes if isinstance(error, MutualsError)] == []
    for company in (left, right):
        with company.peer.store.transaction() as tx:
            assert tx.outbox.pending() == []
            letters = [entry for entry in tx.log.of(None) if entry.event == "letter"]
            assert len(letters) == len({entry.body["body"] for entry in letters}) == 6
            latest = tx.checkpoints.latest(pair.digest, own=True)
            assert latest is not None
            seqs = [entry.seq for entry in tx.log.entries()]
        assert seqs == list(range(1, len(seqs) + 1))
        assert sound(company)


def test_of_two_commands_that_match_unless_somebody_has_one_does(
    shared: tuple[str, Pair], two: tuple[Job, Job]
) -> None:
    backend, pair = shared
    arguments = (pair.left.peer.home.root, backend, "match", pair.digest, "--unless-since", "1d")
    with serving(pair.right):
        outcomes = at_once(*((job, jobs.command, *arguments) for job in two))
    assert [code for code, _ in outcomes].count(0) >= 1, outcomes
    for code, said in outcomes:
        assert code == 0 or said["error"]["code"] == "BUSY", said
    assert [said.get("started") for _, said in outcomes].count(True) == 1
    for company, partner in ((pair.left, pair.right), (pair.right, pair.left)):
        assert [row.state for row in runs_of(company)] == [RunState.COUNTED]
        with company.peer.store.transaction() as tx:
            assert tx.budgets.usage(partner.peer.fingerprint.hex(), NOW - timedelta(days=9)).runs == 1
        assert sound(company)


def test_two_processes_end_what_is_overdue_and_neither_minds_the_other(
    shared: tuple[str, Pair], two: tuple[Job, Job]
) -> None:
    backend, pair = shared
    made = {pair.match()[0].run_id for _ in range(4)} | {row.run_id for row in runs_of(pair.left)}
    later = pair.left.clock() + timedelta(days=60)
    ended = at_once(*((job, jobs.expire, pair.left.peer.home.root, later, backend) for job in two))
    assert sorted(ended[0] + ended[1]) == sorted(made)
    assert {row.state for row in runs_of(pair.left)} == {RunState.EXPIRED}
    assert not list(pair.left.peer.home.spool.iterdir())


def test_a_server_answers_while_a_job_ends_the_agreement(
    backend: str, tmp_path: Path, two: tuple[Job, Job]
) -> None:
    """What was open is closed, nothing begins afterwards, and its end is certified once."""
    with companies(backend, tmp_path) as pair:
        right, home = pair.right, pair.right.peer.home.root
        refused: MutualsError | None = None
        pair.match()
        two[0].start(jobs.end_agreement, home, pair.digest, right.clock(), backend)
        for _ in range(1000):
            try:
                pair.match()
            except MutualsError as error:
                refused = error
                break
        assert two[0].result() is None
        assert refused is not None
        assert refused.code in {ErrorCode.AGREEMENT_NOT_ACTIVE, ErrorCode.RUN_STATE}, refused
        assert {row.state for row in runs_of(right)} <= {RunState.STALE, RunState.FAILED}
        with pytest.raises(MutualsError):
            pair.match()
        reports = at_once(*((job, jobs.retention, home, right.clock(), backend) for job in two))
        assert sorted(certificates for certificates, _ in reports) == [0, 1]
        assert [problem for _, problems in reports for problem in problems] == []
        assert not list(right.peer.home.spool.glob("*"))
        assert sound(right)
        with Peer.open(home, right.clock) as again:
            assert again.fingerprint == right.peer.fingerprint
        assert agreement_id(pair.digest)
