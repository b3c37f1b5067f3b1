"""The power goes on one side of a match, anywhere: afterwards the match goes on, and ends as it would have.

The cut is live: at a point (a message has left, or a file is about to be synced) what the disks may then hold is put
aside, the line breaks, and that side's process fails to write anything more. Then it starts from what was put aside.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.streams import MemoryStream

from mutuals.identity import files
from mutuals.models.run import RunState
from mutuals.protocol.messages import TagCommit, Tags
from mutuals.runs import journal, spool
from mutuals.runs.journal import MatchJournal
from storage.acts import SHARED, Scenes, World
from storage.check import inconsistent
from storage.faults import small_messages
from storage.power import HomeDisk, StoreDisk
from storage.sites import SIDES
from storage.vfs import Operation, watching

STORE = frozenset({"store.sqlite", "store.sqlite-journal"})
_GONE = 10  # SQLITE_IOERR


class PowerCut(BaseException):
    """Nothing of the product handles it."""


class Cut:
    """Cuts the power of one ``side`` at its ``at``-th point; ``reached`` counts the points."""

    def __init__(self, place: Path, side: str, at: int | None, seed: int) -> None:
        self.reached = 0
        self.done = False
        self.tags_left = False
        self._side = side
        self._at = at
        self._chance = random.Random(f"{seed} {side} {at}")
        self._home = place / side
        self._aside = place / "aside"
        self._store = StoreDisk(self._home / "store.sqlite")
        self._plain = HomeDisk(self._home, STORE)
        self._guard = threading.RLock()
        self._lines: list[MemoryStream] = []

    def observe(self, operation: Operation) -> int | None:
        """For ``vfs.watching``."""
        with self._guard:
            if not operation.path.is_relative_to(self._home):
                return None
            if self.done:
                return _GONE
            self._store.observe(operation)
        return None

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Every point in the block counts."""
        real_sync, real_send = os.fsync, MemoryStream.send
        cut = self

        def fsync(fd: Any) -> None:
            if threading.current_thread().name == cut._side:
                cut.point()
                with cut._guard:
                    if cut.done:
                        raise PowerCut
                    real_sync(fd)
                    cut._plain.synced(fd)
            else:
                real_sync(fd)

        def send(stream: MemoryStream, message: Any) -> None:
            real_send(stream, message)
            if stream in cut._lines:
                cut.tags_left |= isinstance(message, Tags)
                cut.point()

        os.fsync = fsync
        MemoryStream.send = send  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            os.fsync = real_sync
            MemoryStream.send = real_send  # type: ignore[method-assign]

    def follow(self, stream: MemoryStream) -> None:
        """This is the side's line."""
        self._lines.append(stream)

    def point(self) -> None:
        """Here the power may go. Raises PowerCut where it has."""
        with self._guard:
            if self.done:
                raise PowerCut
            self.reached += 1
            if self.reached != self._at:
                return
            self.done = True
            for line in self._lines:
                line.close()
            self._plain.after(self._aside, self._chance)
            for name, content in self._store.replayed(len(self._store.events), self._chance).items():
                (self._aside / name).write_bytes(content)
                (self._aside / name).chmod(0o600)
        raise PowerCut

    def restore(self) -> None:
        """The machine is on again."""
        shutil.rmtree(self._home)
        self._aside.rename(self._home)


def points(scenes: Scenes, side: str, place: Path) -> int:
    """How many points there are on ``side``."""
    with small_messages():
        return _cut_once(scenes, side, None, 0, place)[0]


def cut_at(scenes: Scenes, side: str, at: int, seed: int, place: Path) -> list[str]:
    """Cut there, start again, and go on; what is wrong afterwards, in sentences."""
    with small_messages():
        return _cut_once(scenes, side, at, seed, place)[1]


def _cut_once(scenes: Scenes, side: str, at: int | None, seed: int, place: Path) -> tuple[int, list[str]]:
    try:
        with scenes.world("match", place) as world:
            cut = Cut(place, side, at, seed)
            with watching(cut.observe), cut.armed():
                world.act(lambda streams: cut.follow(streams[SIDES.index(side)]))
                with suppress(PowerCut):
                    cut.point()  # once all is said and done
            if not cut.done:
                return cut.reached, []
            world.close()
            cut.restore()
            world.reopen()
            wrong = [*(_unbound(world, side) if cut.tags_left else []), *_wrong(world)]
            return cut.reached, [f"{side} {at} ({seed}): {what}" for what in wrong]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unbound(world: World, side: str) -> list[str]:
    """Tags of ours have left: a partner that cheats must not get another commitment accepted than it had made."""
    company = dict(world.sides())[side]
    for run in world.runs(company):
        if run.state is RunState.MATCHING:
            with MatchJournal.open(company.peer, run) as kept:
                if not any(isinstance(entry, TagCommit) for entry in kept.entries()):
                    return ["its tags have left, and it does not know the partner's commitment any more"]
    return []


def _wrong(world: World) -> list[str]:
    both = [{run.run_id: run for run in world.runs(side)} for _, side in world.sides()]
    shared = set(both[0]) & set(both[1])
    found = [f"{name}: {what}" for name, side in world.sides() for what in inconsistent(side)]
    found += world.retry()
    for run_id in shared:  # both had begun, so that this very run must go on, at no further charge
        for name, side in world.sides():
            run = side.run(run_id)
            if run.count != SHARED or run.state not in {RunState.COUNTED, RunState.EXPIRED}:
                found.append(f"{name}: the run did not go on; it is {run.state.value}: {run.reason}")
    return found + [f"{name}, later: {what}" for name, side in world.sides() for what in inconsistent(side)]


@dataclass(frozen=True)
class Guard:
    """Something that the product does for the sake of a power cut, and how to take it out."""

    name: str
    without: Callable[[], Any]


@contextmanager
def _settling_all_but(moment: int) -> Iterator[None]:
    real = MatchJournal.settle
    calls: dict[int, int] = {}

    def settle(self: MatchJournal) -> None:
        calls[id(self)] = calls.get(id(self), 0) + 1
        if calls[id(self)] != moment:
            real(self)

    MatchJournal.settle = settle  # type: ignore[method-assign]
    try:
        yield
    finally:
        MatchJournal.settle = real  # type: ignore[method-assign]


@contextmanager
def _names_unsynced(module: Any) -> Iterator[None]:
    real = files.sync_directory
    module.sync_directory = lambda _: None
    try:
        yield
    finally:
        module.sync_directory = real


def found_without(guard: Guard, scenes: Scenes, place: Path, seeds: int = 4) -> tuple[int, str | None]:
    """Take ``guard`` out, and cut at every point until something is wrong: after how many cuts, and what."""
    cuts = 0
    with guard.without():
        for seed in range(seeds):
            for side in SIDES:
                for at in range(1, points(scenes, side, place) + 1):
                    cuts += 1
                    wrong = cut_at(scenes, side, at, seed, place)
                    if wrong:
                        return cuts, wrong[0]
    return cuts, None


GUARDS = (
    Guard(
        "the items and their order are on the disk before the run is charged", lambda: _settling_all_but(1)
    ),
    Guard("all points are, before the key goes and the commitment leaves", lambda: _settling_all_but(2)),
    Guard("the partner's commitment is, before the first tag leaves", lambda: _settling_all_but(3)),
    Guard("the partner's tags are, before our signature leaves", lambda: _settling_all_but(4)),
    Guard("so is the journal's name", lambda: _names_unsynced(journal)),
    Guard("so is the spool's", lambda: _names_unsynced(spool)),
)
