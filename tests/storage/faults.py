"""Every write and sync fails in turn: which sites an act has, and what comes of a failure at each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from mutuals.protocol import lists, match
from storage.acts import Scenes, World
from storage.check import inconsistent, unclean
from storage.dice import Dice, fixed
from storage.quick import remembered
from storage.sites import Site, Tap
from storage.vfs import watching

_ATTEMPTS = 4
"""Two threads do not always take the same way: how often a site is waited for."""


@dataclass(frozen=True)
class Failure:
    """One site of ``act`` made to fail: once, or from then on until the process ends (``lasting``)."""

    act: str
    site: Site
    lasting: bool

    def __str__(self) -> str:
        return f"{self.act}, {self.site}{' (lasting)' if self.lasting else ''}"


@dataclass(frozen=True)
class Stage:
    """What acts are played on: where their writes are seen and fail, and what decides their chances."""

    tap: Tap
    dice: Dice


@dataclass
class Figures:
    """What was done and what went wrong; ``faults`` are sentences by act and site.

    ``states`` is how many states of both homes after a failure were told apart and checked, ``sound`` those of them
    from which the act worked again: another failure that leaves the very bytes of one of them needs no other check.
    """

    done: list[Failure] = field(default_factory=list)
    missed: list[Failure] = field(default_factory=list)
    refused: int = 0
    unharmed: int = 0
    consistent: int = 0
    retried: int = 0
    states: int = 0
    faults: list[str] = field(default_factory=list)
    sound: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def injected(self) -> int:
        """How many failures there were."""
        return len(self.done)

    def add(self, other: Figures) -> None:
        """Those of another process."""
        self.done += other.done
        self.missed += other.missed
        self.refused += other.refused
        self.unharmed += other.unharmed
        self.consistent += other.consistent
        self.retried += other.retried
        self.states += other.states
        self.faults += other.faults
        self.sound |= other.sound


@contextmanager
def small_messages() -> Iterator[None]:
    """So that even short lists take several messages and journal entries."""
    before = lists.WORK_SIZE, match.TAGS_PER_MESSAGE
    lists.WORK_SIZE, match.TAGS_PER_MESSAGE = 3, 4
    try:
        yield
    finally:
        lists.WORK_SIZE, match.TAGS_PER_MESSAGE = before


def sites_of(scenes: Scenes, act: str, stage: Stage, place: Path) -> list[Site]:
    """Every place at which ``act`` writes, in the order in which it came by."""
    with _world(scenes, act, place) as world:
        stage.dice.begin("act")
        stage.tap.record()
        errors = world.act()
        stage.tap.rest()
        if errors:
            raise RuntimeError(f"{act} fails on sound disks") from next(iter(errors.values()))
        return list(stage.tap.found)


def let_fail(scenes: Scenes, failure: Failure, stage: Stage, place: Path, figures: Figures) -> None:
    """The act, with that failure, and everything after it. Where the site does not come by, it is tried again."""
    for _ in range(_ATTEMPTS):
        if _let_fail(scenes, failure, stage, place, figures):
            figures.done.append(failure)
            return
    figures.missed.append(failure)


def _let_fail(scenes: Scenes, failure: Failure, stage: Stage, place: Path, figures: Figures) -> bool:
    found = []
    with _world(scenes, failure.act, place) as world:
        stage.dice.begin("act")
        stage.tap.fail(failure.site, lasting=failure.lasting)
        errors = world.act()
        stage.tap.rest()
        if not stage.tap.hit:
            return False
        complaints = [unclean(error) for error in errors.values()]
        found += [f"{why}" for why in complaints if why]
        if errors:
            figures.refused += not found
        else:
            figures.unharmed += 1
        world.reopen()
        state = failure.act, world.state()
        if state in figures.sound:  # the very bytes that another failure left
            figures.consistent, figures.retried = figures.consistent + 1, figures.retried + 1
        else:
            stage.dice.begin("again")
            found += _afterwards(world, state, figures)
    figures.faults += [f"{failure}: {what}" for what in found]
    return True


def _afterwards(world: World, state: tuple[str, bytes], figures: Figures) -> list[str]:
    """What is wrong with the stores, and with how the act goes when it is called for again."""
    figures.states += 1
    found = [f"{name}: {what}" for name, side in world.sides() for what in inconsistent(side)]
    figures.consistent += not found
    still = world.retry()
    figures.retried += not still
    found += still
    found += [f"{name}, later: {what}" for name, side in world.sides() for what in inconsistent(side)]
    if not found:
        figures.sound.add(state)
    return found


def told_apart(sites: Sequence[Site]) -> list[Site]:
    """Without the middle of each row of like operations on one of SQLite's files: the pages of a transaction."""
    rows: dict[str, list[list[Site]]] = {}
    for site in sites:
        if site.kind == "disk":
            of_side = rows.setdefault(site.side, [])
            if not of_side or of_side[-1][-1].place != site.place:
                of_side.append([])
            of_side[-1].append(site)
    ends = {site for of_side in rows.values() for row in of_side for site in (row[0], row[-1])}
    return [site for site in sites if site.kind != "disk" or site in ends]


def failures(act: str, sites: Sequence[Site]) -> list[Failure]:
    """Each of ``sites`` once: half of them once, half of them lasting, and always the same."""
    return [Failure(act, site, bool(crc32(str(site).encode()) % 2)) for site in sites]


@contextmanager
def staged() -> Iterator[Stage]:
    """A tap on everything that is written in the block, and dice that always fall alike."""
    tap = Tap()
    with watching(tap.disk), small_messages(), remembered(), fixed() as dice:
        tap.install()
        try:
            yield Stage(tap, dice)
        finally:
            tap.remove()


@contextmanager
def _world(scenes: Scenes, act: str, place: Path) -> Iterator[World]:
    try:
        with scenes.world(act, place) as world:
            yield world
    finally:
        shutil.rmtree(place, ignore_errors=True)
