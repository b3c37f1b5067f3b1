"""A match that is interrupted anywhere, again and again, ends as an undisturbed one does."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.peers import KEYS, TERMS, match_session

from mutuals.engines.base import Operation
from mutuals.models.run import Role
from mutuals.protocol import lists, match
from mutuals.protocol.events import Agreed, Finished, Send, SendAll
from mutuals.protocol.items import items_for
from mutuals.protocol.journal import Entry
from mutuals.protocol.lists import Work
from mutuals.protocol.match import MatchSession
from mutuals.protocol.messages import Counted, Resume
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.resume import ResumedSession
from mutuals.protocol.transcript import counted_bytes


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "WORK_SIZE", 3)
    monkeypatch.setattr(match, "TAGS_PER_MESSAGE", 4)


@dataclass
class Memory:
    """A journal; ``settled`` entries survive a power cut, the others perhaps."""

    entries: list[Entry] = field(default_factory=list)
    settled: int = 0
    key: bytes | None = None

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)

    def settle(self) -> None:
        self.settled = len(self.entries)

    def forget_key(self) -> None:
        assert self.settled == len(self.entries), "the key went before what it had made was safe"
        self.key = None


@dataclass
class Party:
    """One side: its session, what it has on disk, its work to do and the messages on their way to it."""

    role: Role
    session: MatchSession
    journal: Memory = field(default_factory=Memory)
    works: list[Work] = field(default_factory=list)
    unsent: deque[Iterator[Any]] = field(default_factory=deque)
    inbox: deque[Any] = field(default_factory=deque)
    sid: bytes = b""
    partner_size: int = 0
    outcome: MatchOutcome | None = None


class Line:
    """Two parties and a network that breaks when ``chance`` says so."""

    def __init__(self, ours: list[str], theirs: list[str], chance: random.Random, breaks: int) -> None:
        self.items = {
            role: items_for(TERMS.agreement, names)
            for role, names in ((Role.INITIATOR, ours), (Role.RESPONDER, theirs))
        }
        self.parties = {
            role: Party(role, match_session(role, (), items=items)) for role, items in self.items.items()
        }
        self.chance = chance
        self.breaks = breaks

    def run(self) -> dict[Role, MatchOutcome]:
        initiator = self.parties[Role.INITIATOR]
        self.take(initiator, initiator.session.start())
        for _ in range(100_000):
            if all(party.outcome for party in self.parties.values()):
                return {role: party.outcome for role, party in self.parties.items() if party.outcome}
            if (
                self.breaks
                and all(party.sid for party in self.parties.values())
                and self.chance.random() < 0.1
            ):
                self.breaks -= 1
                self.interrupt()
            elif not self.step() and not self.breaks_again():
                raise AssertionError("both sides wait for one another")
        raise AssertionError("the match never ends")

    def step(self) -> bool:
        possible = [(party, "work") for party in self.parties.values() if party.works]
        possible += [
            (party, "message") for party in self.parties.values() if party.inbox and not party.outcome
        ]
        possible += [(party, "send") for party in self.parties.values() if party.unsent]
        if not possible:
            return False
        party, kind = self.chance.choice(possible)
        if kind == "work":
            work = party.works.pop(self.chance.randrange(len(party.works)))
            session = party.session
            compute = session.engine.blind if work.operation is Operation.BLIND else session.engine.reblind
            self.take(party, session.finish(work, compute(session.key, session.input(work))))
        elif kind == "message":
            self.take(party, party.session.receive(party.inbox.popleft()))
        else:
            message = next(party.unsent[0], None)
            if message is None:
                party.unsent.popleft()
            else:
                self.parties[party.role.other].inbox.append(message)
        return True

    def breaks_again(self) -> bool:
        """The last message may have been lost when one side had already ended: whoever still waits calls again."""
        if all(party.outcome is None for party in self.parties.values()):
            return False
        self.interrupt()
        return True

    def interrupt(self) -> None:
        """Everything in flight is lost; perhaps power is, on either side."""
        standing = {}
        for party in self.parties.values():
            party.works.clear()
            party.unsent.clear()
            party.inbox.clear()
            if party.outcome is None:
                self.restore(party)
        for role, party in self.parties.items():
            if party.outcome is None:
                assert isinstance(party.session, ResumedSession)
                standing[role] = party.session.standing()
            else:
                standing[role] = Resume(party.sid, 0, bytes(32), b"", 0, b"", finished=True)
        for role, party in self.parties.items():
            theirs = standing[role.other]
            if party.outcome is None:
                assert isinstance(party.session, ResumedSession)
                self.take(party, party.session.resume(theirs, party.journal))
            elif not theirs.finished:
                counted = Counted(KEYS[role].sign(counted_bytes(role, party.outcome.th)))
                self.parties[role.other].inbox.append(counted)

    def restore(self, party: Party) -> None:
        journal = party.journal
        party.session.destroy()
        if self.chance.random() < 0.5:
            del journal.entries[self.chance.randint(journal.settled, len(journal.entries)) :]
        items = self.items[party.role]
        session = match_session(party.role, (), kind=ResumedSession, items=items, key=journal.key)
        session.restore(party.sid, party.partner_size, list(journal.entries), has_key=journal.key is not None)
        party.session = session

    def take(self, party: Party, events: list[Any]) -> None:
        for event in events:
            match event:
                case Send(message):
                    party.unsent.append(iter((message,)))
                case SendAll(messages):
                    party.unsent.append(messages)
                case Work():
                    party.works.append(event)
                case Agreed():
                    party.sid, party.partner_size = event.sid, event.partner_size
                    party.journal.key = party.session.key
                    self.take(party, party.session.proceed(party.journal))
                case Finished(outcome):
                    party.outcome = outcome


MATCHES = 150


MATCHES = 150


def names(numbers: range) -> Iterator[str]:
    return (f"email:user{number}@example.com" for number in numbers)


@settings(max_examples=MATCHES, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 14), st.integers(0, 14), st.integers(0, 12))
def test_a_match_interrupted_anywhere_ends_as_ever(seed: int, first: int, last: int, breaks: int) -> None:
    ours, theirs = list(names(range(12))), list(names(range(first, first + last)))
    outcomes = Line(ours, theirs, random.Random(seed), breaks).run()
    one, other = outcomes[Role.INITIATOR], outcomes[Role.RESPONDER]
    assert one.th == other.th
    assert one.count == len(set(ours) & set(theirs))
    assert (one.counted_own, one.counted_partner) == (other.counted_partner, other.counted_own)
