"""What is seen of a workbook before it is loaded: how far its cells reach, and whether one of them holds an error.

All cells between the first and the last one take memory: a stray one in the last row and column makes 17 billion. So
does what a part is unpacked to: 3 MB can be 3 GB of one letter, which nobody's export is. A cell with an error, as
#N/A, is loaded as if it were empty; where it should say who objects, nobody would.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from mutuals.sources.blocks import input_fault

MOST_CELLS = 150_000_000
"""How many cells a sheet may span: what takes 24 bytes each to load."""
_MOST_XML = 8 << 30
_LARGE = 256 << 20
_MOST_FOLD = 200
"""How much larger than packed a large part may be: sheets are some 10 to 50 times as large, deflate ends at 1032."""
_CHUNK = 4 << 20
_OVERLAP = 256
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_ROW = re.compile(rb'<row [^>]{0,200}?\br="([0-9]{1,10})"')
_FAR = re.compile(rb' r="([A-Za-z]{2,7})([0-9]{1,10})"')
# So every program writes them. XML permits more, which is loaded as well, and takes longer to search.
_RARELY = (b" r='", b" r =", b" r\t", b" r\n", b"\tr", b"\nr", b":row", b"r= ", b"r=\t", b"r=\n", b'r=" ')
_ANY_ROW = re.compile(rb"<(?:[^<>\s:]{1,40}:)?row\s[^>]{0,200}?\br\s*=\s*[\"']\s*([0-9]{1,10})")
_ANY_FAR = re.compile(rb"\sr\s*=\s*[\"']\s*([A-Za-z]{2,7})([0-9]{1,10})")
_NEAR_COLUMNS = 26
_ERROR = re.compile(rb'<c (?=[^>]{0,200}?\bt="e")[^>]{0,200}?\br="([A-Z]{1,3}[0-9]{1,7})"')


def refuse_unsound(path: Path) -> None:
    """Raise MutualsError (INPUT_QUALITY) for a workbook with a sheet of more than MOST_CELLS, or an error in a cell, or
    a part that is unpacked to a multiple of what any export is.

    Reads it as it is unpacked, in pieces. What is no such workbook is left to who reads it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                if part.file_size > max(_LARGE, _MOST_FOLD * part.compress_size):
                    raise input_fault(
                        f"{path.name}: {part.file_size:,} bytes are packed into {part.compress_size:,} of it, which no"
                        " export is.",
                        "Save the contacts as “CSV UTF-8”.",
                    )
                if _SHEET.fullmatch(part.filename):
                    _refuse(path.name, _pieces(archive, part))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
        return  # damaged, or packed or encrypted in a way zipfile lacks: the reader says so in its own sentence


def _refuse(name: str, pieces: Iterator[bytes]) -> None:
    rows, columns = 1, _NEAR_COLUMNS
    for piece in pieces:
        if b't="e"' in piece and (error := _ERROR.search(piece)):
            raise input_fault(
                f"{name}: cell {error[1].decode()} holds an error, such as #N/A, and not what it should.",
                "Correct such cells, or save the sheet as “CSV UTF-8”, where they are text.",
            )
        rarely = any(sign in piece for sign in _RARELY)
        rows = max(rows, max(map(int, (_ANY_ROW if rarely else _ROW).findall(piece)), default=0))
        far = set((_ANY_FAR if rarely else _FAR).findall(piece))
        columns = max(columns, max((_column(letters) for letters, _ in far), default=0))
        rows = max(rows, max((int(row) for _, row in far), default=0))
        if rows * columns > MOST_CELLS:
            raise input_fault(
                f"{name}: the cells of one of its sheets are spread over {rows:,} rows and {columns:,} columns.",
                "Delete what stands far from the contacts, or save their sheet as “CSV UTF-8”.",
            )


def _pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    read, rest = 0, b""
    with archive.open(part) as stream:
        while data := stream.read(_CHUNK):
            read += len(data)
            if read > _MOST_XML:
                raise input_fault(
                    f"{Path(archive.filename or '').name}: one of its sheets is longer than {_MOST_XML:,} bytes.",
                    "Save the contacts as “CSV UTF-8”.",
                )
            yield rest + data
            rest = data[-_OVERLAP:]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number
