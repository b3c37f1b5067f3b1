"""``make storage``: every write and sync fails in turn, and the power is cut; prints what came of it.

``--part 2/8`` does an eighth of the failures, ``--acts match,reveal`` those of some acts; ``--every`` also those in the
middle of a row of like writes (the pages of one transaction), which takes hours.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from storage.acts import BEFORE, Scenes
from storage.faults import Figures, every, small_messages, tapped, told_apart
from storage.sites import Site
from storage.vfs import available


def main() -> int:
    """Run; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="make storage")
    parser.add_argument("--acts", default=",".join(BEFORE))
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--every", action="store_true")
    given = parser.parse_args()
    if not available():
        print("This Python's SQLite is linked in without its names, so nothing can stand under it.")
        return 1
    logging.getLogger("mutuals").setLevel(logging.CRITICAL)
    which, of = map(int, given.part.split("/"))
    figures = Figures()
    chosen = 0

    def choose(sites: Sequence[Site]) -> list[Site]:
        nonlocal chosen
        left = list(sites) if given.every else told_apart(sites)
        chosen += len(left)
        return left[which - 1 :: of]

    with tempfile.TemporaryDirectory() as folder, small_messages():
        scenes = Scenes.build(Path(folder) / "scenes")
        with tapped() as tap:
            for act in given.acts.split(","):
                before = figures.injected
                every(scenes, [act], tap, Path(folder) / "world", figures, choose)
                print(
                    f"{act}: {figures.sites[act]:,} write sites, {figures.injected - before:,} failures",
                    flush=True,
                )
    print(f"\nWrite sites                    {sum(figures.sites.values()):,}, of which told apart {chosen:,}")
    print(
        f"Failures injected              {figures.injected:,} (and {figures.missed:,} that did not come by)"
    )
    print(f"  told in one clean sentence   {figures.refused:,}")
    print(f"  without harm to the act      {figures.unharmed:,}")
    print(f"Consistent stores afterwards   {figures.consistent:,}")
    print(f"Retries that worked            {figures.retried:,}")
    for fault in figures.faults:
        print(f"FAULT {fault}")
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
