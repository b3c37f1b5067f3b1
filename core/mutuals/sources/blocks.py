"""The bytes of a CSV file in blocks of a few megabytes: each ends where a line ends and is sound UTF-8.

So a file of any length costs the memory of one block.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO, Protocol

from mutuals.errors import ErrorCode, MutualsError

BLOCK_BYTES = 4 << 20
_LONGEST_LINE = 16 << 20
_UTF8_HINT = "Save it as “CSV UTF-8”."


def input_fault(message: str, hint: str | None = None) -> MutualsError:
    """The error for a file that cannot be used (exit code 7)."""
    return MutualsError(ErrorCode.INPUT_QUALITY, message, hint=hint)


def open_file(path: Path) -> BinaryIO:
    """The regular file at ``path``, for reading. Raises MutualsError (INPUT_QUALITY) where it cannot be read."""
    try:
        if path.is_dir():
            raise input_fault(f"{path} is a folder, not a file.")
        if path.exists() and not path.is_file():
            raise input_fault(f"{path} is not a regular file.")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise input_fault(f"There is no file {path}.", "Check the path, or add the source again.") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path | str, error: Exception) -> MutualsError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else "its path is not valid"
    return input_fault(f"{path} cannot be read: {why}.")


class Stream(Protocol):
    """What blocks are taken from: as many bytes as asked for, or more or fewer, and none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Blocks:
    """Takes an open file apart. ``taken`` counts the bytes handed out so far."""

    def __init__(self, stream: Stream, name: str, block_bytes: int = BLOCK_BYTES) -> None:
        self._stream = stream
        self._name = name
        self._size = block_bytes
        self._rest = bytearray()
        self._lines = 0
        self._at_start = True
        self._at_end = False
        self.taken = 0

    def take(self) -> bytes:
        """The next block: whole lines, or what is left at the end of the file; empty once nothing is.

        Raises MutualsError (INPUT_QUALITY) with the line where it is not UTF-8 text.
        """
        while True:
            self._fill(self._size if not self._rest else len(self._rest) + self._size)
            end = len(self._rest) if self._at_end else self._last_line_end()
            if end or self._at_end:
                break
            if len(self._rest) > _LONGEST_LINE:
                raise input_fault(f"{self._name}: a line is longer than {_LONGEST_LINE:,} bytes.")
        block = bytes(memoryview(self._rest)[:end])
        del self._rest[:end]
        self.taken += len(block)
        self._check(block)
        self._lines += block.count(b"\n")
        if self._at_start and block:
            self._at_start = False
            block = block.removeprefix(codecs.BOM_UTF8)
            return block or self.take()
        return block

    def _fill(self, size: int) -> None:
        while len(self._rest) < size and not self._at_end:
            try:
                data = self._stream.read(size - len(self._rest))
            except OSError as error:
                raise _unreadable(self._name, error) from None
            self._at_end = not data
            self._rest += data

    def _last_line_end(self) -> int:
        """Behind the last line end; only in a file without any ``\\n`` is it that of a lone ``\\r``."""
        return (self._rest.rfind(b"\n") + 1) or (self._rest.rfind(b"\r", 0, len(self._rest) - 1) + 1)

    def _check(self, block: bytes) -> None:
        if self._at_start and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise input_fault(
                f"{self._name} is UTF-16, not UTF-8.", f"{_UTF8_HINT} Or add it again without --format."
            )
        nul = block.find(b"\0")
        if nul >= 0:
            line = self._lines + block.count(b"\n", 0, nul) + 1
            raise input_fault(
                f"{self._name} holds a zero byte in line {line}: it is not a UTF-8 text file.", _UTF8_HINT
            )
        try:
            block.decode()
        except UnicodeDecodeError as error:
            line = self._lines + block.count(b"\n", 0, error.start) + 1
            raise input_fault(
                f"{self._name} is not UTF-8: line {line} holds other bytes.", _UTF8_HINT
            ) from None
