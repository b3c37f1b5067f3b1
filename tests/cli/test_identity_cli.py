"""``mutuals init``, ``card``, ``partner`` and ``operator`` as a person or a script uses them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from support.homes import PASSPHRASE, make_peer, open_peer

from mutuals_client import console, main
from mutuals_client.commands import init, partner


@dataclass
class Shell:
    """Runs commands, gives them passphrases by descriptor, and keeps what the last one printed."""

    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""
    open: list[int] = field(default_factory=list)

    def __call__(self, *arguments: str | Path) -> int:
        console.reset_settings()
        code = main.run([str(argument) for argument in arguments])
        self.out, self.err = self.capture.readouterr()
        return code

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """The one object the command printed; ``code`` is its exit code."""
        code = self(*arguments, "--json")
        return {"code": code, **json.loads(self.out)}

    def secret(self, passphrase: bytes = PASSPHRASE) -> str:
        """A descriptor from which ``passphrase`` can be read once."""
        reader, writer = os.pipe()
        os.write(writer, passphrase + b"\n")
        os.close(writer)
        self.open.append(reader)
        return str(reader)


@pytest.fixture
def mutuals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.delenv("MUTUALS_HOME", raising=False)
    monkeypatch.delenv("MUTUALS_OPERATOR", raising=False)
    shell = Shell(capsys)
    yield shell
    for descriptor in shell.open:
        os.close(descriptor)


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    return make_peer(tmp_path / "acme", endpoint="localhost:8443")


@pytest.fixture
def globex(tmp_path: Path) -> Path:
    return make_peer(
        tmp_path / "globex", "Globex [red]GmbH[/red]", introduction="We make [bold]things[/bold]."
    )


Answering = Callable[..., list[str]]


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Someone at the terminal with prepared answers; what they were asked is in the list."""

    def sit_down(*answers: Any) -> list[str]:
        asked: list[str] = []
        waiting = list(answers)

        def answer(question: str, **_: Any) -> Any:
            asked.append(question)
            return waiting.pop(0)

        for module in (console, init, partner):
            monkeypatch.setattr(module, "interactive", lambda: True)
        monkeypatch.setattr(click, "confirm", answer)
        monkeypatch.setattr(click, "prompt", answer)
        return asked

    return sit_down


def words(home: Path) -> str:
    from mutuals.identity.words import fingerprint_words

    with open_peer(home) as peer:
        return " ".join(fingerprint_words(peer.fingerprint))


# --- init ---


def test_init_sets_up_a_peer_and_says_what_comes_next(mutuals: Shell, tmp_path: Path) -> None:
    home = tmp_path / "acme"
    code = mutuals(
        *("init", "--org", "Acme Ltd", "--endpoint", "peer.acme.example:9443", "--home", home),
        *("--operator", "anna", "--department", "sales", "--introduction", "Anvils."),
        *("--contact", "Doe, Jane, DPO, privacy@acme.example", "--passphrase-fd", mutuals.secret()),
    )
    assert (code, mutuals.err) == (0, "")
    for text in (
        "Acme Ltd is set up.",
        "mutuals card",
        "acme-ltd.card.json",
        "mutuals partner add",
        str(home),
    ):
        assert text in mutuals.out
    for word in words(home).split():
        assert word in mutuals.out
    with open_peer(home) as peer:
        card = peer.card.card
        assert (peer.config.listen, card.endpoint, card.introduction) == (
            "127.0.0.1:9443",
            "peer.acme.example:9443",
            "Anvils.",
        )
        assert (card.contacts[0].name, card.contacts[0].role) == ("Doe, Jane", "DPO")
        with peer.store.transaction() as tx:
            assert [(row.name, row.department) for row in tx.operators.list()] == [("anna", "sales")]


def test_init_prints_one_object_for_programs(mutuals: Shell, tmp_path: Path) -> None:
    home = tmp_path / "acme"
    printed = mutuals.json("init", "--org", "Acme", "--home", home, "--passphrase-fd", mutuals.secret())
    assert printed["code"] == 0
    assert printed["home"] == str(home)
    assert printed["card"] == str(home / "card.json")
    assert " ".join(printed["words"]) == words(home)
    assert printed["operator"]["department"] == "marketing"


def test_init_asks_a_person_for_what_is_missing(mutuals: Shell, tmp_path: Path, person: Answering) -> None:
    asked = person("Acme  Ltd", False, "anna", "sales", True, *[PASSPHRASE.decode()] * 2)
    assert mutuals("init", "--home", tmp_path / "acme") == 0
    assert len(asked) == 7
    assert asked[3] == "Your department"
    assert asked[5] == "New passphrase for operator anna"
    assert "cannot be recovered" in mutuals.out
    assert "mutuals serve" not in mutuals.out
    with open_peer(tmp_path / "acme") as peer:
        assert (peer.name, peer.card.card.endpoint) == ("Acme Ltd", None)


def test_an_answer_that_will_not_do_is_asked_for_again_and_all_can_be_corrected(
    mutuals: Shell, tmp_path: Path, person: Answering
) -> None:
    first = ("Acme\x1b[2J", "Acme Inc", True, "acme", "acme.example:0", "acme.example:8443", "a b", "anna")
    again = ("Acme Ltd", True, "acme.example:9443", "anna", "sales", True)
    asked = person(*first, "Sales Dept", "sales", False, *again, *[PASSPHRASE.decode()] * 2)
    assert mutuals("init", "--home", tmp_path / "acme") == 0
    assert asked.count("Your organisation") == 3
    assert mutuals.out.count("This will not do") == 3
    assert "mutuals serve" in mutuals.out
    with open_peer(tmp_path / "acme") as peer:
        assert (peer.name, peer.config.endpoint) == ("Acme Ltd", "acme.example:9443")
        assert peer.config.listen == "127.0.0.1:9443"


def test_a_short_or_mistyped_new_passphrase_is_asked_for_again(
    mutuals: Shell, tmp_path: Path, person: Answering
) -> None:
    words = PASSPHRASE.decode()
    asked = person("short", words, "correct house", words, words)
    given = ("--org", "Acme", "--operator", "anna", "--department", "sales")
    assert mutuals("init", "--home", tmp_path / "acme", *given) == 0
    assert [question.split()[0] for question in asked] == ["New", "New", "The", "New", "The"]
    assert mutuals.err.index("shorter than 8") < mutuals.err.index("The two differ")


def test_what_is_wrong_is_said_before_a_passphrase_is_asked_for(
    mutuals: Shell, tmp_path: Path, person: Answering
) -> None:
    asked = person("anna", "Sales Dept", "sales", *[PASSPHRASE.decode()] * 2)
    assert mutuals("init", "--org", "Acme", "--home", tmp_path / "acme") == 0
    assert len(asked) == 5
    assert "lower case" in mutuals.out


def test_the_next_commands_can_be_copied(
    mutuals: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    home = tmp_path / ("long-" * 20 + "name")
    assert mutuals("init", "--org", "Acme", "--home", home, "--passphrase-fd", mutuals.secret()) == 0
    lines = mutuals.out.splitlines()
    at = lines.index("  # write your card; send the file to your partner")
    assert lines[at + 1] == f"  mutuals card --home {home} > acme.card.json"
    assert lines[at + 2].startswith("  # ")


def test_a_mistyped_passphrase_may_be_typed_three_times(
    mutuals: Shell, acme: Path, person: Answering
) -> None:
    add = ("operator", "add", "bea", "--role", "analyst", "--department", "sales", "--home", acme)
    new = (*add, "--new-passphrase-fd", mutuals.secret())
    asked = person("wrong one", "wrong two", PASSPHRASE.decode())
    assert mutuals(*new) == 0
    assert asked == ["Passphrase of operator anna"] * 3
    assert mutuals.err.count("The passphrase is not the one of operator anna.") == 2
    asked = person(*["wrong"] * 9)
    assert mutuals("operator", "disable", "bea", "--operator", "anna", "--home", acme) == 3
    assert len(asked) == 3
    assert mutuals.err.count("The passphrase is not the one of operator anna.") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "An organisation is needed"),
        (("--org", "Acme\x1b[2J"), 2, "organisation"),
        (("--org", "Acme", "--endpoint", "acme.example"), 2, "endpoint is not host:port"),
        (("--org", "Acme", "--contact", "Jane Doe"), 2, "a name, a role and an email address"),
        (("--org", "Acme", "--department", "Sales Dept"), 2, "department is named in lower case"),
        (("--org", "Acme", "--operator", "a b"), 2, "operator's name"),
        (("--org", "Acme", "--store", "postgresql://me:secret@host/db"), 2, "password does not belong"),
        (("--org", "Acme", "--store", "postgresql://me@host/db?password=x"), 2, "password does not belong"),
        (("--org", "Acme", "--store", "nonsense"), 2, "not a database URL"),
    ],
)
def test_init_refuses_bad_input_and_leaves_nothing(
    mutuals: Shell, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    home = tmp_path / "acme"
    assert mutuals("init", "--home", home, "--passphrase-fd", mutuals.secret(), *arguments) == code
    assert sentence in mutuals.err.replace("\n", " ")
    assert "secret@" not in mutuals.err
    assert not home.exists()


def test_init_needs_a_passphrase_of_eight_characters(mutuals: Shell, tmp_path: Path) -> None:
    home = tmp_path / "acme"
    assert mutuals("init", "--org", "Acme", "--home", home) == 2
    assert "--passphrase-fd" in mutuals.err
    assert mutuals("init", "--org", "Acme", "--home", home, "--passphrase-fd", mutuals.secret(b"short")) == 2
    assert "shorter than 8 characters" in mutuals.err
    assert not home.exists()


def test_init_refuses_a_home_in_use(mutuals: Shell, acme: Path) -> None:
    printed = mutuals.json("init", "--org", "Other", "--home", acme)
    assert (printed["code"], printed["error"]["code"]) == (1, "LOCAL")
    assert "already" in printed["error"]["message"]


# --- card ---


def test_card_prints_the_card_for_a_file_and_the_words_beside_it(
    mutuals: Shell, acme: Path, tmp_path: Path
) -> None:
    assert mutuals("card", "--home", acme) == 0
    assert mutuals.out.encode() == (acme / "card.json").read_bytes()
    assert words(acme).split()[0] in mutuals.err
    out = tmp_path / "acme.card.json"
    assert mutuals("card", "--home", acme, "--out", out) == 0
    assert mutuals.out == ""
    assert out.read_bytes() == (acme / "card.json").read_bytes()


def test_card_as_one_object(mutuals: Shell, acme: Path) -> None:
    printed = mutuals.json("card", "--home", acme)
    assert printed["card"] == json.loads((acme / "card.json").read_bytes())
    assert (printed["serial"], printed["renewed"], printed["outdated"]) == (1, False, False)


def test_card_says_when_the_configuration_changed_and_renew_takes_it_over(mutuals: Shell, acme: Path) -> None:
    config = acme / "config.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("localhost:8443", "acme.example:8443"), encoding="utf-8"
    )
    assert mutuals("card", "--home", acme) == 0
    assert "mutuals card --renew" in mutuals.err
    before = words(acme)
    printed = mutuals.json("card", "--renew", "--home", acme)
    assert (printed["serial"], printed["renewed"], printed["outdated"]) == (2, True, False)
    assert printed["endpoint"] == "acme.example:8443"
    assert words(acme) == before
    assert mutuals("card", "--renew", "--home", acme) == 0
    assert "This is card number 3" in mutuals.err
    assert "There is no partner to tell" in mutuals.err


def test_card_says_which_partners_have_the_renewed_one(mutuals: Shell, acme: Path, globex: Path) -> None:
    assert mutuals("card", "--now", "--home", acme) == 2
    mutuals("partner", "add", globex / "card.json", "--home", acme, "--fingerprint", words(globex))
    printed = mutuals.json("card", "--renew", "--overlap", "12h", "--home", acme)
    assert printed["rotation"]["arrived"] == 0
    assert [one["has"] for one in printed["rotation"]["partners"]] == ["not yet"]
    assert mutuals("card", "--home", acme) == 0
    assert "0 of 1 partners have it" in mutuals.err
    assert "Not yet: Globex" in mutuals.err
    assert mutuals("card", "--renew", "--now", "--home", acme) == 0
    assert "whoever has the key can pass for you" in mutuals.err
    rules = {found["rule"]: found["urgency"] for found in mutuals.json("status", "--home", acme)["findings"]}
    assert rules["card_rotation"] == "warning"
    found = mutuals.json("doctor", "--offline", "--home", acme)["checks"]
    assert [one["verdict"] for one in found if one["check"] == "rotation"] == ["warn"]


def test_card_refuses_a_place_it_cannot_write(mutuals: Shell, acme: Path, tmp_path: Path) -> None:
    assert mutuals("card", "--home", acme, "--out", tmp_path / "none" / "card.json") == 1
    assert "cannot be written" in mutuals.err


@pytest.mark.parametrize(
    "command", [("card",), ("partner", "list"), ("operator", "list"), ("card", "--renew")]
)
def test_without_a_peer_every_command_says_how_to_set_one_up(
    mutuals: Shell, tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert mutuals(*command, "--home", tmp_path) == 1
    assert "There is no peer in" in mutuals.err
    assert "mutuals init" in mutuals.err
    assert list(tmp_path.iterdir()) == []


def test_keys_that_others_can_read_stop_every_command(mutuals: Shell, acme: Path) -> None:
    key = acme / "keys" / "signing.pem"
    key.chmod(0o644)
    assert mutuals("card", "--home", acme) == 1
    assert f"chmod 600 {key}" in mutuals.err
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert mutuals("card", "--home", acme) == 0


# --- partner ---


def test_a_person_sees_the_card_and_is_asked_for_a_voice_comparison(
    mutuals: Shell, acme: Path, globex: Path, person: Answering
) -> None:
    asked = person(True)
    assert mutuals("partner", "add", globex / "card.json", "--home", acme, "--yes") == 0
    assert asked == ["Did you compare these words with them by voice?"]
    for text in (
        "Globex [red]GmbH[/red]",
        "We make [bold]things[/bold].",
        "Fingerprint",
        *words(globex).split(),
    ):
        assert text in mutuals.out
    assert "is now a partner" in mutuals.out


def test_without_the_confirmation_nothing_is_added(
    mutuals: Shell, acme: Path, globex: Path, person: Answering
) -> None:
    assert mutuals("partner", "add", globex / "card.json", "--home", acme, "--yes") == 2
    assert "--fingerprint" in mutuals.err
    person(False)
    assert mutuals("partner", "add", globex / "card.json", "--home", acme) == 4
    assert "nothing was added" in mutuals.err
    assert mutuals.json("partner", "list", "--home", acme)["partners"] == []


def test_the_fingerprint_stands_in_for_the_question(mutuals: Shell, acme: Path, globex: Path) -> None:
    added = mutuals.json(
        "partner", "add", globex / "card.json", "--home", acme, "--fingerprint", words(globex)
    )
    assert (added["code"], added["change"], added["partner"]["serial"]) == (0, "new", 1)
    again = mutuals.json("partner", "add", globex / "card.json", "--home", acme)
    assert (again["code"], again["change"]) == (0, "unchanged")


def test_a_wrong_fingerprint_is_refused(mutuals: Shell, acme: Path, globex: Path) -> None:
    arguments = ("partner", "add", globex / "card.json", "--home", acme)
    assert mutuals(*arguments, "--fingerprint", words(acme)) == 4
    assert "not this card's" in mutuals.err
    assert mutuals(*arguments, "--fingerprint", "00" * 32) == 4
    assert mutuals(*arguments, "--fingerprint", "hello world") == 2
    assert mutuals.json("partner", "list", "--home", acme)["partners"] == []


def test_a_renewed_card_shows_what_changed_and_honours_yes(mutuals: Shell, acme: Path, globex: Path) -> None:
    card = globex / "card.json"
    mutuals("partner", "add", card, "--home", acme, "--fingerprint", words(globex))
    old = card.read_bytes()
    config = globex / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("things", "anvils"), encoding="utf-8")
    mutuals("card", "--renew", "--home", globex)
    assert mutuals("partner", "add", card, "--home", acme) == 2
    assert "--yes" in mutuals.err
    assert mutuals("partner", "add", card, "--home", acme, "--yes") == 0
    for text in ("number 2, same key", "anvils", "TLS certificate", "has a renewed card"):
        assert text in mutuals.out
    card.write_bytes(old)
    assert mutuals("partner", "add", card, "--home", acme, "--yes") == 4
    assert "older card" in mutuals.err


def test_cards_that_are_not_genuine_are_refused(
    mutuals: Shell, acme: Path, globex: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.json"
    changed.write_text(
        (globex / "card.json").read_text(encoding="utf-8").replace("things", "thongs"), encoding="utf-8"
    )
    assert mutuals("partner", "add", changed, "--home", acme, "--fingerprint", words(globex)) == 4
    assert "not signed by its own key" in mutuals.err
    assert "changed.json: The card" in mutuals.err.replace("\n", "")
    for text in ("{}", "hello", '{"card": {}, "signature": "00"}'):
        changed.write_text(text)
        refused = mutuals.json("partner", "add", changed, "--home", acme)
        assert refused["code"] == 4
        assert refused["error"]["message"].startswith(f"{changed}: The card ")
        assert "mutuals card > FILE" in refused["error"]["hint"]
    assert mutuals("partner", "add", acme / "card.json", "--home", acme) == 4
    assert "your own card" in mutuals.err
    changed.write_bytes(b" " * 70_000)
    assert mutuals("partner", "add", changed, "--home", acme) == 4
    assert "larger than 64 KiB" in mutuals.err
    assert mutuals("partner", "add", tmp_path / "none.json", "--home", acme) == 2
    assert "cannot be read" in mutuals.err


def test_a_partner_replaced_by_another_key_is_refused(
    mutuals: Shell, acme: Path, globex: Path, tmp_path: Path
) -> None:
    mutuals("partner", "add", globex / "card.json", "--home", acme, "--fingerprint", words(globex))
    other = make_peer(tmp_path / "other", "Globex [red]GmbH[/red]")
    assert mutuals("partner", "add", other / "card.json", "--home", acme, "--fingerprint", words(other)) == 4
    assert "under another key" in mutuals.err
    assert "mutuals partner remove" in mutuals.err


def test_partners_are_listed_shown_and_removed(
    mutuals: Shell, acme: Path, globex: Path, person: Answering
) -> None:
    assert mutuals("partner", "--home", acme) == 0
    assert "No partners yet" in mutuals.out
    added = mutuals.json(
        "partner", "add", globex / "card.json", "--home", acme, "--fingerprint", words(globex)
    )
    assert mutuals("partner", "list", "--home", acme) == 0
    assert "Globex [red]GmbH[/red]" in mutuals.out
    assert mutuals("partner", "show", "globex", "--home", acme) == 0
    assert added["partner"]["fingerprint"] in mutuals.out
    assert mutuals.json("partner", "show", "GLOB", "--home", acme)["partner"] == added["partner"]
    assert mutuals("partner", "remove", "globex", "--home", acme) == 2
    removed = mutuals.json("partner", "remove", "globex", "--home", acme, "--yes")
    assert removed["partner"]["removed_at"] is not None
    assert mutuals("partner", "show", "globex", "--home", acme) == 2
    assert mutuals("partner", "add", globex / "card.json", "--home", acme, "--yes") == 2
    assert "removed this partner earlier" in mutuals.out
    person(True)
    assert mutuals("partner", "add", globex / "card.json", "--home", acme) == 0


# --- operator ---


def add_operator(mutuals: Shell, home: Path, name: str, *arguments: str) -> int:
    return mutuals(
        *("operator", "add", name, "--home", home, *arguments),
        *("--passphrase-fd", mutuals.secret(), "--new-passphrase-fd", mutuals.secret(b"another horse")),
    )


def test_an_admin_adds_and_disables_operators(mutuals: Shell, acme: Path) -> None:
    assert (
        add_operator(mutuals, acme, "bea", "--role", "analyst", "--role", "auditor", "--department", "sales")
        == 0
    )
    assert "bea was added: analyst, auditor, sales" in mutuals.out
    assert "what anna can open of earlier runs: 0" in mutuals.out
    listed = mutuals.json("operator", "list", "--home", acme)["operators"]
    assert [(row["name"], row["roles"]) for row in listed][1] == ("bea", ["analyst", "auditor"])
    admin = ("--home", acme, "--operator", "anna")
    assert mutuals("operator", "disable", "bea", *admin, "--yes", "--passphrase-fd", mutuals.secret()) == 0
    assert mutuals("operator", "--home", acme) == 0
    assert "disabled 2" in mutuals.out
    assert mutuals("operator", "disable", "anna", *admin, "--yes", "--passphrase-fd", mutuals.secret()) == 2
    assert "last admin" in mutuals.err


def test_a_new_accountable_operator_can_open_the_ledger(mutuals: Shell, acme: Path) -> None:
    from mutuals.identity.accountability import open_accountability
    from mutuals.identity.operators import unlock

    assert add_operator(mutuals, acme, "bea", "--role", "auditor", "--department", "legal") == 0
    with open_peer(acme) as peer, peer.store.transaction() as tx:
        row = tx.operators.get("bea")
        assert row is not None
        assert open_accountability(tx, unlock(row, b"another horse"), peer.accountability_public)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("bea", "--role", "boss"), 2, "no role “boss”"),
        (("bea", "--role", "service", "--role", "admin"), 2, "no other role"),
        (("ANNA", "--role", "analyst"), 2, "of that name already"),
        (("b/a", "--role", "analyst"), 2, "operator's name"),
        (("bea",), 2, "--role"),
    ],
)
def test_operators_that_make_no_sense_are_refused(
    mutuals: Shell, acme: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    assert add_operator(mutuals, acme, *arguments, "--department", "sales") == code
    assert sentence in mutuals.err
    assert len(mutuals.json("operator", "list", "--home", acme)["operators"]) == 1


def test_who_is_not_an_admin_or_has_a_wrong_passphrase_adds_nobody(mutuals: Shell, acme: Path) -> None:
    new = ("operator", "add", "carl", "--role", "analyst", "--department", "sales", "--home", acme)
    assert mutuals(*new, "--passphrase-fd", mutuals.secret(b"wrong horse")) == 3
    assert "not the one of operator anna" in mutuals.err
    assert mutuals(*new, "--passphrase-fd", mutuals.secret()) == 2
    assert "--new-passphrase-fd" in mutuals.err
    assert add_operator(mutuals, acme, "bea", "--role", "analyst", "--department", "sales") == 0
    assert mutuals(*new, "--passphrase-fd", mutuals.secret()) == 2
    assert "2 operators; say which one you are" in mutuals.err
    assert mutuals(*new, "--operator", "bea", "--passphrase-fd", mutuals.secret(b"another horse")) == 3
    assert "bea may not add operators: that needs the role admin" in mutuals.err
    assert mutuals(*new, "--operator", "zoe", "--passphrase-fd", mutuals.secret()) == 2
    assert "no operator of that name" in mutuals.err


def test_the_environment_names_the_operator(
    mutuals: Shell, acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert add_operator(mutuals, acme, "bea", "--role", "analyst", "--department", "sales") == 0
    monkeypatch.setenv("MUTUALS_OPERATOR", "anna")
    assert add_operator(mutuals, acme, "carl", "--role", "steward", "--department", "sales") == 0
    disable = ("operator", "disable", "carl", "--home", acme, "--yes")
    assert mutuals(*disable, "--passphrase-fd", mutuals.secret()) == 0
    monkeypatch.setenv("MUTUALS_OPERATOR", "carl")
    assert mutuals(*disable, "--passphrase-fd", mutuals.secret()) == 3
    assert "was disabled on" in mutuals.err
