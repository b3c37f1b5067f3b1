"""``make crashes``: kill real peers at random, and break the line of a long match.

    python -m crashes killed --kills 1000        # prints what was killed, what became of the runs, and every fault
    python -m crashes interrupted --items 1000000 --times 5

Ends with 1 where anything was lost, counted twice or left without a reason.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from crashes.lives import Lives, Tally
from crashes.world import World, world

LIVES_A_WORLD = 100
"""A world's agreement permits a thousand runs."""


def killed(kills: int, seed: int, items: int, seconds: float) -> int:
    """Lives until so many processes were killed; 1 where there is a fault."""
    tally, chance, started = Tally(), random.Random(seed), time.monotonic()
    while tally.killed < kills and not tally.faults:
        with tempfile.TemporaryDirectory() as folder, world(Path(folder), items, items // 10) as place:
            lives = Lives(place, chance, tally, seconds)
            for _ in range(LIVES_A_WORLD):
                lives.play(kills=3)
                print(
                    f"\rlives {tally.lives:,}, killed {tally.killed:,}, taken up again {tally.resumed:,}, "
                    f"faults {len(tally.faults):,}",
                    end="",
                    flush=True,
                )
                if tally.killed >= kills or tally.faults:
                    break
    print()
    for what, count in sorted(tally.kills.items()):
        print(f"{what:>20}  {count:,}")
    for ended, count in sorted(tally.states.items()):
        print(f"{ended:>20}  {count:,} runs")
    for fault in tally.faults:
        print("fault:", fault)
    print(f"seed {seed}, {(time.monotonic() - started) / 60:.1f} minutes")
    return bool(tally.faults)


def interrupted(items: int, times: int, seed: int) -> int:
    """A match of ``items`` a side, undisturbed and with its line cut so often; 1 where that sends over 5 % more."""
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), items, items // 10) as place:
        undisturbed = _bytes_of_a_match(place, items, ())
        chance = random.Random(seed)
        cuts = sorted(chance.uniform(0.05, 0.95) for _ in range(times))
        disturbed = _bytes_of_a_match(place, items, [cut * undisturbed for cut in cuts])
        more = disturbed / undisturbed - 1
        print(f"undisturbed {undisturbed:,} bytes; cut {times} times {disturbed:,}: {more:.1%} more")
        if place.charged(place.left) != 2 or place.charged(place.right) != 2:
            print("fault: the runs were not charged once each")
            return 1
        return more > 0.05


def _bytes_of_a_match(place: World, items: int, cuts: list[float] | tuple[float, ...]) -> int:
    before = place.relay.there + place.relay.back
    call = place.call("match", place.agreement)
    for at in cuts:
        while place.relay.there + place.relay.back - before < at and call.poll() is None:
            time.sleep(0.01)
        place.relay.cut()
    said = place.answer(call, timeout=7200)
    if said["exit"] or said["overlap"] != items // 10:
        raise SystemExit(f"the match ended otherwise: {said}")
    return place.relay.there + place.relay.back - before


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m crashes", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    modes = parser.add_subparsers(dest="mode", required=True)
    kill = modes.add_parser("killed", help="kill -9 at random points")
    kill.add_argument("--kills", type=int, default=1000)
    kill.add_argument("--items", type=int, default=3000)
    kill.add_argument(
        "--seconds", type=float, default=2.5, help="how long an undisturbed command takes at most"
    )
    cut = modes.add_parser("interrupted", help="cut the line of a long match")
    cut.add_argument("--items", type=int, default=1_000_000)
    cut.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    if options.mode == "killed":
        return killed(options.kills, options.seed, options.items, options.seconds)
    return interrupted(options.items, options.times, options.seed)


if __name__ == "__main__":
    sys.exit(main())
