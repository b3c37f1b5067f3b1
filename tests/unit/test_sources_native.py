"""The native CSV format: what is read, which rows take no part, and which files are refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals.normalisation import Reason
from mutuals.sources import (
    ContactTable,
    Exclusion,
    Rejected,
    RowFault,
    SourceDefinition,
    Withheld,
    define_source,
    field_cells,
    read_source,
)
from mutuals.sources.readers import read_through

HEADINGS = "contact_id,email,phone,consent,consent_at,notified_at,suppressed"
DOCS = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
SECRET = "jane.secret@example.com"


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(path: Path, data: str | bytes, **columns: str) -> ContactTable:
    return read_source(define_source("crm", str(write(path, data)), columns))


def refusal(path: Path, data: str | bytes, **columns: str) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        read(path, data, **columns)
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts.csv"


def test_a_contact_is_read_as_documented(file: Path) -> None:
    table = read(
        file,
        f"{HEADINGS},City\n"
        ' c1 ,a@x.de ; b@x.de;,+49 30 1;,news; sharing ,2026-05-01, 2026-04-01,TRUE,"  Köln, ""Süd"""\n',
    )
    assert table.frame.row(0, named=True) == {
        "row": 2,
        "contact_id": "c1",
        "email": ["a@x.de", "b@x.de"],
        "phone": ["+49 30 1"],
        "consent": ["news", "sharing"],
        "consent_at": date(2026, 5, 1),
        "notified_at": date(2026, 4, 1),
        "suppressed": True,
        "City": '  Köln, "Süd"',
    }
    assert table.field_names == ("City",)
    assert table.rejected == ()


def test_empty_cells_mean_nothing_granted_and_not_suppressed(file: Path) -> None:
    row = read(file, f"{HEADINGS}\nc1,,,,,,\n").frame.row(0, named=True)
    assert row == {
        "row": 2,
        "contact_id": "c1",
        "email": [],
        "phone": [],
        "consent": [],
        "consent_at": None,
        "notified_at": None,
        "suppressed": False,
    }


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["without BOM", "with BOM"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_byte_order_mark_and_line_ends_make_no_difference(file: Path, bom: bytes, newline: bytes) -> None:
    lines = [HEADINGS.encode(), b"c1,j\xc3\xb6rg@x.de,,,,,", b"c2,,,,,,"]
    table = read(file, bom + newline.join(lines))
    assert table.frame["contact_id"].to_list() == ["c1", "c2"]
    assert table.frame["email"].to_list() == [["jörg@x.de"], []]


def test_nothing_is_taken_for_a_number_a_date_or_a_formula(file: Path) -> None:
    table = read(file, f"{HEADINGS},A,B\n007,,,,,,,=1+1,00123\n1e3,,,,,,,2026-01-01,+5\n")
    assert table.frame["contact_id"].to_list() == ["007", "1e3"]
    assert table.frame["A"].to_list() == ["=1+1", "2026-01-01"]
    assert table.frame["B"].to_list() == ["00123", "+5"]


def test_headings_alone_are_a_source_without_contacts(file: Path) -> None:
    table = read(file, HEADINGS)
    assert len(table.frame) == 0
    assert table.rejected == ()


def test_rows_are_numbered_as_a_spreadsheet_shows_them(file: Path) -> None:
    table = read(file, f'{HEADINGS},Note\nc1,,,,,,,"two\r\nlines"\n\nc2,,,,,,,\n,,,,,,,\nc3,,,,,,,\n')
    assert dict(table.frame.select("contact_id", "row").iter_rows()) == {"c1": 2, "c2": 4, "c3": 6}


def test_a_row_with_a_fault_takes_no_part_and_is_named_by_row_and_reason(file: Path) -> None:
    table = read(
        file,
        f"{HEADINGS}\nc1,a@x.de,,s,2026-02-30,,\nc2,b@x.de,,s,01.02.2026,,\nc3,c@x.de,,s,2026-1-2,yesterday,\n"
        "c4,d@x.de,,s,,,no\n ,e@x.de,,s,,,\nc6,f@x.de,,s,2026-02-28,,false\n",
    )
    assert table.frame["contact_id"].to_list() == ["c6"]
    assert [(fault.row, fault.column, fault.reason.value) for fault in table.rejected] == [
        (2, "consent_at", "not_a_date"),
        (3, "consent_at", "not_a_date"),
        (4, "consent_at", "not_a_date"),
        (4, "notified_at", "not_a_date"),
        (5, "suppressed", "not_true_or_false"),
        (6, "contact_id", "empty"),
    ]
    assert table.rejected_identifiers["email"].to_list() == [
        ["a@x.de"],
        ["b@x.de"],
        ["c@x.de"],
        ["d@x.de"],
        ["e@x.de"],
    ]


def test_only_the_fields_and_contacts_asked_for_are_kept_but_all_rows_are_checked(file: Path) -> None:
    write(
        file,
        f"{HEADINGS},City,Tier\nc1,,,news@2026-01-01,,,,Rome,x\nc2,a@x.de,,,,,,Oslo,y\nc3,b@x.de,,,bad,,,Bonn,z\n",
    )
    definition = define_source("crm", str(file), {})
    table = read_source(definition, {"Tier", "gone"}, pl.Series(["c2", "c3", "c9"]))
    assert table.field_names == ("Tier",)
    assert table.frame.columns[-1] == "Tier"
    assert table.frame["contact_id"].to_list() == ["c2"]
    assert table.rejected_identifiers["email"].to_list() == [["b@x.de"]]
    assert read_through(definition).headings == ("City", "Tier")
    write(file, f"{HEADINGS}\nc1,,,,,,\nc1,,,,,,\n")
    for act in (lambda: read_source(definition, (), pl.Series(["c9"])), lambda: read_through(definition)):
        with pytest.raises(MutualsError, match="same contact_id"):
            act()


@pytest.mark.parametrize("value", ["yes", "1", "0", "truee", "n/a", "wahr", "-"])
def test_an_unclear_suppression_never_counts_as_none(file: Path, value: str) -> None:
    table = read(file, f"{HEADINGS}\nc1,,,,,,{value}\n")
    assert len(table.frame) == 0
    assert table.rejected == (Rejected(2, "suppressed", table.rejected[0].reason),)


def test_columns_are_found_under_the_headings_a_person_mapped(file: Path) -> None:
    table = read(
        file,
        "Record ID,E-Mail Address,consent,Opt-in date,suppressed,Phone Number\nr1,a@x.de,s,2026-01-01,,030 1\n",
        contact_id="Record ID",
        email="E-Mail Address",
        consent_at="Opt-in date",
    )
    row = table.frame.row(0, named=True)
    assert (row["contact_id"], row["email"], row["consent_at"]) == ("r1", ["a@x.de"], date(2026, 1, 1))
    assert row["phone"] == []
    assert row["notified_at"] is None
    assert table.field_names == ("Phone Number",)


def test_columns_without_a_heading_are_no_fields(file: Path) -> None:
    assert read(file, f"{HEADINGS},,\nc1,,,,,,,x,y\n").field_names == ()


def test_fields_are_given_as_written_and_none_where_empty(file: Path) -> None:
    table = read(file, f"{HEADINGS},City,Tier\nc1,,,,,,, Rome ,\nc2,,,,,,,,gold\nc3,,,,,,,x,y\n")
    cells = field_cells(table, pl.Series(["c2", "c1", "gone"]), {"city": "City", "tier": "Tier"})
    assert cells.columns == ["city", "tier"]
    assert [tuple(cell or None for cell in row) for row in cells.iter_rows()] == [
        (None, "gold"),
        (" Rome ", None),
        (None, None),
    ]
    assert field_cells(table, pl.Series(["c1"]), {}).columns == []


@pytest.mark.parametrize("heading", ["Town", "email", "row", "contact_id"])
def test_a_field_must_be_a_further_column(file: Path, heading: str) -> None:
    table = read(file, f"{HEADINGS},City\nc1,,,,,,,Rome\n")
    with pytest.raises(MutualsError) as caught:
        field_cells(table, pl.Series(["c1"]), {"city": heading})
    assert caught.value.code is ErrorCode.INPUT_QUALITY


GOOD = f"c1,{SECRET},,s,2026-01-01,,"
BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty"),
    "white space only": (" \n\n", "is empty"),
    "only a BOM": (b"\xef\xbb\xbf", "is empty"),
    "short row": (f"{HEADINGS}\n{GOOD}\nc2,{SECRET}\n", "row 3 has 2 cells where the headings have 7"),
    "long row": (f"{HEADINGS}\n{GOOD},extra\n", "row 2 has 8 cells where the headings have 7"),
    "short row after a quoted line break": (f'{HEADINGS}\nc1,"a\nb",,,,,\nc2\n', "row 3 has 1 cell where"),
    "unclosed quote": (
        f'{HEADINGS}\n{GOOD}\nc2,"{SECRET},,,,,\nc3,,,,,,\n',
        "row 3: a quotation mark is opened",
    ),
    "long unclosed quote": (
        f'{HEADINGS}\n{GOOD}\nc2,"' + f"{SECRET},,,,,\n" * 9000,
        "row 3: a cell is longer than",
    ),
    "very long cell": (f"{HEADINGS}\nc1,{'x' * 200_000},,,,,\n", "row 2: a cell is longer than"),
    "text after a closing quote": (f'{HEADINGS}\nc1,"{SECRET}" x,,,,,\n', "row 2: a quoted cell goes on"),
    "Latin-1": (f"{HEADINGS}\n{GOOD}\nc2,j\xf6rg@x.de,,,,,\n".encode("latin-1"), "not UTF-8: line 3"),
    "UTF-16": (f"{HEADINGS}\n{GOOD}\n".encode("utf-16"), "UTF-16"),
    "UTF-16 without BOM": (f"{HEADINGS}\n{GOOD}\n".encode("utf-16-le"), "zero byte in line 1"),
    "zero byte": (f"{HEADINGS}\n{GOOD}\nc2,\0,,,,,\n", "zero byte in line 3"),
    "zip archive": (b"PK\x03\x04\x14\x00\x06\x00", "zero byte"),
    "semicolons": (f"{HEADINGS}\n{GOOD}\n".replace(",", ";"), "separated by semicolons"),
    "tabs": (f"{HEADINGS}\n{GOOD}\n".replace(",", "\t"), "separated by tabs"),
    "blank first row": (f"\n{HEADINGS}\n{GOOD}\n", "row 1 is blank"),
    "blank headings": (f",,,,,,\n{GOOD}\n", "row 1 is blank"),
    "no headings": (f"{GOOD}\nc2,{SECRET},,s,2026-01-01,,\n", "no column"),
    "no contact_id": (f"id,email,consent,consent_at,suppressed\nc1,{SECRET},,,\n", "no column “contact_id”"),
    "no email nor phone": (
        "contact_id,consent,consent_at,suppressed\nc1,,,\n",
        "no column “email” and none “phone”",
    ),
    "no consent": (f"contact_id,email,consent_at,suppressed\nc1,{SECRET},,\n", "no column “consent”"),
    "no consent_at": (f"contact_id,email,consent,suppressed\nc1,{SECRET},,\n", "no column “consent_at”"),
    "no suppressed": (f"contact_id,email,consent,consent_at\nc1,{SECRET},,\n", "no column “suppressed”"),
    "duplicate heading": (f"{HEADINGS},City, City\n{GOOD},,\n", "same heading in columns 8 and 9"),
    "duplicate standard heading": (f"{HEADINGS},email\n{GOOD},\n", "same heading in columns 2 and 8"),
    "heading kept for row numbers": (f"{HEADINGS},row\n{GOOD},\n", "“row”"),
    "duplicate contact id": (f"{HEADINGS}\n{GOOD}\n\n c1 ,,,,,,\n", "same contact_id in rows 2 and 4"),
    "duplicate id of a rejected row": (
        f"{HEADINGS}\n{GOOD}\nc1,,,,bad,,\n",
        "same contact_id in rows 2 and 3",
    ),
    "several duplicates": (
        f"{HEADINGS}\na,,,,,,\na,,,,,,\nb,,,,,,\nb,,,,,,\n",
        "1 more contact id is repeated",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_an_unusable_file_is_refused_in_one_sentence_that_holds_no_value(file: Path, name: str) -> None:
    data, expected = BAD_FILES[name]
    error = refusal(file, data)
    assert (error.code, error.exit_code) == (ErrorCode.INPUT_QUALITY, 7)
    assert expected in error.message
    assert error.message.startswith("contacts.csv")
    shown = f"{error.message} {error.hint} {error!r} {error.__cause__!r}"
    assert "secret" not in shown
    assert "\n" not in error.message


@pytest.mark.parametrize(
    "data",
    [
        f"Customers 2026\n\n{HEADINGS}\n{GOOD}\n",
        f"Customers, 2026\n{HEADINGS}\n{GOOD}\n",
        f"Customers,,,,,,\n{HEADINGS}\n{GOOD}\n",
        f"\n{HEADINGS}\n{GOOD}\n",
    ],
)
def test_a_title_above_the_headings_is_said_to_be_one(file: Path, data: str) -> None:
    assert "headings must be in row 1" in (refusal(file, data).hint or "") + refusal(file, data).message


def test_a_short_row_is_not_taken_for_a_title(file: Path) -> None:
    assert "row 1" not in (refusal(file, f"{HEADINGS}\n{GOOD}\nc2,x\n").hint or "")


def test_a_mapped_heading_that_is_missing_is_named(file: Path) -> None:
    error = refusal(file, f"{HEADINGS}\n{GOOD}\n", phone="Mobile Phone")
    assert "no column “Mobile Phone”" in error.message
    assert "--map phone=" in (error.hint or "")


def test_a_second_column_for_a_mapped_one_is_refused(file: Path) -> None:
    error = refusal(file, f"{HEADINGS},E-Mail\n{GOOD},\n", email="E-Mail")
    assert "“email” beside the one mapped to it" in error.message


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path, expected in ((tmp_path / "none.csv", "no file"), (tmp_path, "is a folder")):
        with pytest.raises(MutualsError, match=expected) as caught:
            read_source(SourceDefinition(name="crm", path=str(path)))
        assert caught.value.code is ErrorCode.INPUT_QUALITY


@pytest.mark.parametrize("path", ["/dev/null", "/nowhere\0.csv", "/" + "x" * 5000])
def test_a_path_that_is_no_regular_file_is_refused(path: str) -> None:
    with pytest.raises(MutualsError) as caught:
        read_source(SourceDefinition(name="crm", path=path))
    assert caught.value.code is ErrorCode.INPUT_QUALITY


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "My CRM"}, "cannot be the name"),
        ({"columns": {"mail": "E-Mail"}}, "not a column that a source maps"),
        ({"columns": {"email": " "}}, "is empty"),
        ({"columns": {"email": "Contact", "phone": "Contact"}}, "would serve both email and phone"),
        ({"columns": {"email": "phone"}}, "would serve both"),
        ({"default_country": "Germany"}, "not a country code"),
    ],
)
def test_a_definition_that_cannot_be_is_a_usage_error(change: dict[str, object], expected: str) -> None:
    given: dict[str, object] = {"name": "crm", "path": "/x.csv", "columns": {}}
    with pytest.raises(MutualsError, match=expected) as caught:
        define_source(**{**given, **change})  # type: ignore[arg-type]  # a table of arguments of several types
    assert caught.value.code is ErrorCode.USAGE


def test_two_headings_may_change_places() -> None:
    columns = {"email": "phone", "phone": "email"}
    assert define_source("crm", "/x.csv", columns).columns == columns


def test_an_unknown_format_is_a_usage_error_naming_those_there_are() -> None:
    with pytest.raises(MutualsError) as caught:
        read_source(SourceDefinition(name="crm", path="/x.csv", format="hubspot"))
    assert caught.value.code is ErrorCode.USAGE
    assert "native" in (caught.value.hint or "")


def test_a_definition_survives_the_store() -> None:
    definition = define_source("crm", "/x.csv", {"email": "E-Mail"}, "de")
    assert SourceDefinition.model_validate_json(definition.model_dump_json()) == definition
    assert definition.default_country == "DE"


def test_the_documented_example_reads_as_documented(file: Path) -> None:
    example = next(block for block in DOCS.split("```") if block.strip().startswith("contact_id,"))
    table = read(file, example.lstrip())
    assert table.rejected == ()
    assert table.frame["contact_id"].to_list() == ["C-1001", "C-1002", "C-1003"]
    assert table.frame["suppressed"].to_list() == [False, False, True]
    assert table.frame["email"].list.len().to_list() == [1, 2, 1]
    assert table.field_names == ("city", "segment")
    cells = field_cells(table, pl.Series(["C-1002"]), {"city": "city", "tier": "segment"})
    assert [tuple(cell or None for cell in row) for row in cells.iter_rows()] == [("Rome, Lazio", None)]


def test_every_reason_is_documented() -> None:
    reasons = {reason for kind in (Reason, RowFault, Exclusion, Withheld) for reason in kind}
    assert [reason for reason in reasons if f"`{reason}`" not in DOCS] == []
