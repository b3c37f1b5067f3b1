"""Where the points of long lists are kept during a match: in a file without a name (docs/adr/0014).

    session = MatchSession(..., points=spilling(peer.home.spool))

The file is readable by its owner alone, has no name from the beginning (or, where the system cannot do that, from a
moment later), and is gone with the process however that ends. What lies in it are points blinded under the key of
this run, which exists in memory only and is destroyed before the match ends: noise without it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mutuals.errors import ErrorCode, MutualsError
from mutuals.protocol.items import Rows, as_rows, short_keys
from mutuals.protocol.points import MemoryPoints, NewPoints, Points

SPILL_ABOVE_BYTES = 512 * 1024 * 1024
"""A list whose points take more goes to disk: about 16 million points."""

_AT_ONCE = 65_536


def spilling(folder: Path, above: int = SPILL_ABOVE_BYTES) -> NewPoints:
    """Room in memory for lists up to ``above`` bytes, in a file in ``folder`` for longer ones."""

    def room(count: int, width: int) -> Points:
        return MemoryPoints(count, width) if count * width <= above else FilePoints(folder, count, width)

    return room


class FilePoints:
    """Points in a file without a name; of each, only eight bytes stay in memory.

    The file grows as points come in, so that an announcement alone does not fill the disk. Raises MutualsError (LOCAL)
    where it cannot be written to.
    """

    # Written and read, not mapped: where the disk is full, writing to a mapped page kills the process.

    def __init__(self, folder: Path, count: int, width: int) -> None:
        self._count = count
        self._width = width
        self._folder = folder
        self._keys = np.empty(count, np.uint64)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed in close()
        except OSError as error:
            raise self._cannot(error) from error

    def __len__(self) -> int:
        return self._count

    def put(self, start: int, points: bytes) -> None:
        """See ``Points.put``."""
        keys = short_keys(as_rows(points, self._width))
        self._keys[start : start + len(keys)] = keys
        rest, at = memoryview(points), start * self._width
        try:
            self._file.seek(at)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._cannot(error) from error

    def get(self, start: int, stop: int) -> bytes:
        """See ``Points.get``."""
        size = (stop - start) * self._width
        pieces = []
        try:
            self._file.seek(start * self._width)
            while size and (piece := self._file.read(size)):
                pieces.append(piece)
                size -= len(piece)
        except OSError as error:
            raise self._cannot(error) from error
        if size:
            raise MutualsError(ErrorCode.INTERNAL, "The file with the points of a match has become shorter.")
        return b"".join(pieces)

    def keys(self) -> npt.NDArray[np.uint64]:
        """See ``Points.keys``."""
        return self._keys

    def rows(self, positions: npt.NDArray[np.int64]) -> Rows:
        """See ``Points.rows``."""
        found = [as_rows(b"", self._width)]
        for start in range(0, self._count, _AT_ONCE):
            first, last = np.searchsorted(positions, (start, start + _AT_ONCE))
            if first < last:
                block = as_rows(self.get(start, min(start + _AT_ONCE, self._count)), self._width)
                found.append(block[positions[first:last] - start])
        return np.concatenate(found)

    def close(self) -> None:
        """See ``Points.close``."""
        self._file.close()
        self._keys = np.empty(0, np.uint64)
        self._count = 0

    def _cannot(self, error: OSError) -> MutualsError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return MutualsError(
            ErrorCode.LOCAL,
            f"The points of a long list cannot be kept in {self._folder}: "
            f"{'the disk is full' if full else os.strerror(error.errno or 0)}.",
            hint="A match needs 32 bytes of disk for each item of both lists there.",
        )
