"""Everything of a match but the curve, the source and the wire: both sides in this process, an engine that is an XOR.

``make bench`` runs it at 100,000 items a side and with very unequal lists; the time per item says what the match itself
costs, and that it grows with the sum of both lists. A million a side: ``MUTUALS_BENCH_ITEMS=1000000 make bench``.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from support.peers import KEYS, NOW, TERMS, drive, run_both

from mutuals.engines.workers import InlinePool
from mutuals.models.run import Role
from mutuals.protocol.items import Rows, as_rows
from mutuals.protocol.match import MatchSession

ITEMS = int(os.environ.get("MUTUALS_BENCH_ITEMS", "100000"))


class XorEngine:
    """See ``mutuals.engines.base.Engine``: commutative, as fast as memory, and no cipher at all."""

    name = "xor"
    point_size = 32
    backend = "numpy"

    def generate_key(self) -> bytes:
        return os.urandom(32)

    def blind(self, key: bytes, items: bytes) -> bytes:
        words: np.ndarray = np.frombuffer(items, "<u8").reshape(-1, 4) ^ np.frombuffer(key, "<u8")
        return words.tobytes()

    def reblind(self, key: bytes, points: bytes) -> bytes:
        return self.blind(key, points)

    def check_points(self, points: bytes) -> None: ...


ENGINE = XorEngine()
TERMS_HERE = replace(TERMS, engine=ENGINE.name, max_set_size=100_000_000)


def session(role: Role, items: Rows) -> MatchSession:
    return MatchSession(
        role,
        TERMS_HERE,
        items,
        signing_key=KEYS[role],
        partner_key=KEYS[role.other].public,
        receiving_key=role.value[:1].encode() * 1216,
        clock=lambda: NOW,
        engine=ENGINE,
    )


@pytest.mark.parametrize(("ours", "theirs"), [(ITEMS, ITEMS), (ITEMS // 1000, ITEMS)])
def test_match_without_the_curve(benchmark: BenchmarkFixture, ours: int, theirs: int) -> None:
    shared = ours // 10
    drawn = as_rows(os.urandom(32 * (ours + theirs - shared)), 32)
    lists = {Role.INITIATOR: drawn[:ours], Role.RESPONDER: drawn[ours - shared :]}

    def match() -> int:
        ends = run_both(
            {
                role: lambda stream, role=role: drive(
                    session(role, lists[role]), stream, InlinePool({ENGINE.name: ENGINE})
                )
                for role in Role
            }
        )
        count: int = ends[Role.INITIATOR].count
        return count

    count = benchmark.pedantic(match, rounds=3, warmup_rounds=0)
    benchmark.extra_info["items"] = ours + theirs
    assert count == shared
