"""``mutuals agreement`` from the second version to the end: two homes, documents carried by hand."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import PASSPHRASE, contact
from support.policies import approve
from support.postgres_homes import content_of
from support.versions import Made, carry, copy_pair, make_pair

from mutuals.identity.home import Kdf
from mutuals.identity.operators import create_operator, unlock
from mutuals.models.agreement import Side
from mutuals.runs.handover import take_on
from mutuals_client import main

ROWS = {side: [contact(f"C{i}", f"p{i}@example.com") for i in range(3)] for side in Side}

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_pair(
        tmp_path_factory.mktemp("pair"), ROWS, matching={"min_set_size": 1000, "min_overlap": 25}
    )


@pytest.fixture
def homes(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.root, tmp_path / "homes"))


@pytest.fixture
def run(homes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("MUTUALS_HOME", "MUTUALS_OPERATOR"):
        monkeypatch.delenv(name, raising=False)

    def command(company: str, *words: str | Path, signed: bool = True) -> dict[str, Any]:
        with passphrase() as descriptor:
            options = ["--passphrase-fd", descriptor] if signed else []
            arguments = ["agreement", *map(str, words), *options, "--home", str(homes / company)]
            code = main.run([*arguments, "--yes", "--json"])
            main.reset_settings()
        return {"code": code, **json.loads(capsys.readouterr().out)}

    return command


@contextmanager
def passphrase() -> Iterator[str]:
    reader, writer = os.pipe()
    os.write(writer, PASSPHRASE + b"\n")
    os.close(writer)
    yield str(reader)
    os.close(reader)


def deliver(made: Made, homes: Path) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1)  # the commands go by the real clock
    with copy_pair(Made(homes, made.sides, made.digest, now), homes) as pair:
        carry(pair.left, pair.right)
        carry(pair.right, pair.left)


@pytest.fixture
def rehearsed(run: Run, homes: Path) -> Run:
    """A command with --dry-run, and without a passphrase: it must change no byte of the store."""

    def command(company: str, *words: str | Path) -> dict[str, Any]:
        store = homes / company / "store.sqlite"
        before = store.read_bytes(), content_of(homes / company)
        answer = run(company, *words, "--dry-run", signed=False)
        assert (answer["code"], answer["would_sign"], answer["dry_run"]) == (0, "anna", True), answer
        assert (store.read_bytes(), content_of(homes / company)) == before
        return answer

    return command


def assess(run: Run, company: str, reference: str | Path, *options: str) -> None:
    seen = run(company, "assess", reference, "--source", "crm", "--dry-run", *options)
    accepting = [f"--accept={name}=For this test." for name in seen["open"]]
    done = run(company, "assess", reference, "--source", "crm", *accepting, *options)
    assert done.get("signable"), done


def test_an_agreement_is_amended_countered_suspended_and_terminated(
    run: Run, rehearsed: Run, made: Made, homes: Path, tmp_path: Path
) -> None:
    file = tmp_path / "next.toml"
    first = made.digest
    text = run("right", "draft", "--from", first, "--out", file, signed=False)["draft"]
    file.write_text(text.replace('title = "Test campaign"', 'title = "Second season"'))
    changes = run("right", "diff", first, file, signed=False)["changes"]
    assert [(item["what"], item["kind"], item["new"]) for item in changes] == [
        ("Title", "changed", "Second season")
    ]
    assess(run, "right", file)
    assert rehearsed("right", "amend", first, file)["would_send"] == ["proposal"]
    amended = run("right", "amend", first, file)
    assert (amended["state"], amended["version"], amended["replaces"]) == ("proposed", 2, first)
    assert (amended["own_side"], amended["source"]) == ("proposer", "crm")
    deliver(made, homes)

    other = tmp_path / "ours.toml"
    text = run("left", "draft", "--from", amended["id"], "--out", other, signed=False)["draft"]
    other.write_text(text.replace("Second season", "Our season"))
    assess(run, "left", other)
    rejecting = rehearsed("left", "reject", amended["id"], "--reason", "No.")
    assert (rejecting["would_send"], rejecting["to"]) == (["rejection"], "Right SA")
    words = ("counter", amended["id"], other, "--source", "crm")
    assert rehearsed("left", *words)["would_send"] == ["proposal", "rejection"]
    made_up = run("left", "counter", amended["id"], other, "--source", "crm", "--reason", "Another name.")
    assert (made_up["state"], made_up["version"], made_up["replaces"]) == ("proposed", 2, first)
    deliver(made, homes)
    assert run("right", "show", amended["id"], signed=False)["reason"].startswith("Another name.")
    against = run("right", "diff", made_up["id"], signed=False)
    assert (against["old"], [item["old"] for item in against["changes"]]) == (
        amended["id"],
        ["Second season"],
    )
    assess(run, "right", made_up["id"])
    accepting = rehearsed("right", "accept", made_up["id"], "--source", "crm")
    assert (accepting["id"], accepting["would_send"]) == (made_up["id"], ["acceptance"])
    assert run("right", "accept", made_up["id"], "--source", "crm")["state"] == "active"
    deliver(made, homes)
    listed = {item["id"]: item["state"] for item in run("left", "list", signed=False)["agreements"]}
    assert sorted(listed.values()) == ["active", "rejected", "superseded"]

    suspending = rehearsed("left", "suspend", made_up["id"], "--reason", "A complaint.")
    assert suspending["would_send"] == ["suspension"]
    halted = run("left", "suspend", made_up["id"], "--reason", "A complaint.")
    assert halted["state"] == "suspended"
    deliver(made, homes)
    assert run("right", "resume", made_up["id"])["code"] == 2
    assert rehearsed("left", "resume", made_up["id"])["suspension"] == halted["suspension"]
    assert run("left", "resume", made_up["id"])["state"] == "active"
    deliver(made, homes)

    ending = rehearsed("right", "terminate", made_up["id"], "--reason", "Over.")
    assert (ending["notice_days"], ending["would_send"]) == (30, ["termination"])
    noticed = run("right", "terminate", made_up["id"], "--reason", "Over.")
    assert (noticed["state"], noticed["ends_at"] is None) == ("active", False)
    ended = run("right", "terminate", made_up["id"], "--reason", "Now.", "--cause")
    assert ended["state"] == "ended"
    assert [item["triggered_by"] for item in ended["retention"]["certificates"]] == ["command"]
    deliver(made, homes)
    states = {item["state"] for item in run("left", "list", signed=False)["agreements"]}
    assert states == {"ended", "rejected"}


def test_a_proposal_is_withdrawn(run: Run, rehearsed: Run, made: Made, homes: Path, tmp_path: Path) -> None:
    file = tmp_path / "next.toml"
    text = run("left", "draft", "--from", made.digest, "--out", file, signed=False)["draft"]
    file.write_text(text.replace('title = "Test campaign"', 'title = "Second season"'))
    assess(run, "left", file)
    proposed = run("left", "amend", made.digest, file)
    assert rehearsed("left", "withdraw", proposed["id"], "--reason", "Not now.")["would_send"] == [
        "withdrawal"
    ]
    assert run("left", "withdraw", proposed["id"], "--reason", "Not now.")["state"] == "rejected"
    deliver(made, homes)
    assert run("right", "show", proposed["id"], signed=False)["reason"] == "Withdrawn: Not now."
    assert run("right", "accept", proposed["id"], "--source", "crm")["code"] == 6


def test_a_rehearsal_says_where_a_second_operator_is_needed(
    run: Run, rehearsed: Run, made: Made, homes: Path, tmp_path: Path
) -> None:
    with copy_pair(Made(homes, made.sides, made.digest, made.now), homes) as pair:
        with pair.left.peer.store.transaction() as tx:
            anna = tx.operators.get("anna")
            assert anna is not None
        bert = create_operator(
            "bert", anna.roles, anna.department, PASSPHRASE, kdf=Kdf(memory_kib=8, iterations=1), now=made.now
        )
        take_on(pair.left.peer, bert, unlock(anna, PASSPHRASE))
        approve(pair.left, four_eyes=("sign", "terminate"))
    ending = rehearsed("left", "terminate", made.digest, "--reason", "Over.", "--operator", "anna")
    assert (ending["would_send"], ending["second_operator_needed"]) == ([], True)
    file = tmp_path / "next.toml"
    text = run("left", "draft", "--from", made.digest, "--out", file, signed=False)["draft"]
    file.write_text(text.replace('title = "Test campaign"', 'title = "Second season"'))
    assert run("left", "approve", file, "--source", "crm", "--operator", "bert")["code"] == 0
    assess(run, "left", file, "--operator", "bert")
    drafted = rehearsed("left", "amend", made.digest, file, "--operator", "anna")
    assert (drafted["would_send"], drafted["second_operator_needed"]) == ([], True)
    assert run("left", "amend", made.digest, file, "--operator", "bert")["code"] == 9
    waiting = next(
        item["id"] for item in run("left", "list", signed=False)["agreements"] if item["state"] == "draft"
    )
    second = rehearsed("left", "sign", waiting, "--operator", "anna")
    assert (second["would_send"], second["to"]) == (["proposal"], "Right SA")
    assert rehearsed("left", "withdraw", waiting, "--reason", "No.", "--operator", "anna")["would_send"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("draft",), 2),
        (("draft", "--from", "A-1", "--with", "globex"), 2),
        (("draft", "--from", "A-1", "--title", "x"), 2),
        (("diff", "A-00000000"), 6),
        (("terminate", "A-00000000", "--reason", "x"), 6),
        (("sign", "A-00000000"), 6),
    ],
)
def test_what_cannot_be_done_says_so(run: Run, words: tuple[str, ...], code: int) -> None:
    answer = run("left", *words, signed=words[0] in {"terminate", "sign"})
    assert answer["code"] == code
    assert answer["error"]["message"]


def test_a_file_that_does_not_say_what_it_replaces_amends_nothing(
    run: Run, made: Made, tmp_path: Path
) -> None:
    file = tmp_path / "next.toml"
    text = run("left", "draft", "--from", made.digest, "--out", file, signed=False)["draft"]
    lines = [line for line in text.splitlines() if not line.startswith(("version =", "replaces ="))]
    file.write_text("\n".join(lines))
    answer = run("left", "amend", made.digest, file)
    assert answer["code"] == 2
    assert "version = 2" in answer["error"]["hint"]
