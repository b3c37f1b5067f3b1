"""Looks at everything that leaves a peer, opens what is sealed, and notes whatever the truth does not allow.

The private halves of the runs' receiving keys are kept as they are made, so that every record on its way can be read,
as the partner could. Reading is the product's cryptography; judging is ``truth``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from lifecycle.people import CATEGORY, subject_of
from mutuals.crypto import hpke
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.messages import Blinded, Envelope, Hello, Positions
from mutuals.protocol.sealing import RecordKeys, open_secret
from mutuals.runs import keys as run_keys

if TYPE_CHECKING:
    from lifecycle.world import World

_PRIVATE: dict[bytes, bytes] = {}
"""Private half by public half, of every run's key made while ``keeping_keys``; a template's runs live on in copies."""


@contextmanager
def keeping_keys() -> Iterator[None]:
    """Remember the run keys that are made meanwhile."""

    def generate() -> Any:
        pair = hpke.generate_keypair()
        _PRIVATE[pair.public] = pair.private
        return pair

    with patch.object(run_keys, "generate_keypair", generate):
        yield


@dataclass
class Watch:
    """What left so far in this history, and what of it should not have."""

    violations: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    _secrets: dict[tuple[bytes, str], bytes] = field(default_factory=dict)
    _persons: dict[tuple[str, Side, int], int] = field(default_factory=dict)
    """Whose record it was: run, sender and rank."""

    def copy(self) -> Watch:
        """A watch that can go on where this one is, having counted nothing yet."""
        return Watch(_secrets=dict(self._secrets), _persons=dict(self._persons))

    def tap(
        self, world: World, sender: Side, run_id: str | None, cut_after: int | None = None
    ) -> Callable[[Any], list[Any]]:
        """What a stream passes every message of ``sender`` through; after so many messages the connection breaks."""
        sent = 0

        def look(message: Any) -> list[Any]:
            nonlocal sent
            if cut_after is not None and sent >= cut_after:
                raise MutualsError(ErrorCode.UNREACHABLE, "The test cut the connection.")
            sent += 1
            match message:
                case Hello():
                    self._hello(world, sender, message)
                case Blinded():
                    self._in_force(world, run_id, world.matching, new=True, what="points")
                case Positions():
                    self._positions(world, sender, run_id)
                case Envelope():
                    self._envelope(world, sender, message)
            return [message]

        return look

    def person(self, run_id: str, sender: Side, rank: int) -> int | None:
        """Whose record left at this rank."""
        return self._persons.get((run_id, sender, rank))

    def document(self, sender: Side, kind: str, body: bytes) -> None:
        """A document leaves: no contact's data may be in it."""
        self.left["documents"] += 1
        values = [f"{name} of {side.value}".encode() for side in Side for name in CATEGORY]
        if any(text in body for text in (b"@example.com", *values)):
            self.wrong(f"a {kind} of the {sender} holds a contact's data")

    def wrong(self, what: str) -> None:
        """Note a violation."""
        self.violations.append(what)

    def _hello(self, world: World, sender: Side, hello: Hello) -> None:
        """A size is announced: that of everybody who may take part, and of nobody else."""
        digest = hello.agreement.hex()
        world.matching = digest
        answers = hello.responder == world.fingerprint(sender)
        for side in Side if answers else (sender,):
            self._check(world, side, digest, new=True, what="an announcement")
        deal = world.truth.deals[digest]
        house = world.truth.houses[sender]
        may = house.listing.taking_part(deal.terms["consent"], world.now.date())
        if hello.set_size != len(may):
            self.wrong(f"the {sender} announced {hello.set_size} where {len(may)} may take part")

    def _positions(self, world: World, sender: Side, run_id: str | None) -> None:
        self._in_force(world, run_id, None, new=False, what="positions")
        assert run_id is not None
        truth = world.truth
        missing = truth.why_not_permitted(
            truth.houses[sender], "reveal", run_id, truth.runs[run_id].digest, world.now
        )
        if missing:
            self.wrong(f"positions of the {sender} left with {missing}")

    def _in_force(
        self, world: World, run_id: str | None, digest: str | None, *, new: bool, what: str
    ) -> None:
        if run_id is not None:
            digest = world.truth.runs[run_id].digest
        assert digest is not None
        for side in Side:
            self._check(world, side, digest, new=new, what=what)

    def _check(self, world: World, side: Side, digest: str, *, new: bool, what: str) -> None:
        reason = world.truth.why_not(world.truth.houses[side], digest, world.now, new=new)
        if reason:
            self.wrong(f"{what} left under an agreement that is, as the {side} knows, {reason}")
        unsigned = world.why_not_signed(side, digest)
        if unsigned:
            self.wrong(f"{what} left: {unsigned}, as the {side} keeps it")

    def _envelope(self, world: World, sender: Side, envelope: Envelope) -> None:
        header = EnvelopeHeader.from_bytes(envelope.header)
        run_id = world.run_of(header.sid)
        run = world.truth.runs[run_id]
        if header.agreement.hex() != run.digest:
            self.wrong("an envelope names another agreement than its run's")
        self._in_force(world, run_id, None, new=False, what="an envelope")
        keys = self._keys(world, sender, header)
        leaving: dict[int, frozenset[str]] = {}
        ranks = set()
        for record in envelope.records:
            plaintext = json.loads(keys.open(record.rank, record.retention_days, record.ciphertext))
            ranks.add(record.rank)
            if not plaintext:  # that somebody of the overlap takes part is agreed also without a field
                continue
            person, fields = self._record(world, sender, run_id, plaintext, record.retention_days)
            self._persons[run_id, sender, record.rank] = person
            leaving[person] = leaving.get(person, frozenset()) | fields
        if len(ranks) > len(run.people):
            self.wrong(f"the {sender} sent records of {len(ranks)} people of {len(run.people)}")
        missing = world.truth.why_not_permitted(
            world.truth.houses[sender], "exchange", run_id, run.digest, world.now, leaving
        )
        if missing and ranks:
            self.wrong(f"records of the {sender} left with {missing}")
        self.left["records"] += len(envelope.records)
        self.left["envelopes"] += 1
        run.received_at[sender.other] = world.now

    def _record(
        self, world: World, sender: Side, run_id: str, values: dict[str, str], retention_days: int
    ) -> tuple[int, frozenset[str]]:
        """One record: of one person, of the overlap, eligible at this moment, with agreed and allowed fields."""
        run, house = world.truth.runs[run_id], world.truth.houses[sender]
        deal = world.truth.deals[run.digest]
        agreed = deal.fields(sender)
        persons = set()
        for name, text in values.items():
            shown, side, person = subject_of(text)
            persons.add(person)
            if (shown, side) != (name, sender) or name not in agreed:
                self.wrong(f"the {sender} sent {name}, which is not agreed or not its own")
            elif agreed[name]["retention_days"] != retention_days:
                self.wrong(f"the {sender} sent {name} in another retention class")
            if house.rules is not None and house.rules.share[CATEGORY[name]] is None:
                self.wrong(f"the {sender} sent {name}, which its policy lets nobody share")
        (person,) = persons
        if person not in run.people:
            self.wrong(f"the {sender} sent a person outside of the overlap")
        if not house.listing.may_take_part(person, deal.terms["consent"], world.now.date()):
            self.wrong(f"the {sender} sent a person whose consent does not cover it at this moment")
        return person, frozenset(values)

    def _keys(self, world: World, sender: Side, header: EnvelopeHeader) -> RecordKeys:
        place = (header.sid, header.direction.value)
        if header.sealed_secret:
            private = _PRIVATE[world.receiving_key(sender.other, header.sid)]
            self._secrets[place] = open_secret(private, header.sid, header.direction, header.sealed_secret)
        return RecordKeys(header.sid, header.direction, self._secrets[place])
