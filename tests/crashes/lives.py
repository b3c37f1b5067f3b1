"""Lives of agreements, from the proposal to the last certificate, in which processes are killed at random.

A life is over when its agreement is closed on both sides. A command that was killed, or whose partner was, is called
again, as a person or a scheduled job would. What must hold in the end is ``look``.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from support.assessed import sign_off
from support.pairing import Company

from crashes.look import (
    Told,
    agreement_state,
    certified,
    complete,
    destroyed,
    expire,
    half_revealed,
    look,
    slices,
)
from crashes.world import Process, World, kill_worker, workers_of
from mutuals.agreement.redraft import redraft_toml
from mutuals.models.agreement import AgreementState

TRIES = 12
"""How often a command is called again after the last kill before the life counts as stuck."""

PATIENCE = 1200
"""Seconds after which a command that was not killed itself counts as hanging, on a machine that is busy."""

FIRST_GUESS = 2.0
"""Seconds that a command is taken to last at most until it was seen to its end."""

LIKELY = 0.75
"""How likely a call is to be killed, as long as its act may be."""

_RUNS_END = {"STALE", "RUN_STATE", "BLOCKED", "AGREEMENT_NOT_ACTIVE"}
"""What a command says of a run that does not go on."""


@dataclass
class Tally:
    """What was done and what went wrong; ``faults`` are sentences."""

    lives: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    """What commands acknowledged, and was looked for afterwards."""
    lost: int = 0
    miscounted: int = 0
    resumed: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many times somebody was killed."""
        return self.kills.total()


class Lives:
    """Plays lives in one world; each act of a life is killed up to ``kills`` times."""

    def __init__(self, place: World, chance: random.Random, tally: Tally, *, shared: int, kills: int) -> None:
        self._place = place
        self._chance = chance
        self._tally = tally
        self._shared = shared
        self._kills = kills
        self._lasts: dict[str, float] = {}
        """Seconds that an undisturbed call takes."""
        self._moves: dict[str, float] = {}
        """Bytes that it moves between the two."""
        self._told = Told()
        self._name = ""

    def play(self) -> None:
        """One life."""
        self._tally.lives += 1
        self._name = f"life {self._tally.lives}"
        digest = self._agree()
        if digest is None:
            return
        for _ in range(self._chance.choice((1, 1, 2))):
            self._run(digest)
        traces = slices(self._place, digest, self._chance)
        if self._chance.random() < 0.5:
            self._retain(digest)
        self._end(digest)
        found = look(self._place, digest, self._told, traces, self._shared)
        self._tally.facts += found.facts
        self._tally.lost += found.lost
        self._tally.miscounted += found.miscounted
        self._tally.states.update(found.states)
        for fault in found.faults:
            self._fault(fault)

    # --- the acts ---------------------------------------------------------------------------------------------------

    def _agree(self) -> str | None:
        """Proposed, accepted and delivered both ways; the digest."""
        place, left, right = self._place, self._place.left, self._place.right
        agreement = place.draft(f"Campaign {self._tally.lives}")
        for company in (left, right):
            sign_off(company.peer, company.keys, agreement)
        draft = left.path.parent / "draft.toml"
        draft.write_text(redraft_toml(agreement, left.peer.fingerprint.hex(), "none", command="propose"))

        def proposed() -> str | None:
            with left.peer.store.transaction() as tx:
                return next(
                    (row.digest for row in tx.agreements.list() if row.title == agreement.title), None
                )

        words = ("agreement", "propose", str(draft), "--with", right.peer.name, "--source", "crm")
        if not self._until("propose", words, lambda: proposed() is not None):
            return None
        digest = str(proposed())
        if not self._until("sync", ("sync",), lambda: agreement_state(right, digest) is not None):
            return None
        accept = ("agreement", "accept", digest, "--source", "crm")
        active = AgreementState.ACTIVE
        if not self._until("accept", accept, lambda: agreement_state(right, digest) is active, right):
            return None
        if not self._until("sync", ("sync",), lambda: agreement_state(left, digest) is active):
            return None
        return digest

    def _run(self, digest: str) -> None:
        """A match, its reveal and its exchange, as far as it comes."""
        run = None
        for act in ("match", "reveal", "exchange"):
            kills = self._kills
            for _ in range(self._kills + TRIES):
                said, killed = self._call(act, (act, digest if run is None else run), kill=kills > 0)
                kills -= killed
                if said is not None and said["exit"] == 0:
                    run = str(said["run"])
                    self._tally.resumed += bool(said.get("resumed"))
                    break
                ended = said is not None and not killed and error_code(said) in _RUNS_END
                if ended and not (act == "match" and self._clear()):
                    return
            else:
                self._fault(f"{act} was called again and again and does not end: {said}")
                return

    def _clear(self) -> bool:
        """A person clears the runs that are half revealed; whether there are any."""
        cleared = False
        for company in (self._place.left, self._place.right):
            for run in half_revealed(company):
                said, _ = self._call("clear", ("runs", "clear", run), kill=False, company=company)
                cleared = said is not None and said["exit"] == 0
        return cleared

    def _retain(self, digest: str) -> None:
        """The time to keep what was received passes; both sides delete it, one by its server as well."""
        place = self._place
        for company in (place.left, place.right):
            expire(company, digest)
        place.kill_server()
        self._serve()  # which begins by looking for what is due
        for company in (place.left, place.right):
            self._until("retention", ("retention",), partial(destroyed, company, digest), company)

    def _end(self, digest: str) -> None:
        """Terminated by either side, destroyed, certified and told on both."""
        place = self._place
        ender = self._chance.choice((place.left, place.right))
        over = {AgreementState.ENDED, AgreementState.CLOSED}
        words = ("agreement", "terminate", digest, "--reason", "The campaign is over.", "--cause")
        if not self._until("terminate", words, lambda: agreement_state(ender, digest) in over, ender):
            return
        kills = self._kills
        for attempt in range(self._kills + TRIES):
            _, killed = self._call("sync", ("sync",), kill=kills > 0)
            kills -= killed
            if complete(place, digest):
                return
            if attempt >= self._kills and not certified(place.right, digest):
                self._call("retention", ("retention",), kill=False, company=place.right)
        self._fault(f"agreement {digest[:8]} was terminated and is not closed on both sides")

    # --- calling and killing ------------------------------------------------------------------------------------------

    def _until(
        self, act: str, words: tuple[str, ...], done: Callable[[], bool], company: Company | None = None
    ) -> bool:
        """Call a command until ``done``, and until one of its calls was not killed."""
        kills, said = self._kills, None
        for _ in range(self._kills + TRIES):
            said, killed = self._call(act, words, kill=kills > 0, company=company)
            kills -= killed
            if said is not None and said["exit"] == 0 and not done():
                if act == "sync":
                    continue
                self._fault(f"{act} said that it was done, and it is not")
                return False
            if done() and not killed:
                return True
        self._fault(f"{act} was called again and again and does not end: {said}")
        return False

    def _call(
        self, act: str, words: tuple[str, ...], *, kill: bool, company: Company | None = None
    ) -> tuple[dict[str, Any] | None, bool]:
        """What a command said, unless it was killed; and whether anybody was disturbed."""
        if kill and self._chance.random() < LIKELY:
            return self._disturbed(act, words, company)
        place, began, moved = self._place, time.monotonic(), self._place.relay.moved
        said = self._answer(act, place.call(*words, company=company), company)
        if said is not None and said["exit"] == 0:
            self._lasts[act] = max(time.monotonic() - began, 0.8 * self._lasts.get(act, 0.0))
            self._moves[act] = max(place.relay.moved - moved, 0.8 * self._moves.get(act, 0.0))
        return said, False

    def _disturbed(
        self, act: str, words: tuple[str, ...], company: Company | None
    ) -> tuple[dict[str, Any] | None, bool]:
        """A call in the midst of which somebody is killed; see ``_call``."""
        place, moved = self._place, self._place.relay.moved
        process = place.call(*words, company=company)
        workers = ["client's worker", "server's worker"] if act == "match" else []
        whom = self._chance.choice(["client", "server", "both", *workers])
        self._await_moment(act, process, moved)
        if whom.endswith("worker"):
            return self._kill_worker(act, whom, process, company)
        self._tally.kills[f"{act}: {whom}"] += 1
        if whom != "client":
            place.kill_server()
        if whom != "server":
            self._told.hear(place.kill(process), company or place.left)  # what it said last counts as well
        if whom != "client":
            self._serve()
        return (self._answer(act, process, company) if whom == "server" else None), True

    def _await_moment(self, act: str, process: Process, moved: int) -> None:
        """A moment of the act, up to a little after its end: any one, or any while something travels."""
        seconds = 1.05 * self._lasts.get(act, FIRST_GUESS)
        if self._chance.random() < 0.5 or act not in self._moves:
            with suppress(subprocess.TimeoutExpired):
                process.wait(self._chance.uniform(0, seconds))
            return
        size, deadline = self._chance.uniform(0, self._moves[act]), time.monotonic() + seconds
        while self._place.relay.moved - moved < size and time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.002)

    def _kill_worker(
        self, act: str, whom: str, process: Process, company: Company | None
    ) -> tuple[dict[str, Any] | None, bool]:
        """One that computes dies: the command ends with a reason, or goes on."""
        owner = process if whom.startswith("client") else self._place.server
        workers = [] if owner is None else workers_of(owner)
        if workers:
            kill_worker(self._chance.choice(workers))
            self._tally.kills[f"{act}: {whom}"] += 1
        return self._answer(act, process, company), bool(workers)

    def _serve(self) -> None:
        """Start the server, which may be killed meanwhile."""
        began = time.monotonic()
        while True:
            self._place.begin_server()
            if self._chance.random() > 0.1:
                self._place.await_server()
                self._lasts["start"] = max(time.monotonic() - began, 0.8 * self._lasts.get("start", 0.0))
                return
            time.sleep(self._chance.uniform(0, self._lasts.get("start", FIRST_GUESS)))
            self._place.kill_server()
            self._tally.kills["start: server"] += 1
            began = time.monotonic()

    def _answer(self, act: str, process: Process, company: Company | None) -> dict[str, Any] | None:
        try:
            said = self._place.answer(process, PATIENCE)
        except subprocess.TimeoutExpired:
            self._fault(f"{act} hangs")
            self._place.kill(process)
            return None
        self._told.hear(said, company or self._place.left)
        if said["exit"]:
            self._tally.said[f"{act}: {error_code(said)}"] += 1
            if not self._has_reason(said):
                self._fault(f"{act} failed without a reason: {said}")
        return said

    def _has_reason(self, said: dict[str, Any]) -> bool:
        """Whether what a command refused with names a reason."""
        return error_code(said) not in {"INTERNAL", None}

    def _fault(self, what: str) -> None:
        self._tally.faults.append(f"{self._name}: {what}")
        print("fault:", self._tally.faults[-1], flush=True)  # a proof that is cut off has shown it


def error_code(said: dict[str, Any]) -> str | None:
    """The code of the error with which a command ended."""
    error = said.get("error")
    return str(error["code"]) if isinstance(error, dict) else None
