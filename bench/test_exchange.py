"""Reveal and exchange of a whole overlap, both peers in this process, with five fields each way.

make bench
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from support.pairing import Pair, TestClock, make_company
from support.processes import sign_for_both, write_contacts

from mutuals.models.agreement import Side
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.export import open_received, write_export
from mutuals.runs.moved import ExchangeSummary


@pytest.mark.parametrize("pairs", [1_000, 10_000])
def test_exchange_of_an_overlap(benchmark: BenchmarkFixture, tmp_path: Path, pairs: int) -> None:
    """From two revealed runs to the records of ``pairs`` contacts in the store of each other."""
    pair, run_id = _revealed(tmp_path, pairs)

    def exchange() -> ExchangeSummary:
        summary, _ = pair.both(
            lambda stream: initiate_exchange(pair.left.peer, run_id, stream),
            lambda stream: respond_exchange(pair.right.peer, pair.right.partner(), stream),
        )
        assert isinstance(summary, ExchangeSummary)
        return summary

    summary = benchmark.pedantic(exchange, rounds=1)
    benchmark.extra_info["records"] = 2 * pairs
    assert (summary.records_sent, summary.records_received) == (pairs, pairs)
    for company in (pair.left, pair.right):
        company.peer.close()


@pytest.mark.parametrize("pairs", [1_000, 10_000])
def test_export_of_what_was_received(benchmark: BenchmarkFixture, tmp_path: Path, pairs: int) -> None:
    """From the sealed records to a CSV file, every one opened and checked."""
    pair, run_id = _revealed(tmp_path, pairs)
    pair.both(
        lambda stream: initiate_exchange(pair.left.peer, run_id, stream),
        lambda stream: respond_exchange(pair.right.peer, pair.right.partner(), stream),
    )
    left, out = pair.left, tmp_path / "campaign.csv"

    def export() -> None:
        write_export(left.peer, open_received(left.peer, run_id, left.keys), out, left.keys, force=True)

    benchmark.pedantic(export, rounds=3)
    assert len(out.read_text().splitlines()) == pairs + 1
    for company in (pair.left, pair.right):
        company.peer.close()


def _revealed(folder: Path, pairs: int) -> tuple[Pair, str]:
    """Two companies that share all of their contacts, after the reveal; and the run."""
    clock = TestClock()
    left, right = (make_company(folder / name, name, [], clock) for name in ("left", "right"))
    for company in (left, right):
        write_contacts(company, 0, pairs)
    pair = Pair({Side.PROPOSER: left, Side.PARTNER: right}, sign_for_both(left, right, {"engine": "x25519"}))
    run, _ = pair.match()
    pair.reveal(run.run_id)
    return pair, run.run_id
