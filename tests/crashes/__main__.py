"""``make crashes``: kill real peers at random, and break the line of a long match.

    python -m crashes killed --kills 1000        # prints what was killed, what became of the runs, and every fault
    python -m crashes interrupted --items 1000000 --times 5

Ends with 1 where anything was lost, counted twice or left without a reason.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from support import postgres, postgres_homes

from crashes.forks import Forks
from crashes.lives import Lives, Tally
from crashes.starved import Starved, small_disk
from crashes.world import World, world

LIVES_A_WORLD = 25
"""After so many a new pair of companies takes over."""

LIVES_A_LINE = 5
"""After so many a line says how it stands."""

KILLS_AN_ACT = 5
"""How often each command of a life is killed at most."""


def killed(kills: int, seed: int, items: int, fresh: float) -> int:
    """Lives until so many processes were killed; 1 where there is a fault."""
    tally, chance, started = Tally(), random.Random(seed), time.monotonic()
    shared = items // 10
    print(f"seed {seed}", flush=True)
    while tally.killed < kills:
        with (
            tempfile.TemporaryDirectory(dir=_memory()) as folder,
            Forks() as forks,
            world(Path(folder), items, shared, signed=False, workers=1) as place,
        ):
            place.forks = forks
            place.fresh = lambda: chance.random() < fresh
            place.serve()
            lives = Lives(place, chance, tally, shared=shared, kills=KILLS_AN_ACT)
            for _ in range(LIVES_A_WORLD):
                lives.play()
                if tally.lives % LIVES_A_LINE == 0 or tally.killed >= kills:
                    print(_line(tally, started), flush=True)
                if tally.killed >= kills:
                    break
        if postgres.everywhere():
            postgres_homes.drop_what_nobody_needs()
    _tell(tally)
    print(f"seed {seed}, {sum(os.times()[:4]) / max(tally.killed, 1):.1f} CPU seconds a kill")
    return bool(tally.faults)


def starved(lives: int, seed: int, items: int) -> int:
    """So many lives with a full disk, and with a held store, on either side; 1 where there is a fault."""
    tally, chance, started = Tally(), random.Random(seed), time.monotonic()
    shared = items // 10
    print(f"seed {seed}", flush=True)
    for side, full in itertools.product(("left", "right"), (True, False)):
        with (
            tempfile.TemporaryDirectory(dir=_memory()) as folder,
            small_disk(Path(folder, "disk")) if full else nullcontext(None) as disk,
            Forks() as forks,
        ):
            if full and (disk is None or postgres.everywhere()):
                print(
                    f"skipped: no full disk on the {side} side, since no small file system can be made here"
                )
                continue
            homes = {} if disk is None else {side: disk / side}
            with world(Path(folder), items, shared, signed=False, workers=1, homes=homes) as place:
                place.forks, place.fresh = forks, lambda: False
                place.serve()
                player = Starved(place, chance, tally, shared=shared, side=side, disk=disk)
                for _ in range(lives):
                    player.play()
        print(_line(tally, started, "starved"), flush=True)
        if postgres.everywhere():
            postgres_homes.drop_what_nobody_needs()
    _tell(tally, "starved")
    return bool(tally.faults)


def _line(tally: Tally, started: float, what: str = "killed") -> str:
    return (
        f"{(time.monotonic() - started) / 60:6.1f} min: {tally.lives:,} lives, {tally.killed:,} {what}, "
        f"{tally.lost:,} of {tally.facts:,} acknowledged facts lost, {tally.miscounted:,} budgets miscounted, "
        f"{len(tally.faults):,} faults in all, {tally.resumed:,} runs taken up again"
    )


def _tell(tally: Tally, what: str = "killed") -> None:
    for title, counts in ((what, tally.kills), ("runs ended", tally.states), ("refused", tally.said)):
        print(title)
        for name, count in sorted(counts.items()):
            print(f"{count:>8,}  {name}")


def interrupted(items: int, times: int, seed: int) -> int:
    """A match of ``items`` a side, undisturbed and with its line cut so often; 1 where that sends over 5 % more."""
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), items, items // 10) as place:
        place.serve()
        undisturbed = _bytes_of_a_match(place, items, ())
        chance = random.Random(seed)
        cuts = sorted(chance.uniform(0.05, 0.95) for _ in range(times))
        disturbed = _bytes_of_a_match(place, items, [cut * undisturbed for cut in cuts])
        more = disturbed / undisturbed - 1
        print(f"undisturbed {undisturbed:,} bytes; cut {times} times {disturbed:,}: {more:.1%} more")
        if any(place.charged(company)[0] != 2 for company in (place.left, place.right)):
            print("fault: the runs were not charged once each")
            return 1
        return more > 0.05


def _move_to_postgres() -> None:
    """Every store a database of a server that the wheel brings, or that ``MUTUALS_TEST_POSTGRES`` names."""
    os.environ.setdefault(postgres.EVERYWHERE, "1")
    if reason := postgres.missing():
        raise SystemExit(f"There is {reason}.")
    postgres.prepare()
    postgres_homes.move_in_everywhere()


def _memory() -> str | None:
    """Where the homes lie: in memory, where there is room, since the stores wait for the disk at every commit."""
    return "/dev/shm" if postgres.room() else None  # noqa: S108 - in a folder of its own, for its owner alone


def _bytes_of_a_match(place: World, items: int, cuts: list[float] | tuple[float, ...]) -> int:
    before = place.relay.moved
    call = place.call("match", place.agreement)
    for at in cuts:
        while place.relay.moved - before < at and call.poll() is None:
            time.sleep(0.01)
        place.relay.cut()
    said = place.answer(call, timeout=7200)
    if said["exit"] or said["overlap"] != items // 10:
        raise SystemExit(f"the match ended otherwise: {said}")
    return place.relay.moved - before


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m crashes", description=__doc__.partition("\n")[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    kill = modes.add_parser("killed", help="kill -9 at random points")
    kill.add_argument("--kills", type=int, default=1000)
    starve = modes.add_parser("starved", help="fill the disk, hold the store")
    starve.add_argument("--lives", type=int, default=1, help="on each side with each")
    for mode in (kill, starve):
        mode.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
        mode.add_argument("--items", type=int, default=3000)
        mode.add_argument("--postgres", action="store_true", help="keep the stores on a real PostgreSQL")
    kill.add_argument("--fresh", type=float, default=0.05, help="the share of processes that are not forked")
    cut = modes.add_parser("interrupted", help="cut the line of a long match")
    cut.add_argument("--items", type=int, default=1_000_000)
    cut.add_argument("--seed", type=int, default=1)
    cut.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    if getattr(options, "postgres", False):
        _move_to_postgres()
    if options.mode == "starved":
        return starved(options.lives, options.seed, options.items)
    if options.mode == "killed":
        return killed(options.kills, options.seed, options.items, options.fresh)
    return interrupted(options.items, options.times, options.seed)


if __name__ == "__main__":
    sys.exit(main())
