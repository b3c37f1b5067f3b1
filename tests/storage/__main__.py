"""``make storage``: every write and sync fails in turn, the power is cut, disks are full and stores locked; figures.

``--only faults,store,match,guards,full,locked`` does some of these. What a write site is says ``sites``: all that the
acts pass are recorded. Those told apart are made to fail, which are all but the middle of each row of like operations
on one of SQLite's files (the pages of one transaction); ``--every`` lets them all fail, ``--rest`` those in the middle.
Half of the sites, always the same, stay bad until the process ends. ``--acts match,reveal`` does some acts,
``--part 2/8`` an eighth of the failures, ``--workers 1`` one at a time.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from storage.acts import BEFORE, Scenes
from storage.crew import carried_out
from storage.cut_match import GUARDS, cut_at, found_without, points
from storage.cut_store import lost, recorded, recorded_act, small_life, synchronous
from storage.faults import Figures, failures, sites_of, small_messages, staged, told_apart
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
    parser.add_argument("--rest", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if not available():
        print("This Python's SQLite is linked in without its names, so nothing can stand under it.")
        return 1
    logging.getLogger("mutuals").setLevel(logging.CRITICAL)
    faults: list[str] = []
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder = Path(name)
        with small_messages():
            scenes = Scenes.build(folder / "scenes")
        sections = given.only.split(",")
        acts = given.acts.split(",")
        if "faults" in sections:
            faults += _faults(scenes, folder, given, acts)
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
        print(f"FAULT {fault}", flush=True)
    return 1 if faults else 0


def _faults(scenes: Scenes, folder: Path, given: argparse.Namespace, acts: Sequence[str]) -> list[str]:
    recorded: dict[str, list[Site]] = {}
    apart: dict[str, list[Site]] = {}
    with staged() as stage:
        for act in acts:
            recorded[act] = sites_of(scenes, act, stage, folder / "world")
            apart[act] = told_apart(recorded[act])
            _say(act, f"{len(recorded[act]):,} write sites, of which told apart {len(apart[act]):,}")
    wanted = [failure for act in acts for failure in failures(act, apart[act])]
    if given.every or given.rest:
        first = set(wanted)
        rest = [failure for act in acts for failure in failures(act, recorded[act]) if failure not in first]
        wanted = rest if given.rest else [*wanted, *rest]
    which, of = map(int, given.part.split("/"))
    figures = Figures()
    mine = wanted[which - 1 :: of]
    for some in carried_out(scenes, mine, folder, given.workers):
        figures.add(some)
        for fault in some.faults:
            print(f"FAULT {fault}", flush=True)
        done = figures.injected + len(figures.missed)
        if done % 500 < len(some.done) + len(some.missed):
            _say("  so far", f"{done:,} of {len(mine):,}, faults {len(figures.faults):,}")
    hit = {(failure.act, failure.site) for failure in figures.done}
    all_sites = sum(map(len, recorded.values()))
    _say("Write sites recorded", f"{all_sites:,}, of which told apart {sum(map(len, apart.values())):,}")
    _say("Write sites made to fail", f"{len(hit):,}: {_percent(len(hit), all_sites)}")
    _say("Failures", f"{figures.injected:,}, lasting {sum(failure.lasting for failure in figures.done):,}")
    _say("  told in one clean sentence", f"{figures.refused:,}")
    _say("  without harm to the act", f"{figures.unharmed:,}")
    _say("Consistent stores afterwards", f"{figures.consistent:,}, in {figures.states:,} states told apart")
    _say("Retries that worked", f"{figures.retried:,}")
    for failure in figures.missed:
        _say("Did not come by", str(failure))
    return figures.faults


def _percent(part: int, whole: int) -> str:
    """In tenths, and never rounded up to all."""
    return f"{math.floor(1000 * part / max(whole, 1)) / 10:g} %"


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


def _memory() -> str | None:
    """A folder that is kept in memory, where there is one: what is lost is decided here, not by a disk."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder made in it has a name of its own
    return str(shared) if os.access(shared, os.W_OK) else None


def _say(what: str, figures: str) -> None:
    print(f"{what:<31}{figures}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
