"""``make soak``: many matches of many partners at once, for minutes, against one server; with ``--flooding`` beside a
partner that wants to keep the others out.

Everything is a real process over loopback TLS. Every 30 seconds a line, in the end the figures; it ends with 1 where a
match failed or counted wrongly, the server grew, or the shares were unfair.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.processes import start

from mutuals.hardening import CORE_FILES
from soak.judge import Match, fairness, grown, growth, rates, starved, times, unfair
from soak.watch import Sample, sample
from soak.world import Partner, World, world

EVERY = 30.0
SAMPLED = 2.0
WARM = 0.2
"""The first part of the time, in which processes start and memory is taken; rates are counted after it."""


class Soak:
    """One soak: the processes of the partners, and what was seen."""

    def __init__(self, place: World, runs: int) -> None:
        self._place = place
        self._each = runs // len(place.partners)
        self._lock = threading.Lock()
        self.matches: list[Match] = []
        self.errors: Counter[str] = Counter()
        self.flooded: dict[str, int] = {}
        self.samples: list[Sample] = []
        self._ready = threading.Semaphore(0)
        self.processes: list[subprocess.Popen[str]] = []

    def begin(self) -> None:
        """Start the partners, each once the one before is at work."""
        for partner in self._place.partners:
            self.processes.append(self._start(partner))
            assert self._ready.acquire(timeout=120), f"{partner.name} did not start"
            self.tell("match")

    def _start(self, partner: Partner) -> subprocess.Popen[str]:
        words = [
            "-m",
            "soak.partner",
            str(partner.home),
            partner.agreement,
            str(self._each),
            str(self._place.shared),
        ]
        process = start(words, stdin=subprocess.PIPE)
        threading.Thread(target=self._listen, args=(partner, process), daemon=True).start()
        return process

    def _listen(self, partner: Partner, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            with self._lock:
                if "ready" in said:
                    self._ready.release()
                elif "error" in said:
                    self.errors[f"{partner.name}: {said['error']} {said.get('message', '')}".strip()] += 1
                elif "flooded" in said:
                    self.flooded = said["flooded"]
                else:
                    self.matches.append(Match(partner.name, said["at"], said["seconds"]))

    def watch(self, seconds: float, name: str) -> tuple[float, float]:
        """Look on for a time, and tell what is seen; when that began and ended."""
        start = time.monotonic()
        told, done = start, len(self.matches)
        while (now := time.monotonic()) < start + seconds:
            self.samples.append(sample(self._place.server.pid, now))
            if now - told >= EVERY:
                self._tell(name, now - start, len(self.matches) - done, now - told)
                told, done = now, len(self.matches)
            time.sleep(min(SAMPLED, start + seconds - now))
        return start, time.monotonic()

    def _tell(self, name: str, at: float, done: int, seconds: float) -> None:
        one = self.samples[-1]
        print(
            f"{name} {at:5.0f} s  {len(self.matches):6,} matches  {done / seconds:5.2f} a second  "
            f"{sum(self.errors.values())} errors   server: {one.memory / 1e6:6.1f} MB  {one.threads} threads  "
            f"{one.files} files  {one.cpu:.0f} s of processor",
            flush=True,
        )

    def tell(self, word: str) -> None:
        """Say a word to the last partner."""
        pipe = self.processes[-1].stdin
        assert pipe is not None
        pipe.write(word + "\n")
        pipe.flush()

    def end(self) -> None:
        """End the partners, each after the matches it is at."""
        for process in self.processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self.processes:
            process.wait(400)
        if any(process.returncode for process in self.processes):
            self.errors["a partner's process failed"] += 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; 1 where something was wrong."""
    given = _arguments(arguments)
    os.environ[CORE_FILES] = "1"  # or only root could count the files that the server has open
    print(
        f"{given.runs} runs at a time from {given.partners} partners, {given.items:,} items a side, "
        f"{given.seconds} s{', and as long beside a flood' if given.flooding else ''}; "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} before.",
        flush=True,
    )
    with (
        tempfile.TemporaryDirectory(prefix="mutuals-soak-") as folder,
        world(
            given.folder or Path(folder),
            partners=given.partners,
            items=given.items,
            runs=given.runs,
            matches_per_minute=given.matches,
        ) as place,
    ):
        faults = soak(place, given.runs, given.seconds, flooding=given.flooding)
    for fault in faults:
        print(f"WRONG: {fault}")
    print("Nothing wrong." if not faults else f"{len(faults)} wrong.")
    return 1 if faults else 0


def soak(place: World, runs: int, seconds: float, *, flooding: bool) -> list[str]:
    """Carry it out and print the figures; what was wrong."""
    before = sample(place.server.pid, time.monotonic())
    going = Soak(place, runs)
    names = [partner.name for partner in place.partners]
    try:
        going.begin()
        start, end = going.watch(seconds, "soak ")
        quiet = rates(going.matches, names, start + WARM * seconds, end)
        warm = [one for one in going.samples if one.at >= start + WARM * seconds]
        faults = grown(warm) + unfair(quiet)
        _figures("All partners honest", going, quiet, warm)
        if flooding:
            faults += _flood(going, seconds, quiet)
    finally:
        going.end()
    time.sleep(SAMPLED)
    after = sample(place.server.pid, time.monotonic())
    print(f"Server before and after: {_words(before)}; {_words(after)}.")
    print(f"Matches took {times(going.matches)}.")
    faults += [f"{count} × {error}" for error, count in going.errors.items()]
    faults += _left_over(before, after)
    if not going.matches:
        faults.append("no match ended")
    return faults


def _flood(going: Soak, seconds: float, quiet: dict[str, float]) -> list[str]:
    flooder = list(quiet)[-1]
    honest = [name for name in quiet if name != flooder]
    going.tell("flood")
    start, end = going.watch(seconds, "flood")
    during = rates(going.matches, honest, start + WARM * seconds, end)
    warm = [one for one in going.samples if one.at >= start + WARM * seconds]
    going.tell("honest")
    _figures(f"{flooder} floods", going, during, warm)
    kept = [during[name] / quiet[name] for name in honest if quiet[name]]
    print(f"  the honest ones keep {min(kept, default=0):.2f} to {max(kept, default=0):.2f} of their rates")
    time.sleep(SAMPLED)
    print(f"  the flood: {', '.join(f'{count:,} × {what}' for what, count in sorted(going.flooded.items()))}")
    return starved(quiet, during) + unfair(during) + grown(warm)


def _figures(title: str, going: Soak, found: dict[str, float], warm: Sequence[Sample]) -> None:
    index, ratio = fairness(list(found.values()))
    shown = " ".join(f"{rate:.1f}" for rate in found.values())
    most = [max((getattr(one, name) for one in warm), default=0) for name in ("memory", "threads", "files")]
    print(f"{title}: {len(going.matches):,} matches so far, {sum(going.errors.values())} errors.")
    print(f"  matches a minute by partner: {shown}; Jain's index {index:.4f}, least by greatest {ratio:.2f}")
    print(
        f"  server at most {most[0] / 1e6:.1f} MB, {most[1]} threads, {most[2]} files; {growth(warm)}",
        flush=True,
    )


def _left_over(before: Sample, after: Sample) -> list[str]:
    """Threads and files that stayed once nobody called any more: gRPC keeps those that carry calls."""
    found = []
    if after.files > before.files + 40:
        found.append(f"{after.files} files stay open, after {before.files} at the start")
    if after.threads > before.threads + 200:
        found.append(f"{after.threads} threads stay, after {before.threads} at the start")
    return found


def _words(one: Sample) -> str:
    return f"{one.memory / 1e6:.1f} MB, {one.threads} threads, {one.files} files"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (default 600)")
    parser.add_argument("--partners", type=int, default=8, help="how many partners (default 8)")
    parser.add_argument("--runs", type=int, default=64, help="matches at a time, in all (default 64)")
    parser.add_argument(
        "--matches", type=int, default=30, help="a partner may start in a minute (default 30, as everywhere)"
    )
    parser.add_argument("--items", type=int, default=2000, help="contacts in each list (default 2,000)")
    parser.add_argument(
        "--folder", type=Path, help="where the homes are made, and stay (default: for the time)"
    )
    parser.add_argument("--flooding", action="store_true", help="then as long again, one partner flooding")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
