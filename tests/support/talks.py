"""Matches and reveals with every secret given: the product on one side or both, the reference on the other.

talk = converse({role: product_match(FIXED, role), role.other: reference_match(FIXED, role.other)})
talk.results[role], talk.messages
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import reference_match as reference

from mutuals.crypto.signing import SigningKey
from mutuals.engines import get_engine
from mutuals.engines.base import Operation
from mutuals.models.run import Role
from mutuals.protocol import match as match_protocol
from mutuals.protocol import messages
from mutuals.protocol import reveal as reveal_protocol
from mutuals.protocol.hello import MatchTerms
from mutuals.protocol.items import as_rows, items_for
from mutuals.protocol.lists import Work
from mutuals.protocol.match import MatchSession
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.reveal import RevealSession


@dataclass(frozen=True)
class FixedSide:
    """One side's list in the order in which it is sent, and everything that is otherwise random.

    ``key`` is the engine's (32 bytes), ``random`` the 64 bytes of SPAKE2, ``sent_at`` Unix seconds.
    """

    identifiers: tuple[str, ...]
    signing_seed: bytes
    key: bytes
    hello_nonce: bytes
    tag_nonce: bytes
    random: bytes
    receiving_key: bytes
    sent_at: int

    @property
    def signing(self) -> SigningKey:
        return SigningKey(self.signing_seed)


@dataclass(frozen=True)
class Fixed:
    """A run in which nothing is left to chance."""

    agreement: bytes
    engine: str
    profile: str
    profile_digest: bytes
    count_only: bool
    sides: Mapping[Role, FixedSide]

    @property
    def terms(self) -> reference.Terms:
        prints = {
            role.value: reference.fingerprint_of(side.signing.public.raw) for role, side in self.sides.items()
        }
        return reference.Terms(
            agreement=self.agreement,
            engine=self.engine,
            profile=self.profile,
            profile_digest=self.profile_digest,
            count_only=self.count_only,
            **prints,
        )

    def reference_side(self, role: Role) -> reference.Side:
        side = self.sides[role]
        return reference.Side(
            role=role.value,
            items=[reference.item_of(self.agreement, identifier) for identifier in side.identifiers],
            signing_seed=side.signing_seed,
            partner_public=self.sides[role.other].signing.public.raw,
            receiving_key=side.receiving_key,
            sent_at=side.sent_at,
            key=side.key,
            hello_nonce=side.hello_nonce,
            tag_nonce=side.tag_nonce,
            random=side.random,
        )


class Party:
    """One side of a stage: ``step`` takes a message (None to begin) and gives messages; then ``result`` is set."""

    result: Any = None

    def step(self, message: Any) -> list[Any]:
        raise NotImplementedError


class ReferenceParty(Party):
    """The reference; takes and gives the product's messages."""

    def __init__(self, talk: reference.Talk) -> None:
        self._talk = talk
        self._ready = list(self._until_it_listens(None))

    def step(self, message: Any) -> list[Any]:
        ready, self._ready = self._ready, []
        return ready if message is None else [*ready, *self._until_it_listens(plain(message))]

    def _until_it_listens(self, message: Any) -> Iterator[Any]:
        try:
            while (sent := self._talk.send(message)) is not None:
                yield rich(sent)
                message = None
        except StopIteration as end:
            self.result = end.value


class ProductParty(Party):
    """The product's session, its work done at once, its questions answered with yes."""

    def __init__(self, session: MatchSession | RevealSession) -> None:
        self._session: Any = session

    def step(self, message: Any) -> list[Any]:
        if message is None and self._session.role is Role.RESPONDER:
            return []
        events = deque(self._session.start() if message is None else self._session.receive(message))
        sent = []
        while events:
            event = events.popleft()
            if isinstance(event, match_protocol.Send | reveal_protocol.Send):
                sent.append(event.message)
            elif isinstance(event, match_protocol.SendAll):
                sent += event.messages
            else:
                events.extend(self._answer(event))
        return sent

    def _answer(self, event: Any) -> list[Any]:
        session = self._session
        match event:
            case Work(operation=operation):
                engine = session.engine
                work = engine.blind if operation is Operation.BLIND else engine.reblind
                return list(session.finish(event, work(session.key, session.input(event))))
            case match_protocol.Agreed():
                return list(session.proceed())
            case match_protocol.Finished(outcome):
                self.result = outcome
            case reveal_protocol.Approved():
                return list(session.approve())
            case reveal_protocol.AboutToReveal():
                return list(session.release())
            case reveal_protocol.Paired():
                return list(session.confirm())
            case reveal_protocol.Revealed(positions):
                self.result = positions.tolist()
        return []


@dataclass(frozen=True)
class Talk:
    """What each side ended with, and every message with its sender."""

    results: dict[Role, Any]
    messages: list[tuple[Role, Any]]

    def joined(self, role: Role, kind: type, name: str) -> bytes:
        """The field ``name`` of all messages of this kind that ``role`` sent, one after the other."""
        return b"".join(
            getattr(message, name)
            for sender, message in self.messages
            if sender is role and isinstance(message, kind)
        )


def converse(parties: Mapping[Role, Party]) -> Talk:
    """Carry messages until nobody has any."""
    sent: list[tuple[Role, Any]] = []
    waiting: deque[tuple[Role, Any]] = deque()
    for role, party in parties.items():
        waiting.extend((role, message) for message in party.step(None))
    while waiting:
        role, message = waiting.popleft()
        sent.append((role, message))
        waiting.extend((role.other, answer) for answer in parties[role.other].step(message))
    results = {role: party.result for role, party in parties.items()}
    assert all(result is not None for result in results.values()), "a side never came to its end"
    return Talk(results, sent)


def reference_match(fixed: Fixed, role: Role) -> Party:
    return ReferenceParty(reference.match(fixed.reference_side(role), fixed.terms))


def reference_reveal(fixed: Fixed, role: Role, matched: reference.Matched) -> Party:
    return ReferenceParty(reference.reveal(fixed.reference_side(role), fixed.terms, matched))


def product_match(fixed: Fixed, role: Role) -> Party:
    side = fixed.sides[role]
    nonces = iter((side.hello_nonce, side.tag_nonce))
    session = MatchSession(
        role,
        MatchTerms(**vars(fixed.terms), min_set_size=0, max_set_size=1000),
        items_for(fixed.agreement, side.identifiers) if side.identifiers else as_rows(b"", 32),
        signing_key=side.signing,
        partner_key=fixed.sides[role.other].signing.public,
        receiving_key=side.receiving_key,
        clock=lambda: datetime.fromtimestamp(side.sent_at, UTC),
        engine=get_engine(fixed.engine),
        randbytes=lambda _: next(nonces),
        key=side.key,
    )
    return ProductParty(session)


def product_reveal(fixed: Fixed, role: Role, outcome: MatchOutcome) -> Party:
    side = fixed.sides[role]
    session = RevealSession(
        outcome,
        signing_key=side.signing,
        partner_key=fixed.sides[role.other].signing.public,
        randbytes=lambda _: side.random,
    )
    return ProductParty(session)


def plain(message: Any) -> dict[str, Any]:
    """A message of the product as the reference has it."""
    values = {item.name: getattr(message, item.name) for item in dataclasses.fields(message)}
    if "role" in values:
        values["role"] = values["role"].value
    return {"type": type(message).__name__, **values}


def rich(message: dict[str, Any]) -> Any:
    """The way back."""
    values = {name: value for name, value in message.items() if name != "type"}
    if "role" in values:
        values["role"] = Role(values["role"])
    return getattr(messages, message["type"])(**values)
