"""Tables of every kind are read alike, be they CSV, workbook, Parquet or a database's; and what a mapping does."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources import ContactTable, SourceDefinition, define_source, read_source
from mutuals.sources.dates import iso_day
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.formats import open_table, understand_table
from mutuals.sources.formats.sql import database_url
from mutuals.sources.mapping import ConsentDecision, ConsentFile, ConsentGrant, ObjectionRule, SourceMapping
from mutuals.sources.mapping_file import (
    SavedMapping,
    mapping_toml,
    parse_mapping,
    read_mapping,
    saved_mapping,
)

HEADINGS = "Record ID,Email,Phone Number,Unsubscribed from all email,Associated Company"
ROWS = [("1", "ann@example.com", "+49 30 1", "", "Müller"), ("2", "ben@example.com", "", "true", "x, y")]


def text(delimiter: str, end: str = "\n") -> str:
    lines = [HEADINGS.split(","), *ROWS]
    return end.join(delimiter.join(f'"{cell}"' for cell in line) for line in lines) + end


def add(path: Path, **wishes: object) -> SourceDefinition:
    start = SourceDefinition(name="crm", path=str(path), format="csv")
    return understand(start, Wishes(**wishes)).definition  # type: ignore[arg-type]  # a table of wishes


def mails(table: ContactTable) -> list[list[str]]:
    return [list(cell) for cell in table.frame["email"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_every_delimiter_in_every_encoding(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = tmp_path / "hubspot.csv"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + text(delimiter, "\r\n")).encode(encoding))
    definition = add(path)
    assert definition.delimiter == delimiter
    table = read_source(definition)
    assert table.frame["Associated Company"].to_list() == ["Müller", "x, y"]
    assert table.frame["suppressed"].to_list() == [False, True]
    assert table.frame["row"].to_list() == [2, 3]
    assert SourceDefinition.model_validate_json(definition.model_dump_json()) == definition


def test_a_late_byte_that_is_not_utf_8_is_seen_and_none_of_windows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    rows = "".join(f"{number},a{number}@x.de,,,Acme\n" for number in range(200_000))
    path.write_bytes((HEADINGS + "\n" + rows).encode() + "x,y@x.de,,,Müller\n".encode("cp1252"))
    assert understand_table(SourceDefinition(name="crm", path=str(path))).encoding == "cp1252"
    path.write_bytes((HEADINGS + "\n1,a@x.de,,,").encode() + b"\x81\n")
    with pytest.raises(MutualsError, match=r"is not Windows-1252: line 2"):
        read_source(add(path))


def test_two_possible_delimiters_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_text("Id,Email;Opt out,x\n1,a@x.de;0,x\n")
    with pytest.raises(MutualsError, match="commas or semicolons") as caught:
        add(path)
    assert "--delimiter" in (caught.value.hint or "")


NOTED = "Contact ID,Account Name,Contact Owner,Email,Email Opt Out\n1,A,Sam,a@x.de,0\n2,A,Sam,b@x.de,0\n"


@pytest.mark.parametrize(
    "notes",
    [
        "\nReport\n\nCopyright\n",
        "\nReport",
        ",,,,\nReport,,,,\nCopyright,,,,\n",
        '\n"Two\nlines"\nConfidential\n',
    ],
)
def test_notes_under_a_report_are_no_contacts(tmp_path: Path, notes: str) -> None:
    path = tmp_path / "report.csv"
    path.write_text(NOTED + notes)
    table = read_source(add(path))
    assert table.frame["contact_id"].to_list() == ["1", "2"]
    assert table.rejected == ()


@pytest.mark.parametrize("rest", ["Report\n", "\nReport\n3,A,Sam,c@x.de,0\n", "\nReport,x\n"])
def test_what_is_not_clearly_a_note_is_refused(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "report.csv"
    path.write_text(NOTED + rest)
    with pytest.raises(MutualsError, match=r"row [456]"):
        read_source(add(path))


TWICE = (
    "1,ann@example.com,+49 30 1,,A,yes,2026-03-01\n2,ben@example.com,,,B,yes,2026-03-01\n"
    "1,ann@example.org,,true,,yes,2026-02-01\n2,,+49 30 2,,C,no,\n3,c@example.com,,,D,yes,2026-01-01\n"
    "4,d@example.com,,,D,yes,2026-01-01\n4,e@example.com,,,,yes,2026-05-01\n"
)


def twice(path: Path, duplicates: str) -> ContactTable:
    path.write_text(f"{HEADINGS},Share,Since\n{TWICE}")
    definition = add(path, duplicates=duplicates)
    assert definition.mapping is not None
    grant = ConsentGrant(purpose="sharing", column="Share", values=("yes",), given_at="Since")
    mapping = definition.mapping.model_copy(update={"consent": ConsentDecision(grants=(grant,))})
    return read_source(definition.model_copy(update={"mapping": mapping}))


def test_rows_of_one_contact_are_merged_with_the_stricter_consent(tmp_path: Path) -> None:
    table = twice(tmp_path / "crm.csv", "merge")
    frame = table.frame.sort("contact_id")
    assert frame["contact_id"].to_list() == ["1", "2", "3", "4"]
    assert mails(ContactTable(frame, (), ())) == [
        ["ann@example.com", "ann@example.org"],
        ["ben@example.com"],
        ["c@example.com"],
        ["d@example.com", "e@example.com"],
    ]
    assert frame["suppressed"].to_list() == [True, False, False, False]
    assert frame["consent"].to_list() == [["sharing"], [], ["sharing"], ["sharing"]]
    assert frame["consent_at"].to_list() == [date(2026, 2, 1), None, date(2026, 1, 1), date(2026, 1, 1)]
    assert frame["Associated Company"].to_list() == ["A", "B", "D", "D"]
    assert set(table.merged) == {(2, 4), (3, 5), (7, 8)}


def test_rows_of_one_contact_are_left_out_or_refused(tmp_path: Path) -> None:
    table = twice(tmp_path / "crm.csv", "leave-out")
    assert table.frame["contact_id"].to_list() == ["3"]
    assert sorted((fault.row, fault.reason.value) for fault in table.rejected) == [
        (row, "repeated") for row in (2, 3, 4, 5, 7, 8)
    ]
    assert len(table.rejected_identifiers) == 6
    with pytest.raises(MutualsError, match="rows 2 and 4") as caught:
        twice(tmp_path / "crm.csv", "refuse")
    assert "--duplicates" in (caught.value.hint or "")


def test_a_contact_one_of_whose_rows_is_at_fault_is_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_text(f"{HEADINGS},Share,Since\n1,a@x.de,,,A,yes,2026-03-01\n1,b@x.de,,true,A,yes,once\n")
    definition = add(path, duplicates="merge")
    assert definition.mapping is not None
    grant = ConsentGrant(purpose="sharing", column="Share", values=("yes",), given_at="Since")
    mapping = definition.mapping.model_copy(update={"consent": ConsentDecision(grants=(grant,))})
    table = read_source(definition.model_copy(update={"mapping": mapping}))
    assert table.frame.is_empty()
    assert sorted(fault.reason.value for fault in table.rejected) == ["not_a_date", "repeated"]


def test_parquet_gives_days_lists_and_whole_numbers_as_text(tmp_path: Path) -> None:
    path = tmp_path / "crm.parquet"
    frame = pl.DataFrame(
        {
            "Customer ID": [1, 2],
            "Emails": [["a@x.de"], None],
            "Email": [["a@x.de", "b@x.de"], []],
            "Phone": [4930123456.0, None],
            "Opt out": [False, True],
            "Since": [date(2026, 3, 1), None],
            "Seen": [datetime(2026, 3, 1, 12), None],
        }
    )
    frame.write_parquet(path)
    table = read_source(add(path))
    assert mails(table) == [["a@x.de", "b@x.de"], []]
    assert table.frame["phone"].to_list() == [["4930123456"], []]
    assert table.frame["suppressed"].to_list() == [False, True]
    assert table.frame.select("row", "contact_id", "Since", "Seen").rows() == [
        (2, "1", "2026-03-01", "2026-03-01 12:00:00"),
        (3, "2", "", ""),
    ]
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(MutualsError, match="cannot be read as Parquet"):
        add(path)


def test_a_workbook_keeps_what_is_text_and_writes_numbers_and_days_as_people_do(tmp_path: Path) -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("make_exports", Path(__file__).parents[1] / "data" / "exports" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    make = module_from_spec(spec)
    spec.loader.exec_module(make)
    path = tmp_path / "book.xlsx"
    rows = [
        ["Customer ID", "Email", "Phone", "Opt out", "Since", "Score"],
        ["0012", "a@x.de", "#4930123456", "0", "#46082@", "#3.5"],
        ["", "", "", "", "", ""],
        ["#7", "=b@x.de", "030 1", "1", "", ""],
    ]
    path.write_bytes(make.workbook(rows, "Contacts"))
    assert add(path).sheet == "Contacts"
    table = read_source(add(path))
    assert table.frame.select("row", "contact_id", "Since", "Score").rows() == [
        (2, "0012", "2026-03-01", "3.5"),
        (4, "7", "", ""),
    ]
    assert table.frame["phone"].to_list() == [["4930123456"], ["030 1"]]
    assert mails(table) == [["a@x.de"], ["b@x.de"]]
    path.write_bytes(make.workbook([["", *row] for row in rows], "Contacts"))
    assert read_source(add(path)).frame["contact_id"].to_list() == ["0012", "7"]
    path.write_bytes(make.workbook([[""], *rows], "Contacts"))
    with pytest.raises(MutualsError, match="row 1 is blank"):
        add(path)
    with pytest.raises(MutualsError, match="no sheet “Leads”"):
        open_table(SourceDefinition(name="crm", path=str(path), format="xlsx", sheet="Leads"))
    path.write_bytes(b"PK\3\4 nothing")
    with pytest.raises(MutualsError, match="cannot be read as a workbook"):
        add(path)


def test_without_the_extra_a_workbook_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fastexcel", None)
    (tmp_path / "book.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(MutualsError, match="cannot read workbooks") as caught:
        add(tmp_path / "book.xlsx")
    assert "mutuals[excel]" in (caught.value.hint or "")


def test_a_database_is_read_by_table_or_select_and_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    with sqlite3.connect(path) as made:
        made.execute(
            'CREATE TABLE "the people" ("Customer ID" INTEGER, "Email" TEXT, "Opt out" BOOLEAN, seen REAL)'
        )
        made.executemany(
            'INSERT INTO "the people" VALUES (?, ?, ?, ?)', [(1, "a@x.de", 0, 2.0), (2, None, 1, 2.5)]
        )
    made.close()
    url = database_url(f"sqlite:///{path}")

    def source(table: str | None, query: str | None) -> ContactTable:
        start = SourceDefinition(name="crm", path=url, format="sql", table=table, query=query)
        return read_source(understand(start, Wishes()).definition)

    table = source("the people", None)
    assert table.frame.select("row", "contact_id", "suppressed", "seen").rows() == [
        (2, "1", False, "2"),
        (3, "2", True, "2.5"),
    ]
    chosen = source(None, 'SELECT "Customer ID", "Email", "Opt out" FROM "the people" WHERE seen > 2.1; ')
    assert chosen.frame["contact_id"].to_list() == ["2"]
    for wrong in ("DELETE FROM x", "SELECT 1; SELECT 2", "  "):
        with pytest.raises(MutualsError, match="not one SELECT") as caught:
            source(None, wrong)
        assert caught.value.code is ErrorCode.USAGE
    with pytest.raises(MutualsError, match="cannot be read from the database"):
        source("nobody", None)
    with pytest.raises(MutualsError, match="cannot be read from the database"):
        source(None, "WITH x AS (SELECT 1) INSERT INTO \"the people\" SELECT 3, 'c', 0, 1 FROM x")
    in_parameters = "postgresql://ann@host/crm?password=secret"
    for refused in ("postgresql://ann:secret@host/crm", in_parameters, "mysql://host/crm", "nonsense"):
        with pytest.raises(MutualsError) as caught:
            database_url(refused)
        assert "secret" not in str(caught.value)


MAPPING = SourceMapping(
    layout="generic",
    contact_id="contact_id",
    emails=("email",),
    phones=("phone",),
    objections=(ObjectionRule(column="suppressed", objects_if=("true",), allows_if=("false",)),),
    consent=ConsentDecision(
        grants=(ConsentGrant(purpose="news", column="consent", values=("news",), given_at="consent_at"),),
        notified_at="notified_at",
    ),
)
DAY = st.sampled_from(["", "2026-03-01", "2025-12-31", "2026-02-30", "soon"])
LINE = st.tuples(
    st.sampled_from(["a@x.de", "", " a@x.de ; b@x.de", "x"]),
    st.sampled_from(["", "+49 30 1", "030 2;030 3"]),
    st.sampled_from(["news", "", " news "]),
    DAY,
    DAY,
    st.sampled_from(["", "true", "FALSE", " True "]),
    st.sampled_from(["", "Köln", 'a "b"', "x\ny"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(LINE, min_size=1, max_size=6))
def test_a_mapped_native_file_is_read_as_the_native_reader_reads_it(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, ...]]
) -> None:
    import csv

    path = tmp_path_factory.getbasetemp() / "native.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["contact_id", "email", "phone", "consent", "consent_at", "notified_at", "suppressed", "City"]
        )
        # The day of a consent that is none belongs to nobody, so a mapped file does not look at it.
        writer.writerows((f"c{n}", *x[:3], x[3] if x[2] else "", *x[4:]) for n, x in enumerate(lines))
    native = read_source(define_source("crm", str(path), {}))
    mapped = read_source(SourceDefinition(name="crm", path=str(path), format="csv", mapping=MAPPING))
    assert mapped.frame.equals(native.frame)
    assert mapped.rejected == native.rejected
    assert mapped.rejected_identifiers.equals(native.rejected_identifiers)
    assert mapped.field_names == native.field_names


def test_a_native_table_in_another_dress_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "native.csv"
    path.write_text(
        "contact_id;email;consent;consent_at;suppressed\n1;a@x.de;news;2026-03-01;\n", encoding="utf-16"
    )
    definition = add(path)
    assert (definition.format, definition.mapping, definition.delimiter) == ("csv", None, ";")
    assert read_source(definition).frame["consent"].to_list() == [["news"]]


def test_a_mapping_survives_its_file_and_faults_are_named_by_line_and_key(tmp_path: Path) -> None:
    saved = tmp_path / "mapping.toml"
    saved.write_text(mapping_toml(MAPPING), encoding="utf-8")
    read = read_mapping(saved)
    assert read.mapping == MAPPING.model_copy(update={"consent": None})
    assert read.consent == MAPPING.consent
    with pytest.raises(MutualsError, match=r"line 5: duplicates: must be"):
        parse_mapping(
            'layout = "generic"\ncontact_id = "Id"\nemails = ["E"]\nno_objections_because = "none"\n'
            'duplicates = "some"\n'
        )
    with pytest.raises(MutualsError, match="no column of objections, and no reason"):
        parse_mapping('layout = "generic"\ncontact_id = "Id"\nemails = ["E"]\n')
    with pytest.raises(MutualsError, match=r"line 1: contact_ids: unknown key; did you mean contact_id"):
        parse_mapping(
            'contact_ids = "Id"\nlayout="x"\ncontact_id="Id"\nemails=["E"]\nno_objections_because="none"\n'
        )


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
_VALUES = st.lists(_TEXTS, min_size=1, max_size=3).map(tuple)
_DAYS = st.none() | st.dates()
_GRANTS = st.builds(
    ConsentGrant,
    purpose=st.sampled_from(["news", "sharing-2"]),
    column=_TEXTS,
    values=_VALUES,
    given_at=st.none() | _TEXTS,
    given_on=_DAYS,
)
_REGISTERS = st.builds(
    ConsentFile,
    path=st.sampled_from(["/data/register.csv", '/data/Ünïcode \\ ".csv']),
    granted=_VALUES,
    evidence=st.none() | _TEXTS,
    dates=st.sampled_from([None, "day-first"]),
    **dict.fromkeys(("contact_id", "purpose", "status", "date"), _TEXTS),
)
_DECISIONS = st.builds(
    ConsentDecision,
    grants=st.lists(_GRANTS, max_size=2).map(tuple),
    file=st.none() | _REGISTERS,
    notified_at=st.none() | _TEXTS,
    notified_on=_DAYS,
    reason=st.just("") | _TEXTS,
)
_RULES = st.builds(ObjectionRule, column=_TEXTS, objects_if=_VALUES, unknown_objects=st.booleans())
_SAVED = st.builds(
    SavedMapping,
    layout=st.just("generic"),
    contact_id=_TEXTS,
    emails=_VALUES,
    phones=st.lists(_TEXTS, max_size=2).map(tuple),
    objections=st.lists(_RULES, min_size=1, max_size=2).map(tuple),
    consent=st.none() | _DECISIONS,
    dates=st.sampled_from([None, "month-first"]),
    duplicates=st.sampled_from(["refuse", "merge"]),
    default_country=st.sampled_from([None, "DE"]),
    delimiter=st.sampled_from(["comma", "semicolon", "tab"]),
    sheet=st.none() | _TEXTS,
)


@given(_SAVED)
@settings(max_examples=80, deadline=None)
def test_all_that_is_known_of_a_source_goes_through_its_file_and_a_source_unchanged(
    saved: SavedMapping,
) -> None:
    read = parse_mapping(mapping_toml(saved))
    assert read == saved
    source = SourceDefinition(
        name="crm",
        path="/data/crm.csv",
        format="csv",
        mapping=read.mapping.model_copy(update={"consent": read.consent}),
        default_country=read.default_country,
        delimiter=read.separator or ",",
        sheet=read.sheet,
    )
    stored = SourceDefinition.model_validate_json(source.model_dump_json())
    assert mapping_toml(saved_mapping(stored)) == mapping_toml(saved)


def test_consent_in_a_mapping_file_is_nobodys_decision_yet(tmp_path: Path) -> None:
    path = tmp_path / "native.csv"
    path.write_text(
        "contact_id,email,phone,consent,consent_at,notified_at,suppressed\n1,a@x.de,,news,2026-03-01,,\n"
    )
    understood = understand(
        SourceDefinition(name="crm", path=str(path), format="csv"), Wishes(mapping=MAPPING)
    )
    assert understood.definition.mapping is not None
    assert understood.definition.mapping.consent is None


def test_a_day_is_read_in_the_order_that_was_said_with_any_time_of_day() -> None:
    cells = pl.Series(["31.12.2026 23:59", "1/2/2026", "2026/3/4", "2026-03-04T10:00:00+02:00", "32nd", ""])
    day_first = ["2026-12-31", "2026-02-01", "2026-03-04", "2026-03-04", "32nd", ""]
    assert iso_day(cells, "day-first").to_list() == day_first
    assert iso_day(cells, "month-first").to_list()[1] == "2026-01-02"
    assert iso_day(cells, None).to_list()[:3] == ["31.12.2026 23:59", "1/2/2026", "2026-03-04"]
