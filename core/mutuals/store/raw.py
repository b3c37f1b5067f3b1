"""The bytes of the store's file as they lie on disk, for the search for what must be gone (``mutuals.obligations``).

Closing any descriptor of a file drops every POSIX lock that the process has on it, also those by which SQLite keeps
other processes away in the middle of a transaction (https://www.sqlite.org/howtocorrupt.html, 2.2). So the descriptor
that the file is read through stays open for as long as the process lives; there is one for each file.
"""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_held: dict[tuple[int, int], int] = {}
_lock = threading.Lock()


class RawFile(io.RawIOBase):
    """A SQLite file of this process, read from its beginning. Closing it closes no descriptor. Raises OSError."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = _descriptor(path)
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As much as fits, from where the last call ended."""
        view = memoryview(buffer).cast("B")
        data = os.pread(self._descriptor, len(view), self._position)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _descriptor(path: Path) -> int:
    with _lock:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in _held:
            _held[key] = os.open(path, os.O_RDONLY)
        return _held[key]
