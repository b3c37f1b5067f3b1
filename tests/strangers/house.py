"""The house that strangers try to enter: a served peer, its partners, and what they agreed and ran before.

house (Right SA, serves)  ── agreement, a counted and a revealed run ──  friend (Left Ltd)
                          ── an agreement of its own ──────────────────  other  (Carl GmbH)
                          ── partner, no agreement ────────────────────  newcomer (Dora AG)
                             unknown to the house ─────────────────────  stranger (Eve Inc)
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.assessed import accept, propose
from support.companies import QUICK, free_port
from support.pairing import Company, TestClock, agreement_between, contact, introduce, make_company, paired
from support.postgres_homes import content_of

from mutuals.documents import take_document
from mutuals.engines.workers import InlinePool
from mutuals.errors import MutualsError
from mutuals.identity.partners import remove_partner
from mutuals.models.agreement import Side
from mutuals.peer import Peer
from mutuals.protocol.messages import Document
from mutuals.runs.authorisation import authorise_reveal
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import PartnerConnection, connect
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

FOLDERS = {name: name for name in ("other", "newcomer", "stranger")} | {"house": "right", "friend": "left"}
LISTS = {
    Side.PROPOSER: [contact(f"L-{number}", f"person{number}@example.com") for number in range(6)],
    Side.PARTNER: [contact(f"R-{number}", f"person{number}@example.com") for number in range(2, 8)],
}


@dataclass(frozen=True)
class Past:
    """What happened before: who agreed to what with the house, and the runs of the friend. Digests in hex."""

    friends_agreement: str
    others_agreement: str
    counted: bytes
    revealed: bytes
    endpoint: str


@dataclass
class House:
    """One opened copy of all the companies, and the server of the house."""

    peers: dict[str, Peer]
    past: Past
    clock: TestClock
    folder: Path
    noted: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def peer(self) -> Peer:
        """The house itself."""
        return self.peers["house"]

    def call(self, caller: str = "friend") -> PartnerConnection:
        """A connection to the house, made as our own software makes it."""
        return connect(self.peers[caller], self.row(caller, "house"), QUICK)

    def row(self, whose: str, partner: str) -> PartnerRow:
        """The row that ``whose`` store has of ``partner``."""
        with self.peers[whose].store.transaction() as tx:
            row = tx.partners.get(self.peers[partner].fingerprint.hex())
        assert row is not None
        return row

    def removes(self, partner: str) -> None:
        """The house stops trusting ``partner``."""
        row = self.row("house", partner)
        with self.peer.store.transaction() as tx:
            remove_partner(tx, row, self.clock())
        self.note()

    def contents(self) -> dict[str, Any]:
        """Every row of the house's store and every file of its home but the log: what a visit must not change."""
        tables: dict[str, Any] | None = content_of(self.peer.home.root)
        if tables is None:
            with sqlite3.connect(f"file:{self.peer.home.root / 'store.sqlite'}?mode=ro", uri=True) as store:
                names = [
                    name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                ]
                tables = {name: sorted(map(repr, store.execute(f'SELECT * FROM "{name}"'))) for name in names}  # noqa: S608
        files = {
            str(path.relative_to(self.peer.home.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.peer.home.root.rglob("*")
            if path.is_file()
            and path.parent != self.peer.home.log
            and not path.name.startswith("store.sqlite")
        }
        return {"tables": tables, "files": files}

    def note(self) -> None:
        """Remember the contents: what changes from now on is the visitor's doing."""
        self.noted = self.contents()

    def log_lines(self) -> list[dict[str, Any]]:
        """What the server told its operator."""
        path = self.peer.home.log / "server.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def secrets(self) -> list[str]:
        """What no answer to a stranger may hold: names, fingerprints, agreements, runs, contacts."""
        return [
            *(peer.name for peer in self.peers.values()),
            *(peer.fingerprint.hex() for peer in self.peers.values()),
            self.past.friends_agreement,
            self.past.others_agreement,
            self.past.counted.hex(),
            self.past.revealed.hex(),
            *(row[column] for rows in LISTS.values() for row in rows for column in ("contact_id", "email")),
            str(self.folder),
        ]


def build(root: Path) -> Past:
    """Make the companies in ``root``; what happened between them."""
    endpoint = f"127.0.0.1:{free_port()}"
    with paired(root, LISTS, endpoint=endpoint) as pair:
        counted, _ = pair.match()
        revealed, _ = pair.match()
        for side in pair.sides.values():
            authorise_reveal(side.peer, side.run(revealed.run_id), side.keys)
        pair.reveal(revealed.run_id)
        guests = {
            name: make_company(root / name, title, LISTS[Side.PROPOSER], pair.left.clock)
            for name, title in (("other", "Carl GmbH"), ("newcomer", "Dora AG"), ("stranger", "Eve Inc"))
        }
        for guest in guests.values():
            introduce(guest, pair.right)
        agreement = _agree(guests["other"], pair.right)
        with pair.right.peer.store.transaction() as tx:
            tx.partners.remove(guests["stranger"].peer.fingerprint.hex(), pair.right.clock())
        past = Past(pair.digest, agreement, counted.sid, revealed.sid, endpoint)
        for guest in guests.values():
            guest.peer.close()
    return past


@contextmanager
def opened(root: Path, past: Past, folder: Path, *, serving: bool = True) -> Iterator[House]:
    """A copy of the companies in ``folder``, with the house's server running or its port free."""
    clock = TestClock()
    with ExitStack() as stack:
        peers = {}
        for name, source in FOLDERS.items():
            shutil.copytree(root / source, folder / name)
            peers[name] = stack.enter_context(Peer.open(folder / name, clock))
        log = ServerLog(clock, peers["house"].home.log / "server.log", stderr=False)
        stack.callback(log.close)
        if serving:
            server = PeerServer(peers["house"], InlinePool(), past.endpoint, log=log, limits=QUICK)
            server.start()
            stack.callback(server.stop, grace=0)
        yield House(peers, past, clock, folder)


def still_serves(house: House) -> bool:
    """Whether an honest partner gets an answer on a new connection."""
    with suppress(MutualsError), house.call("other") as connection:
        return connection.ping().version == 1
    return False


def _agree(one: Company, other: Company) -> str:
    """An active agreement between ``one`` and ``other``, which knows further partners; its digest."""
    digest = propose(one.peer, agreement_between(one, other), "crm", {}, one.keys)
    _carry(one, other)
    accept(other.peer, digest, "crm", {}, other.keys)
    _carry(other, one)
    return digest


def _carry(sender: Company, receiver: Company) -> None:
    with sender.peer.store.transaction() as tx:
        waiting = tx.outbox.pending(receiver.peer.fingerprint.hex())
    with receiver.peer.store.transaction() as tx:
        partner = tx.partners.get(sender.peer.fingerprint.hex())
    assert partner is not None
    for row in waiting:
        assert take_document(receiver.peer, partner, Document(row.kind, row.body, row.signature)).accepted
        with sender.peer.store.transaction() as tx:
            tx.outbox.delivered(row.document_id, b"delivered by hand", sender.clock())
