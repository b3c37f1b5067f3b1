"""What a disk may hold after the power was cut: everything synced, and of the rest anything.

``StoreDisk`` keeps the writes and syncs of SQLite's files in order (``vfs``), and says what they may be after a cut
at any point. ``HomeDisk`` does the same for the plain files of a home, whose state it takes from the folder.

Real: every write, truncation, deletion and sync, in the order in which SQLite and the product asked for them. Modelled
is what a disk does with them. Of what was not synced, each sector (512 bytes) of a write may be there or not, in any
order; a name that was given or taken away is durable with the sync of its folder, which SQLite does for a new journal
when it first syncs that, and for a deleted one where ``synchronous=EXTRA`` asks for it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from storage.vfs import Operation

SECTOR = 512


@dataclass
class _File:
    """One file: what is on the platter, and what was asked for since."""

    durable: bytes = b""
    pending: list[Operation] = field(default_factory=list)

    def whole(self) -> bytes:
        """As a program sees it."""
        content = bytearray(self.durable)
        for operation in self.pending:
            _apply(content, operation)
        return bytes(content)

    def torn(self, chance: random.Random) -> bytes:
        """As it may be after a cut."""
        content = bytearray(self.durable)
        for operation in self.pending:
            fate = chance.randrange(3)
            if fate == 1:
                _apply(content, operation)
            elif fate == 2:
                _apply(content, operation, chance)
        return bytes(content)


def _apply(content: bytearray, operation: Operation, chance: random.Random | None = None) -> None:
    """Do it; with ``chance``, only some sectors of it."""
    if operation.kind == "truncate":
        if chance is None:
            del content[operation.offset :]
        return
    end = operation.offset + len(operation.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    for start in range(0, len(operation.data), SECTOR):
        if chance is None or chance.random() < 0.5:
            piece = operation.data[start : start + SECTOR]
            content[operation.offset + start : operation.offset + start + len(piece)] = piece


class StoreDisk:
    """The files of one store from the moment it is made; ``events`` are all operations and acknowledgements."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Operation] = []
        self._start = {file.name: file.read_bytes() for file in self._files() if file.exists()}

    def observe(self, operation: Operation) -> None:
        """Called before each operation of SQLite (``vfs.watching``)."""
        if operation.path.parent == self.path.parent:
            self.events.append(operation)

    def acknowledge(self) -> None:
        """A transaction has returned: whoever called for it relies on it."""
        self.events.append(Operation("returned", self.path))

    def replayed(self, upto: int, chance: random.Random | None = None) -> dict[str, bytes]:
        """The files after the first ``upto`` events: as a program sees them, or with ``chance`` as after a cut."""
        names = {name: _File(content) for name, content in self._start.items()}
        durable = dict(names)  # what each name stands for, should the power go now
        for event in self.events[:upto]:
            name = event.path.name
            if event.kind == "open":
                names[name] = _File()
            elif event.kind in ("write", "truncate"):
                names.setdefault(name, _File()).pending.append(
                    event
                )  # the store's own file the product makes
            elif event.kind == "sync":
                file = names[name]
                file.durable, file.pending = file.whole(), []
                if durable.get(name) is not file:  # SQLite syncs the folder with a new file's first sync
                    durable = dict(names)
            elif event.kind == "delete":
                names.pop(name, None)
                if event.durable:
                    durable.pop(name, None)
        if chance is None:
            return {name: file.whole() for name, file in names.items()}
        found = {}
        for name in sorted({*names, *durable}):
            chosen = chance.choice([side.get(name) for side in (durable, names)])
            if chosen is not None:
                found[name] = chosen.torn(chance)
        return found

    def cuts(self) -> Iterator[tuple[int, int, int]]:
        """Points at which to cut, with the numbers of commits that must and may be there: ``(event, least, most)``.

        Right before every sync and deletion, right after it, and after each return.
        """
        commits = acknowledged = 0
        for number, event in enumerate(self.events):
            if event.kind in ("sync", "delete"):
                yield number, acknowledged, commits + (event.kind == "delete")
            commits += event.kind == "delete"
            if event.kind == "returned":
                acknowledged = commits
            if event.kind in ("sync", "delete", "returned"):
                yield number + 1, acknowledged, commits

    def committed(self) -> list[int]:
        """After which event each commit is in the file: where its journal is deleted."""
        return [0, *(number + 1 for number, event in enumerate(self.events) if event.kind == "delete")]

    def _files(self) -> tuple[Path, Path]:
        return self.path, self.path.with_name(f"{self.path.name}-journal")


class HomeDisk:
    """The plain files in one home, from now on; the present state is what lies in the folder.

    ``synced`` must be called after every ``os.fsync``, by which alone anything becomes durable.
    """

    def __init__(self, root: Path, skip: frozenset[str]) -> None:
        self._root = root
        self._skip = skip
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        for path in self._paths():
            self._names[str(path.relative_to(root))] = path.stat().st_ino
            if path.is_file():
                self._contents[path.stat().st_ino] = path.read_bytes()

    def synced(self, descriptor: int) -> None:
        """A file, or the names in a folder, are on the platter now."""
        found = os.fstat(descriptor)
        folder = next(
            (path for path in (self._root, *self._paths()) if path.is_dir() and _is(path, found)), None
        )
        if folder is None:
            with suppress(FileNotFoundError), open(f"/proc/self/fd/{descriptor}", "rb") as stream:
                self._contents[found.st_ino] = stream.read()
            return
        inside = {name for name in self._names if (self._root / name).parent == folder}
        for name in inside:
            del self._names[name]
        for path in folder.iterdir():
            if path.name not in self._skip:
                self._names[str(path.relative_to(self._root))] = path.stat().st_ino

    def after(self, target: Path, chance: random.Random) -> None:
        """Write into ``target`` what the home may be if the power goes now."""
        present = {str(path.relative_to(self._root)): path for path in self._paths()}
        numbers = {name: path.stat().st_ino for name, path in present.items()}
        folders = {name for name, path in present.items() if path.is_dir()}
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        lost: set[str] = set()
        for name in sorted({*present, *self._names}):
            number = chance.choice([self._names.get(name), numbers.get(name)])
            if number is None or str(Path(name).parent) in lost:
                lost.add(name)
                continue
            if name in folders:
                (target / name).mkdir(mode=0o700, exist_ok=True)
                continue
            whole = next((present[n].read_bytes() for n, i in numbers.items() if i == number), None)
            durable = self._contents.get(number, b"")
            path = target / name
            path.write_bytes(durable if whole is None else _torn(durable, whole, chance))
            path.chmod(0o600)

    def _paths(self) -> list[Path]:
        found = []
        for path in self._root.rglob("*"):
            if path.name not in self._skip:
                found.append(path)
        return found


def _is(path: Path, found: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        there = path.stat()
        return (there.st_ino, there.st_dev) == (found.st_ino, found.st_dev)
    return False


def _torn(durable: bytes, whole: bytes, chance: random.Random) -> bytes:
    """What was synced, and of the rest a beginning, with holes, or nothing."""
    if durable == whole:
        return whole
    fate = chance.randrange(3)
    if fate == 0:
        return durable
    common = next(
        (at for at, (one, other) in enumerate(zip(durable, whole, strict=False)) if one != other),
        min(len(durable), len(whole)),
    )
    end = len(whole) if fate == 1 else chance.randint(common, max(common, len(whole)))
    content = bytearray(durable[:common])
    for start in range(common, end, SECTOR):
        piece = whole[start : min(start + SECTOR, end)]
        content += piece if fate == 1 or chance.random() < 0.7 else bytes(len(piece))
    return bytes(content)


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Put ``files`` in place of all that is in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
