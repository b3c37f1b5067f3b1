"""The fast way through a CSV file gives what the csv module gives, wherever the file is cut into blocks."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mutuals.errors import MutualsError
from mutuals.normalisation import TRIMMED
from mutuals.sources import plain_csv, sheet
from mutuals.sources.contact_ids import ContactIds
from mutuals.sources.sheet import CsvFile

WIDTH = 3
CHARACTERS = [
    "a",
    "b",
    " ",
    ",",
    "\n",
    "\r",
    "\r\n",
    '"',
    '""',
    "\ufeff",
    "\x85",
    "\u2028",
    "é",
    "😀",
    "#",
    "'",
    "\\",
    "\t",
]
CELLS = st.lists(st.sampled_from(CHARACTERS), max_size=4).map("".join)
QUOTED = CELLS.map(lambda cell: '"' + cell.replace('"', '""') + '"')
PLAIN = st.text("ab é;\ufeff\x85", max_size=4)
ROWS = st.lists(
    st.tuples(*[st.one_of(PLAIN, PLAIN, QUOTED, CELLS)] * WIDTH).map(",".join)
    | st.sampled_from(["", ",,", "a", ",,,", '"",,', '"""",,', "a,b,c,d"]),
    max_size=12,
)
TEXTS = st.builds(
    lambda rows, end, last: end.join(rows) + last,
    ROWS,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\n"]),
)

Read = tuple[list[tuple[int, tuple[str, ...]]], str | None]


def by_csv_module(text: str) -> Read:
    """Rows with content and their numbers, and the row at which it ends badly."""
    found: list[tuple[int, tuple[str, ...]]] = []
    row = 1
    try:
        for row, record in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), start=2):
            if any(record) and len(record) != WIDTH:
                return found, f"row {row} "
            if any(record):
                found.append((row, tuple(record)))
    except csv.Error:
        return found, f"row {row + 1}: "
    return found, None


def by_us(file: Path, block_bytes: int, columns: tuple[int, ...] = (0, 1, 2)) -> Read:
    found: list[tuple[int, tuple[str, ...]]] = []
    try:
        for part in CsvFile(file, TRIMMED, block_bytes).sheets(columns):
            found += zip(part.rows.to_list(), part.cells.iter_rows(), strict=True)
    except MutualsError as error:
        return found, error.message
    return found, None


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, bom=st.booleans(), block_bytes=st.integers(1, 60))
@example(text='a,b,c\n"x\ny",,\n', bom=False, block_bytes=10)
@example(text="a,b,c\n\ufeffa,b,c\n", bom=True, block_bytes=6)
@example(text='"""",a,b\n,,\n', bom=False, block_bytes=60)
def test_both_ways_read_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, text: str, bom: bool, block_bytes: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "sheet.csv"
    file.write_bytes((b"\xef\xbb\xbf" if bom else b"") + ("x,y,z\n" + text).encode())
    expected, fault = by_csv_module(text)
    found, message = by_us(file, block_bytes)
    whole, whole_message = by_us(file, 1 << 20)
    assert message == whole_message
    assert (message is None) == (fault is None)
    if fault is None:
        assert found == whole == expected
    else:
        assert message is not None
        assert fault in message
        assert found == expected[: len(found)]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_a_block_that_is_taken_as_plain_is_read_as_the_csv_module_reads_it(text: str) -> None:
    plain = plain_csv.read_plain(text.encode(), WIDTH, [2, 0], 2) if text else None
    if plain is not None:
        cells, rows, following = plain
        expected, fault = by_csv_module(text)
        assert fault is None
        assert list(zip(rows.to_list(), cells.rows(), strict=True)) == [
            (row, (record[2], record[0])) for row, record in expected
        ]
        assert following == 2 + sum(1 for _ in csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "block",
    ["a,b,c\n", "a,b,c\r\nd,e,f\r\n", '"a","b, c",""\n,,\n"x ""y""",,z', "ä,\x85,\u2028\n"],
)
def test_an_ordinary_block_goes_the_fast_way(block: str) -> None:
    assert plain_csv.read_plain(block.encode(), WIDTH, [0], 2) is not None


def test_a_long_file_is_read_the_fast_way_but_for_the_blocks_that_need_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []

    def counted(*arguments: object) -> object:
        result = plain_csv.read_plain(*arguments)  # type: ignore[arg-type]  # passed on as they came
        taken.append(result is not None)
        return result

    monkeypatch.setattr(sheet, "read_plain", counted)
    lines = [f"c{number},b,c" for number in range(900)]
    lines[450] = '"c450\nd",b,c'
    (tmp_path / "sheet.csv").write_text("\n".join(["x,y,z", *lines]))
    found, fault = by_us(tmp_path / "sheet.csv", 1000)
    assert fault is None
    assert [row for row, _ in found] == list(range(2, 902))
    assert found[450][1][0] == "c450\nd"
    assert taken.count(False) == 1
    assert len(taken) == 8


def test_equal_hashes_of_different_ids_are_no_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Series, "hash", lambda ids: pl.Series([7] * len(ids), dtype=pl.UInt64))
    ids = ContactIds()
    ids.add(pl.Series(["a", "b", ""]), pl.Series([2, 3, 4], dtype=pl.UInt32))
    ids.add(pl.Series(["", "c"]), pl.Series([5, 6], dtype=pl.UInt32))
    ids.refuse_repeated("x.csv")
    ids.add(pl.Series(["b"]), pl.Series([9], dtype=pl.UInt32))
    with pytest.raises(MutualsError, match="rows 3 and 9"):
        ids.refuse_repeated("x.csv")
