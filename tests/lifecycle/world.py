"""Two companies with their operators, and every act of theirs, by the product's own functions.

    with World.begin("active") as world:
        world.match(Side.PROPOSER, digest)

An act that the product refuses raises MutualsError; what succeeded is noted in ``truth``. Homes are copied from
templates, each made once by the acts themselves, in a folder in memory where there is one. Their stores are in memory
too (``memory``) unless a history asks for the product's own, ``on_disk``.
"""

from __future__ import annotations

import atexit
import copy
import csv
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import QueuePool
from support.assessed import sign_off
from support.pairing import PASSPHRASE, Company, agreement_between, introduce
from support.policies import category, policy
from support.postgres import everywhere
from support.streams import MemoryStream, stream_pair

from lifecycle.memory import MemoryStore, read_store
from lifecycle.people import CATEGORY, FIELDS, Listing, contact_id, subject_of
from lifecycle.truth import EXCHANGE_LASTS, Deal, Grant, House, Person, Rules, RunTruth, Truth
from lifecycle.watch import Watch, keeping_keys
from mutuals.agreement import lifecycle
from mutuals.agreement.active import find_agreement, verify_stored
from mutuals.agreement.ending import terminate
from mutuals.agreement.suspension import resume, suspend
from mutuals.documents import take_document
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity import appointment
from mutuals.identity.acts import verify_act
from mutuals.identity.appointment import log_appointment
from mutuals.identity.home import Config, Home, Kdf
from mutuals.identity.initialise import FirstOperator, init_home
from mutuals.identity.operators import OperatorKeys, create_operator, get_operator, unlock
from mutuals.models.agreement import Side
from mutuals.models.run import Run, RunState
from mutuals.obligations.breach import Closing, Opening, close_breach, open_breach
from mutuals.obligations.retention import keep_retention
from mutuals.obligations.revoke import carry_out, plan_revocation
from mutuals.peer import Peer
from mutuals.policy.approval import approve_policy, next_version
from mutuals.protocol.messages import Document
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.ending import stop_runs
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.export import open_received, write_export
from mutuals.runs.export_approval import approve_export
from mutuals.runs.handover import disable
from mutuals.runs.lifecycle import end_run
from mutuals.runs.mandates import grant_standing_mandate
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.preview import preview_exchange
from mutuals.runs.reveal import initiate_reveal, respond_reveal
from mutuals.sources.definition import define_source
from mutuals.store.rows import OutboxRow, SourceRow

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
STAFF: dict[str, tuple[tuple[str, ...], str]] = {
    "stella": (("steward",), "sales"),
    "pia": (("privacy_officer",), "legal"),
    "alan": (("analyst",), "sales"),
    "sven": (("service",), "it"),
    "olga": (("admin", "auditor"), "legal"),
}
"""Besides anna of marketing, who begins with every role of the first operator."""

OPERATORS = ("anna", *STAFF)
NAMES = {Side.PROPOSER: "left", Side.PARTNER: "right"}
_CHEAP = Kdf(memory_kib=8, iterations=1)


class Clock:
    """Both companies' clock."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Choice:
    """What an agreement says, as far as histories vary it."""

    days: int = 60
    notice_days: int = 5
    retention_days: tuple[int, int] = (10, 40)
    mandate: bool = False
    both_ways: bool = True
    fields: int = 2
    departments: tuple[str, ...] = ("marketing", "sales")
    finish: bool = False


@dataclass(frozen=True)
class PolicyChoice:
    """What a policy says: who may let which category leave, and which acts need two operators."""

    sales_shared_by: str | None = "marketing"
    sales_exported_by: str | None = "sales"
    four_eyes: tuple[str, ...] = ()


@dataclass
class World:
    """Both companies, what the test knows, and what it saw."""

    root: Path
    clock: Clock
    companies: dict[Side, Company]
    keys: dict[Side, dict[str, OperatorKeys]]
    truth: Truth
    watch: Watch = field(default_factory=Watch)
    on_disk: bool = True
    matching: str | None = None
    _checked: set[tuple[Side, str]] = field(default_factory=set)
    """Which sides' statements were verified since the last act."""
    _sids: dict[bytes, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _count: int = 0

    # --- beginning and ending ---------------------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def begin(cls, stage: str, *, on_disk: bool = False) -> Iterator[World]:
        """A world at ``stage``: "partners", "active", "revealed" or "exchanged"; on PostgreSQL where all stores are."""
        on_disk = on_disk or everywhere()
        world = _template(stage).copy(on_disk=on_disk)
        with ExitStack() as stack:
            stack.callback(world.close)
            if not on_disk:
                stack.enter_context(patch.object(appointment, "verify_act", _verify_once))
            yield world

    def copy(self, *, on_disk: bool) -> World:
        """The same world, which is closed, in new homes with their peers open."""
        root = Path(tempfile.mkdtemp(dir=_memory()))
        clock = Clock()
        clock.now = self.clock.now
        companies = {}
        for side, company in self.companies.items():
            home = root / NAMES[side]
            store = None if on_disk else MemoryStore(_content(company.peer.home.store))
            skip = None if on_disk else shutil.ignore_patterns(company.peer.home.store.name)
            shutil.copytree(company.peer.home.root, home, ignore=skip)
            companies[side] = replace(
                company, peer=_open(home, clock, store), clock=clock, path=home / "contacts.csv"
            )
            _bind_source(companies[side])
        return World(
            root,
            clock,
            companies,
            self.keys,
            copy.deepcopy(self.truth),
            self.watch.copy(),
            on_disk,
            None,
            set(),
            dict(self._sids),
            set(self._seen),
            self._count,
        )

    def close(self) -> None:
        """Close the peers and remove the homes."""
        for company in self.companies.values():
            store = company.peer.store
            company.peer.close()
            if isinstance(store, MemoryStore):
                store.discard()
        shutil.rmtree(self.root, ignore_errors=True)

    def restart(self, side: Side) -> None:
        """Close a peer and open it again."""
        company = self.companies[side]
        store = company.peer.store
        company.peer.close()
        company.peer = _open(
            company.peer.home.root, self.clock, store if isinstance(store, MemoryStore) else None
        )

    # --- what there is ----------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time."""
        return self.clock.now

    def peer(self, side: Side) -> Peer:
        """The company's peer."""
        return self.companies[side].peer

    def fingerprint(self, side: Side) -> bytes:
        """The peer's fingerprint."""
        return self.peer(side).fingerprint

    def agreements(self, side: Side) -> list[str]:
        """The digests of the agreements that the side holds."""
        with self.peer(side).store.transaction() as tx:
            return [row.digest for row in tx.agreements.list()]

    def runs(self, side: Side) -> list[Run]:
        """The runs that the side holds."""
        with self.peer(side).store.transaction() as tx:
            return tx.runs.list()

    def run_of(self, sid: bytes) -> str:
        """The id of a run that both know."""
        return self._sids[sid]

    def receiving_key(self, side: Side, sid: bytes) -> bytes:
        """The public half of the key to which the side receives."""
        with self.peer(side).store.transaction() as tx:
            run = tx.runs.by_sid(sid)
        assert run is not None
        return run.own_receiving_key

    def why_not_signed(self, side: Side, digest: str) -> str | None:
        """Whether the statements that the side keeps are both sides' valid signatures."""
        if (side, digest) in self._checked:
            return None
        with self.peer(side).store.transaction() as tx:
            row = tx.agreements.get(digest)
            rows = tx.agreements.statements(digest)
        assert row is not None
        deal = self.truth.deals[digest]
        if row.document != deal.document:
            return "another document"
        statements = [(item.side.value, item.body, item.signature) for item in rows]
        unsigned = self.truth.why_not_signed(deal, statements)
        if unsigned is None:
            self._checked.add((side, digest))
        return unsigned

    # --- agreements -------------------------------------------------------------------------------------------------

    def propose(self, side: Side, choice: Choice, operator: str, amends: str | None = None) -> Deal:
        """Write an agreement, assess it, sign it, and put it into the outbox."""
        company, other = self.companies[side], self.companies[side.other]
        self._count += 1
        agreement = agreement_between(company, other, {}, **self._terms(side, choice, amends))
        peer, keys = company.peer, self.keys[side]
        mapping = {item.name: item.name for item in agreement.sends(Side.PROPOSER)}
        sign_off(peer, keys[self._assessor(side)], agreement, mapping)
        digest = lifecycle.propose(peer, agreement, "crm", mapping, keys[operator])
        with peer.store.transaction() as tx:
            row = tx.agreements.get(digest)
        assert row is not None
        return self.truth.add_deal(row.document)

    def accept(self, side: Side, digest: str, operator: str) -> None:
        """Assess and accept a proposal."""
        peer, keys = self.peer(side), self.keys[side]
        with peer.store.transaction() as tx:
            agreement = verify_stored(find_agreement(tx, digest))
        own = agreement.side_of(peer.fingerprint.hex())
        mapping = {item.name: item.name for item in agreement.sends(own)} if own else {}
        sign_off(peer, keys[self._assessor(side)], agreement, mapping)
        lifecycle.accept(peer, digest, "crm", mapping, keys[operator], stop_runs=stop_runs)

    def reject(self, side: Side, digest: str, operator: str) -> None:
        """Turn a proposal down."""
        lifecycle.reject(self.peer(side), digest, "Not now.", self.keys[side][operator])

    def withdraw(self, side: Side, digest: str, operator: str) -> None:
        """Take an own proposal back."""
        lifecycle.withdraw(self.peer(side), digest, "We think again.", self.keys[side][operator])

    def terminate(self, side: Side, digest: str, operator: str, *, cause: bool) -> None:
        """End an agreement; with notice unless there is a cause."""
        terminate(self.peer(side), digest, "It is enough.", self.keys[side][operator], cause=cause)
        house, deal = self.truth.houses[side], self.truth.deals[digest]
        newest = [deal, *self.truth.later(house, deal)][-1]
        days = 0 if cause else newest.terms["termination"]["notice_days"]
        self._end(house, deal.chain, self.now + timedelta(days=days))

    def suspend(self, side: Side, digest: str, operator: str) -> None:
        """Halt an agreement."""
        peer = self.peer(side)
        with peer.store.transaction() as tx:
            identity = suspend(tx, peer, digest, "We look into it.", None, self.keys[side][operator])
        self._halt(self.truth.houses[side], digest).add(identity)

    def breach(self, side: Side, digest: str, operator: str) -> None:
        """Open a breach, which suspends the agreement."""
        opening = Opening(what="A laptop was lost.", aware_at=self.now, agreements=[digest])
        open_breach(self.peer(side), opening, self.keys[side][operator])

    def close_breach(self, side: Side, operator: str) -> None:
        """Close the first own breach that is open, which lifts its halts."""
        with self.peer(side).store.transaction() as tx:
            ids = [row.breach_id for row in tx.breaches.list(open_only=True) if row.partner is None]
        why = "There was nothing on it."
        closing = Closing("It was found.", no_authority=why, no_persons=why, no_partners=why)
        close_breach(self.peer(side), ids[0] if ids else "B-NONE", closing, self.keys[side][operator])

    def resume(self, side: Side, digest: str, operator: str) -> None:
        """Lift the first own halt, of whatever reason."""
        peer, house = self.peer(side), self.truth.houses[side]
        own = [name for name in sorted(self._halt(house, digest)) if name in self._own_halts(side)]
        with peer.store.transaction() as tx:
            resume(tx, peer, digest, own[0] if own else "none", self.keys[side][operator])
        self._halt(house, digest).discard(own[0])

    # --- documents --------------------------------------------------------------------------------------------------

    def outbox(self, side: Side) -> list[OutboxRow]:
        """What waits at the side, oldest first."""
        with self.peer(side).store.transaction() as tx:
            return tx.outbox.pending(self.fingerprint(side.other).hex())

    def deliver(self, side: Side, index: int) -> None:
        """Carry one waiting document, in whatever order, to the other side."""
        pending = self.outbox(side)
        self._carry(side, pending[index % len(pending)])

    def deliver_all(self) -> None:
        """Everything that waits, until nothing does."""
        for _ in range(20):
            waiting = [(side, row) for side in Side for row in self.outbox(side)]
            if not waiting:
                return
            for side, row in waiting:
                self._carry(side, row)

    def _carry(self, side: Side, row: OutboxRow) -> None:
        receiver = self.companies[side.other]
        self.watch.document(side, row.kind, row.body)
        receipt = take_document(
            receiver.peer, receiver.partner(), Document(row.kind, row.body, row.signature)
        )
        with self.peer(side).store.transaction() as tx:
            tx.outbox.delivered(row.document_id, b"delivered by hand", self.now)
        if receipt.accepted:
            self._learn(side.other, row.kind, json.loads(row.body), taken=True)

    def _learn(self, side: Side, kind: str, body: dict[str, Any], *, taken: bool) -> None:
        """What a side knows after it has put a document into its outbox, or has ``taken`` one."""
        house = self.truth.houses[side]
        if kind == "termination" and body["digest"] in self.truth.deals:
            ends = datetime.fromisoformat(body["ends_at"])
            self._end(house, self.truth.deals[body["digest"]].chain, max(ends, self.now))
        elif kind == "suspension":
            self._halt(house, body["digest"]).add(body["suspension"])
        elif kind == "resumption":
            self._halt(house, body["digest"]).discard(body["suspension"])
        elif kind == "revocation" and taken:
            run_id = self._sids[bytes.fromhex(body["sid"])]
            persons = (self.watch.person(run_id, side.other, rank) for rank in body["ranks"])
            house.must_delete.update((run_id, person) for person in persons if person is not None)

    def settle(self) -> None:
        """After every act: learn from what was put into the outboxes and which statements are held."""
        self._checked.clear()
        for side in Side:
            house = self.truth.houses[side]
            with self.peer(side).store.transaction() as tx:
                pending = tx.outbox.pending()
                for row in tx.agreements.list():
                    if row.digest not in house.bound and len(tx.agreements.statements(row.digest)) == 2:
                        house.bound.add(row.digest)
            for row in pending:
                if row.document_id not in self._seen:
                    self._seen.add(row.document_id)
                    self._learn(side, row.kind, json.loads(row.body), taken=False)

    # --- people and time --------------------------------------------------------------------------------------------

    def change_list(self, side: Side, person: int, **changes: Any) -> None:
        """Change what the company's list says of a person."""
        listing = self.truth.houses[side].listing
        listing.change(person, **changes)
        listing.write(self.companies[side].path)

    def revoke(self, side: Side, person: int, operator: str) -> None:
        """A person withdraws; every partner that received the contact is told."""
        keys = self.keys[side][operator]
        plan = plan_revocation(self.peer(side), [contact_id(side, person)], "withdrawal", keys)
        carry_out(self.peer(side), plan, keys)
        self.truth.houses[side].listing.change(person, withdrawn=True)

    def pass_days(self, days: float) -> None:
        """Let time pass for both."""
        self.clock.now += timedelta(days=days)

    # --- policy and operators ---------------------------------------------------------------------------------------

    def approve_policy(self, side: Side, choice: PolicyChoice, operator: str) -> None:
        """Put a policy in force."""
        peer = self.peer(side)

        def by(name: str | None) -> dict[str, Any]:
            return {} if name is None else {"departments": (name,)}

        own = FIELDS[side]
        everybody = {"departments": ("marketing", "sales", "legal", "it")}
        with peer.store.transaction() as tx:
            wanted = policy(
                category(
                    fields=tuple(name for name in own if CATEGORY[name] == "contact"),
                    view=everybody,
                    export=everybody,
                    share=everybody,
                ),
                category(
                    "sales",
                    fields=tuple(name for name in own if CATEGORY[name] == "sales"),
                    view=everybody,
                    export=by(choice.sales_exported_by),
                    share=by(choice.sales_shared_by),
                ),
                version=next_version(tx),
                four_eyes=choice.four_eyes,
                departments=[
                    {"name": name, "does": "Its work.", "contact": f"{name}@company.example"}
                    for name in everybody["departments"]
                ],
            )
            outcome = approve_policy(tx, wanted, self.keys[side][operator], self.now)
        if outcome.in_force:

            def access(name: str | None) -> tuple[frozenset[str], frozenset[str]] | None:
                return None if name is None else (frozenset({name}), frozenset())

            anyone: tuple[frozenset[str], frozenset[str]] = (
                frozenset(everybody["departments"]),
                frozenset(),
            )
            self.truth.houses[side].rules = Rules(
                outcome.version,
                frozenset(choice.four_eyes),
                {"contact": anyone, "sales": access(choice.sales_shared_by)},
                {"contact": anyone, "sales": access(choice.sales_exported_by)},
            )

    def disable(self, side: Side, operator: str) -> None:
        """Disable an operator, as an admin does who is ready to lose what only that one can read."""
        admin = "olga" if operator == "anna" else "anna"
        disable(self.peer(side), operator, self.keys[side][admin], may_destroy=tuple(self.truth.runs))
        self.truth.houses[side].disabled.add(operator)

    def keep_retention(self, side: Side) -> None:
        """Destroy what is due, and judge what is left."""
        keep_retention(self.peer(side))
        house = self.truth.houses[side]
        for run_id, run in self.truth.runs.items():
            chain = self.truth.deals[run.digest].chain
            if self.truth.over(house, chain, self.now):
                self._judge_destroyed(side, run_id)

    def _judge_destroyed(self, side: Side, run_id: str) -> None:
        """After the end nothing that the run received is left, and no operator opens it."""
        with self.peer(side).store.transaction() as tx:
            left = tx.received.count(run_id)
            sealed = tx.overlaps.get(run_id)
        if left or sealed:
            self.watch.wrong(f"the {side} still holds {left} records after the end")
        for name, keys in self.keys[side].items():
            try:
                open_received(self.peer(side), run_id, keys)
            except MutualsError:
                continue
            self.watch.wrong(f"{name} of the {side} can read after the end")

    # --- runs -------------------------------------------------------------------------------------------------------

    def match(self, initiator: Side, digest: str, cut_after: int | None = None) -> None:
        """Match under an agreement; what both sides may put in is noted before."""
        deal = self.truth.deals[digest]
        today = self.now.date()
        people = frozenset.intersection(
            *(house.listing.taking_part(deal.terms["consent"], today) for house in self.truth.houses.values())
        )
        pool = InlinePool()
        known = {run.run_id for side in Side for run in self.runs(side)}
        own, other = self.companies[initiator], self.companies[initiator.other]
        try:
            with keeping_keys():
                self._both(
                    initiator,
                    lambda stream: initiate_match(own.peer, digest, stream, pool),
                    lambda stream: respond_match(other.peer, other.partner(), stream, pool),
                    None,
                    cut_after,
                )
        finally:
            for side in Side:
                for run in self.runs(side):
                    if run.run_id not in known:
                        self.truth.runs[run.run_id] = RunTruth(digest, initiator, people)
                        self._sids[run.sid] = run.run_id

    def authorise_reveal(self, side: Side, run: Run, operator: str) -> None:
        """Permit the reveal of a run."""
        authorise_reveal(self.peer(side), run, self.keys[side][operator])
        self._grant(side, "reveal", run.run_id, operator, run.reveal_by or self.now + timedelta(days=14))

    def reveal(self, run_id: str, cut_after: int | None = None) -> None:
        """Reveal a run, started by the side that matched."""
        initiator = self.truth.runs[run_id].initiator
        own, other = self.companies[initiator], self.companies[initiator.other]
        self._both(
            initiator,
            lambda stream: initiate_reveal(own.peer, run_id, stream),
            lambda stream: respond_reveal(other.peer, other.partner(), stream),
            run_id,
            cut_after,
        )

    def authorise_exchange(self, side: Side, run_id: str, operator: str) -> None:
        """Look at the preview and permit what it shows."""
        preview = preview_exchange(self.peer(side), run_id)
        names = [item.shared.name for item in preview.outgoing.fields]
        authorise_exchange(self.peer(side), preview.run, names, preview.digest, self.keys[side][operator])
        run, house = self.truth.runs[run_id], self.truth.houses[side]
        deal = self.truth.deals[run.digest]
        fields = frozenset(
            name
            for name in deal.fields(side)
            if house.rules is None or house.rules.share[CATEGORY[name]] is not None
        )
        may = house.listing.taking_part(deal.terms["consent"], self.now.date())
        shown = dict.fromkeys(run.people & may, fields)
        self._grant(side, "exchange", run_id, operator, self.now + EXCHANGE_LASTS, shown)

    def grant_mandate(self, side: Side, digest: str, operator: str) -> None:
        """Grant the standing mandate that goes with an agreement, where it permits one."""
        if grant_standing_mandate(self.peer(side), digest, self.keys[side][operator]):
            ends = date.fromisoformat(self.truth.deals[digest].terms["valid_until"]) + timedelta(days=1)
            self._grant(side, "mandate", digest, operator, datetime.combine(ends, time(), UTC))

    def exchange(self, run_id: str, cut_after: int | None = None) -> None:
        """Exchange the records of a run."""
        initiator = self.truth.runs[run_id].initiator
        own, other = self.companies[initiator], self.companies[initiator.other]
        self._both(
            initiator,
            lambda stream: initiate_exchange(own.peer, run_id, stream),
            lambda stream: respond_exchange(other.peer, other.partner(), stream),
            run_id,
            cut_after,
        )

    def clear(self, side: Side, run: Run) -> None:
        """A person has found out why a run broke off half revealed."""
        if run.state is RunState.HALF_REVEALED:
            end_run(self.peer(side), run, RunState.FAILED, reason="Cleared.")

    def approve_export(self, side: Side, run_id: str, exporter: str, operator: str) -> None:
        """Be the second pair of eyes of an export."""
        approve_export(self.peer(side), run_id, exporter, self.keys[side][operator])
        self._grant(side, f"export by {exporter}", run_id, operator, datetime.max.replace(tzinfo=UTC))

    def export(self, side: Side, run_id: str, operator: str) -> int:
        """Export what a run received, and judge the file; how many rows it has."""
        keys = self.keys[side][operator]
        received = open_received(self.peer(side), run_id, keys)
        path = self.root / f"export-{self._count}.csv"
        self._count += 1
        write_export(self.peer(side), received, path, keys)
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        path.unlink()
        missing = self.truth.why_not_approved(self.truth.houses[side], run_id, operator)
        if missing:
            self.watch.wrong(f"{operator} exported with {missing}")
        for row in rows:
            self._judge_row(side, run_id, operator, row)
        return len(rows)

    def _judge_row(self, side: Side, run_id: str, operator: str, row: dict[str, str]) -> None:
        truth, wrong = self.truth, self.watch.wrong
        house, run, person = truth.houses[side], truth.runs[run_id], truth.houses[side].staff[operator]
        deal = truth.deals[run.digest]
        why = self._why_not_readable(side, run.digest)
        if why:
            wrong(f"{operator} exported under an agreement that is {why}")
        if operator in house.disabled or not person.roles & {"steward", "privacy_officer", "analyst"}:
            wrong(f"{operator} exported and may not read")
        own = row.pop("contact_id")
        for name, text in row.items():
            if not text:
                continue
            shown, origin, whose = subject_of(text)
            field_ = deal.fields(side.other).get(name)
            if field_ is None or (shown, origin) != (name, side.other):
                wrong(f"an export holds {name}, which was not agreed")
                continue
            if (run_id, whose) in house.must_delete:
                wrong("an export holds a contact whose withdrawal had arrived")
            if own != contact_id(side, whose):
                wrong("an export joins two people")
            if person.department not in field_["departments"]:
                wrong(f"{operator} of {person.department} exported {name}")
            if house.rules is not None and not house.rules.allows("export", CATEGORY[name], person):
                wrong(f"{operator} exported {name} against the policy")
            if run.received_at[side] + timedelta(days=field_["retention_days"]) <= self.now:
                wrong(f"{name} was exported after its retention")

    def _why_not_readable(self, side: Side, digest: str) -> str | None:
        """What was received under a version that was replaced may be read while the newest is in force."""
        house = self.truth.houses[side]
        deal = self.truth.deals[digest]
        newest = [deal, *self.truth.later(house, deal)][-1]
        return self.truth.why_not(house, newest.digest, self.now)

    # --- within -----------------------------------------------------------------------------------------------------

    def _both(
        self,
        initiator: Side,
        starts: Callable[[MemoryStream], Any],
        answers: Callable[[MemoryStream], Any],
        run_id: str | None,
        cut_after: int | None,
    ) -> None:
        """Run both ends; what the side that starts ended with is raised, else what the other did."""
        streams = stream_pair()
        for stream, side in zip(streams, (initiator, initiator.other), strict=True):
            cut = cut_after if side is initiator else None
            stream.alter = self.watch.tap(self, side, run_id, cut)
        errors: dict[int, BaseException] = {}

        def end(index: int, act: Callable[[MemoryStream], Any]) -> None:
            try:
                act(streams[index])
            except BaseException as error:
                errors[index] = error
                streams[index].close()

        thread = threading.Thread(target=end, args=(1, answers))
        thread.start()
        end(0, starts)
        if 0 in errors and not isinstance(errors[0], MutualsError):
            streams[0].close()
        thread.join(60)
        assert not thread.is_alive(), "a side hangs"
        if errors:
            raise min(errors.values(), key=_telling)

    def _grant(
        self,
        side: Side,
        act: str,
        subject: str,
        operator: str,
        expires: datetime,
        shown: dict[int, frozenset[str]] | None = None,
    ) -> None:
        house = self.truth.houses[side]
        version = house.rules.version if house.rules else None
        house.grants.append(Grant(act, subject, operator, self.now, expires, version, shown or {}))

    def _end(self, house: House, chain: str, at: datetime) -> None:
        house.ends[chain] = min(at, house.ends.get(chain, at))

    def _halt(self, house: House, digest: str) -> set[str]:
        return house.halts.setdefault(self.truth.deals[digest].chain, set())

    def _own_halts(self, side: Side) -> set[str]:
        with self.peer(side).store.transaction() as tx:
            return {
                row.suspension_id
                for row in tx.suspensions.list()
                if (agreement := tx.agreements.get(row.agreement)) and row.side is agreement.own_side
            }

    def _assessor(self, side: Side) -> str:
        return "anna" if "anna" not in self.truth.houses[side].disabled else "pia"

    def _terms(self, side: Side, choice: Choice, amends: str | None) -> dict[str, Any]:
        """``side`` proposes; field names follow the companies, not the parts they play in this document."""

        def sends(sender: Side, number: int) -> tuple[dict[str, Any], ...]:
            return tuple(
                {
                    "name": name,
                    "category": CATEGORY[name],
                    "retention_days": choice.retention_days[index],
                    "departments": choice.departments,
                }
                for index, name in enumerate(FIELDS[sender][:number])
            )

        today = self.now.date()
        before = self.truth.deals.get(amends or "")
        permission = "mandate" if choice.mandate else "authorisation"
        return {
            "title": f"Campaign {self._count}",
            "nonce": f"{self._count:064x}",
            "valid_from": today,
            "valid_until": today + timedelta(days=choice.days),
            "version": before.terms["version"] + 1 if before else 1,
            "replaces": amends,
            "permission": {"reveal": permission, "exchange": permission},
            "termination": {"notice_days": choice.notice_days, "certificate_within_days": 10},
            "runs_of_replaced": "finish" if choice.finish else "stop",
            "proposer_sends": sends(side, choice.fields),
            "partner_sends": sends(side.other, choice.fields if choice.both_ways else 0),
        }


def _telling(error: BaseException) -> int:
    """An unexpected error tells most, and that the other end is gone tells least."""
    if not isinstance(error, MutualsError):
        return 0
    return 2 if error.code is ErrorCode.UNREACHABLE else 1


def _make_company(root: Path, side: Side, clock: Clock) -> tuple[Company, dict[str, OperatorKeys], House]:
    config = Config(organisation=f"{NAMES[side].title()} Ltd", listen="127.0.0.1:8443", workers=1, kdf=_CHEAP)
    init_home(Home(root), config, FirstOperator("anna", "marketing"), PASSPHRASE, clock())
    peer = Peer.open(root, clock)
    with peer.store.transaction() as tx:
        admin = unlock(get_operator(tx, "anna"), PASSPHRASE)
        for name, (roles, department) in STAFF.items():
            row = create_operator(name, roles, department, PASSPHRASE, kdf=_CHEAP, now=clock())
            tx.operators.put(row)
            log_appointment(tx, row, admin, clock())
        rows = tx.operators.list()
    keys = {row.name: unlock(row, PASSPHRASE) for row in rows}
    listing = Listing.of(side)
    listing.write(root / "contacts.csv")
    staff = {
        row.name: Person(row.name, frozenset(row.roles), row.department, row.signing_public) for row in rows
    }
    company = Company(peer, keys["anna"], clock, root / "contacts.csv")  # type: ignore[arg-type]
    _bind_source(company)
    return company, keys, House(side, peer.signing_key.public.raw, listing, staff)


_verify_once = lru_cache(4096)(verify_act)


@cache
def _content(path: Path) -> bytes:
    """The store of a template."""
    return read_store(path)


def _open(root: Path, clock: Clock, store: MemoryStore | None) -> Peer:
    """A peer with its store open; one on disk the quick way: a copy's tables are up to date, connections are kept."""
    peer = Peer.open(root, clock)
    if store is not None:
        peer._store = store
        return peer
    with patch("mutuals.store.database.migrate"), patch("mutuals.store.engine.NullPool", QueuePool):
        assert peer.store
    return peer


def _bind_source(company: Company) -> None:
    definition = define_source("crm", str(company.path), {}, "DE")
    with company.peer.store.transaction() as tx:
        tx.sources.put(SourceRow("crm", definition.model_dump_json(), START))


@cache
def _memory() -> str | None:
    """A folder that is not on a disk, where the machine has one."""
    shared = Path("/dev/shm")  # noqa: S108  only a folder of our own is made there
    return str(shared) if shared.is_dir() else None


@cache
def _template(stage: str) -> World:
    """A world at ``stage``, closed; made once by the acts that lead there."""
    if stage == "partners":
        root = Path(tempfile.mkdtemp(dir=_memory()))
        atexit.register(shutil.rmtree, root, True)
        clock = Clock()
        made = {side: _make_company(root / NAMES[side], side, clock) for side in Side}
        companies = {side: company for side, (company, _, _) in made.items()}
        introduce(companies[Side.PROPOSER], companies[Side.PARTNER])
        world = World(
            root,
            clock,
            companies,
            {side: keys for side, (_, keys, _) in made.items()},
            Truth({side: house for side, (_, _, house) in made.items()}),
        )
    else:
        before, act = _STAGES[stage]
        world = _template(before).copy(on_disk=True)
        atexit.register(shutil.rmtree, world.root, True)
        act(world)
        assert not world.watch.violations, world.watch.violations
    for company in world.companies.values():
        company.peer.close()
    return world


def _sign(world: World) -> None:
    deal = world.propose(Side.PROPOSER, Choice(), "anna")
    world.deliver_all()
    world.accept(Side.PARTNER, deal.digest, "anna")
    world.deliver_all()
    world.settle()


def _reveal(world: World) -> None:
    (digest,) = world.truth.deals
    world.match(Side.PROPOSER, digest)
    (run_id,) = world.truth.runs
    for side in Side:
        world.authorise_reveal(side, world.runs(side)[0], "anna")
    world.reveal(run_id)


def _exchange(world: World) -> None:
    (run_id,) = world.truth.runs
    for side in Side:
        world.authorise_exchange(side, run_id, "anna")
    world.exchange(run_id)


_STAGES: dict[str, tuple[str, Callable[[World], None]]] = {
    "active": ("partners", _sign),
    "revealed": ("active", _reveal),
    "exchanged": ("revealed", _exchange),
}
STAGES = ("partners", *_STAGES)


def prepare_stages() -> None:
    """Make every template now, by the product as it is."""
    for stage in STAGES:
        _template(stage)
