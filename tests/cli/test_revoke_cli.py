"""``mutuals revoke`` and ``mutuals notices``: what a person sees, what a program gets, what is never printed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pairing import PASSPHRASE, Pair, contact, deliver
from support.revealed import Snapshot, authorise_both, exchange, reveal_once

from mutuals_client import main

LEFT = [contact(f"L{i}", f"planted{i}@example.com", city=f"City {i}") for i in range(4)]
RIGHT = [contact(f"R{i}", f"planted{i}@example.com", score=str(i)) for i in range(4)]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def mutuals(pair: Pair, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the left side's home; exit code, standard output, standard error."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        read, write = os.pipe()
        os.write(write, PASSPHRASE + b"\n")
        os.close(write)
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        secret = ["--passphrase-fd", str(read)] if arguments[0] == "revoke" else []
        try:
            main.reset_settings()
            code = main.run([*arguments, "--home", str(pair.left.peer.home.root), *secret])
        finally:
            os.close(read)
        return code, *capsys.readouterr()

    return run


def facts(outcome: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = outcome
    assert code == 0, out + err
    found: dict[str, Any] = json.loads(out)
    return found


def refusal(outcome: tuple[int, str, str]) -> tuple[int, str]:
    code, out, _ = outcome
    return code, json.loads(out)["error"]["code"]


def test_the_dry_run_says_who_would_be_told_and_then_they_are(
    pair: Pair, snapshot: Snapshot, mutuals: Run
) -> None:
    authorise_both(pair, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    found = facts(mutuals("revoke", "--contact", "L1", "--dry-run", "--json"))
    assert found["recipients"] == [{"partner": "Right SA", "run": snapshot.run_id, "contacts": 1, "pairs": 1}]
    assert (found["identifiers"], found["unknown"], found["dry_run"]) == (1, [], True)
    with pair.left.peer.store.transaction() as tx:
        assert (tx.suppressions.list(), tx.revocations.list(), tx.outbox.pending()) == ([], [], [])
    code, out, err = mutuals("revoke", "--stdin", "--yes", "--reason", "erasure", stdin="L1\n\nL9\n")
    assert code == 0, err
    assert "Right SA" in out
    assert "In no source and never sent: L9" in out
    assert "has no endpoint and has to call; 1 document" in " ".join(out.split())
    assert "planted" not in out + err
    deliver(pair.left, pair.right)
    with pair.right.peer.store.transaction() as tx:
        assert tx.received.count(snapshot.run_id) == 3
    again = facts(mutuals("revoke", "--contact", "L1", "--yes", "--json"))
    assert (again["recipients"], again["suppressed"], again["revocations"]) == ([], 0, [])
    check = facts(mutuals("source", "check", "crm", "--agreement", pair.digest, "--json"))
    assert check["participation"]["excluded"] == {"withdrawn": 1}
    assert facts(mutuals("revoke", "--contact", "L1", "--lift", "--yes", "--json")) == {"lifted": 2}


def test_an_identifier_in_the_arguments_is_refused_and_nothing_is_asked_in_vain(mutuals: Run) -> None:
    for arguments in (
        ("--contact", "planted1@example.com"),
        ("--stdin", "--contact", "L1"),
        (),
        ("--contact", "L1"),
        ("--contact", "L1", "--lift", "--dry-run"),
        ("--contact", "L1", "--lift"),
    ):
        code, out, err = mutuals("revoke", *arguments, "--json")
        assert (code, json.loads(out)["error"]["code"]) == (2, "USAGE"), arguments
        assert "planted" not in out + err
    assert refusal(mutuals("revoke", "--contact", "L1", "--agreement", "A-NONE", "--json")) == (
        6,
        "AGREEMENT_UNKNOWN",
    )


def test_notices_lists_who_lacks_only_the_notice_and_drafts_it(
    pair: Pair, mutuals: Run, tmp_path: Path
) -> None:
    changed = {
        "L0": {"notified_at": ""},
        "L1": {"notified_at": "", "consent": ""},
        "L2": {"notified_at": "2999-01-01"},
    }
    pair.left.write(
        [row | changed.get(row["contact_id"], {}) for row in LEFT] + [contact("L9", notified_at="")]
    )
    ids, draft = tmp_path / "notify.csv", tmp_path / "notice.md"
    arguments = ("notices", "--agreement", pair.digest, "--out", str(ids), "--draft", str(draft))
    found = facts(mutuals(*arguments, "--json"))
    assert (found["contacts"], found["reasons"]) == (2, {"not_notified": 2})
    with ids.open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["contact_id", "reason"],
            ["L0", "not_notified"],
            ["L2", "not_notified"],
        ]
    text = draft.read_text()
    assert text == found["draft"]
    for words in (
        "Left Ltd",
        "Right SA",
        "dpo@company.example",
        "city",
        "90 days",
        "not legal advice",
        "Art. 15",
    ):
        assert words in text, words
    for file in (ids, draft):
        assert file.stat().st_mode & 0o777 == 0o600
    assert refusal(mutuals(*arguments, "--json")) == (2, "USAGE")
    code, out, _ = mutuals("notices", "--agreement", pair.digest)
    assert code == 0
    assert "2 not notified" in " ".join(out.split())
    assert "L0" not in out
    assert refusal(mutuals("notices", "--agreement", pair.digest, "--source", "none", "--json")) == (
        2,
        "USAGE",
    )
