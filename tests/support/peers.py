"""Two sides of a match or a reveal, ready to be connected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from mutuals.crypto.signing import SigningKey
from mutuals.engines.base import Engine
from mutuals.engines.workers import InlinePool, Pool
from mutuals.models.run import Role
from mutuals.protocol.events import Agreed
from mutuals.protocol.hello import MatchTerms
from mutuals.protocol.items import Rows, items_for, random_order
from mutuals.protocol.match import MatchSession
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.reveal import RevealSession
from mutuals.runs.drive_match import Arrived, drive_match
from mutuals.runs.drive_reveal import RevealHooks, drive_reveal
from mutuals.runs.ports import Cancelled, Progress, Silent
from support.streams import Alter, MemoryStream, stream_pair
from support.toy_engine import ToyEngine

Session = TypeVar("Session", bound=MatchSession)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOY = ToyEngine()

KEYS = {Role.INITIATOR: SigningKey(b"\x01" * 32), Role.RESPONDER: SigningKey(b"\x02" * 32)}

TERMS = MatchTerms(
    agreement=b"\xaa" * 32,
    engine="toy",
    profile="strict-v1",
    profile_digest=b"\xbb" * 32,
    initiator=KEYS[Role.INITIATOR].public.fingerprint,
    responder=KEYS[Role.RESPONDER].public.fingerprint,
    min_set_size=0,
    max_set_size=1_000_000,
)


def match_session(
    role: Role,
    identifiers: Sequence[str],
    terms: MatchTerms = TERMS,
    engine: Engine | None = TOY,
    now: datetime = NOW,
    items: Rows | None = None,
    kind: type[Session] = MatchSession,  # type: ignore[assignment]  # the default of a type variable
    **changes: Any,
) -> Session:
    """A session over the items of ``identifiers`` in a fresh order, or over ``items`` in theirs."""
    if items is None:
        items = items_for(terms.agreement, identifiers)
        items = items[random_order(len(items))]
    return kind(
        role,
        terms,
        items,
        signing_key=KEYS[role],
        partner_key=KEYS[role.other].public,
        receiving_key=role.value[:1].encode() * 1216,
        clock=lambda: now,
        engine=engine,
        **changes,
    )


@dataclass
class Ends:
    """How each side of a run ended: its result, or what it raised."""

    results: dict[Role, Any]
    errors: dict[Role, BaseException]

    def __getitem__(self, role: Role) -> Any:
        if role in self.errors:
            raise self.errors[role]
        return self.results[role]


def run_both(
    sides: dict[Role, Callable[[MemoryStream], Any]], alter: dict[Role, Alter] | None = None
) -> Ends:
    """Run one function a side, each in its thread with its end of a stream; a side that fails cuts the stream."""
    streams = dict(zip(Role, stream_pair(), strict=True))
    for role, change in (alter or {}).items():
        streams[role].alter = change
    ends = Ends({}, {})

    def run(role: Role) -> None:
        try:
            ends.results[role] = sides[role](streams[role])
        except BaseException as error:
            ends.errors[role] = error
            streams[role].close()

    threads = [threading.Thread(target=run, args=(role,)) for role in Role]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a side hangs"
    return ends


def drive(
    session: MatchSession,
    stream: MemoryStream,
    pool: Pool | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled = lambda: False,
    on_agreed: Callable[[Agreed], None] = lambda _: None,
) -> MatchOutcome:
    """``drive_match`` with defaults for a test; the responder reads its Open from the stream."""
    opened = Arrived(stream.receive(), NOW) if session.role is Role.RESPONDER else None
    return drive_match(
        session,
        pool or InlinePool({"toy": TOY}),
        stream,
        progress or Silent(),
        cancelled,
        on_agreed=on_agreed,
        opened=opened,
    )


def match_lists(
    lists: dict[Role, Sequence[str]],
    terms: MatchTerms = TERMS,
    engine: Engine | None = TOY,
    pool: Pool | None = None,
    alter: dict[Role, Alter] | None = None,
) -> Ends:
    """A whole match over ``lists``."""
    sessions = {role: match_session(role, lists[role], terms, engine) for role in Role}
    return run_both(
        {role: lambda stream, role=role: drive(sessions[role], stream, pool) for role in Role}, alter
    )


NO_HOOKS = RevealHooks(
    recheck=lambda: None, before_positions=lambda: None, check_pairs=lambda _: None, leaving=lambda: None
)


def reveal_session(outcome: MatchOutcome) -> RevealSession:
    """A reveal session that goes on from ``outcome``."""
    return RevealSession(outcome, signing_key=KEYS[outcome.role], partner_key=KEYS[outcome.role.other].public)


def reveal(
    outcomes: dict[Role, MatchOutcome],
    hooks: dict[Role, RevealHooks] | None = None,
    alter: dict[Role, Alter] | None = None,
) -> Ends:
    """A whole reveal."""

    def side(role: Role, stream: MemoryStream) -> Any:
        own = (hooks or {}).get(role, NO_HOOKS)
        approved = stream.receive() if role is Role.RESPONDER else None
        return drive_reveal(
            reveal_session(outcomes[role]), stream, Silent(), lambda: False, own, approved=approved
        )

    return run_both({role: lambda stream, role=role: side(role, stream) for role in Role}, alter)


def shared_items(outcome: MatchOutcome, positions: np.ndarray) -> list[bytes]:
    """The items at ``positions``, by rank."""
    return [outcome.items[position].tobytes() for position in positions]
