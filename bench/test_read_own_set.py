"""From the bound CSV to the items of a match, in this process alone: ``make bench``. Each also runs once as a test."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from support.pairing import contact, paired

from mutuals.agreement.active import load_active
from mutuals.models.agreement import Side
from mutuals.runs.prepare import read_own_set


@pytest.mark.parametrize("contacts", [10_000, 100_000])
def test_read_own_set(benchmark: BenchmarkFixture, tmp_path: Path, contacts: int) -> None:
    """``contacts`` e-mail addresses, all of people who take part."""
    few = {
        side: [contact(f"{side.value}{n}", f"{side.value}{n}@example.com") for n in range(4)] for side in Side
    }
    with paired(tmp_path, few) as pair:
        company = pair.left
        with company.peer.store.transaction() as tx:
            active = load_active(tx, pair.digest, company.clock())
        heading, first, *_ = company.path.read_text(encoding="utf-8").splitlines()
        template = first.replace("proposer0", "C{0}")
        lines = [template.format(number) for number in range(contacts)]
        company.path.write_text("\n".join([heading, *lines]), encoding="utf-8")
        own = benchmark(read_own_set, company.peer, active)
        assert len(own.items) == contacts
