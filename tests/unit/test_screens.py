"""What a person sees who is not at a wide terminal in UTF-8, or whose company's name is not in ASCII."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mutuals.agreement.binding import _missing_hint
from mutuals_client import console, main, policy_walk
from mutuals_client.next_steps import file_name
from mutuals_client.policy_walk import _yes_or_no
from mutuals_client.source_report import _tell_table
from mutuals_client.source_sections import Table


@pytest.mark.parametrize(
    ("organisation", "name"),
    [
        ("Küstenwind Räder GmbH", "kuestenwind-raeder-gmbh"),
        ("Vélo Été & Fils", "velo-ete-fils"),
        ("Straße Łódź Øst", "strasse-lodz-ost"),
        ("株式会社", "our"),
    ],
)
def test_a_file_is_called_after_an_organisation_in_letters_that_any_disk_takes(
    organisation: str, name: str
) -> None:
    assert file_name(organisation) == name


def test_a_narrow_table_keeps_its_first_column_and_its_numbers_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    columns = ("Purpose", "Granted by", "Nothing against it", "Of these notified")
    _tell_table(Table("Consent by purpose", columns, (("joint-marketing", "1,520", "466", "430"),)))
    told = capsys.readouterr().out
    assert "joint" in told
    assert "1,520" in told
    assert max(len(line) for line in told.splitlines()) <= 40


def test_an_answer_that_is_neither_yes_nor_no_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["sure", "Yes"])
    monkeypatch.setattr(policy_walk, "ask", lambda *_: next(answers))
    assert _yes_or_no("May it be shared?", "no")
    assert capsys.readouterr().out == "Answer yes or no.\n"
    assert not console.SETTINGS.yes


def test_what_a_terminal_cannot_show_is_a_question_mark_and_no_failure() -> None:
    code = "from mutuals_client import main; main._print_anywhere(); print('“ä”')"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert shown.stdout == "?ä?\n".encode("latin-1")


def test_an_option_before_the_command_is_told_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--home", "somewhere", "status"]) == 2
    assert "“--home” stands behind the command." in capsys.readouterr().err


def test_a_hint_names_a_column_for_every_field_that_lacks_one() -> None:
    headings = ("Person - Segment", "Person - Last bike bought", "Loyalty tier")
    missing = {"segment": "segment", "last_bike": "last_bike", "tier": "loyalty_tier"}
    assert _missing_hint("crm", missing, headings) == (
        "Did you mean --map segment='Person - Segment' --map last_bike='Person - Last bike bought' "
        "--map tier='Loyalty tier'?"
    )
    assert "with --map shoe_size=HEADING" in _missing_hint("crm", {"shoe_size": "shoe_size"}, headings)
