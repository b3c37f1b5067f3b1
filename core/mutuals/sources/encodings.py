"""The character encoding of a text file: told by its byte order mark or by what it holds, and turned into UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

from mutuals.sources.blocks import BLOCK_BYTES, Stream, input_fault, open_file
from mutuals.sources.definition import Encoding

_MARKS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Headings begin with letters of one byte, of which UTF-16 makes two, one of them zero.
_ZEROS: dict[tuple[bool, ...], Encoding] = {
    (True, False, True, False): "utf-16-le",
    (False, True, False, True): "utf-16-be",
}
CALLED: dict[Encoding, str] = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16, big-endian",
    "cp1252": "Windows-1252",
}


def detect_encoding(path: Path) -> Encoding:
    """The encoding of the file at ``path``: by its byte order mark, or the zeros of UTF-16 without one.

    Else it is UTF-8, and Windows-1252 only where it is not.
    Reads the whole file. Raises MutualsError (INPUT_QUALITY) where it cannot be read.
    """
    with open_file(path) as stream:
        start = stream.read(4)
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                return encoding
        if len(start) == 4 and (unmarked := _ZEROS.get(tuple(map(bool, start)))):
            return unmarked
        decoder = codecs.getincrementaldecoder("utf-8")()
        data = start
        try:
            while data:
                decoder.decode(data)
                data = stream.read(BLOCK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


class Utf8Stream:
    """The text of ``stream`` as UTF-8.

    Raises MutualsError (INPUT_QUALITY), with the line, where it is not in ``encoding``.
    """

    def __init__(self, stream: Stream, encoding: Encoding, name: str) -> None:
        self._stream = stream
        self._decode: Callable[[bytes, bool], str] = codecs.getincrementaldecoder(encoding)().decode
        self._called = CALLED[encoding]
        self._name = name
        self._lines = 1

    def read(self, size: int, /) -> bytes:
        """Some bytes, about ``size``; none at the end."""
        text = ""
        while not text:
            data = self._stream.read(max(size, 4))
            try:
                text = self._decode(data, not data)
            except UnicodeDecodeError as error:
                known = error.object[: error.start].decode(error.encoding, "ignore")
                line = self._lines + known.count("\n")
                raise input_fault(
                    f"{self._name} is not {self._called}: line {line} holds other bytes.",
                    "Save it as “CSV UTF-8”.",
                ) from None
            if not data:
                break
        self._lines += text.count("\n")
        return text.encode()
