"""Lives of runs, from match to exchange, in which processes are killed at random: what must hold in the end.

A life is over when its run is done, or has ended for a reason that both sides give. A command that was killed, or whose
partner was, is called again, as a person or a scheduled job would.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from support.pairing import Company

from crashes.world import World
from mutuals.models.run import Run, RunState

ACTS = ("match", "reveal", "exchange")
TRIES = 12
"""How often a command is called again before the life counts as stuck."""


@dataclass
class Tally:
    """What was done and what went wrong; ``faults`` are sentences."""

    lives: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many times somebody was killed."""
        return self.kills.total()


class Lives:
    """Plays lives in one world; ``longest`` is how many seconds an undisturbed command takes at most."""

    def __init__(self, place: World, chance: random.Random, tally: Tally, longest: float = 2.5) -> None:
        self._place = place
        self._chance = chance
        self._tally = tally
        self._longest = longest
        self._told: dict[str, RunState] = {}

    def play(self, kills: int = 2) -> None:
        """One life with up to so many kills."""
        self._tally.lives += 1
        left = kills
        run = None
        for act in ACTS:
            if act != "match" and run is None:
                break
            for _ in range(TRIES):
                subject = self._place.agreement if run is None else run
                kill = left > 0 and self._chance.random() < 0.7
                said = self._call(act, subject, kill)
                left -= kill
                if said is not None and said["exit"] == 0:
                    run = str(said["run"])
                    self._told[run] = RunState(str(said["state"]))
                    self._tally.resumed += bool(said.get("resumed"))
                    break
                if said is not None and said.get("error", {}).get("code") in {
                    "STALE",
                    "RUN_STATE",
                    "BLOCKED",
                }:
                    run = None if act == "match" else run
                    if act != "match":
                        break
            else:
                self._tally.faults.append(f"{act} was called {TRIES} times and did not end: {said}")
                return
        self._look(run)

    def _call(self, act: str, subject: str, kill: bool) -> dict[str, object] | None:
        place, whom = self._place, self._chance.choice(("client", "server", "both"))
        process = place.call(act, subject)
        if not kill:
            return place.answer(process, timeout=120)
        time.sleep(self._chance.uniform(0, self._longest))
        self._tally.kills[f"{act}: {whom}"] += 1
        if whom != "client":
            place.kill_server()
        if whom != "server":
            place.kill(process)
        if whom != "client":
            place.serve()
        return place.answer(process, timeout=200) if whom == "server" else None

    def _look(self, run_id: str | None) -> None:
        """What a command reported is there; both sides agree; every run was charged once."""
        place = self._place
        sides = {name: {run.run_id: run for run in place.runs(company)} for name, company in self._sides()}
        for name, company in self._sides():
            if place.charged(company) != len(sides[name]):
                self._tally.faults.append(
                    f"the {name} side charged {place.charged(company)} of {len(sides[name])} runs"
                )
        for told, state in self._told.items():
            if told not in sides["left"] or _rank(sides["left"][told]) < _ORDER[state]:
                self._tally.faults.append(f"run {told} was reported {state}, and is not")
        if run_id is not None:
            ends = [sides[name][run_id] for name in ("left", "right")]
            self._tally.states["/".join(run.state.value for run in ends)] += 1
            if any(run.state not in {RunState.DONE} and run.reason is None for run in ends):
                self._tally.faults.append(
                    f"run {run_id} ended {ends[0].state.value} and {ends[1].state.value} without a reason"
                )
            if ends[0].count != ends[1].count:
                self._tally.faults.append(f"run {run_id} has two counts")

    def _sides(self) -> list[tuple[str, Company]]:
        return [("left", self._place.left), ("right", self._place.right)]


_ORDER = {
    RunState.MATCHING: 0,
    RunState.COUNTED: 1,
    RunState.REVEALING: 2,
    RunState.REVEALED: 3,
    RunState.EXCHANGING: 4,
    RunState.DONE: 5,
}


def _rank(run: Run) -> int:
    """How far a run has come; one that ended for a reason has lost nothing that was acknowledged silently."""
    return _ORDER.get(run.state, 9)
