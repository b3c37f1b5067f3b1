"""The power goes while a store is written: every transaction that had returned must be there, and none in part."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from store.samples import furnish, record

from mutuals.errors import MutualsError
from mutuals.store import engine
from mutuals.store.database import Store, Transaction
from mutuals.store.engine import sqlite_url
from storage.acts import Scenes
from storage.power import StoreDisk, write_files
from storage.vfs import Operation, watching

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@contextmanager
def synchronous(level: str) -> Iterator[None]:
    """Stores opened in the block have ``PRAGMA synchronous`` turned down to ``level``."""
    before = engine._PRAGMAS
    engine._PRAGMAS = tuple(pragma.replace("=EXTRA", f"={level}") for pragma in before)  # type: ignore[assignment]
    try:
        yield
    finally:
        engine._PRAGMAS = before


def recorded(path: Path, work: Callable[[Store], None]) -> StoreDisk:
    """What SQLite does to a new store at ``path`` while ``work`` runs on it, and when each transaction returns."""
    path.parent.mkdir(parents=True)
    disk = StoreDisk(path)
    with watching(disk.observe):
        store = Store.open(sqlite_url(path))
        with acknowledging({path: disk}):
            work(store)
        store.close()
    return disk


@contextmanager
def acknowledging(disks: Mapping[Path, StoreDisk]) -> Iterator[None]:
    """Every transaction that returns in the block is on record with the disk of its store."""
    real = Store.transaction

    @contextmanager
    def transaction(self: Store) -> Iterator[Transaction]:
        with real(self) as tx:
            yield tx
        disk = None if self.path is None else disks.get(self.path)
        if disk is not None:
            disk.acknowledge()

    Store.transaction = transaction  # type: ignore[method-assign]
    try:
        yield
    finally:
        Store.transaction = real  # type: ignore[method-assign]


def recorded_act(scenes: Scenes, act: str, place: Path) -> list[StoreDisk]:
    """The same for both stores while ``act`` is done."""
    try:
        with scenes.world(act, place) as world:
            paths = [path for _, side in world.sides() if (path := side.peer.store.path)]
            disks = {path: StoreDisk(path) for path in paths}

            def observe(operation: Operation) -> None:
                for disk in disks.values():
                    disk.observe(operation)

            with watching(observe), acknowledging(disks):
                world.act()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return list(disks.values())


def small_life(store: Store) -> None:
    """Transactions of every kind: small ones, one of many pages, and one that deletes and is swept."""
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2")
    for number in range(3):
        with store.transaction() as tx:
            tx.log.append(None, "event", {"number": number}, NOW)
    with store.transaction() as tx:
        tx.received.put([record(rank, ciphertext=bytes([rank]) * 3000) for rank in range(20)])
    with store.transaction() as tx:
        tx.received.destroy("R-1")
    with store.transaction() as tx:
        tx.log.append(None, "last", {}, NOW)


def lost(
    disk: StoreDisk, seed: int, folder: Path, every: int = 1, enough: int = 1_000_000
) -> tuple[int, list[str]]:
    """Cut at each ``every``-th point, until ``enough`` is found; how often, and what was lost or torn, in sentences."""
    chance = random.Random(seed)
    commits = disk.committed()
    dumps: dict[int, str] = {}
    found: list[str] = []
    cuts = 0

    def state(commit: int) -> str:
        if commit not in dumps:
            write_files(folder, disk.replayed(commits[commit]))
            dumps[commit] = _dump(folder / disk.path.name)
        return dumps[commit]

    for number, (event, least, most) in enumerate(disk.cuts()):
        if (number + seed) % every or len(found) >= enough:
            continue
        cuts += 1
        write_files(folder, disk.replayed(event, chance))
        path = folder / disk.path.name
        try:
            if least:
                Store.open(sqlite_url(path)).close()
            now = _dump(path)
        except (MutualsError, sqlite3.Error) as error:
            found.append(f"cut {number}: the store is damaged: {error}")
            continue
        if all(now != state(commit) for commit in range(least, most + 1)):
            older = next((commit for commit in range(least) if now == state(commit)), None)
            what = "is in no state it ever was in" if older is None else f"lost {least - older} commits"
            found.append(f"cut {number}: the store {what}")
    return cuts, found


def _dump(path: Path) -> str:
    """All rows, but for how far the file is swept, which an opening moves on."""
    with closing(sqlite3.connect(path)) as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        lines = [line for line in connection.iterdump() if not line.startswith('INSERT INTO "store_state"')]
    return "\n".join(lines)
