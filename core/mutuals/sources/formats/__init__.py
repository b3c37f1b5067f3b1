"""Tables of every kind as headings and cells of text (``SheetFile``): CSV, Excel, Parquet, and a database's.

    definition = understand_table(SourceDefinition(name="crm", path="/data/contacts.xlsx"))
    file = open_table(definition)
    for sheet in file.sheets([0, 3]): ...

Rows are counted as a spreadsheet would: the headings are row 1, also where a table has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mutuals.normalisation import TRIMMED
from mutuals.sources.blocks import open_file
from mutuals.sources.definition import Delimiter, SourceDefinition
from mutuals.sources.encodings import detect_encoding
from mutuals.sources.formats.delimiters import detect_delimiter
from mutuals.sources.formats.excel import ExcelFile
from mutuals.sources.formats.parquet import ParquetFile
from mutuals.sources.formats.sql import SqlTable
from mutuals.sources.sheet import CsvFile, SheetFile

TABLE_FORMATS = ("csv", "xlsx", "parquet", "sql")


def open_table(definition: SourceDefinition, *, may_end_in_notes: bool = False) -> SheetFile:
    """The table of ``definition``, its headings read. Raises MutualsError (INPUT_QUALITY) where it cannot be used."""
    path = Path(definition.path)
    if definition.format == "xlsx":
        return ExcelFile(path, TRIMMED, definition.sheet)
    if definition.format == "parquet":
        return ParquetFile(path, TRIMMED)
    if definition.format == "sql":
        return SqlTable(definition.path, TRIMMED, definition.table, definition.query)
    return CsvFile(
        path,
        TRIMMED,
        delimiter=definition.delimiter,
        encoding=definition.encoding,
        may_end_in_notes=may_end_in_notes,
    )


def understand_table(definition: SourceDefinition, delimiter: Delimiter | None = None) -> SourceDefinition:
    """``definition`` with the format, encoding and delimiter that its file shows, if ``delimiter`` is not given.

    Raises MutualsError (INPUT_QUALITY) where the file cannot be read, or its delimiter cannot be told.
    """
    if definition.format == "sql":
        return definition
    path = Path(definition.path)
    found: dict[str, Any] = {"format": _kind(path)}
    if found["format"] == "csv":
        found["encoding"] = detect_encoding(path)
        found["delimiter"] = delimiter or detect_delimiter(path, found["encoding"])
    return definition.model_copy(update=found)


def _kind(path: Path) -> str:
    """By the first bytes, whatever the file is called."""
    with open_file(path) as stream:
        start = stream.read(8)
    if start.startswith(b"PK\3\4") or start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "xlsx"
    return "parquet" if start.startswith(b"PAR1") else "csv"
