"""What must hold when a life is over: what was acknowledged is there, counted once, and what had to go is gone."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine
from support.pairing import Company

from crashes.world import World
from mutuals.audit.stored import verify_store
from mutuals.models.agreement import AgreementState
from mutuals.models.certificate import Certificate
from mutuals.models.run import Run, RunState
from mutuals.runs.keys import runs_with_keys
from mutuals.store import schema

_ORDER = {
    RunState.MATCHING: 0,
    RunState.COUNTED: 1,
    RunState.REVEALING: 2,
    RunState.REVEALED: 3,
    RunState.EXCHANGING: 4,
    RunState.DONE: 5,
}
_AGREED = {
    AgreementState.PROPOSED: 0,
    AgreementState.ACTIVE: 1,
    AgreementState.ENDED: 2,
    AgreementState.CLOSED: 3,
}
_ONCE = ("agreement.ended", "agreement.closed", "certificate.signed", "certificate.received")
"""What the log of each side says of an agreement exactly once."""

SLICES = 24
"""How many pieces of what was received are looked for in the files afterwards."""


@dataclass
class Told:
    """What commands acknowledged: how far a run, and how far an agreement on one side."""

    runs: dict[str, RunState] = field(default_factory=dict)
    agreements: dict[tuple[str, str], AgreementState] = field(default_factory=dict)

    def hear(self, said: dict[str, Any] | None, company: Company) -> None:
        """Take note of what a command of ``company`` said, if it had time to say anything."""
        state = str(said["state"]) if said and "error" not in said and "state" in said else None
        if said is None or state is None:
            return
        if "digest" in said:
            self.agreements[company.peer.name, str(said["digest"])] = AgreementState(state)
        elif RunState(state) in _ORDER:
            self.runs[str(said["run"])] = RunState(state)


@dataclass
class Found:
    """What a look came to: of ``facts`` that were acknowledged so many are ``lost``; ``faults`` are sentences."""

    facts: int = 0
    lost: int = 0
    miscounted: int = 0
    """Sides that charged otherwise than they have runs."""
    states: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def look(place: World, digest: str, told: Told, traces: dict[str, list[bytes]], shared: int) -> Found:
    """Hold both stores against each other and against what commands said; ``traces`` is what must be gone."""
    found = Found()
    sides = {name: {run.run_id: run for run in place.runs(company)} for name, company in _sides(place)}
    for name, company in _sides(place):
        runs = list(sides[name].values())
        charged = (len(runs), sum(run.partner_size for run in runs))
        if place.charged(company) != charged:
            found.miscounted += 1
            found.faults.append(f"the {name} side charged {place.charged(company)}, and has {charged}")
        _look_at_agreement(company, name, digest, found)
        _look_at_certificate(company, name, digest, runs, shared, found)
        for path in _holding(company, traces[name]):
            found.faults.append(f"what the {name} side received and destroyed is still in {path}")
        for run in runs:
            if run.state is not RunState.DONE and run.reason is None:
                found.faults.append(
                    f"run {run.run_id} of the {name} side is {run.state.value} without a reason"
                )
    _look_at_runs(sides, digest, told, found)
    for (name, known), state in told.agreements.items():
        found.facts += 1
        company = next(company for _, company in _sides(place) if company.peer.name == name)
        now = agreement_state(company, known)
        if now is None or _AGREED.get(now, 9) < _AGREED[state]:
            found.lost += 1
            found.faults.append(f"agreement {known[:8]} was reported {state} by {name}, and is {now}")
    return found


def _look_at_runs(sides: dict[str, dict[str, Run]], digest: str, told: Told, found: Found) -> None:
    for run_id, state in told.runs.items():
        found.facts += 1
        if run_id not in sides["left"] or _ORDER.get(sides["left"][run_id].state, 9) < _ORDER[state]:
            found.lost += 1
            found.faults.append(f"run {run_id} was reported {state}, and is not")
    for run_id in sides["left"].keys() | sides["right"].keys():
        ends = [side.get(run_id) for side in sides.values()]
        counts = {run.count for run in ends if run is not None and run.count is not None}
        if len(counts) > 1:
            found.faults.append(f"run {run_id} has two counts")
        if any(run is not None and run.agreement == digest for run in ends):
            found.states["/".join(run.state.value if run else "unknown" for run in ends)] += 1


def _look_at_agreement(company: Company, name: str, digest: str, found: Found) -> None:
    """It is closed, nothing waits for the partner, every log is whole and says each end once."""
    wrong = found.faults.append
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
        events = Counter(entry.event for entry in tx.log.entries(digest))
        waiting = tx.outbox.pending()
        reports = verify_store(tx, company.peer)
        left = {run.run_id for run in tx.runs.list() if tx.received.count(run.run_id)} | runs_with_keys(tx)
    if row is None or row.state is not AgreementState.CLOSED:
        wrong(f"agreement {digest[:8]} is {row and row.state} on the {name} side")
    for event in _ONCE:
        if events[event] != 1:
            wrong(f"the log of the {name} side has {event} {events[event]} times")
    for document in waiting:
        wrong(f"a {document.kind} of the {name} side still waits")
    for problem in [problem for report in reports for problem in report.problems]:
        wrong(f"the log of the {name} side: {problem}")
    for run in sorted(left):
        wrong(f"the {name} side still holds something of run {run}")
    home = company.peer.home
    for folder in (home.run_keys, home.spool):
        if folder.is_dir() and (files := sorted(path.name for path in folder.iterdir())):
            wrong(f"the {name} side still has {files} in {folder.name}")


def _look_at_certificate(
    company: Company, name: str, digest: str, runs: list[Run], shared: int, found: Found
) -> None:
    """One of each side, which counts every record that was received."""
    with company.peer.store.transaction() as tx:
        rows = tx.certificates.list(digest)
        row = tx.agreements.get(digest)
    if len(rows) != 2 or row is None:
        found.faults.append(f"the {name} side has {len(rows)} certificates of agreement {digest[:8]}")
        return
    (own,) = [held for held in rows if held.side is row.own_side]
    done = sum(run.agreement == digest and run.state is RunState.DONE for run in runs)
    certified = Certificate.model_validate_json(own.body).records_received
    if certified != done * shared:
        found.faults.append(f"the {name} side certifies {certified} records, of {done} runs of {shared}")


def slices(place: World, digest: str, chance: random.Random) -> dict[str, list[bytes]]:
    """Pieces of what each side holds that it received under the agreement."""
    found = {}
    for name, company in _sides(place):
        with company.peer.store.transaction() as tx:
            runs = [run.run_id for run in tx.runs.list() if run.agreement == digest]
            blobs = [row.ciphertext for run in runs for row in tx.received.list(run)]
        some = chance.sample(blobs, min(SLICES, len(blobs)))
        found[name] = [blob[at : at + 16] for blob in some for at in [chance.randrange(len(blob) - 15)]]
    return found


def _holding(company: Company, pieces: list[bytes]) -> list[str]:
    """The files of the home in which one of ``pieces`` is."""
    root = company.path.parent
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return [str(path.relative_to(root)) for path in files if _holds(path, pieces)]


def _holds(path: Path, pieces: list[bytes]) -> bool:
    data = path.read_bytes()
    return any(piece in data for piece in pieces)


def agreement_state(company: Company, digest: str) -> AgreementState | None:
    """How an agreement stands, or nothing where the company does not know it."""
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    return None if row is None else row.state


def complete(place: World, digest: str) -> bool:
    """Whether both sides have closed the agreement, and neither has anything left to tell the other."""
    return all(
        agreement_state(company, digest) is AgreementState.CLOSED and not _waiting(company)
        for _, company in _sides(place)
    )


def certified(company: Company, digest: str) -> bool:
    """Whether the company has signed its deletion certificate."""
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
        return row is not None and tx.certificates.get(digest, row.own_side) is not None


def half_revealed(company: Company) -> list[str]:
    """The runs that a person has to clear."""
    with company.peer.store.transaction() as tx:
        return [run.run_id for run in tx.runs.list() if run.state is RunState.HALF_REVEALED]


def expire(company: Company, digest: str) -> None:
    """Let the time pass for which the company may keep what it received under the agreement."""
    past = datetime.now(UTC) - timedelta(days=3)
    engine = create_engine(company.peer.home.store_url(company.peer.config), poolclass=NullPool)
    with engine.begin() as connection:
        runs, received = schema.runs, schema.received
        under = runs.c.agreement == digest
        ids = [row.run_id for row in connection.execute(runs.select().where(under))]
        connection.execute(received.update().where(received.c.run_id.in_(ids)).values(delete_after=past))
        connection.execute(runs.update().where(under).values(reveal_by=past))
    engine.dispose()


def destroyed(company: Company, digest: str) -> bool:
    """Whether nothing is left of what the company received in runs under the agreement that are done."""
    with company.peer.store.transaction() as tx:
        done = {
            run.run_id for run in tx.runs.list() if run.agreement == digest and run.state is RunState.DONE
        }
        return not any(tx.received.count(run) for run in done) and not done & runs_with_keys(tx)


def _waiting(company: Company) -> bool:
    with company.peer.store.transaction() as tx:
        return bool(tx.outbox.pending())


def _sides(place: World) -> list[tuple[str, Company]]:
    return [("left", place.left), ("right", place.right)]
