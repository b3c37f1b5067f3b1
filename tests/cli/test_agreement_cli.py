"""``mutuals agreement`` as a person or a script uses it: two homes, documents handed over by hand."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.agreements import BLANKS, make_homes
from support.homes import PASSPHRASE

from mutuals.documents import take_document
from mutuals.peer import Peer
from mutuals.protocol.messages import Document
from mutuals_client import main


@dataclass
class Shell:
    """Runs commands in a home and keeps what the last one printed."""

    capture: pytest.CaptureFixture[str]
    homes: dict[str, Path]
    out: str = ""
    err: str = ""

    def __call__(self, company: str, *arguments: str | Path) -> int:
        words = [str(word) for word in arguments]
        with passphrase() as descriptor:
            if words[0] in {"propose", "accept", "reject", "assess", "approve"}:
                words += ["--passphrase-fd", descriptor]
            code = main.run(["agreement", *words, "--home", str(self.homes[company])])
            main.reset_settings()
        self.out, self.err = self.capture.readouterr()
        return code

    def json(self, company: str, *arguments: str | Path) -> dict[str, Any]:
        """The one object the command printed; ``code`` is its exit code."""
        code = self(company, *arguments, "--json")
        return {"code": code, **json.loads(self.out)}

    def draft(self, path: Path, *options: str, fill: bool = True) -> Path:
        """A draft by Acme, its blanks filled in."""
        assert self("acme", "draft", "--with", "globex", "--out", path, *options) == 0
        text = path.read_text()
        for blank, value in BLANKS.items():
            text = text.replace(blank, value) if fill else text
        path.write_text(text)
        return path

    def deliver(self, sender: str, receiver: str) -> None:
        """Hand over what waits."""
        with Peer.open(self.homes[sender]) as one, Peer.open(self.homes[receiver]) as other:
            with one.store.transaction() as tx:
                waiting = tx.outbox.pending()
            with other.store.transaction() as tx:
                partner = tx.partners.list()[0]
            for row in waiting:
                assert take_document(other, partner, Document(row.kind, row.body, row.signature)).accepted
                with one.store.transaction() as tx:
                    tx.outbox.delivered(row.document_id, b"receipt", one.clock())


@contextmanager
def passphrase() -> Iterator[str]:
    reader, writer = os.pipe()
    os.write(writer, PASSPHRASE + b"\n")
    os.close(writer)
    yield str(reader)
    os.close(reader)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_homes(tmp_path_factory.mktemp("homes"))


@pytest.fixture
def agreement(
    made: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("MUTUALS_HOME", raising=False)
    monkeypatch.delenv("MUTUALS_OPERATOR", raising=False)
    homes = {home.name: Path(shutil.copytree(home, tmp_path / home.name)) for home in made}
    return Shell(capsys, homes)


def assess(agreement: Shell, company: str, reference: str | Path, *options: str) -> dict[str, Any]:
    """Assess, and accept whatever can be accepted."""
    seen = agreement.json(company, "assess", reference, "--source", "crm", *options, "--dry-run")
    accepting = [f"--accept={name}=For this test." for name in seen.get("open", ())]
    return agreement.json(company, "assess", reference, "--source", "crm", *options, *accepting, "--yes")


def propose(agreement: Shell, path: Path, *options: str) -> dict[str, Any]:
    if path.exists():
        assess(agreement, "acme", path, *options)
    return agreement.json("acme", "propose", path, "--with", "globex", "--source", "crm", "--yes", *options)


MAP = ("--map", "lifetime_value=Lifetime value")
ACCEPT = ("--source", "crm", *MAP, "--yes")


def test_draft_to_active_on_both_sides(agreement: Shell, tmp_path: Path) -> None:
    path = agreement.draft(tmp_path / "a.toml")
    rehearsing = ("propose", path, "--with", "globex", "--source", "crm", "--dry-run")
    assert agreement.json("acme", *rehearsing)["code"] == 3  # not assessed
    proposed = propose(agreement, path)
    assert proposed["code"] == 0
    assert (proposed["state"], proposed["own_side"], proposed["partner"]) == (
        "proposed",
        "proposer",
        "Globex GmbH",
    )
    assert "outbox" in proposed["delivery"]
    agreement.deliver("acme", "globex")
    refused = agreement.json("globex", "accept", proposed["id"], *ACCEPT)
    assert (refused["code"], refused["error"]["code"]) == (3, "AGREEMENT_FORBIDS")
    assert "mutuals agreement assess" in refused["error"]["hint"]
    assessed = assess(agreement, "globex", proposed["id"], *MAP)
    accepted = agreement.json("globex", "accept", proposed["id"], *ACCEPT)
    assert (accepted["code"], accepted["state"], accepted["digest"]) == (0, "active", proposed["digest"])
    assert accepted["mapping"] == {"city": "city", "lifetime_value": "Lifetime value"}
    agreement.deliver("globex", "acme")
    shown = agreement.json("acme", "show", proposed["id"].lower())
    assert shown["state"] == "active"
    assert [(item["side"], item["verified"]) for item in shown["signatures"]] == [
        ("partner", True),
        ("proposer", True),
    ]
    assert shown["signatures"][0]["assessment"] == assessed["digest"]
    assert shown["signatures"][1]["assessment"] not in {None, assessed["digest"]}
    assert shown["document"]["format"] == "mutuals/v1/agreement"
    assert agreement("acme", "list") == 0
    assert proposed["id"] in agreement.out
    assert "active" in agreement.out
    assert agreement.json("acme")["agreements"][0]["id"] == proposed["id"]


def test_show_reads_well(agreement: Shell, tmp_path: Path) -> None:
    proposed = propose(
        agreement, agreement.draft(tmp_path / "a.toml", "--purpose", "[bold]Joint[/bold] tests.")
    )
    assert agreement("acme", "show", proposed["id"]) == 0
    for expected in (
        "enforced by the software",
        "This is not legal advice.",
        "[bold]Joint[/bold] tests.",
        "Acme Ltd sends to Globex GmbH",
        "as a range, cut at 0, 100, 500, 2,000",
        "at most 730 days before",
        "signed by anna (admin)",
        "not signed yet",
        "An overlap below 25 ends the run",
        "364 days left",
    ):
        assert expected in " ".join(agreement.out.split()), expected
    assert agreement("acme", "show", proposed["id"], "--markdown", "-") == 0
    assert agreement.out.startswith("# Agreement A-")
    assert "| ● Field |" in agreement.out
    assert "\\[bold\\]Joint" in agreement.out


def test_drafts_and_assessments_become_documents(agreement: Shell, tmp_path: Path) -> None:
    draft = agreement.draft(tmp_path / "a.toml")
    page, text = tmp_path / "a.html", tmp_path / "a.md"
    shown = agreement.json("acme", "show", draft, "--html", page, "--markdown", text)
    assert (shown["code"], shown["state"], shown["written"]) == (0, "draft", [str(text), str(page)])
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "Acme Ltd sends to Globex GmbH" in text.read_text()
    assert agreement("acme", "assess", draft, "--dry-run") == 3
    assert "small-groups" in agreement.out
    assert '--accept small-groups="..."' in agreement.out
    assert agreement("acme", "assess", draft, "--accept", "small-groups", "--dry-run") == 2
    signed = agreement.json(
        "acme", "assess", draft, "--accept", "small-groups=A test.", "--html", page, "--yes"
    )
    assert (signed["code"], signed["signable"], signed["open"]) == (0, True, [])
    assert signed["digest"] in page.read_text()
    assert "Accepted: A test." in page.read_text()
    refused = agreement.json("acme", "approve", draft, "--yes")
    assert (refused["code"], refused["error"]["code"]) == (2, "USAGE")  # no policy, so nobody owns a field


def test_accept_shows_the_partner_again_and_asks(agreement: Shell, tmp_path: Path) -> None:
    proposed = propose(agreement, agreement.draft(tmp_path / "a.toml"))
    agreement.deliver("acme", "globex")
    assess(agreement, "globex", proposed["id"], *MAP)
    assert agreement("globex", "accept", proposed["id"], *ACCEPT[:-1]) == 2
    assert "needs an answer" in agreement.err
    assert "Your partner says about itself" in agreement.out
    assert "Fingerprint" in agreement.out
    assert agreement.json("globex", "show", proposed["id"])["state"] == "proposed"


def test_reject_tells_why(agreement: Shell, tmp_path: Path) -> None:
    proposed = propose(agreement, agreement.draft(tmp_path / "a.toml"))
    agreement.deliver("acme", "globex")
    rejected = agreement.json("globex", "reject", proposed["id"], "--reason", "Too long.", "--yes")
    assert (rejected["code"], rejected["state"]) == (0, "rejected")
    agreement.deliver("globex", "acme")
    shown = agreement.json("acme", "show", proposed["id"])
    assert (shown["state"], shown["reason"]) == ("rejected", "Too long.")


def test_unfilled_draft_names_its_blanks(agreement: Shell, tmp_path: Path) -> None:
    refused = propose(agreement, agreement.draft(tmp_path / "a.toml", fill=False))
    assert refused["code"] == 7
    assert "purpose: is still a blank" in refused["error"]["message"]
    assert agreement.json("acme", "list")["agreements"] == []


def test_bad_input_has_its_exit_code_and_writes_nothing(agreement: Shell, tmp_path: Path) -> None:
    path = agreement.draft(tmp_path / "a.toml")
    text = path.read_text()
    for old, new, code, expected in (
        ("min_set_size", "min_set_siz", 7, "matching.min_set_siz: unknown key; did you mean min_set_size?"),
        ('name = "last_purchase"', 'name = "shoe_size"', 7, "proposer_sends[2].name: field 'shoe_size'"),
        ("[matching]", "[matching", 7, ": the name of a section is not closed"),
        ("organisation = ", 'organisation = "Evil Corp" # ', 7, "is not the name on your card, “Acme Ltd”"),
        ("valid_from = 20", "valid_from = 2001-01-01 # ", 7, "is more than ten years after valid_from"),
    ):
        path.write_text(text.replace(old, new, 1))
        refused = propose(agreement, path)
        assert refused["code"] == code
        assert expected in refused["error"]["message"]
    lines = [
        "valid_from = 2020-01-01" if line.startswith("valid_from") else line for line in text.splitlines()
    ]
    lines = ["valid_until = 2020-12-31" if line.startswith("valid_until") else line for line in lines]
    path.write_text("\n".join(lines))
    assert propose(agreement, path)["code"] == 6
    path.write_bytes(text.encode("utf-16"))
    assert propose(agreement, path)["code"] == 7
    assert propose(agreement, tmp_path / "none.toml")["code"] == 2
    path.write_text(text)
    assert propose(agreement, path, "--map", "city")["code"] == 2
    assert agreement.json("acme", "list")["agreements"] == []


def test_draft_does_not_overwrite(agreement: Shell, tmp_path: Path) -> None:
    path = agreement.draft(tmp_path / "a.toml")
    assert agreement("acme", "draft", "--with", "globex", "--out", path) == 2
    assert agreement("acme", "draft", "--with", "globex", "--one-way", "send") == 0
    assert "[[proposer_sends]]" in agreement.out
    assert "[[partner_sends]]" not in agreement.out


def test_mandate_is_granted_with_the_signature(agreement: Shell, tmp_path: Path) -> None:
    path = agreement.draft(tmp_path / "a.toml")
    path.write_text(path.read_text().replace('exchange = "authorisation"', 'exchange = "mandate"'))
    proposed = propose(agreement, path)
    with Peer.open(agreement.homes["acme"]) as peer, peer.store.transaction() as tx:
        row = tx.authorisations.current("mandate", proposed["digest"], peer.clock())
    assert row is not None
    assert json.loads(row.statement)["acts"] == ["exchange"]


def test_a_rehearsed_proposal_is_not_made(agreement: Shell, tmp_path: Path) -> None:
    path = agreement.draft(tmp_path / "a.toml")
    assess(agreement, "acme", path)
    assert agreement("acme", "propose", path, "--with", "globex", "--source", "crm", "-n") == 0
    assert "would sign a proposal for Globex GmbH, to be delivered" in agreement.out
    assert agreement.out.rstrip().endswith("Nothing was signed or sent.")
    assert agreement.json("acme", "list")["agreements"] == []


def test_the_same_draft_is_proposed_once(agreement: Shell, tmp_path: Path) -> None:
    path = agreement.draft(tmp_path / "a.toml")
    first = propose(agreement, path)
    again = propose(agreement, path)
    assert again["code"] == 2
    assert f"agreement {first['id']} is proposed" in again["error"]["message"]
    assert len(agreement.json("acme", "list")["agreements"]) == 1


def test_the_command_after_a_draft_can_be_copied(
    agreement: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = tmp_path / ("long-" * 20 + "name") / "a draft.toml"
    path.parent.mkdir()
    assert agreement("acme", "draft", "--with", "globex", "--out", path) == 0
    assert f"  mutuals agreement propose '{path}' --with 'Globex GmbH' --source crm" in agreement.out


def test_unknown_agreement_has_its_exit_code(agreement: Shell) -> None:
    assert agreement("acme", "show", "A-00000000") == 6
