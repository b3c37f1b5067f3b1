"""What commands of this home note in ``log/client.log`` while the server runs, so that its metrics have it, too."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

MOST_BYTES = 1024 * 1024
"""How much is read at once; the rest comes the next time."""


class Follower:
    """Hands every ``act`` line that is added to ``path`` from now on to ``note``; a file that was turned over is
    followed by the next.
    """

    def __init__(self, path: Path, note: Callable[[dict[str, Any]], None]) -> None:
        self._path = path
        self._note = note
        self._lock = threading.Lock()
        self._rest = b""
        self._stream: BinaryIO | None = self._open()
        if self._stream is not None:
            self._stream.seek(0, os.SEEK_END)

    def update(self) -> None:
        """Read what is new. Never raises; a line that cannot be read counts nothing."""
        with self._lock, suppress(OSError):
            self._read()
            if self._turned_over():
                self.close()
                self._stream = self._open()
                self._read()

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._rest = b""

    def _open(self) -> BinaryIO | None:
        with suppress(OSError):
            return self._path.open("rb")
        return None

    def _turned_over(self) -> bool:
        try:
            now = self._path.stat()
        except OSError:
            return False
        return self._stream is None or not os.path.samestat(os.fstat(self._stream.fileno()), now)

    def _read(self) -> None:
        if self._stream is None:
            return
        *lines, self._rest = (self._rest + self._stream.read(MOST_BYTES)).split(b"\n")
        for line in lines:
            with suppress(Exception):
                fields = json.loads(line)
                if fields["event"] == "act":
                    self._note(fields)
