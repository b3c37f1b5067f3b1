"""``mutuals source``: what is stored, what is refused, what a dry run tells."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.policies import policy

from mutuals.agreement.document import agreement_bytes, agreement_digest, agreement_id
from mutuals.identity.home import Config, Home
from mutuals.identity.initialise import FirstOperator, init_home
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.sources import SourceDefinition
from mutuals.store.rows import AgreementRow, PartnerRow
from mutuals_client import main

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HEADINGS = "contact_id,email,phone,consent,consent_at,notified_at,suppressed,City"
MESSY = [
    "c1,ann@example.com,030 901820,sharing,2026-05-01,2026-05-01,false,Rome",
    "c2,info@example.com;ben@example.com,+49 30 901821,sharing;news,2026-05-01,2026-05-01,,Rome",
    "c3,info@example.com,0171 5555555,news,2026-05-01,2026-05-01,,Rome",
    "c4,nobody,,sharing,2026-05-01,2026-05-01,,Rome",
    "c5,dora@example.com,,sharing,1.5.2026,2026-05-01,,Rome",
    "c6,ed@example.com,,sharing,2026-05-01,2026-05-01,maybe,Rome",
    "c7,flo@example.com,,sharing,2026-05-01,2026-05-01,true,Rome",
]
CLAUSES = {
    "access_control": "each",
    "encryption": "each",
    "breach_notification": "each",
    "data_subject_requests": "each",
}


@dataclass
class CommandLine:
    """Runs commands on one home and keeps what the last one printed."""

    home: Path
    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def __call__(self, *arguments: str) -> int:
        main.reset_settings()
        code = main.run(["source", *arguments, "--home", str(self.home)])
        self.out, self.err = self.capture.readouterr()
        return code

    def json(self, *arguments: str) -> dict[str, Any]:
        """Exit code and the one JSON object."""
        code = self(*arguments, "--json")
        return {"code": code, **json.loads(self.out)}

    def stored(self) -> list[SourceDefinition]:
        with Peer.open(self.home) as peer, peer.store.transaction() as tx:
            return [SourceDefinition.model_validate_json(row.definition) for row in tx.sources.list()]


@pytest.fixture(scope="module")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to copy: making one takes longer than most of these tests."""
    home = tmp_path_factory.mktemp("fresh") / "home"
    cost = {"memory_kib": 8, "iterations": 1, "lanes": 1}
    config = Config.model_validate({"organisation": "Acme", "kdf": cost})
    init_home(Home(home), config, FirstOperator("ann", "marketing"), b"passphrase", NOW)
    return home


@pytest.fixture
def mutuals(
    fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    shutil.copytree(fresh_home, home)
    return CommandLine(home, capsys)


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    return contacts(tmp_path / "messy.csv", *MESSY)


def contacts(path: Path, *rows: str, headings: str = HEADINGS) -> Path:
    path.write_text("\n".join([headings, *rows]), encoding="utf-8")
    return path


def agree(home: Path) -> str:
    """Put a proposed agreement that reads from the source crm into the store; its id."""
    profile = get_profile("strict-v1")
    party = {
        "organisation": "Acme",
        "lawful_basis": "consent",
        "contact": "Ann",
        "data_protection_officer": "Dan",
    }
    document = Agreement.model_validate(
        {
            "title": "Campaign",
            "nonce": "0" * 64,
            "purpose": "campaign",
            "valid_from": "2026-01-01",
            "valid_until": "2027-01-01",
            "governing_law": "Germany",
            "onward_transfer": "none",
            "international_transfer": "none",
            "liabilities": "none",
            "parties": {
                "proposer": {**party, "fingerprint": "1" * 64},
                "partner": {**party, "fingerprint": "2" * 64},
            },
            "responsibilities": CLAUSES,
            "matching": {
                "identifiers": ["email"],
                "profile": profile.name,
                "profile_digest": profile.rules_digest().hex(),
            },
            "consent": {"purpose": "sharing", "max_age_days": 3650},
            "security": {"measures": "locks", "breach_contact": "Bea"},
        }
    )
    body = agreement_bytes(document)
    digest = agreement_digest(body)
    with Peer.open(home) as peer, peer.store.transaction() as tx:
        tx.partners.put(PartnerRow("2" * 64, "Beta", b"{}", 1, b"p" * 32, NOW))
        tx.agreements.put(
            AgreementRow(
                digest=digest,
                agreement_id=agreement_id(digest),
                title=document.title,
                partner="2" * 64,
                own_side=Side.PROPOSER,
                state=AgreementState.PROPOSED,
                document=body,
                source="crm",
                mapping={},
                created_at=NOW,
                updated_at=NOW,
                reason=None,
            )
        )
    return agreement_id(digest)


def test_add_stores_where_the_file_is_and_how_to_read_it(mutuals: CommandLine, tmp_path: Path) -> None:
    contacts(
        tmp_path / "crm.csv", "c1,a@x.de,,,,,,Rome", headings=HEADINGS.replace("email", "E-Mail=Address")
    )
    code = mutuals(
        "add", "crm", "--path", "crm.csv", "--map", "email=E-Mail=Address", "--default-country", "de"
    )
    assert code == 0, mutuals.err
    assert "1 contact" in mutuals.out
    assert mutuals.stored() == [
        SourceDefinition(
            name="crm",
            path=str(tmp_path / "crm.csv"),
            columns={"email": "E-Mail=Address"},
            default_country="DE",
        )
    ]


def test_an_unusable_file_is_refused_and_nothing_is_stored(mutuals: CommandLine, tmp_path: Path) -> None:
    bad = contacts(tmp_path / "bad.csv", "c1,a@x.de")
    assert mutuals("add", "crm", "--path", str(bad)) == 7
    assert mutuals.out == ""
    assert "bad.csv, row 2 has 2 cells" in mutuals.err
    assert mutuals.stored() == []
    refused = mutuals.json("add", "crm", "--path", str(tmp_path / "none.csv"))
    assert (refused["code"], refused["error"]["code"]) == (7, "INPUT_QUALITY")
    assert mutuals.stored() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "My CRM", "--path", "messy.csv"),
        ("add", "crm", "--path", "messy.csv", "--map", "email"),
        ("add", "crm", "--path", "messy.csv", "--map", "email="),
        ("add", "crm", "--path", "messy.csv", "--map", "mail=City"),
        ("add", "crm", "--path", "messy.csv", "--map", "email=City", "--map", "email=email"),
        ("add", "crm", "--path", "messy.csv", "--default-country", "XX"),
        ("add", "crm", "--path", "messy.csv", "--format", "hubspot"),
        ("add", "crm"),
        ("show", "crm"),
        ("check", "crm"),
        ("remove", "crm"),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(
    mutuals: CommandLine, messy: Path, arguments: tuple[str, ...]
) -> None:
    assert messy.exists()
    assert mutuals(*arguments) == 2
    assert mutuals.err
    assert mutuals.stored() == []


def test_a_source_is_replaced_only_on_request(mutuals: CommandLine, messy: Path, tmp_path: Path) -> None:
    other = contacts(tmp_path / "other.csv")
    assert mutuals("add", "crm", "--path", str(messy)) == 0
    assert mutuals("add", "crm", "--path", str(other)) == 2
    assert [source.path for source in mutuals.stored()] == [str(messy)]
    assert mutuals("add", "crm", "--path", str(other), "--replace") == 0
    assert [source.path for source in mutuals.stored()] == [str(other)]


def test_list_show_and_remove(mutuals: CommandLine, messy: Path) -> None:
    assert mutuals.json("list") == {"code": 0, "sources": []}
    assert mutuals("list") == 0
    assert "source add" in mutuals.out
    mutuals("add", "crm", "--path", str(messy), "--map", "notified_at=notified_at")
    assert [source["name"] for source in mutuals.json("list")["sources"]] == ["crm"]
    assert mutuals("show", "crm") == 0
    assert str(messy) in mutuals.out
    assert mutuals.json("show", "crm")["source"]["columns"] == {"notified_at": "notified_at"}
    assert mutuals.json("remove", "crm")["removed"] == "crm"
    assert mutuals.stored() == []
    assert messy.exists()


def test_a_source_that_an_agreement_reads_from_is_removed_only_on_confirmation(
    mutuals: CommandLine, messy: Path
) -> None:
    mutuals("add", "crm", "--path", str(messy))
    agreement = agree(mutuals.home)
    assert mutuals.json("show", "crm")["agreements"] == [agreement]
    assert mutuals("remove", "crm") == 2
    assert len(mutuals.stored()) == 1
    assert mutuals("remove", "crm", "--yes") == 0
    assert mutuals.stored() == []


def test_check_tells_what_is_usable_and_why_the_rest_is_not(mutuals: CommandLine, messy: Path) -> None:
    mutuals("add", "crm", "--path", str(messy))
    found = mutuals.json("check", "crm")
    assert (found["code"], found["rows"], found["contacts"], found["rejected_rows"]) == (0, 7, 5, 2)
    assert found["rejected"] == [
        {"column": "consent_at", "reason": "not_a_date", "count": 1, "rows": [6]},
        {"column": "suppressed", "reason": "not_true_or_false", "count": 1, "rows": [7]},
    ]
    assert found["identifiers"]["email"] == {
        "written": 6,
        "usable": 5,
        "distinct": 4,
        "shared": 1,
        "sharing": 2,
        "respelt": 0,
        "capitals": 0,
        "refused": [{"column": "email", "reason": "not_valid", "count": 1, "rows": [5]}],
    }
    assert found["identifiers"]["phone"]["refused"] == [
        {"column": "phone", "reason": "no_country_code", "count": 2, "rows": [2, 4]}
    ]
    assert found["purposes"] == {"sharing": 4, "news": 2}
    assert found["participation"] is None
    assert found["profile"] == "uid2-v1"
    assert [(one["about"], one["count"]) for one in found["suggestions"]] == [
        ("default_country", 2),
        ("shared_email", 1),
    ]
    assert (
        'set default_country = "DE"? Of 1 number with a country code' in found["suggestions"][0]["sentence"]
    )
    assert found["suggestions"][0]["command"].endswith(f"--path {messy} --default-country DE --replace")


def test_check_writes_a_private_page_and_overwrites_none_unasked(
    mutuals: CommandLine, messy: Path, tmp_path: Path
) -> None:
    mutuals("add", "crm", "--path", str(messy))
    page = tmp_path / "quality.html"
    found = mutuals.json("check", "crm", "--html", str(page))
    assert found["file"] == str(page)
    assert page.stat().st_mode & 0o777 == 0o600
    assert "5 contacts in 7 rows; 2 rows cannot be used." in page.read_text(encoding="utf-8")
    page.write_text("mine")
    assert mutuals("check", "crm", "--html", str(page)) == 2
    assert page.read_text() == "mine"
    assert mutuals("check", "crm", "--html", str(page), "--force") == 0
    assert "Wrote" in mutuals.out
    assert mutuals("check", "crm", "--html", str(tmp_path / "none" / "x.html")) == 2
    assert mutuals("check", "crm", "--force") == 2


def test_a_column_left_unmapped_is_noticed(mutuals: CommandLine, tmp_path: Path) -> None:
    contacts(tmp_path / "crm.csv", "c1,a@x.de,030 1,,,,,", headings=HEADINGS.replace("email", "E-Mail"))
    hint = (
        'No e-mail addresses were read; if the file has some, name their column with --map email="HEADING".'
    )
    assert mutuals.json("add", "crm", "--path", "crm.csv")["hints"] == [hint]
    (suggested,) = mutuals.json("check", "crm")["suggestions"][:1]
    assert suggested["about"] == "unread_email"
    assert "“E-Mail” is not read" in suggested["sentence"]
    assert suggested["command"].endswith("--map email=E-Mail --replace")


def test_an_empty_column_is_nothing_to_speak_of(mutuals: CommandLine, tmp_path: Path) -> None:
    contacts(tmp_path / "crm.csv", "c1,a@x.de,,,,,,")
    assert mutuals.json("add", "crm", "--path", "crm.csv")["hints"] == []
    assert mutuals.json("check", "crm")["suggestions"] == []


def test_add_says_why_rows_cannot_be_used(mutuals: CommandLine, messy: Path) -> None:
    assert mutuals("add", "crm", "--path", str(messy)) == 0
    assert "2 rows cannot be used" in mutuals.out
    assert "not a date written as YYYY-MM-DD" in mutuals.out
    assert "neither true nor false" in mutuals.out


def test_a_file_without_a_usable_row_is_refused_with_the_reasons(
    mutuals: CommandLine, tmp_path: Path
) -> None:
    good = contacts(tmp_path / "good.csv", MESSY[0])
    contacts(tmp_path / "crm.csv", *(f"c{number},a@x.de,,,1.5.2026,,vielleicht," for number in range(60)))
    refused = mutuals.json("add", "crm", "--path", "crm.csv")
    assert refused["code"] == 7
    message = refused["error"]["message"]
    assert "crm.csv: none of its 60 rows can be used" in message
    assert "consent_at is not a date written as YYYY-MM-DD (60 rows: 2, 3," in message
    assert "suppressed is neither true nor false (60 rows" in message
    assert "vielleicht" not in message
    assert mutuals.stored() == []
    mutuals("add", "crm", "--path", str(good))
    shutil.copy(tmp_path / "crm.csv", good)
    assert mutuals("check", "crm") == 0
    assert "60 rows cannot be used" in mutuals.out
    assert "Consent" not in mutuals.out


def test_headings_alone_can_be_added_and_are_called_that(mutuals: CommandLine, tmp_path: Path) -> None:
    contacts(tmp_path / "crm.csv")
    hint = "The file has headings but no contacts yet, so nobody takes part."
    assert mutuals("add", "crm", "--path", "crm.csv") == 0
    assert hint in mutuals.out
    assert mutuals("check", "crm", "--purpose", "sharing") == 0
    assert hint in mutuals.out
    assert "headings only" in mutuals.out
    assert [one["sentence"] for one in mutuals.json("check", "crm")["suggestions"]] == [hint]


def test_a_field_of_an_agreement_is_mapped_elsewhere(mutuals: CommandLine, messy: Path) -> None:
    assert mutuals("add", "crm", "--path", str(messy), "--map", "ltv=City") == 2
    assert "mutuals agreement propose" in mutuals.err
    assert "--map FIELD=HEADING" in mutuals.err


def test_another_file_keeps_the_country_unless_one_is_given(mutuals: CommandLine, tmp_path: Path) -> None:
    export = tmp_path / "crm.csv"
    export.write_text(
        "Record ID,Email,Phone Number,Unsubscribed from all email,Contact owner\n1,,030 901820,,x\n"
    )
    mutuals("add", "crm", "--path", str(export), "--default-country", "DE")
    assert "DE, of numbers without a country code" in mutuals.out
    assert mutuals.json("add", "crm", "--path", str(export), "--replace")["source"]["default_country"] == "DE"
    again = mutuals.json("add", "crm", "--path", str(export), "--replace", "--default-country", "AT")
    assert again["source"]["default_country"] == "AT"


def test_check_counts_who_takes_part_for_a_purpose(mutuals: CommandLine, messy: Path) -> None:
    mutuals("add", "crm", "--path", str(messy), "--default-country", "DE")
    asked = ("check", "crm", "--purpose", "sharing", "--max-age-days", "3650")
    found = mutuals.json(*asked)
    assert [one["about"] for one in found["suggestions"]] == ["shared_email"]
    assert found["participation"] == {
        "agreement": None,
        "purpose": "sharing",
        "max_age_days": 3650,
        "max_age_by": None,
        "contacts": 2,
        "identifiers": 4,
        "excluded": {"suppressed": 1, "no_consent": 1, "no_identifier": 1},
        "withheld_identifiers": {"shared": 1},
        "evidence": {},
    }
    assert mutuals("check", "crm", "--purpose", "Sharing Data") == 2
    assert mutuals("check", "crm", "--max-age-days", "10") == 2
    assert mutuals("check", "crm", "--purpose", "sharing", "--profile", "none") == 2


def test_check_under_an_agreement_uses_its_rules(mutuals: CommandLine, messy: Path) -> None:
    mutuals("add", "crm", "--path", str(messy))
    agreement = agree(mutuals.home)
    found = mutuals.json("check", "crm", "--agreement", agreement)
    assert (found["profile"], found["participation"]["agreement"]) == ("strict-v1", agreement)
    assert (found["participation"]["contacts"], found["participation"]["identifiers"]) == (2, 2)
    assert (found["participation"]["max_age_days"], found["participation"]["max_age_by"]) == (
        3650,
        "agreement",
    )
    assert mutuals("check", "crm", "--agreement", agreement, "--purpose", "news") == 2
    assert mutuals("check", "crm", "--agreement", "A-00000000") == 6


def test_check_under_an_agreement_shows_where_the_policy_is_stricter(
    mutuals: CommandLine, messy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutuals("add", "crm", "--path", str(messy))
    agreement = agree(mutuals.home)
    rules = {"collected": "On forms.", "kept": "Here.", "withdrawal": "By letter.", "max_age_days": 1}
    monkeypatch.setattr("mutuals.policy.current.current_policy", lambda tx: policy(consent=rules))
    found = mutuals.json("check", "crm", "--agreement", agreement)["participation"]
    assert (found["contacts"], found["max_age_days"], found["max_age_by"]) == (0, 1, "policy")
    assert found["excluded"]["consent_expired"] > 0
    assert mutuals("check", "crm", "--agreement", agreement) == 0
    assert "counts for 1 day, as your policy says; the agreement would take 3,650" in mutuals.out


def test_what_a_person_reads_has_the_numbers_and_no_contact(mutuals: CommandLine, messy: Path) -> None:
    mutuals("add", "crm", "--path", str(messy))
    for arguments in (("check", "crm"), ("check", "crm", "--purpose", "sharing", "--no-notice")):
        assert mutuals(*arguments) == 0
        assert "5 contacts in 7 rows" in mutuals.out
        assert "not a date written as YYYY-MM-DD" in mutuals.out
        shown = mutuals.out + mutuals.err
        assert not any(name in shown for name in ("ann@", "info@", "nobody", "901820", "maybe", "1.5.2026"))
    assert "take part" in mutuals.out


def test_neither_cell_nor_heading_can_steer_the_terminal(mutuals: CommandLine, tmp_path: Path) -> None:
    crafted = f"\x1b[2J[bold]{'x' * 100}"
    contacts(tmp_path / "crm.csv", f"c1,a@x.de,,{crafted},,,,", headings=HEADINGS.replace("City", crafted))
    mutuals("add", "crm", "--path", "crm.csv")
    assert mutuals("check", "crm") == 0
    assert "\x1b" not in mutuals.out
    assert mutuals.out.count("�[2J[bold]xxx") == 1
    assert "x" * 60 not in mutuals.out


def test_every_reason_has_words() -> None:
    from mutuals.normalisation import Reason
    from mutuals.sources import Exclusion, RowFault, Withheld
    from mutuals_client.source_report import REASONS

    assert {str(reason) for kind in (Reason, RowFault, Exclusion, Withheld) for reason in kind} == set(
        REASONS
    )


HUBSPOT = (
    "Record ID,First Name,Email,Phone Number,Contact owner,Unsubscribed from all email\n"
    "1,Ann,ann@example.com,+49 30 901820,Sam,\n2,Ben,ben@example.com,,Sam,true\n2,Ben,b@example.com,,Sam,\n"
)


def test_a_crms_export_needs_no_more_than_its_name_and_nobody_takes_part_yet(
    mutuals: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "hubspot.csv"
    file.write_text(HUBSPOT.replace("2,Ben,b@", "3,Cy,b@"))
    assert mutuals("add", "crm", "--path", "hubspot.csv") == 0, mutuals.err
    assert "HubSpot, 100% sure, by “Record ID”" in mutuals.out
    assert "not decided yet, so nobody takes part" in mutuals.out
    assert mutuals("check", "crm") == 0
    assert "Nobody has consented as far as mutuals knows" in mutuals.out
    assert mutuals("show", "crm") == 0
    assert "“Unsubscribed from all email”" in mutuals.out
    added = mutuals.json("add", "crm", "--path", "hubspot.csv", "--replace")
    assert (added["understood"]["layout"], added["understood"]["confidence"]) == ("hubspot", 100)
    assert added["fields"] == ["First Name", "Contact owner", "Unsubscribed from all email"]
    found = mutuals.json("check", "crm", "--purpose", "sharing", "--no-notice")
    assert found["participation"]["excluded"] == {"suppressed": 1, "no_consent": 2}


def test_a_mapping_that_takes_an_agreed_field_away_names_the_agreement(
    mutuals: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "hubspot.csv").write_text(HUBSPOT.replace("2,Ben,b@", "3,Cy,b@"))
    mutuals.json("add", "crm", "--path", "hubspot.csv")
    agreement = agree(mutuals.home)
    with Peer.open(mutuals.home) as peer, peer.store.transaction() as tx:
        (row,) = tx.agreements.list()
        sent = {"owner": "Contact owner", "stop": "Unsubscribed from all email"}
        tx.agreements.put(replace(row, mapping=sent))
    assert mutuals.json("add", "crm", "--path", "hubspot.csv", "--replace")["hints"] == []
    assert mutuals("map", "crm", "--save", "crm.toml") == 0
    text = (tmp_path / "crm.toml").read_text()
    (tmp_path / "crm.toml").write_text(text.replace("emails = [", 'emails = ["Contact owner", '))
    for words in (("map", "crm"), ("add", "crm", "--path", "hubspot.csv", "--replace")):
        (hint,) = mutuals.json(*words, "--mapping", "crm.toml")["hints"]
        assert hint.startswith(
            f"Agreement {agreement} sends “Contact owner”, which is no field of source crm"
        )


def test_a_mapping_is_saved_corrected_and_given_again(mutuals: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "hubspot.csv").write_text(HUBSPOT)
    assert mutuals("add", "crm", "--path", "hubspot.csv") == 7
    assert "rows 3 and 4" in mutuals.err
    assert "--duplicates" in mutuals.err
    added = mutuals.json("add", "crm", "--path", "hubspot.csv", "--duplicates", "merge")
    assert (added["contacts"], added["merged"]) == (2, [[3, 4]])
    assert mutuals("map", "crm", "--save", "crm.toml") == 0, mutuals.err
    text = (tmp_path / "crm.toml").read_text()
    assert mutuals("map", "crm", "--save", "crm.toml") == 2
    (tmp_path / "crm.toml").write_text(text.replace('"merge"', '"leave-out"'))
    again = mutuals.json("add", "crm", "--path", "hubspot.csv", "--mapping", "crm.toml", "--replace")
    assert (again["contacts"], again["rejected_rows"]) == (1, 2)
    (tmp_path / "crm.toml").write_text(text.replace('"merge"', '"some"'))
    assert mutuals("add", "crm", "--path", "hubspot.csv", "--mapping", "crm.toml", "--replace") == 7
    assert "crm.toml: line" in mutuals.err
    assert "duplicates: must be" in mutuals.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--path", "x.csv", "--url", "sqlite:///x.db"), "either a file or a database"),
        (("--path", "x.csv", "--table", "people"), "named with --url"),
        (("--url", "sqlite:///x.db"), "either --table or --query"),
        (("--url", "postgresql://ann:secret@host/crm", "--table", "people"), "may not hold a password"),
        (("--path", "x.csv", "--dates", "any"), "is no order of dates"),
        (("--path", "x.csv", "--duplicates", "drop"), "is no way with duplicates"),
        (("--path", "x.csv", "--delimiter", "pipe"), "is no delimiter"),
        (("--path", "x.csv", "--no-objections", " "), "needs a reason"),
    ],
)
def test_what_cannot_be_said_of_a_source(mutuals: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    assert mutuals("add", "crm", *arguments) == 2
    assert said in mutuals.err
    assert "secret" not in mutuals.err
