"""A match on a real dask scheduler and two real workers, over TLS; then they die, one after the other."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

import pytest
from support.dask_cluster import Authority, dask_cluster
from support.pairing import contact, paired

from mutuals.engines import cluster, get_engine, remote
from mutuals.engines.base import Operation
from mutuals.engines.cluster import Cluster, ClusterPool
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.agreement import Side

pytest.importorskip("distributed", reason="the extra mutuals[cluster] is not installed")


def code(error: BaseException | None) -> ErrorCode:
    assert isinstance(error, MutualsError), error
    return error.code


def test_a_cluster_computes_the_same_and_loses_no_work_with_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One test, because a cluster costs seconds to start."""
    authority = Authority(tmp_path / "tls")
    key, items = os.urandom(32), os.urandom(32 * 500)
    expected = InlinePool().submit("x25519", Operation.BLIND, key, items).result()
    with dask_cluster(tmp_path, authority, workers=2) as processes:
        place = Cluster(processes.address, authority.issue("peer"))
        with ClusterPool(place, patience=0.1) as pool:
            while pool.processes < 2:
                pool.backend("x25519")
            # The same result, and an honest record of what computed it.
            assert pool.submit("x25519", Operation.BLIND, key, items).result(60) == expected
            assert pool.backend("x25519") == get_engine("x25519").backend
            assert pool.backend("openmined") is None
            assert set(pool.worker_backends().values()) == {pool.backend("x25519")}
            small_order = pool.submit("x25519", Operation.REBLIND, key, expected + bytes(32))
            with pytest.raises(PartnerFault, match="small order"):
                small_order.result(60)
            match_on(pool, tmp_path)

            # A worker dies in the middle of its work, and nobody notices.
            futures = [pool.submit("x25519", Operation.BLIND, key, items) for _ in range(12)]
            wait(futures, 60, FIRST_COMPLETED)
            processes.workers[0].kill()
            assert all(future.result(60) == expected for future in futures)

            # Work that is cancelled is forgotten.
            futures = [pool.submit("x25519", Operation.BLIND, key, items) for _ in range(3)]
            assert all(future.cancel() for future in futures[1:])
            assert futures[0].result(60) == expected

            # No worker is left: dask would wait for one for ever.
            processes.workers[1].kill()
            waiting = pool.submit("x25519", Operation.BLIND, key, items)
            assert code(waiting.exception(60)) is ErrorCode.WORKER_DIED
            assert "has no workers" in str(waiting.exception())

            # The scheduler dies: what waits fails at once, and what comes later after a try to call it.
            waiting = pool.submit("x25519", Operation.BLIND, key, items)
            processes.scheduler.kill()
            assert "scheduler of the cluster" in str(waiting.exception(60))
            monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
            later = pool.submit("x25519", Operation.BLIND, key, items)
            assert code(later.exception(60)) is ErrorCode.WORKER_DIED
        told = processes.logs() + "".join(capfd.readouterr())
        # Keys and items as dask could print them: bytes, their digits, or the task that holds them.
        for secret in (key, items[:32], expected[:32]):
            assert secret.hex() not in told
            assert repr(secret)[2:20] not in told
        assert "key=b" not in told


def match_on(pool: ClusterPool, folder: Path) -> None:
    """Two companies match, both on the cluster; the run says so."""
    rows = {
        Side.PROPOSER: [contact(f"l{n}", f"p{n}@example.com") for n in range(30)],
        Side.PARTNER: [contact(f"r{n}", f"p{n}@example.com") for n in range(20, 60)],
    }
    with paired(folder / "pair", rows, matching={"engine": "x25519"}) as pair:
        pair.pool = pool
        for run in pair.match():
            assert (run.count, run.backend, run.executor) == (10, pool.backend("x25519"), pool.executor)


def test_a_cluster_that_is_not_there_or_not_ours_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    files = Authority(tmp_path / "tls").issue("peer")
    with pytest.raises(MutualsError, match="does not answer") as caught:
        ClusterPool(Cluster("tls://127.0.0.1:1", files)).start()
    assert caught.value.code is ErrorCode.WORKER_DIED
    files.key.write_text("no key")
    with pytest.raises(MutualsError, match="TLS files for the cluster cannot be used") as caught:
        ClusterPool(Cluster("tls://127.0.0.1:1", files)).start()
    assert caught.value.code is ErrorCode.LOCAL


def test_without_the_extra_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise ImportError

    monkeypatch.setattr(cluster, "import_module", missing)
    with pytest.raises(MutualsError, match=r"extra mutuals\[cluster\] is not installed"):
        ClusterPool(Cluster("tcp://127.0.0.1:1")).start()


def task(**changes: Any) -> remote.Task:
    values = {
        "release": remote.release(),
        "engine": "x25519",
        "operation": Operation.BLIND,
        "x25519_backend": "cryptography",
        "key": bytes(range(32)),
        "data": bytes(32),
    }
    return remote.Task(**(values | changes))


def test_a_task_shows_neither_key_nor_items() -> None:
    assert "key" not in repr(task())
    assert "data" not in repr(task())


def test_a_worker_of_another_release_refuses_and_says_which() -> None:
    other = "mutuals 9.9 under Python 3.11"
    for answer in (remote.compute(task(release=other)), remote.probe(other, None)):
        with pytest.raises(MutualsError, match=r"this peer runs mutuals 9\.9") as caught:
            remote.content(answer)
        assert caught.value.code is ErrorCode.LOCAL


def test_a_worker_that_cannot_run_the_forced_backend_says_so() -> None:
    with pytest.raises(MutualsError, match="no X25519 backend called 'abacus'") as caught:
        remote.content(remote.probe(remote.release(), "abacus"))
    assert caught.value.code is ErrorCode.ENGINE_MISMATCH


def test_an_error_of_a_worker_brings_no_foreign_text() -> None:
    with pytest.raises(MutualsError) as caught:
        remote.content(remote.compute(task(data=b"jane@example.com")))
    assert caught.value.code is ErrorCode.INTERNAL
    assert "jane" not in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        b"",
        b"\x07points",
        remote.FAULT + b"{",
        remote.FAULT + b"[1, 2]",
        remote.FAULT + b'["NONE_OF_OURS", "a", null]',
        remote.FAULT + b'["INTERNAL", "' + b"a" * 5000 + b'", null]',
        remote.FAULT + b"[" * 4000,
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(answer: object) -> None:
    with pytest.raises(MutualsError, match="no answer") as caught:
        remote.content(answer)
    assert caught.value.code is ErrorCode.INTERNAL


def test_points_are_counted() -> None:
    from concurrent.futures import Future

    pool = ClusterPool(Cluster("tcp://127.0.0.1:1"))
    inner: Future[Any] = Future()
    inner.set_result(remote.POINTS + bytes(31))
    with pytest.raises(MutualsError, match="another number of points"):
        pool._points(cluster._Task(32, 1), inner)
