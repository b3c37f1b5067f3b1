"""``make storage``: every write and sync fails in turn, the power is cut, disks are full and stores locked; figures.

``--only faults,store,match,guards,full,locked`` does some of these; of the faults, ``--part 2/8`` does an eighth,
``--acts match,reveal`` those of some acts, and ``--every`` also those in the middle of a row of like writes (the pages
of one transaction), which takes hours.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from storage.acts import BEFORE, Scenes
from storage.cut_match import GUARDS, cut_at, found_without, points
from storage.cut_store import lost, recorded, recorded_act, small_life, synchronous
from storage.faults import Figures, every, small_messages, tapped, told_apart
from storage.real import disk_full, locked, small_disk
from storage.sites import SIDES, Site
from storage.vfs import available

SECTIONS = ("faults", "store", "match", "guards", "full", "locked")
_SPARE = (0, 16_384, 65_536)


def main() -> int:
    """Run; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="make storage")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--acts", default=",".join(BEFORE))
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if not available():
        print("This Python's SQLite is linked in without its names, so nothing can stand under it.")
        return 1
    logging.getLogger("mutuals").setLevel(logging.CRITICAL)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with small_messages():
            scenes = Scenes.build(folder / "scenes")
        sections = given.only.split(",")
        acts = given.acts.split(",")
        if "faults" in sections:
            faults += _faults(scenes, folder, acts, given.part, given.every)
        if "store" in sections:
            faults += _store(scenes, folder, given.seeds)
        if "match" in sections:
            faults += _match(scenes, folder, given.seeds)
        if "guards" in sections:
            faults += _guards(scenes, folder, given.seeds)
        if "full" in sections:
            faults += _full(scenes, folder, acts)
        if "locked" in sections:
            faults += _locked(scenes, folder, acts)
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults else 0


def _faults(scenes: Scenes, folder: Path, acts: Sequence[str], part: str, all_of_them: bool) -> list[str]:
    which, of = map(int, part.split("/"))
    figures = Figures()
    apart = 0

    def choose(sites: Sequence[Site]) -> list[Site]:
        nonlocal apart
        left = list(sites) if all_of_them else told_apart(sites)
        apart += len(left)
        return left[which - 1 :: of]

    with tapped() as tap:
        for act in acts:
            before = figures.injected
            every(scenes, [act], tap, folder / "world", figures, choose)
            _say(act, f"{figures.sites[act]:,} write sites, {figures.injected - before:,} failures")
    _say("Write sites", f"{sum(figures.sites.values()):,}, of which told apart {apart:,}")
    _say("Failures injected", f"{figures.injected:,} (and {figures.missed:,} that did not come by)")
    _say("  told in one clean sentence", f"{figures.refused:,}")
    _say("  without harm to the act", f"{figures.unharmed:,}")
    _say("Consistent stores afterwards", f"{figures.consistent:,}")
    _say("Retries that worked", f"{figures.retried:,}")
    return figures.faults


def _store(scenes: Scenes, folder: Path, seeds: int) -> list[str]:
    """Power cuts of the store, over acts; and with less syncing, under which they must be missed."""
    cuts, faults = 0, []
    for act in ("match", "exchange", "accept"):
        with small_messages():
            disks = recorded_act(scenes, act, folder / "world")
        for disk in disks:
            for seed in range(seeds):
                more, found = lost(disk, seed, folder / "cut")
                cuts += more
                faults += [f"{act}, power cut, {what}" for what in found]
    _say("Power cuts of the store", f"{cuts:,}, commits lost or torn {len(faults):,}")
    for level in ("FULL", "NORMAL", "OFF"):
        with synchronous(level):
            disk = recorded(folder / level / "store.sqlite", small_life)
        cuts, found = lost(disk, 0, folder / "cut")
        _say(f"  with synchronous={level}", f"{len(found):,} of {cuts:,} cuts lose or tear something")
        if not found:
            faults.append(f"power cuts under synchronous={level} are not noticed")
    return faults


def _match(scenes: Scenes, folder: Path, seeds: int) -> list[str]:
    cuts, faults = 0, []
    for side in SIDES:
        for at in range(1, points(scenes, side, folder / "world") + 1):
            for seed in range(seeds):
                cuts += 1
                faults += cut_at(scenes, side, at, seed, folder / "world")
    _say("Power cuts during a match", f"{cuts:,}, runs that did not go on {len(faults):,}")
    return faults


def _guards(scenes: Scenes, folder: Path, seeds: int) -> list[str]:
    faults = []
    for guard in GUARDS:
        cuts, found = found_without(guard, scenes, folder / "world", seeds)
        _say("Taken out", f"{guard.name}: " + (f"missed after {cuts} cuts" if found else "NOT MISSED"))
        if found is None:
            faults.append(f"nothing shows that {guard.name}")
    return faults


def _full(scenes: Scenes, folder: Path, acts: Sequence[str]) -> list[str]:
    refused, tried, faults = 0, 0, []
    with small_disk(folder / "disk") as disk:
        if disk is None:
            _say("Full disks", "left out: this process may not mount one")
            return []
        for act in acts:
            for spare in _SPARE:
                tried += 1
                said, found = disk_full(scenes, act, disk, spare)
                refused += said
                faults += found
    _say("Acts on a full disk", f"{tried:,}, told in one sentence {refused:,}, faults {len(faults):,}")
    return faults


def _locked(scenes: Scenes, folder: Path, acts: Sequence[str]) -> list[str]:
    refused, tried, faults = 0, 0, []
    for act in acts:
        for side in SIDES:
            tried += 1
            said, found = locked(scenes, act, side, folder / "world")
            refused += said
            faults += found
    _say("Acts on a locked store", f"{tried:,}, told in one sentence {refused:,}, faults {len(faults):,}")
    return faults


def _say(what: str, figures: str) -> None:
    print(f"{what:<31}{figures}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
