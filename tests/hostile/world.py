"""Three companies: an honest one that serves on a real port, a cheat it has agreements with, a friend of both."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support import postgres_homes
from support.assessed import accept, propose
from support.companies import free_port
from support.engines import OPENMINED_RUNS
from support.pairing import Company, TestClock, agreement_between, contact, introduce, make_company
from support.postgres_homes import Rows, content_of
from support.toy_engine import ToyEngine

from hostile.wire import HostileServer
from mutuals import engines
from mutuals.documents import take_document
from mutuals.engines.workers import InlinePool
from mutuals.models.run import Run, RunState
from mutuals.protocol import exchange
from mutuals.protocol.exchange import Flow
from mutuals.protocol.messages import Document
from mutuals.runs import exchange as runs_exchange
from mutuals.runs.exchange import initiate_exchange
from mutuals.runs.keys import subject
from mutuals.runs.lifecycle import end_run
from mutuals.runs.mandates import grant_standing_mandate
from mutuals.runs.match import initiate_match
from mutuals.runs.reveal import initiate_reveal
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import PartnerConnection, connect
from mutuals.transport.options import Limits
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

# Room for the streams of attacks that are still being torn down: gRPC refuses what comes on top of its limit.
# Many attacks a minute: how many are too many is not the question here.
LIMITS = Limits(
    unary=20,
    stream=60,
    idle=20,
    drain=2,
    runs=6,
    runs_per_partner=3,
    unary_calls=40,
    unary_calls_per_partner=40,
    calls_per_minute=100_000,
    matches_per_minute=100_000,
)
HASTY = replace(LIMITS, idle=1, runs=2, runs_per_partner=2, unary_calls=2)

ITEMS = 12
SHARED = 6
PER_ENVELOPE = 2

ALWAYS = {"reveal": "mandate", "exchange": "mandate"}
AGREEMENTS: dict[str, dict[str, Any]] = {
    "main": {"permission": ALWAYS},
    "ask": {},
    "toy": {"permission": ALWAYS, "matching": {"engine": "toy"}},
    "x25519": {"permission": ALWAYS, "matching": {"engine": "x25519"}},
    "openmined": {"permission": ALWAYS, "matching": {"engine": "openmined"}},
    "one run": {"permission": ALWAYS, "matching": {"runs_per_30_days": 1}},
    "few items": {"permission": ALWAYS, "matching": {"items_per_30_days": 100_000}},
    "large sets": {"permission": ALWAYS, "matching": {"min_set_size": ITEMS, "max_set_size": 5000}},
}
"""Changes to an ordinary agreement. One that names no engine has the engine over which the table is run."""


@dataclass
class Saved:
    """A company's store, spool and key shares at one moment: what comes before an attack need not be played again for
    each.
    """

    store: sqlite3.Connection | Rows
    files: dict[Path, bytes]

    @classmethod
    def of(cls, company: Company) -> Saved:
        """What ``company`` has now."""
        files = {path: path.read_bytes() for path in _files_of_runs(company)}
        if (rows := content_of(company.peer.home.root)) is not None:
            return cls(rows, files)
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(_database(company))) as source:
            source.backup(copy)
        return cls(copy, files)

    def put_back(self, company: Company) -> None:
        """Let ``company`` have this, and nothing that came later."""
        if isinstance(self.store, dict):
            postgres_homes.put_back(company.peer.home.store_url(company.peer.config), self.store)
        else:
            with closing(sqlite3.connect(_database(company))) as target:
                self.store.backup(target)
        for path in _files_of_runs(company):
            path.unlink()
        for path, data in self.files.items():
            path.write_bytes(data)


@dataclass
class World:
    """The companies, their agreements by name, and the two servers."""

    honest: Company
    cheat: Company
    friend: Company
    agreements: dict[str, str]
    server: PeerServer
    hasty: PeerServer
    hasty_endpoint: str
    hostile: HostileServer
    friends_connection: PartnerConnection
    log_path: Path
    pool: InlinePool
    engine: str
    saved: dict[Any, tuple[list[Saved], Any]] = field(default_factory=dict)

    def engine_of(self, agreement: str) -> str:
        """The engine of the agreement of this name."""
        named: str = AGREEMENTS[agreement].get("matching", {}).get("engine", self.engine)
        return named

    def save(self, name: Any, what: Any) -> None:
        """Remember what the honest side and the cheat have of their runs, and ``what`` belongs to it."""
        self.saved[name] = ([Saved.of(company) for company in (self.honest, self.cheat)], what)

    def restore(self, name: Any) -> Any:
        """Go back to what was saved under this name, if it was; what belongs to it."""
        if name not in self.saved:
            return None
        stores, what = self.saved[name]
        for company, saved in zip((self.honest, self.cheat), stores, strict=True):
            saved.put_back(company)
        return what

    def row(self, own: Company, other: Company) -> PartnerRow:
        """``other`` as ``own`` knows it."""
        with own.peer.store.transaction() as tx:
            row = tx.partners.get(other.peer.fingerprint.hex())
        assert row is not None
        return row

    def runs(self) -> dict[str, Run]:
        """The honest side's runs by id."""
        with self.honest.peer.store.transaction() as tx:
            return {run.run_id: run for run in tx.runs.list()}

    def log(self) -> list[dict[str, Any]]:
        """What the honest side's servers logged so far."""
        if not self.log_path.exists():
            return []
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def wait_for_log(self, since: int, method: str) -> None:
        """Wait for the line about a call of this method, which the server writes when the call is over."""
        patience = time.monotonic() + 10
        while time.monotonic() < patience:
            if any(line.get("method") == method for line in self.log()[since:]):
                return
            time.sleep(0.01)

    def kept(self, run: Run) -> dict[str, Any]:
        """What the honest side still has of a run that must be gone, and what it got of the partner."""
        peer = self.honest.peer
        with peer.store.transaction() as tx:
            operators = [row.name for row in tx.operators.list()]
            held = {
                "spool key": run.spool_key,
                "receiving key": [name for name in operators if tx.keys.wrapped(subject(run.run_id), name)],
                "overlap": tx.overlaps.get(run.run_id),
                "received records": tx.received.count(run.run_id),
                "exports": tx.exports.list(run.run_id),
            }
        held["spool file"] = [path.name for path in peer.home.spool.glob(f"{run.run_id}*")]
        return {name: value for name, value in held.items() if value}

    def clear(self) -> None:
        """A person looks at what broke off half revealed, on every side, so that new runs are possible."""
        for company in (self.honest, self.cheat, self.friend):
            with company.peer.store.transaction() as tx:
                open_runs = [run for run in tx.runs.list() if not run.state.final]
            for run in open_runs:
                end_run(company.peer, run, RunState.FAILED, reason="Cleared between two attacks.")

    def still_serving(self) -> None:
        """The friend is answered."""
        self.friends_connection.ping()

    def friend_counts(self) -> Run:
        """The friend matches with the honest side."""
        peer = self.friend.peer
        with (
            connect(peer, self.row(self.friend, self.honest), LIMITS) as connection,
            connection.match() as stream,
        ):
            return initiate_match(peer, self.agreements["friend"], stream, self.pool)

    def friend_matches(self) -> None:
        """The friend matches, reveals and exchanges with the honest side, undisturbed."""
        peer = self.friend.peer
        with connect(peer, self.row(self.friend, self.honest), LIMITS) as connection:
            with connection.match() as stream:
                run = initiate_match(peer, self.agreements["friend"], stream, self.pool)
            with connection.reveal() as stream:
                assert initiate_reveal(peer, run.run_id, stream).contacts == SHARED
            with connection.exchange() as stream:
                assert initiate_exchange(peer, run.run_id, stream).contacts_received == SHARED


@contextmanager
def world(root: Path, engine: str = "x25519") -> Iterator[World]:
    """Everything set up, in ``root``; small envelopes, so that an exchange has several.

    ``engine`` is that of every agreement that is not about an engine.
    """
    clock = TestClock()
    before, exchange.MAX_RECORDS_PER_ENVELOPE = exchange.MAX_RECORDS_PER_ENVELOPE, PER_ENVELOPE
    engines._ENGINES["toy"] = lambda *_: ToyEngine()
    ports = {name: f"localhost:{free_port()}" for name in ("honest", "cheat", "friend")}

    def company(name: str, first: int) -> Company:
        rows = [contact(f"{name[0]}{n}", f"person{n}@example.com") for n in range(first, first + ITEMS)]
        return make_company(root / name, name.title(), rows, clock, ports[name])

    honest, cheat, friend = company("honest", 0), company("cheat", SHARED), company("friend", -SHARED)
    for one, other in ((honest, cheat), (honest, friend), (friend, cheat)):
        introduce(one, other)
    agreements = {
        name: sign(
            honest,
            cheat,
            title=f"Agreement {name}",
            **{**changes, "matching": {"engine": engine, **changes.get("matching", {})}},
        )
        for name, changes in AGREEMENTS.items()
        if OPENMINED_RUNS or name != "openmined"
    }
    agreements["friend"] = sign(honest, friend, {"engine": engine}, permission=ALWAYS)
    agreements["elsewhere"] = sign(friend, cheat, {"engine": engine}, permission=ALWAYS)
    checked = runs_exchange.verify_ack

    def unless_cheat(flow: Flow, *more: Any) -> None:
        """The cheat's software does not mind that what it changed on the way is what is acknowledged."""
        if flow.sender != cheat.peer.fingerprint:
            checked(flow, *more)

    runs_exchange.verify_ack = unless_cheat
    log_path = root / "server.log"
    log = ServerLog(clock, log_path, stderr=False)
    pool = InlinePool()
    hasty_endpoint = f"localhost:{free_port()}"
    server = PeerServer(honest.peer, pool, ports["honest"], log=log, limits=LIMITS)
    hasty = PeerServer(honest.peer, pool, hasty_endpoint, log=log, limits=HASTY)
    server.start()
    hasty.start()
    hostile = HostileServer(cheat.peer, ports["cheat"])
    with friend.peer.store.transaction() as tx:
        honest_row = tx.partners.get(honest.peer.fingerprint.hex())
    assert honest_row is not None
    friends_connection = connect(friend.peer, honest_row, LIMITS)
    try:
        yield World(
            honest,
            cheat,
            friend,
            agreements,
            server,
            hasty,
            hasty_endpoint,
            hostile,
            friends_connection,
            log_path,
            pool,
            engine,
        )
    finally:
        friends_connection.close()
        hostile.stop()
        server.stop(0)
        hasty.stop(0)
        log.close()
        for each in (honest, cheat, friend):
            each.peer.close()
        exchange.MAX_RECORDS_PER_ENVELOPE = before
        runs_exchange.verify_ack = checked
        del engines._ENGINES["toy"]


def _files_of_runs(company: Company) -> list[Path]:
    home = company.peer.home
    return [*home.spool.iterdir(), *home.run_keys.glob("*")]


def _database(company: Company) -> str:
    return str(company.peer.home.store_url(company.peer.config)).removeprefix("sqlite:///")


def sign(one: Company, other: Company, matching: dict[str, Any] | None = None, **changes: Any) -> str:
    """An active agreement that ``one`` proposed; its digest."""
    draft = agreement_between(one, other, matching, **changes)
    digest = propose(one.peer, draft, "crm", {}, one.keys)
    carry(one, other)
    accept(other.peer, digest, "crm", {}, other.keys)
    carry(other, one)
    for side in (one, other):
        grant_standing_mandate(side.peer, digest, side.keys)
    return digest


def carry(sender: Company, receiver: Company) -> None:
    """Hand over what waits in one outbox; everything must be taken."""
    with sender.peer.store.transaction() as tx:
        pending = tx.outbox.pending(receiver.peer.fingerprint.hex())
    with receiver.peer.store.transaction() as tx:
        row = tx.partners.get(sender.peer.fingerprint.hex())
    assert row is not None
    for document in pending:
        receipt = take_document(
            receiver.peer, row, Document(document.kind, document.body, document.signature)
        )
        assert receipt.accepted, receipt.reason
        with sender.peer.store.transaction() as tx:
            tx.outbox.delivered(document.document_id, b"by hand", sender.clock())
