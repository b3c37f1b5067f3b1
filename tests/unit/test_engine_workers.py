from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutuals.engines import get_engine, workers
from mutuals.engines.base import Operation
from mutuals.engines.workers import InlinePool, WorkerPool
from mutuals.errors import ErrorCode, MutualsError, PartnerFault

if importlib.util.find_spec("private_set_intersection") is None:
    pytest.skip("openmined-psi has no wheel for this platform", allow_module_level=True)

PARENT = """
import os, time
from mutuals.engines.workers import WorkerPool

print(os.getpid(), file=open("loaded", "a"))

def main():
    pool = WorkerPool(2)
    pool.start()
    print(*pool.worker_pids(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    main()
"""


STARTING = """
import time
from mutuals.engines.workers import WorkerPool

def main():
    print("starting", flush=True)
    try:
        WorkerPool(2).start()
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped", flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_workers_compute_what_the_caller_would(pool: WorkerPool) -> None:
    engine = get_engine("openmined")
    key, items = engine.generate_key(), os.urandom(320)
    points = pool.submit("openmined", Operation.BLIND, key, items).result(30)
    assert points == engine.blind(key, items)
    assert points == InlinePool().submit("openmined", Operation.BLIND, key, items).result()
    other = engine.generate_key()
    assert pool.submit("openmined", Operation.REBLIND, other, points).result(30) == engine.reblind(
        other, points
    )


def test_all_workers_are_up_when_start_returns(pool: WorkerPool) -> None:
    assert len(pool.worker_pids()) == 2


@pytest.mark.parametrize("inline", [True, False])
def test_a_bad_point_comes_back_as_the_partners_fault(pool: WorkerPool, inline: bool) -> None:
    key = get_engine("openmined").generate_key()
    off_curve = b"\x02" + (1).to_bytes(32, "big")
    future = (InlinePool() if inline else pool).submit("openmined", Operation.REBLIND, key, off_curve)
    with pytest.raises(PartnerFault) as caught:
        future.result(30)
    assert caught.value.code is ErrorCode.BAD_MESSAGE


def test_many_threads_may_submit_at_once(pool: WorkerPool) -> None:
    engine = get_engine("openmined")
    key, items = engine.generate_key(), os.urandom(32 * 20)
    expected = engine.blind(key, items)
    results: list[bool] = []

    def submit() -> None:
        futures = [pool.submit("openmined", Operation.BLIND, key, items) for _ in range(5)]
        results.extend(future.result(30) == expected for future in futures)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 40


def test_a_killed_worker_fails_what_was_in_flight_and_the_pool_recovers(pool: WorkerPool) -> None:
    engine = get_engine("openmined")
    key, items = engine.generate_key(), os.urandom(32 * 4000)
    futures = [pool.submit("openmined", Operation.BLIND, key, items) for _ in range(6)]
    os.kill(pool.worker_pids()[0], signal.SIGKILL)
    errors = [error for future in futures if (error := future.exception(30)) is not None]
    assert errors
    assert {error.code for error in errors if isinstance(error, MutualsError)} == {ErrorCode.WORKER_DIED}
    assert pool.submit("openmined", Operation.BLIND, key, items[:32]).result(30) == engine.blind(
        key, items[:32]
    )
    assert len(pool.worker_pids()) == 2


@pytest.mark.parametrize("looked", [False, True])
def test_a_worker_killed_while_idle_is_replaced_unnoticed(pool: WorkerPool, looked: bool) -> None:
    engine = get_engine("openmined")
    key, items = engine.generate_key(), bytes(32)
    before = list(pool.worker_pids())
    os.kill(before[0], signal.SIGKILL)
    assert gone_within(before, 5)
    if looked:
        pool.check()
        assert len(set(pool.worker_pids()) - set(before)) == 2
        after = pool.worker_pids()
        pool.check()
        assert pool.worker_pids() == after, "those that are well are left alone"
    assert pool.submit("openmined", Operation.BLIND, key, items).result(30) == engine.blind(key, items)


def test_work_that_was_cancelled_is_not_done(pool: WorkerPool) -> None:
    key, items = get_engine("openmined").generate_key(), os.urandom(32 * 2000)
    futures = [pool.submit("openmined", Operation.BLIND, key, items) for _ in range(30)]
    started = time.monotonic()
    for future in futures:
        future.cancel()
    pool.submit("openmined", Operation.BLIND, key, items[:32]).result(30)
    assert sum(future.cancelled() for future in futures) >= 20
    assert time.monotonic() - started < 3


def test_a_pool_says_what_computes_in_its_workers(pool: WorkerPool) -> None:
    assert pool.executor == "local"
    assert pool.backend("openmined") is None
    assert pool.backend("x25519") == get_engine("x25519").backend


def test_a_forced_backend_reaches_the_workers_and_one_that_there_is_not_is_refused() -> None:
    with WorkerPool(1, x25519_backend="cryptography") as pool:
        assert pool.backend("x25519") == "cryptography"
        assert len(pool.submit("x25519", Operation.BLIND, bytes(32), bytes(64)).result(30)) == 64
    with pytest.raises(MutualsError, match="no X25519 backend called 'abacus'") as caught:
        workers.backends_here("abacus")
    assert caught.value.code is ErrorCode.ENGINE_MISMATCH


def test_a_closed_pool_leaves_no_process_and_takes_no_work() -> None:
    pool = WorkerPool(1)
    pool.start()
    pids = list(pool.worker_pids())
    pool.close()
    pool.close()
    assert gone_within(pids, 5)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit("openmined", Operation.BLIND, b"", b"")


def test_a_pool_of_no_processes_is_refused() -> None:
    with pytest.raises(MutualsError) as caught:
        WorkerPool(0)
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("how", ["script", "module"])
def test_workers_end_with_a_killed_parent_whose_program_they_never_loaded(tmp_path: Path, how: str) -> None:
    """Its imports, repeated in each of them, would be tens of megabytes."""
    (tmp_path / "parent_program.py").write_text(PARENT)
    arguments = ["parent_program.py"] if how == "script" else ["-m", "parent_program"]
    parent = subprocess.Popen([sys.executable, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    assert (tmp_path / "loaded").read_text().split() == [str(parent.pid)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_within(pids, 5)


def test_workers_do_not_answer_ctrl_c(pool: WorkerPool) -> None:
    engine = get_engine("openmined")
    key = engine.generate_key()
    before = pool.worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGINT)
    time.sleep(0.1)
    assert pool.submit("openmined", Operation.BLIND, key, bytes(32)).result(30) == engine.blind(
        key, bytes(32)
    )
    assert pool.worker_pids() == before


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.6, 0.9, 1.2])
def test_ctrl_c_while_the_workers_come_up_leaves_no_word_and_no_process(
    tmp_path: Path, seconds: float
) -> None:
    """A terminal sends it to every process of the group, at whatever moment."""
    (tmp_path / "parent_program.py").write_text(STARTING)
    parent = subprocess.Popen(
        [sys.executable, "parent_program.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "starting\n"
    time.sleep(seconds)
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=20)  # until no process holds the pipes
    assert (out, err, parent.returncode) == ("stopped\n", "", 0)


def test_a_worker_that_cannot_take_its_orders_prints_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A missing barrier, as after a parent that was killed while its workers came up."""
    process = workers._Context().Process(target=os.stat, args=(_Missing(),))
    process.start()
    process.join(20)
    assert process.exitcode == 1
    assert capfd.readouterr() == ("", "")


class _Missing:
    """Cannot be read by another process."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.stat, ("/no/such/file",)


def test_map_keeps_the_order_and_takes_hardly_more_than_is_worked_on(pool: WorkerPool) -> None:
    taken: list[int] = []

    def arguments() -> Iterator[int]:
        for number in range(-30, 0):
            taken.append(number)
            yield number

    results = pool.map(abs, arguments())
    assert next(results) == 30
    assert len(taken) <= 2 * pool.processes + 1
    assert list(results) == list(range(29, 0, -1))


def test_map_raises_what_the_function_raises_and_works_afterwards(pool: WorkerPool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(pool.map(int, ["1", "x", *["2"] * 20]))
    assert list(pool.map(int, ["1", "2"])) == [1, 2]
