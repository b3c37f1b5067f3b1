"""``mutuals source map``: from an export that nobody has consented in to the people whom a signed decision admits."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
from support.homes import CHEAP, NOW, PASSPHRASE, make_peer, open_peer

from mutuals.consent.decision import decided_definition
from mutuals.identity.operators import create_operator, unlock
from mutuals.models.agreement import ConsentRule
from mutuals.runs.handover import take_on
from mutuals.sources import SourceDefinition, read_source
from mutuals.sources.eligibility import consent_exclusions
from mutuals.store.rows import SourceRow
from mutuals_client import console, main

EXPORT = Path(__file__).parents[1] / "data" / "exports" / "hubspot.csv"
BASIS = "Legal basis for processing contact's data"
YES = "Freely given consent from contact"
GRANT = ("--grant", f"sharing:{BASIS}={YES}", "--given-at", "Consent day")
RULE = ConsentRule(purpose="sharing", notice_required=False)


@dataclass
class CommandLine:
    """Runs ``mutuals source`` in one home, and keeps what it printed."""

    home: Path
    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def __call__(self, *words: str, operator: str | None = None) -> int:
        main.reset_settings()
        read, write = os.pipe()
        os.write(write, PASSPHRASE + b"\n")
        os.close(write)
        secret = ["--passphrase-fd", str(read)] if operator else []
        named = ["--operator", operator] if operator else []
        code = main.run(["source", *words, *secret, *named, "--home", str(self.home)])
        os.close(read)
        self.out, self.err = self.capture.readouterr()
        return code

    def json(self, *words: str, operator: str | None = None) -> dict[str, Any]:
        code = self(*words, "--json", operator=operator)
        assert code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found

    def eligible(self) -> list[str]:
        """The contacts that the source, read as for a match, lets take part."""
        with open_peer(self.home) as peer, peer.store.transaction() as tx:
            row = tx.sources.get("crm")
            assert row is not None
            table = read_source(decided_definition(tx, row))
        why = consent_exclusions(table.frame, RULE, date(2026, 12, 31))
        return table.frame["contact_id"].filter(why.is_null()).to_list()

    def edit(self, change: Callable[[SourceDefinition], SourceDefinition]) -> None:
        with open_peer(self.home) as peer, peer.store.transaction() as tx:
            row = tx.sources.get("crm")
            assert row is not None
            changed = change(SourceDefinition.model_validate_json(row.definition))
            tx.sources.put(SourceRow("crm", changed.model_dump_json(), NOW))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with anna and the analyst bea, who has added the export as crm."""
    home = make_peer(tmp_path_factory.mktemp("consent") / "home")
    with open_peer(home) as peer:
        with peer.store.transaction() as tx:
            anna = tx.operators.get("anna")
        assert anna is not None
        bea = create_operator("bea", ("analyst",), "sales", PASSPHRASE, kdf=CHEAP, now=NOW)
        take_on(peer, bea, unlock(anna, PASSPHRASE))
    main.reset_settings()
    assert main.run(["source", "add", "crm", "--path", str(EXPORT), "--home", str(home)]) == 0
    return home


@pytest.fixture
def source(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return CommandLine(Path(shutil.copytree(fresh, tmp_path / "home")), capsys)


def test_from_the_file_alone_by_one_signed_decision_to_exactly_those_who_said_yes(
    source: CommandLine,
) -> None:
    before = source.json("map", "crm")
    assert before["decision"]["state"] == "missing"
    basis = before["candidates"][0]
    assert (basis["heading"], basis["values"]) == (BASIS, [{"value": YES, "contacts": 5}])
    assert source.eligible() == []
    assert source("check", "crm") == 0
    assert "Nobody has consented as far as mutuals knows: no decision was taken." in source.out
    assert "mutuals source map crm" in source.out

    assert source("map", "crm", *GRANT, "--dry-run") == 0
    assert "This makes 5 of 7 contacts consenting to sharing" in source.out
    assert "Nothing was signed." in source.out
    assert source("map", "crm", *GRANT, operator="anna") == 2
    assert "--yes" in source.err
    assert source.eligible() == []

    signed = source.json("map", "crm", *GRANT, "--reason", "Asked in May", "--yes", operator="anna")
    assert (signed["decision"]["state"], signed["decision"]["by"]) == ("stands", "anna")
    assert source.eligible() == ["10001", "10004", "10007"]
    assert source("show", "crm") == 0
    assert "anna decided on" in source.out
    assert "Asked in May" in source.out
    assert source.json("check", "crm")["decision"]["by"] == "anna"
    assert source.json("add", "crm", "--path", str(EXPORT), "--replace")["source"]["mapping"]["consent"]
    assert source.eligible() == ["10001", "10004", "10007"]

    assert source.json("map", "crm", "--nobody", "--yes", operator="anna")["decision"]["state"] == "stands"
    assert source.eligible() == []


def test_an_edited_mapping_counts_as_no_decision(source: CommandLine) -> None:
    source.json("map", "crm", *GRANT, "--yes", operator="anna")

    def widen(definition: SourceDefinition) -> SourceDefinition:
        assert definition.mapping is not None
        return definition.model_copy(
            update={"mapping": definition.mapping.model_copy(update={"dates": "day-first"})}
        )

    source.edit(widen)
    assert source.eligible() == []
    assert source("check", "crm") == 0
    assert "the mapping was changed since anna decided" in source.out
    assert source.json("show", "crm")["decision"]["state"] == "broken"


def test_one_file_holds_everything_and_its_decision_is_signed_or_refused(
    source: CommandLine, tmp_path: Path
) -> None:
    source.json("map", "crm", *GRANT, "--reason", "Asked in May", "--yes", operator="anna")
    assert source("map", "crm", "--save", "crm.toml") == 0
    saved = (tmp_path / "crm.toml").read_text()
    assert source("remove", "crm") == 0
    add = ("add", "crm", "--path", str(EXPORT), "--mapping", "crm.toml")
    for words, operator, code in (((), None, 2), (("--yes",), "bea", 3), ((), "anna", 2)):
        assert source(*add, *words, operator=operator) == code
        assert source.json("list")["sources"] == []
    assert source(*add, "--yes") == 2
    assert "crm.toml holds a decision on consent, which somebody has to sign" in source.err
    assert "--without-decision" in source.err
    added = source.json(*add, "--yes", operator="anna")
    assert (added["decision"]["state"], added["foreseen"]["granted"][0]["contacts"]) == ("stands", 5)
    assert source.eligible() == ["10001", "10004", "10007"]
    again = source.json(*add, "--replace")
    assert (again["decision"]["state"], again["foreseen"]) == ("stands", None)
    assert source("map", "crm", "--save", "again.toml") == 0
    assert (tmp_path / "again.toml").read_text() == saved
    assert source("remove", "crm") == 0
    assert source.json(*add, "--without-decision")["decision"]["state"] == "missing"
    assert source.eligible() == []


def test_a_corrected_mapping_is_signed_anew_and_drops_no_decision_unsaid(
    source: CommandLine, tmp_path: Path
) -> None:
    source.json("map", "crm", *GRANT, "--yes", operator="anna")
    assert source("map", "crm", "--save", "crm.toml") == 0
    text = (tmp_path / "crm.toml").read_text()
    corrected = ("map", "crm", "--mapping", "crm.toml")
    assert source.json(*corrected)["decision"]["state"] == "stands"
    (tmp_path / "crm.toml").write_text('default_country = "DE"\n' + text.replace(YES, "Not applicable"))
    assert source(*corrected, "--yes") == 2
    assert source(*corrected, "--yes", operator="bea") == 3
    assert source.eligible() == ["10001", "10004", "10007"]
    assert source.json(*corrected, "--dry-run")["foreseen"]["granted"][0]["contacts"] == 2
    changed = source.json(*corrected, "--yes", operator="anna")
    assert (changed["source"]["default_country"], changed["decision"]["state"]) == ("DE", "stands")
    assert source.eligible() == ["10003", "10005"]
    without = 'duplicates = "merge"\n' + text[: text.index("[consent]")].replace(
        'duplicates = "refuse"\n', ""
    )
    (tmp_path / "crm.toml").write_text(without)
    assert source(*corrected) == 2
    assert "says nothing of consent" in source.err
    assert source.json(*corrected, "--without-decision")["decision"]["state"] == "missing"
    assert source(*corrected, "--dates", "day-first") == 2
    assert source("map", "crm", "--without-decision") == 2


def test_a_file_without_a_column_of_the_decision_is_refused_even_where_nobody_signs(
    source: CommandLine, tmp_path: Path
) -> None:
    source.json("map", "crm", *GRANT, "--yes", operator="anna")
    assert source("map", "crm", "--save", "crm.toml") == 0
    (tmp_path / "new.csv").write_bytes(EXPORT.read_bytes().replace(b"Consent day", b"Another day"))
    add = ("add", "crm", "--path", "new.csv", "--mapping", "crm.toml", "--replace")
    assert source(*add) == 7
    assert "new.csv has no column “Consent day”" in source.err
    assert source.eligible() == ["10001", "10004", "10007"]


def test_an_analyst_may_look_but_not_decide(source: CommandLine) -> None:
    assert source("map", "crm", *GRANT, "--dry-run") == 0
    assert source("map", "crm", *GRANT, "--yes", operator="bea") == 3
    assert "may not decide what grants consent: that needs the role steward or privacy_officer" in source.err


def test_a_register_is_joined_and_the_latest_word_counts(source: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "register.csv").write_text(
        "contact_id;purpose;Answer;date\n"
        "10001;sharing;no;2026-01-01\n10001;sharing;yes;2026-03-01\n"
        "10003;sharing;yes;2026-01-01\n10003;sharing;no;2026-03-01\n"
        "10004;sharing;yes;2026-03-01\n10004;sharing;no;2026-03-01\n"
        "10005;sharing;perhaps;2026-03-01\n10006;sharing;yes;\n10002;sharing;yes;2026-03-01\n"
        "10007;other;yes;2026-03-01\n99999;sharing;yes;2026-03-01\n"
    )
    register = ("--consent-file", "register.csv", "--granted", "yes")
    assert source("map", "crm", *register, "--dry-run") == 7
    assert "--consent-column status=" in source.err
    found = source.json(
        "map", "crm", *register, "--consent-column", "status=Answer", "--yes", operator="anna"
    )
    granted = {one["purpose"]: one["contacts"] for one in found["foreseen"]["granted"]}
    assert granted == {"other": 1, "sharing": 2}
    assert source.eligible() == ["10001"]
    (tmp_path / "register.csv").write_text("contact_id;purpose;Answer;date\n10007;sharing;yes;2026-04-01\n")
    assert source.eligible() == ["10007"]


def test_a_decision_is_given_in_a_file_and_what_is_wrong_is_named(
    source: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "decision.toml"
    file.write_text(
        f'reason = "Form of 2025"\nnotified_on = 2026-02-01\n[[grants]]\npurpose = "sharing"\ncolumn = "{BASIS}"\n'
        f'values = ["{YES}"]\ngiven_at = "Consent day"\n'
    )
    source.json("map", "crm", "--decision", "decision.toml", "--yes", operator="anna")
    assert source.eligible() == ["10001", "10004", "10007"]
    assert source("map", "crm", "--decision", "decision.toml", "--given-on", "2026-01-01", "--dry-run") == 2
    file.write_text(file.read_text().replace("values", "value"))
    assert source("map", "crm", "--decision", "decision.toml", "--dry-run") == 7
    assert "value" in source.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--given-on", "2026-01-01"), "No column and no consent file"),
        (("--grant", "sharing"), "does not say which values"),
        (("--grant", f"Big Purpose:{BASIS}={YES}", "--given-on", "2026-01-01"), "cannot be a purpose"),
        (("--grant", f"sharing:{BASIS}={YES}", "--given-on", "1.1.2026"), "is no day"),
        (("--grant", f"sharing:{BASIS}={YES}"), "since when"),
        (("--grant", "sharing:Unsubscribed from all email=no", "--given-on", "2026-01-01"), "no consent"),
        ((*GRANT, "--show"), "go without a decision"),
        ((*GRANT, "--dates", "backwards"), "no order of dates"),
    ],
)
def test_what_was_typed_wrong_is_said(source: CommandLine, words: tuple[str, ...], said: str) -> None:
    assert source("map", "crm", *words, "--dry-run") == 2
    assert said in source.err


def test_a_person_is_asked_and_may_answer_with_numbers(
    source: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(
        ["", "To share", "sharing", "1", "1", "31.02.2026", "2", "soon", "", "Because they said so"]
    )
    yes = iter([True, False, True])
    for module in ("mutuals_client.commands.source_map", "mutuals_client.console"):
        monkeypatch.setattr(f"{module}.interactive", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda *_args, **_options: next(answers))
    monkeypatch.setattr(click, "confirm", lambda *_args, **_options: next(yes))
    assert console.interactive()
    assert source("map", "crm", operator="anna") == 0, source.err
    assert f"1  {BASIS}" in source.out
    assert "Ann" not in source.out
    assert "“To share” cannot be a purpose" in source.out
    assert source.out.count("no day as 2026-01-31") == 2
    assert source.eligible() == ["10001", "10004", "10007"]


def test_a_person_may_name_a_consent_file_and_sees_first_what_it_holds(
    source: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        f"{id};sharing;{said};{day}.03.2026"
        for id, said, day in (
            ("10001", "Ja", "13"),
            ("10004", "Ja", "02"),
            ("10007", "Ja", "03"),
            ("10005", "Nein", "04"),
            ("1", "Ja", "01"),
            ("2", "Ja", "01"),
            ("3", "Nein", "01"),
            ("4", "Nein", "01"),
            ("5", "Nein", "01"),
        )
    ]
    (tmp_path / "register.csv").write_text(
        "\n".join(["Kontakt;purpose;Antwort;date;[red]x", *(f"{line};" for line in lines)])
    )
    answers = iter(["register.csv", "9", "1", "purpose", "Antwort", "date", "", "1", "2026-03-01", "Form"])
    yes = iter([True, False, True])
    for module in ("mutuals_client.commands.source_map", "mutuals_client.console"):
        monkeypatch.setattr(f"{module}.interactive", lambda: True)
    asked: list[str] = []

    def answer(question: str, **_options: object) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(click, "prompt", answer)
    monkeypatch.setattr(click, "confirm", lambda *_args, **_options: next(yes))
    assert source("map", "crm", operator="anna") == 0, source.err
    assert "register.csv holds" in source.out
    assert "Ja (5)" in source.out
    assert "There is no such column." in source.out
    assert "10001" not in source.out
    assert source.eligible() == ["10001", "10004", "10007"]
    decided = source.json("show", "crm")["source"]["mapping"]["consent"]["file"]
    assert (decided["status"], decided["granted"], decided["dates"]) == ("Antwort", ["Ja"], "day-first")
