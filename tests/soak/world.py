"""A house that serves in a process of its own, and the partners that match with it.

with world(folder, partners=8, items=2000, runs=64) as place:
    place.house.port, place.partners[0].home, place.server.pid
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from support import processes
from support.assessed import accept, propose
from support.companies import free_port
from support.pairing import Company, TestClock, introduce, make_company
from support.processes import agreement_for, start_server, write_contacts

from mutuals.documents import receipt_bytes, take_document
from mutuals.identity.config_text import config_toml
from mutuals.identity.home import load_config
from mutuals.identity.limits import LimitSettings
from mutuals.protocol.messages import Document
from mutuals.runs.mandates import grant_standing_mandate

RUNS = {"runs_per_30_days": 1000}
SPARE = 2
"""Places of a partner beyond what it uses: one is free a moment after the partner heard the end of its run."""


@dataclass(frozen=True)
class Partner:
    """One partner: its name, home and agreement with the house."""

    name: str
    home: Path
    agreement: str


@dataclass(frozen=True)
class World:
    """The serving process and who calls it; every match of theirs finds ``shared`` items."""

    house: Path
    partners: tuple[Partner, ...]
    server: subprocess.Popen[str]
    shared: int


@contextmanager
def world(
    folder: Path, *, partners: int, items: int, runs: int, matches_per_minute: int = 30
) -> Iterator[World]:
    """Set everything up, with room for ``runs`` at a time; ``items`` contacts in each list, a half of them shared.

    ``matches_per_minute`` of a partner, and ten times as many calls, are allowed: by default what every server allows.
    """
    clock = TestClock()
    clock.now = datetime.now(UTC)  # the processes know no other
    port = free_port()
    shared = items // 2
    house = make_company(folder / "house", "House Ltd", [], clock, f"127.0.0.1:{port}")
    write_contacts(house, 0, items)
    guests = []
    for number in range(partners):
        company = make_company(folder / f"partner{number + 1}", f"Partner {number + 1}", [], clock)
        write_contacts(company, items - shared, items)
        introduce(company, house)
        guests.append(Partner(company.peer.name, company.path.parent, _sign(company, house)))
        company.peer.close()
    _allow(house, partners, runs, matches_per_minute)
    house.peer.close()
    server = start_server(house.path.parent, f"127.0.0.1:{port}")
    try:
        assert server.stdout is not None
        assert processes.port_of(server.stdout.readline()) == port
        yield World(house.path.parent, tuple(guests), server, shared)
    finally:
        stop(server)


def stop(process: subprocess.Popen[str]) -> None:
    """Tell a process to end, by closing its standard input; kill it where it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        processes.kill(process)
    if process.stdout is not None:
        process.stdout.close()


def _sign(company: Company, house: Company) -> str:
    """An active agreement that the company proposed; its digest."""
    digest = propose(company.peer, agreement_for(company, house, RUNS), "crm", {}, company.keys)
    _carry(company, house)
    accept(house.peer, digest, "crm", {}, house.keys)
    _carry(house, company)
    for side in (company, house):
        grant_standing_mandate(side.peer, digest, side.keys)
    return digest


def _carry(sender: Company, receiver: Company) -> None:
    own, theirs = sender.peer.fingerprint.hex(), receiver.peer.fingerprint.hex()
    with sender.peer.store.transaction() as tx:
        waiting = tx.outbox.pending(theirs)
    with receiver.peer.store.transaction() as tx:
        partner = tx.partners.get(own)
    assert partner is not None
    for row in waiting:
        receipt = take_document(receiver.peer, partner, Document(row.kind, row.body, row.signature))
        assert receipt.accepted, receipt.reason
        with sender.peer.store.transaction() as tx:
            tx.outbox.delivered(row.document_id, receipt_bytes(receipt), sender.clock())


def _allow(house: Company, partners: int, runs: int, matches_per_minute: int) -> None:
    """Limits under which so many runs fit; all others are those that every server has."""
    each = runs // partners + SPARE
    limits = LimitSettings(
        runs=each * partners,
        runs_per_partner=each,
        calls_per_minute_per_partner=10 * matches_per_minute,
        matches_per_minute_per_partner=matches_per_minute,
    )
    config = load_config(house.peer.home).model_copy(update={"limits": limits})
    house.peer.home.config.write_text(config_toml(config), encoding="utf-8")
