"""``mutuals retention``: what is due when, what was destroyed, and what a program gets; nobody's passphrase."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.audit import change
from support.pairing import Company, Pair, contact, deliver
from support.revealed import exchange_both, reveal_once

from mutuals.agreement.document import agreement_id
from mutuals.agreement.ending import terminate
from mutuals.runs.export import open_received, write_export
from mutuals_client import main

LEFT = [contact(f"L{i}", f"p{i}@example.com", city=f"Planted {i}") for i in range(4)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=str(i)) for i in range(4)]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setenv("COLUMNS", "200")
    made = reveal_once(tmp_path / "before", LEFT, RIGHT)
    with made.copy(tmp_path / "after") as pair:
        exchange_both(pair, made.run_id)
        received = open_received(pair.right.peer, made.run_id, pair.right.keys)
        write_export(pair.right.peer, received, tmp_path / "campaign.csv", pair.right.keys)
        for company in pair.sides.values():
            company.clock.now = datetime.now(UTC)
        yield pair


def run(
    company: Company,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    words: tuple[str, ...] = ("retention",),
) -> tuple[int, str, str]:
    main.reset_settings()
    code = main.run([*words, *arguments, "--home", str(company.peer.home.root)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_from_due_to_destroyed_and_certified(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    name = agreement_id(pair.digest)
    code, out, _ = run(pair.right, capsys, "--dry-run")
    assert code == 0
    assert "Nothing was changed." in out
    assert "4 records of the class of 90 days" in out
    assert "Planted" not in out
    code, out, _ = run(pair.right, capsys, "--json")
    due: list[dict[str, Any]] = json.loads(out)["due"]
    assert [(entry["agreement_id"], entry["records"], entry["overdue"]) for entry in due] == [
        (name, 4, False),
        (name, None, False),
    ]
    terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=True)
    deliver(pair.left, pair.right)
    code, out, err = run(pair.right, capsys)
    assert (code, err) == (0, "")
    assert "destroyed 4 records and its key." in out
    assert "found in none" in out
    assert f"Signed the deletion certificate for agreement {name}." in out
    assert "campaign.csv (anna, 4 rows" in out
    assert "Left Ltd" in out, "how the delivery went"
    assert "the partner's deletion certificate" in out
    code, out, _ = run(pair.right, capsys)
    assert "Nothing was due." in out
    code, out, _ = run(pair.left, capsys, "--json")
    facts = json.loads(out)
    assert facts["certificates"][0]["ended_by"] == "own termination"
    assert facts["certificates"][0]["search"]["found"] == 0
    assert facts["deliveries"].keys() == {"Right SA"}
    code, out, _ = run(pair.right, capsys, name, words=("agreement", "certificate"))
    assert code == 0
    for words in (
        "Certificate of Right SA",
        "a termination of the other side",
        "campaign.csv",
        "The partner's is",
    ):
        assert words in out
    with pair.right.peer.store.transaction() as tx:
        (row,) = tx.certificates.list(pair.digest)
    changed = row.body.replace(b'"runs":1', b'"runs":2')
    change(pair.right, ("UPDATE certificates SET body = ?", (changed,)))
    code, _, err = run(pair.right, capsys, name, words=("agreement", "certificate"))
    assert code == 1
    assert "is not what was signed" in err


def test_what_could_not_be_verified_is_an_error_that_says_so(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    with pair.right.peer.store.transaction() as tx:
        piece = tx.received.list(tx.runs.list()[0].run_id)[0].ciphertext
    (pair.right.peer.home.root / "old.bak").write_bytes(piece)
    terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=True)
    deliver(pair.left, pair.right)
    code, _, err = run(pair.right, capsys)
    assert code == 1
    assert "old.bak" in err
    assert "Nothing was certified" in err
    code, out, _ = run(pair.right, capsys, "--json")
    assert code == 1
    assert json.loads(out)["error"]["code"] == "LOCAL"
