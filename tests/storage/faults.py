"""Every write and sync fails in turn: which sites an act has, and what comes of a failure at each."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from mutuals.protocol import lists, match
from storage.acts import Scenes, World
from storage.check import inconsistent, unclean
from storage.sites import Site, Tap
from storage.vfs import watching

Choose = Callable[[Sequence[Site]], Iterable[Site]]


@dataclass
class Figures:
    """What was done and what went wrong; ``faults`` are sentences by act and site."""

    sites: Counter[str] = field(default_factory=Counter)
    injected: int = 0
    missed: int = 0
    refused: int = 0
    unharmed: int = 0
    consistent: int = 0
    retried: int = 0
    faults: list[str] = field(default_factory=list)


@contextmanager
def small_messages() -> Iterator[None]:
    """So that even short lists take several messages and journal entries."""
    before = lists.WORK_SIZE, match.TAGS_PER_MESSAGE
    lists.WORK_SIZE, match.TAGS_PER_MESSAGE = 3, 4
    try:
        yield
    finally:
        lists.WORK_SIZE, match.TAGS_PER_MESSAGE = before


def sites_of(scenes: Scenes, act: str, tap: Tap, place: Path) -> list[Site]:
    """Every place at which ``act`` writes, in the order in which it came by."""
    with _world(scenes, act, place) as world:
        tap.record()
        errors = world.act()
        tap.rest()
        if errors:
            raise RuntimeError(f"{act} fails on sound disks") from next(iter(errors.values()))
        return list(tap.found)


def let_fail(scenes: Scenes, act: str, site: Site, tap: Tap, place: Path, figures: Figures) -> None:
    """``act``, with a failure at ``site``, and everything after it."""
    lasting = bool(crc32(str(site).encode()) % 2)
    found = []
    with _world(scenes, act, place) as world:
        tap.fail(site, lasting=lasting)
        errors = world.act()
        tap.rest()
        if not tap.hit:
            figures.missed += 1
            return
        figures.injected += 1
        complaints = [unclean(error) for error in errors.values()]
        found += [f"{why}" for why in complaints if why]
        if errors:
            figures.refused += not found
        else:
            figures.unharmed += 1
        world.reopen()
        wrong = [f"{name}: {what}" for name, side in world.sides() for what in inconsistent(side)]
        figures.consistent += not wrong
        found += wrong
        still = world.retry()
        wrong = [f"{name}, later: {what}" for name, side in world.sides() for what in inconsistent(side)]
        figures.retried += not still
        found += [*still, *wrong]
    figures.faults += [f"{act}, {site}{' (lasting)' if lasting else ''}: {what}" for what in found]


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


def every(
    scenes: Scenes, acts: Iterable[str], tap: Tap, place: Path, figures: Figures, choose: Choose = told_apart
) -> None:
    """All sites of ``acts`` that ``choose`` leaves."""
    for act in acts:
        sites = sites_of(scenes, act, tap, place)
        figures.sites[act] += len(sites)
        for site in choose(sites):
            let_fail(scenes, act, site, tap, place, figures)


@contextmanager
def tapped() -> Iterator[Tap]:
    """A tap on everything that is written in the block."""
    tap = Tap()
    with watching(tap.disk), small_messages():
        tap.install()
        try:
            yield tap
        finally:
            tap.remove()


@contextmanager
def _world(scenes: Scenes, act: str, place: Path) -> Iterator[World]:
    try:
        with scenes.world(act, place) as world:
            yield world
    finally:
        shutil.rmtree(place, ignore_errors=True)
