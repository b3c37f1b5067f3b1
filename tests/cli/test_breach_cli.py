"""``mutuals breach`` and ``mutuals attest``: what a person sees, what a program gets, what leaves nothing behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import PASSPHRASE, Pair, contact, deliver
from support.revealed import Snapshot, reveal_once

from mutuals.peer import Peer
from mutuals_client import main

LEFT = [contact(f"L{i}", f"planted{i}@example.com", city=f"Planted {i}") for i in range(3)]
RIGHT = [contact(f"R{i}", f"planted{i}@example.com", score=str(i)) for i in range(3)]
WHAT = ("--what", "A laptop was stolen.")
_UNSIGNED = {"list", "show", "notices"}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root = tmp_path_factory.mktemp("breach")
    revealed = reveal_once(root / "revealed", LEFT, RIGHT)
    return revealed.exchanged(root / "done")


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        monkeypatch.setattr(Peer.open.__func__, "__defaults__", (pair.left.clock,))  # what commands go by
        yield pair


class Commands:
    """Runs commands on left's home; remembers everything that was said."""

    def __init__(self, pair: Pair, capture: pytest.CaptureFixture[str]) -> None:
        self._home, self._capture = str(pair.left.peer.home.root), capture
        self.said = ""

    def __call__(self, *arguments: str) -> int:
        read, write = os.pipe()
        os.write(write, PASSPHRASE + b"\n")
        os.close(write)
        try:
            main.reset_settings()
            signed = arguments[0] == "attest" or arguments[1] not in _UNSIGNED
            secret = ["--passphrase-fd", str(read)] if signed else []
            code = main.run([*arguments, "--home", self._home, *secret])
        finally:
            os.close(read)
        self.out, self.err = self._capture.readouterr()
        self.said += self.out + self.err
        return code

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        assert self(*arguments, "--json") == code, self.out + self.err
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def run(pair: Pair, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(pair, capsys)


def test_from_opening_to_closing(pair: Pair, run: Commands, tmp_path: Path) -> None:
    dry = run.json("breach", "open", "--all", *WHAT, "--dry-run")
    assert (dry["dry_run"], dry["partners"], dry["sent_contacts"]) == (True, ["Right SA"], 3)
    assert run.json("breach", "list")["breaches"] == []
    opened = run.json("breach", "open", "--all", *WHAT, "--yes")
    name = opened["id"]
    assert opened["suspended"] == opened["agreements"]
    assert opened["authority"]["hours_left"] == 72
    (notice,) = opened["notices"]
    assert (notice["partner"], notice["acknowledged_at"]) == ("Right SA", None)
    assert "in the outbox" in opened["delivery"]["Right SA"]
    deliver(pair.left, pair.right)
    assert run("breach", "show") == 0
    for text in ("72.0 h left", "acknowledged", "3", "Next", "Not known yet"):
        assert text in run.out
    assert run.json("breach", "show", name)["notices"][0]["acknowledged_at"]
    assert len(run.json("breach", "notices", name, "--out", str(tmp_path / "notices"))["files"]) == 3
    assert run.json("breach", "affected", name, "--out", str(tmp_path / "a.csv"))["contacts"] == 3
    assert (
        run.json("breach", "close", name, "--text", "Over.", "--yes", code=3)["error"]["code"]
        == "AGREEMENT_FORBIDS"
    )
    told = run.json(
        "breach", "update", name, "--text", "Told it.", "--told", "authority", "--measures", "Wiped."
    )
    assert told["authority"]["told_at"]
    closed = run.json("breach", "close", name, "--text", "Over.", "--no-persons", "Encrypted.", "--yes")
    assert (closed["state"], closed["suspended"], closed["next_steps"]) == ("closed", [], [])
    assert "planted" not in run.said.casefold()
    assert '"L1"' not in run.said


def test_what_cannot_be_understood_is_a_matter_of_usage(run: Commands) -> None:
    for arguments in (
        ("open", *WHAT, "--yes"),
        ("open", "--all", *WHAT, "--discovered", "yesterday", "--yes"),
        ("open", "--all", *WHAT),
        ("show",),
        ("show", "B-NONE"),
        ("update", "B-NONE", "--text", "x"),
    ):
        assert run("breach", *arguments) == 2, arguments


def test_attesting_and_seeing_who_did(pair: Pair, run: Commands) -> None:
    with pair.left.peer.store.transaction() as tx:
        agreement = tx.agreements.list()[0].agreement_id
    assert run.json("attest", agreement, "--yes")["attested"] is False
    pair.left.clock.now += timedelta(days=90)
    assert run.json("attest", agreement, "--dry-run")["dry_run"] is True
    (mine, theirs) = run.json("attest", agreement, "--list")["due"]
    assert (mine["own"], theirs["own"]) == (True, False)
    assert run.json("attest", agreement, "--yes")["exports"] == 0
    (held,) = run.json("attest", agreement, "--list")["attestations"]
    assert (held["own"], held["operator"], held["verified"]) == (True, "anna", True)
    assert run("attest", agreement, "--list") == 0
    assert "anna" in run.out
