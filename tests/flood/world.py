"""A house that serves in a process of its own, a partner that works with it, and one that floods it.

with world(folder) as place, place.serving() as server:
    place.honest.home, server.pid
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
from mutuals.sources.definition import define_source
from mutuals.store.rows import SourceRow

# Two sizes of which one run of the largest that is agreed does not fit; everything else is as every server has it.
LIMITS = LimitSettings(
    memory_mb=20_000,
    memory_mb_per_partner=10_000,
    spool_mb=10_000,
    spool_mb_per_partner=5_000,
    free_disk_mb=10,
)
LARGEST = 100_000_000
SMALL, LARGE = 500, 60_000
"""Contacts of the house under the agreement with the honest partner, and under that with the flooder."""


@dataclass(frozen=True)
class Partner:
    """A partner of the house: its home, and the digest of the agreement."""

    home: Path
    agreement: str


@dataclass(frozen=True)
class World:
    """The homes of the three, and the port at which the house serves."""

    house: Path
    honest: Partner
    flooder: Partner
    port: int

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        """The server's process, which is stopped at the end and must end well."""
        server = start_server(self.house, f"127.0.0.1:{self.port}")
        try:
            assert server.stdout is not None
            assert server.stdin is not None
            assert processes.port_of(server.stdout.readline()) == self.port
            yield server
            server.stdin.close()
            server.stdin = None  # nobody writes to it any more
            assert server.wait(60) == 0
        finally:
            processes.kill(server)

    def refused(self) -> dict[str, int]:
        """How many calls the house says that it refused, by reason."""
        counted: dict[str, int] = {}
        for line in self._log():
            if line["event"] == "refused":
                counted[line["reason"]] = counted.get(line["reason"], 0) + line["times"]
        return counted

    def forget_log(self) -> int:
        """Begin the log anew; how many lines there were."""
        lines = len(self._log())
        (self.house / "log" / "server.log").unlink(missing_ok=True)
        return lines

    def _log(self) -> list[dict[str, Any]]:
        path = self.house / "log" / "server.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def build(folder: Path, large: int = LARGE) -> World:
    """Make the companies and sign their agreements; ``large`` contacts of the house are in that with the flooder."""
    clock = TestClock()
    clock.now = datetime.now(UTC)  # the processes know no other
    port = free_port()
    house = make_company(folder / "house", "House Ltd", [], clock, f"127.0.0.1:{port}")
    write_contacts(house, 0, large)
    path = house.path.rename(folder / "house" / "large.csv")
    with house.peer.store.transaction() as tx:
        definition = define_source("large", str(path), {}, "DE")
        tx.sources.put(SourceRow("large", definition.model_dump_json(), clock()))
    write_contacts(house, 0, SMALL)
    guests = []
    for name, source in (("honest", "crm"), ("flooder", "large")):
        company = make_company(folder / name, f"{name.title()} SA", [], clock)
        write_contacts(company, SMALL // 2, SMALL)
        introduce(company, house)
        guests.append(Partner(company.path.parent, _sign(company, house, source)))
        company.peer.close()
    config = load_config(house.peer.home).model_copy(update={"limits": LIMITS})
    house.peer.home.config.write_text(config_toml(config), encoding="utf-8")
    house.peer.close()
    return World(house.path.parent, guests[0], guests[1], port)


def _sign(company: Company, house: Company, source: str) -> str:
    bounds = {"runs_per_30_days": 1000, "max_set_size": LARGEST, "engine": "x25519"}
    digest = propose(company.peer, agreement_for(company, house, bounds), "crm", {}, company.keys)
    _carry(company, house)
    accept(house.peer, digest, source, {}, house.keys)
    _carry(house, company)
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
