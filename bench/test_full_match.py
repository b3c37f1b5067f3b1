"""A whole match over loopback TLS, from both CSV files to the count; both peers on this machine.

make bench
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from support.pairing import contact, paired

from mutuals.engines.workers import WorkerPool
from mutuals.models.agreement import Side
from mutuals.models.run import Run
from mutuals.runs.match import initiate_match
from mutuals.transport.connection import connect
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool() as pool:
        yield pool


@pytest.mark.parametrize("contacts", [1_000, 10_000])
def test_match_from_csv_to_count(
    benchmark: BenchmarkFixture, tmp_path: Path, pool: WorkerPool, contacts: int
) -> None:
    """``contacts`` e-mail addresses a side, a tenth of them shared; both sides share one pool of workers."""
    rows = {
        Side.PROPOSER: [contact(f"L{i}", f"person{i}@example.com") for i in range(contacts)],
        Side.PARTNER: [
            contact(f"R{i}", f"person{i + contacts * 9 // 10}@example.com") for i in range(contacts)
        ],
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with paired(tmp_path, rows, endpoint=f"localhost:{port}") as pair:
        peer = pair.right.peer
        server = PeerServer(
            peer, pool, f"127.0.0.1:{port}", log=ServerLog(peer.clock, tmp_path / "server.log")
        )
        server.start()

        def match() -> Run:
            with connect(pair.left.peer, pair.left.partner()) as connection, connection.match() as stream:
                return initiate_match(pair.left.peer, pair.digest, stream, pool, count_only=True)

        run = benchmark.pedantic(match, rounds=3, warmup_rounds=0)
        benchmark.extra_info["items"] = 2 * contacts
        server.stop(0)
    assert run.count == contacts // 10
