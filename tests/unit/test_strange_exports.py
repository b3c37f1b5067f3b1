"""Files nobody would call an export: each is read right, or refused in a sentence that says where and what to do."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources import ContactTable, SourceDefinition, read_source
from mutuals.sources.detect import Wishes, understand

HEADINGS = "Record ID,Email,Phone Number,Unsubscribed from all email,Associated Company"
ROWS = "1,a@x.de,,,Acme\n2,b@x.de,,true,Beta\n"
PLAIN = f"{HEADINGS}\n{ROWS}"
LONG = "x" * (1 << 20)


def read(path: Path) -> ContactTable:
    return read_source(
        understand(SourceDefinition(name="crm", path=str(path), format="csv"), Wishes()).definition
    )


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("\n", "\r\n", 1).encode(),
        PLAIN.replace("\n", ",\n").encode(),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.replace("2,b", "\ufeff2,\ufeffb").encode(),
        PLAIN.replace(",", ";").replace("Acme", "1,5").replace("Beta", "2.000,75").encode(),
        PLAIN.replace("Acme", '"Ac\r\n""me"", Ltd"').encode("cp1252"),
        PLAIN.replace("Company", "[bold]Company\x1b[31m<b>").encode(),
    ],
)
def test_what_is_unusual_but_clear_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(data)
    table = read(path)
    assert table.frame.select("contact_id", "email", "suppressed").rows() == [
        ("1", ["a@x.de"], False),
        ("2", ["b@x.de"], True),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"Export of May\n\n{PLAIN}", "headings seem to stand in row 3"),
        (f",Contact,,Consent,\n{PLAIN}", "headings seem to stand in row 2"),
        ("sep=;\n" + PLAIN.replace(",", ";"), "headings seem to stand in row 2"),
        (PLAIN.replace("Associated Company", "Email"), "has 2 columns “Email”"),
        (PLAIN.replace("Acme", "Acme,"), "row 2 has 6 cells where the headings have 5"),
        (PLAIN.replace("Acme", "Ac\0me"), "zero byte in line 2"),
        (PLAIN.replace("Acme", '"Acme'), "row 2: a quotation mark is opened and never closed"),
        (PLAIN.replace("Acme", '"' + LONG + '"'), "row 2: a cell is longer than 131,072"),
        (PLAIN.replace("Acme", 17 * LONG), "a line is longer than|row 2: a cell is longer than"),
        (PLAIN.replace(",", "|"), "separated by vertical bars"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("<html><body><table></table></body></html>\n", "no column that is known to hold"),
    ],
)
def test_what_is_not_clear_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(MutualsError, match=said) as caught:
        read(path)
    assert caught.value.code is ErrorCode.INPUT_QUALITY
    assert "a@x.de" not in str(caught.value)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "not a regular file"),
        (Path(os.devnull), "not a regular"),
    ):
        with pytest.raises(MutualsError, match=said):
            read(path)


@pytest.mark.parametrize("start", [b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PAR1"])
def test_what_only_begins_like_a_workbook_or_parquet_is_refused(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "export.csv").write_bytes(start + bytes(2000))
    with pytest.raises(MutualsError, match="cannot be read as"):
        read(tmp_path / "export.csv")


def test_thousands_of_columns_and_nested_ones(tmp_path: Path) -> None:
    more = ",".join(f"Field {number}" for number in range(2000))
    wide = tmp_path / "wide.csv"
    wide.write_text(f"{HEADINGS},{more}\n1,a@x.de,,,Acme{',7' * 2000}\n")
    assert len(read(wide).field_names) == 2002
    nested = tmp_path / "nested.parquet"
    frame = pl.DataFrame(
        {"id": [1], "email": ["a@x.de"], "opt_out": [False], "place": [{"city": "B"}], "tags": [["a", "b"]]}
    )
    frame.write_parquet(nested)
    assert read(nested).frame.select("place", "tags").row(0) == ("", "a;b")


def workbook(path: Path, cell: str) -> Path:
    """An export in a workbook whose cells are text, with one more ``cell`` (XML) in row 4."""
    lines = [HEADINGS.split(","), *(line.split(",") for line in ROWS.split())]
    rows = "".join(
        f'<row r="{number}">'
        + "".join(
            f'<c r="{"ABCDE"[place]}{number}" t="inlineStr"><is><t>{text}</t></is></c>'
            for place, text in enumerate(line)
        )
        + "</row>"
        for number, line in enumerate(lines, start=1)
    )
    kind = "http://schemas.openxmlformats.org/"
    relations = f'<Relationships xmlns="{kind}package/2006/relationships"><Relationship Id="r" Type="{kind}'
    parts = {
        "_rels/.rels": f'{relations}officeDocument/2006/relationships/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{kind}spreadsheetml/2006/main" xmlns:r="{kind}officeDocument/2006/'
        'relationships"><sheets><sheet name="C" sheetId="1" r:id="r"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{relations}officeDocument/2006/relationships/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{kind}spreadsheetml/2006/main"><sheetData>{rows}{cell}'
        "</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def test_a_stray_cell_or_one_with_an_error_refuses_a_workbook(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    path = tmp_path / "export.xlsx"
    assert len(read(workbook(path, "")).frame) == 2
    stray = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(MutualsError, match="spread over 1,048,576 rows and 16,384 columns"):
        read(workbook(path, stray))
    error = '<row r="4"><c r="A4"><v>3</v></c><c r="D4" t="e"><f>NA()</f><v>#N/A</v></c></row>'
    with pytest.raises(MutualsError, match="cell D4 holds an error"):
        read(workbook(path, error))


def test_a_workbook_that_is_unpacked_to_gigabytes_is_refused_before_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "export.xlsx", "")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("docProps/custom.xml", LONG)
    assert len(read(path).frame) == 2  # as tightly packed as a bomb, and small
    monkeypatch.setattr("mutuals.sources.formats.extent._LARGE", 1000)
    with pytest.raises(MutualsError, match=r"1,048,576 bytes are packed into 1,0\d\d of it") as caught:
        read(path)
    assert caught.value.code is ErrorCode.INPUT_QUALITY
