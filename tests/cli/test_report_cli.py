"""``mutuals report``: a private file for a run in any state, with the numbers that the run's contacts really give."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pairing import Company, Pair, contact
from support.revealed import Snapshot, exchange_both, reveal_once

from mutuals.models.run import RunState
from mutuals_client import main

# Of the left's: p0 to p5 take part and q0 shares its address, so that its number alone goes in; the others do not.
LEFT = [contact(f"L{i}", f"p{i}@example.com", f"+4915112345{i:03d}") for i in range(6)]
LEFT += [
    contact("Q0", "info@example.com", "+4915119999001"),
    contact("Q1", "info@example.com", suppressed="true"),
]
LEFT += [contact("N0", "n0@example.com", consent=""), contact("N1", "n1@example.com", notified_at="")]
# The partner holds p0 to p2 by both, p3 by address, p4 by number.
RIGHT = [contact(f"R{i}", f"p{i}@example.com", f"+4915112345{i:03d}") for i in range(3)]
RIGHT += [contact("R3", "p3@example.com"), contact("R4", "other@example.com", "+4915112345004")]
PLANTED = ("example.com", "49151", "L0", "Q0", "R4", "Bremen")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


def report(
    company: Company, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, Any]]:
    """Exit code and the one JSON object of ``mutuals report``."""
    main.reset_settings()
    code = main.run(["report", *arguments, "--json", "--home", str(company.peer.home.root)])
    return code, json.loads(capsys.readouterr().out)


def test_the_numbers_are_those_of_the_contacts(
    pair: Pair, snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange_both(pair, snapshot.run_id)
    out = tmp_path / "page.html"
    code, told = report(pair.left, capsys, snapshot.run_id.lower(), "--out", str(out))
    assert code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    statistics = told["statistics"]
    assert statistics["eligible"] == 7
    assert statistics["excluded"] == {"suppressed": 1, "no_consent": 1, "not_notified": 1}
    assert statistics["identifiers"] == {"email": 6, "phone": 7}
    assert statistics["withheld"] == {"shared": 1}
    assert statistics["pairs"] == {"email": 4, "phone": 4}
    assert statistics["contacts"] == {"email": 1, "phone": 1, "email+phone": 3}
    assert set(statistics["efforts"]) == {"match", "reveal", "exchange"}
    assert all(effort["sent"] and effort["received"] for effort in statistics["efforts"].values())
    assert told["sizes"] == {
        "own": 13,
        "own_identifiers": 13,
        "partner": 9,
        "overlap": 8,
        "contacts": 5,
        "padded": False,
    }
    assert told["match_rate"]["contacts"] == pytest.approx(5 / 7)
    assert told["exchange"]["contacts_sent"] == told["exchange"]["contacts_received"] == 5
    assert told["exchange"]["envelopes_acknowledged"] == told["exchange"]["envelopes_made"] > 0
    assert [one["event"] for one in told["log"]["entries"]][:2] == ["run.opened", "run.counted"]
    # The answering side has its own numbers of the same run.
    _, theirs = report(pair.right, capsys, snapshot.run_id, "--out", str(tmp_path / "right.html"))
    assert theirs["log"]["transcript"] == told["log"]["transcript"]
    assert theirs["statistics"]["pairs"] == {"email": 4, "phone": 4}
    for text in (out.read_text(encoding="utf-8"), json.dumps(told | {"file": ""})):
        # As a word of its own: a run's name may well have the letters of an id in it.
        assert not [planted for planted in PLANTED if re.search(rf"(?<![\w-]){planted}(?![\w-])", text)]


def test_a_file_that_is_there_stays_unless_forced(
    pair: Pair, snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    out.write_text("mine")
    code, told = report(pair.left, capsys, snapshot.run_id, "--out", str(out))
    assert (code, told["error"]["code"], out.read_text()) == (2, "USAGE", "mine")
    code, told = report(pair.left, capsys, snapshot.run_id, "--out", str(out), "--force")
    assert (code, told["state"], told["exchange"]["began"]) == (0, "revealed", False)
    assert told["waits_for"]
    assert "No record of a contact was sent" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "{run}", "--out"),
        ("source", "check", "crm", "--html"),
        ("policy", "init", "--out"),
        ("audit", "export", "{agreement}", "--out"),
        ("notices", "--agreement", "{agreement}", "--out"),
    ],
)
def test_a_name_that_no_folder_takes_is_refused_in_a_sentence(
    pair: Pair, snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str]
) -> None:
    words = [word.format(run=snapshot.run_id, agreement=pair.digest) for word in arguments]
    main.reset_settings()
    home = ["--json", "--home", str(pair.left.peer.home.root)]
    assert main.run([*words, str(tmp_path / ("n" * 300 + ".html")), *home]) == 1
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "LOCAL"
    assert "cannot be written" in told["message"]


@pytest.mark.parametrize("state", [RunState.HALF_REVEALED, RunState.FAILED, RunState.STALE])
def test_runs_that_ended_badly_have_a_report(
    state: RunState, pair: Pair, snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pair.left.peer.store.transaction() as tx:
        tx.runs.update(
            snapshot.run_id,
            {RunState.REVEALED},
            state=state,
            revealed_at=None,
            statistics=None,
            reason="<b>Why</b>",
        )
    out = tmp_path / "page.html"
    code, told = report(pair.left, capsys, snapshot.run_id, "--out", str(out))
    assert (code, told["state"], told["statistics"]) == (0, state.value, None)
    assert "&lt;b&gt;Why" in out.read_text(encoding="utf-8")


def test_a_run_that_nobody_knows(pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = report(pair.left, capsys, "R-00000000", "--out", str(tmp_path / "page.html"))
    assert (code, told["error"]["code"]) == (1, "RUN_UNKNOWN")
    assert not (tmp_path / "page.html").exists()
