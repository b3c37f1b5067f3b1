"""Which engine an agreement gets; one that this machine cannot run is refused before anybody signs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.assessed import propose
from support.engines import needs_openmined
from support.pairing import Company, TestClock, agreement_between, contact, deliver, introduce, make_company

from mutuals.agreement import lifecycle
from mutuals.agreement.template import DEFAULT_ENGINE
from mutuals.errors import ErrorCode, MutualsError

TESTS = Path(__file__).parents[1]
WHOLE_MATCH = """
import sys
sys.modules["private_set_intersection"] = None  # what an import finds where there is no wheel
from dataclasses import replace
from mutuals.engines import get_engine
from mutuals.engines.workers import InlinePool
from mutuals.errors import MutualsError
from mutuals.models.run import Role
from support.peers import TERMS, match_lists

lists = {role: [f"email:user{n}@example.com" for n in range(start, start + 60)] for role, start in zip(Role, (0, 50))}
ends = match_lists(lists, replace(TERMS, engine="x25519"), None, InlinePool())
print([ends[role].count for role in Role])
try:
    get_engine("openmined")
except MutualsError as error:
    print(error.code)
print([name for name in sys.modules if name.startswith("private_set_intersection.")])
"""


def test_an_agreement_that_names_no_engine_has_x25519() -> None:
    assert DEFAULT_ENGINE == "x25519"


def test_x25519_matches_where_openmined_psi_is_not_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WHOLE_MATCH],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=TESTS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[10, 10]", "ENGINE_MISMATCH", "[]"]


@pytest.fixture
def companies(tmp_path: Path) -> Iterator[tuple[Company, Company]]:
    """Two that know each other and have agreed on nothing."""
    clock = TestClock()
    rows = [contact("1", "one@example.com")]
    left, right = (make_company(tmp_path / name, name.title(), rows, clock) for name in ("left", "right"))
    introduce(left, right)
    yield left, right
    left.peer.close()
    right.peer.close()


@needs_openmined
def test_an_engine_that_cannot_run_here_is_refused_before_anybody_signs(
    companies: tuple[Company, Company], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = companies
    terms = agreement_between(left, right, {"engine": "openmined"})

    def refused(act: Callable[[], object]) -> None:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "private_set_intersection", None)
            with pytest.raises(MutualsError) as caught:
                act()
        assert caught.value.code is ErrorCode.ENGINE_MISMATCH
        assert "openmined cannot run here" in caught.value.message
        assert 'engine = "x25519"' in (caught.value.hint or "")

    refused(lambda: lifecycle.propose(left.peer, terms, "crm", {}, left.keys))
    with left.peer.store.transaction() as tx:
        assert not tx.agreements.list()
        assert not tx.outbox.pending()

    digest = propose(left.peer, terms, "crm", {}, left.keys)
    deliver(left, right)
    refused(lambda: lifecycle.accept(right.peer, digest, "crm", {}, right.keys))
    with right.peer.store.transaction() as tx:
        assert not tx.outbox.pending()
