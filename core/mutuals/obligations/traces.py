"""What must be gone, as slices of its bytes, and the raw search for them in every file of the home (DESIGN §8).

    traces = Traces(blobs)               # ciphertext and wrapped keys, before they are destroyed
    traces.save(path)                    # so that an interrupted destruction can still be examined
    scan = search(files, traces)         # afterwards: scan.found is empty where none of it is left

Three slices of each blob are looked for, because a database may keep pieces of a row in other places than its
beginning. Slices are of ciphertext and say nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mutuals.identity.files import make_private_directory, writable, write_private

if TYPE_CHECKING:
    import numpy as np  # slow to load, and needed only where something was destroyed

SLICE_BYTES = 16
MAX_BLOBS = 200_000
"""Of more blobs than this an even sample is looked for; the counts in a certificate are of all."""

_CHUNK_BYTES = 4 << 20
_MASK = bytes(range(255, -1, -1))
_PREFIX_VALUES = 1 << 24


class Traces:
    """Slices of 16 bytes each; blobs shorter than that are left out, as are slices of one repeated byte."""

    def __init__(self, blobs: Iterable[bytes] = ()) -> None:
        self._slices: set[bytes] = set()
        self.add(blobs)

    def __len__(self) -> int:
        return len(self._slices)

    def __contains__(self, found: bytes) -> bool:
        return found in self._slices

    def __iter__(self) -> Iterator[bytes]:
        return iter(sorted(self._slices))

    def add(self, blobs: Iterable[bytes]) -> None:
        """Look for these as well."""
        usable = [blob for blob in blobs if len(blob) >= SLICE_BYTES]
        step = len(usable) // MAX_BLOBS + 1
        for blob in usable[::step]:
            for start in (0, (len(blob) - SLICE_BYTES) // 2, len(blob) - SLICE_BYTES):
                piece = blob[start : start + SLICE_BYTES]
                if len(set(piece)) > 1:
                    self._slices.add(piece)

    def update(self, other: Traces) -> None:
        """Look for what ``other`` looks for as well."""
        self._slices |= other._slices

    def save(self, path: Path) -> None:
        """Keep the slices on disk, durably, each byte inverted so that the search does not find them there."""
        with writable(path.parent):
            make_private_directory(path.parent)
            write_private(path, b"".join(self).translate(_MASK))

    @classmethod
    def load(cls, path: Path) -> Traces:
        """What ``save`` wrote; nothing where there is no such file."""
        try:
            data = path.read_bytes().translate(_MASK)
        except FileNotFoundError:
            return cls()
        return cls(data[start : start + SLICE_BYTES] for start in range(0, len(data), SLICE_BYTES))


@dataclass(frozen=True)
class Scan:
    """A finished search: how many files and bytes were read, for how many slices, and the files that hold one."""

    files: int
    size_bytes: int
    slices: int
    found: tuple[str, ...]


class Readable(Protocol):
    """What can be searched: an open file, or the like."""

    def read(self, size: int, /) -> bytes | None:
        """The next bytes, at most so many; none at the end."""


def search(files: Iterable[tuple[str, Readable]], traces: Traces) -> Scan:
    """Look for ``traces`` at every position of ``files`` (a name and a stream each, read to the end)."""
    import numpy as np

    prefixes = np.zeros(_PREFIX_VALUES, dtype=np.bool_)
    for piece in traces:
        prefixes[int.from_bytes(piece[:3], "big")] = True
    count = size = 0
    found = []
    for name, stream in files:
        count += 1
        hit = False
        for read, chunk in _chunks(stream):
            size += read
            hit = hit or _holds(chunk, prefixes, traces)
        if hit:
            found.append(name)
    return Scan(count, size, len(traces), tuple(found))


def _chunks(stream: Readable) -> Iterator[tuple[int, bytes]]:
    """Overlapping chunks, so that no slice falls between two; with each how many of its bytes are new."""
    tail = b""
    while data := stream.read(_CHUNK_BYTES):
        yield len(data), tail + data
        tail = (tail + data)[-(SLICE_BYTES - 1) :]


def _holds(chunk: bytes, prefixes: np.ndarray, traces: Traces) -> bool:
    if len(chunk) < SLICE_BYTES or not len(traces):
        return False
    import numpy as np

    view = np.frombuffer(chunk, dtype=np.uint8)
    # The first three bytes at each position as a number: few positions are left to be looked at one by one.
    first = view[:-2].astype(np.uint32) << 16
    first |= view[1:-1].astype(np.uint32) << 8
    first |= view[2:]
    return any(
        chunk[position : position + SLICE_BYTES] in traces
        for position in np.flatnonzero(prefixes[first]).tolist()
    )
