"""The match, steps 1 to 12 of DESIGN §6, without I/O: messages and results in, messages and work out.

    session = MatchSession(Role.INITIATOR, terms, items, signing_key=..., partner_key=..., receiving_key=..., clock=...)
    events = session.start()                        # the responder: session.receive(open)
    ...
    events = session.receive(message)               # for every message of the partner
    events = session.finish(work, points)           # for every piece of Work, in any order

What it is given it writes into a ``Journal`` before its consequences leave, so that a ``mutuals.protocol.resume``
session can go on where this one was interrupted.

Every call returns events, in order: ``Send`` a message, or each of ``SendAll``; do ``Work`` (``session.input(work)``
is its input, ``session.key`` the key) and bring the result to ``finish``; ``Agreed``, after which budgets are charged
and ``proceed`` is called; ``Finished`` with the outcome. One thread uses a session. After an exception it is dead.

What the partner may not do raises PartnerFault; calls out of order are our own mistake and raise RuntimeError.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np

from mutuals.clock import Clock
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.engines import get_engine
from mutuals.engines.base import ITEM_SIZE, Engine, Operation
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.events import Agreed, Event, Finished, Send, SendAll, State
from mutuals.protocol.hello import NONCE_SIZE, MatchTerms, check_hello, check_own_size, make_hello
from mutuals.protocol.items import RandomBytes, Rows, all_distinct, as_rows, ascending_order
from mutuals.protocol.journal import Began, Computed, Journal, NoJournal
from mutuals.protocol.lists import OwnList, PartnerList, Work
from mutuals.protocol.messages import (
    MAX_CHUNK_BYTES,
    Blinded,
    Counted,
    Hello,
    MatchMessage,
    TagCommit,
    Tags,
)
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.points import MemoryPoints, NewPoints, distinct_points
from mutuals.protocol.tags import TagComparison
from mutuals.protocol.transcript import TAG_SIZE, Transcript, counted_bytes, session_id, tag_commitment

TAGS_PER_MESSAGE = 8192


class MatchSession:
    """One side of one match.

    ``items`` are the own items in the order in which they are sent, shape (n, 32), dummies included. ``points`` makes
    room for the points of a list. ``key`` and ``randbytes`` are random outside of test vectors. Raises MutualsError
    (SET_TOO_SMALL, SET_TOO_LARGE, ENGINE_MISMATCH), and ValueError where an item occurs twice.
    """

    def __init__(
        self,
        role: Role,
        terms: MatchTerms,
        items: Rows,
        *,
        signing_key: SigningKey,
        partner_key: VerifyKey,
        receiving_key: bytes,
        clock: Clock,
        engine: Engine | None = None,
        points: NewPoints = MemoryPoints,
        randbytes: RandomBytes = os.urandom,
        key: bytes | None = None,
    ) -> None:
        check_own_size(len(items), terms)
        if items.shape[1:] != (ITEM_SIZE,) or not all_distinct(items):
            raise ValueError("items are distinct rows of 32 bytes")
        self.role = role
        self.terms = terms
        self.engine = engine or get_engine(terms.engine)
        self.state = State.IDLE
        self._items = items
        self._signing_key = signing_key
        self._partner_key = partner_key
        self._receiving_key = receiving_key
        self._clock = clock
        self._points = points
        self._randbytes = randbytes
        self._key: bytearray | None = bytearray(key or self.engine.generate_key())
        self._journal: Journal = NoJournal()
        self._hello: Hello | None = None
        self._sid = b""
        self._partner_size = 0
        self._own: OwnList | None = None
        self._partner: PartnerList | None = None
        self._nonce = b""
        self._blinded: dict[Role, bytes] = {}
        self._commitments: dict[Role, bytes] = {}
        self._comparison: TagComparison | None = None
        self._tags_digest = b""
        self._positions = np.empty(0, np.uint32)
        self._partner_nonce = b""
        self._transcript: Transcript | None = None
        self._counted_own = b""

    # --- what the caller does -------------------------------------------------------------------------------------

    def start(self) -> list[Event]:
        """Step 1: the initiator's Open."""
        self._require(State.IDLE, Role.INITIATOR)
        self._hello = self._make_hello()
        self.state = State.OPENED
        return [Send(self._hello)]

    def receive(self, message: MatchMessage, at: datetime | None = None) -> list[Event]:
        """Take a message of the partner that arrived ``at`` (default: now). Raises PartnerFault."""
        take = RECEIVES.get((self.state, type(message)))
        if self.state in (State.DONE, State.FAILED):
            raise RuntimeError("the session is over")
        try:
            if take is None or (self.state is State.IDLE and self.role is Role.INITIATOR):
                raise fault(f"The partner sent {type(message).__name__} where it was not due.")
            if isinstance(message, Hello):
                return self._take_hello(message, at or self._clock())
            return take(self, message)
        except BaseException:
            self.destroy()
            raise

    def proceed(self, journal: Journal | None = None) -> list[Event]:
        """After ``Agreed``: the budgets are charged, points may leave. Steps 2 and 4.

        ``journal`` (default: none) gets what is needed to go on after an interruption.
        """
        self._require(State.AGREED)
        self._journal = journal or self._journal
        events: list[Event] = []
        if self.role is Role.RESPONDER and self._hello is not None:
            events.append(Send(self._hello))
        self._nonce = self._randbytes(NONCE_SIZE)
        self._journal.add(Began(self._nonce))  # binds nothing before the commitment, which settles it
        own, _ = self._begin()
        return [*events, *own.works(), *self._blinding_done()]

    def input(self, work: Work) -> bytes:
        """The items or points that ``work`` is about."""
        own, partner = self._lists()
        return own.input(work) if work.operation is Operation.BLIND else partner.input(work)

    def finish(self, work: Work, points: bytes) -> list[Event]:
        """Take the result of ``work``. Raises PartnerFault where the partner's points turn out to be bad."""
        self._require(State.BLINDING)
        own, partner = self._lists()
        try:
            if work.operation is Operation.BLIND:
                sends: list[Event] = [Send(message) for message in own.take(work, points)]
                self._journal.add(Computed(work, points))
            else:
                sends = []
                tags = partner.tags_for(work, points)
                self._journal.add(Computed(work, tags))
                partner.take_tags(work, tags)
            return [*sends, *self._blinding_done()]
        except BaseException:
            self.destroy()
            raise

    def destroy(self) -> None:
        """Forget key, items, points and tags. May be called at any time, and twice."""
        self._destroy_key()
        self._forget_points()
        self._items = as_rows(b"", ITEM_SIZE)
        self._comparison = None
        if self.state is not State.DONE:
            self.state = State.FAILED

    # --- what the caller may ask ----------------------------------------------------------------------------------

    @property
    def key(self) -> bytes:
        """The engine's key for this run; gone after step 6."""
        if self._key is None:
            raise RuntimeError("the key of this run is destroyed")
        return bytes(self._key)

    @property
    def sid(self) -> bytes:
        """Step 3, once both Hellos are known."""
        return self._sid

    @property
    def listening(self) -> bool:
        """True where the partner's next message can be of use now; reading ahead of that would only fill memory."""
        if self.state is State.BLINDING:
            return not self._lists()[1].received
        return self.state in (State.IDLE, State.OPENED, State.COMMITTED, State.TAGGED, State.COUNTED)

    def sizes(self) -> tuple[int, int]:
        """How many points both lists have together, and how many of them need no more work."""
        total = len(self._items) + self._partner_size
        if self._own is None or self._partner is None:
            return total, total
        waiting = sum(map(len, (*self._own.works(), *self._partner.works())))
        return total, total - waiting - self._partner.missing

    # --- steps 1 to 3 ---------------------------------------------------------------------------------------------

    def _make_hello(self) -> Hello:
        return make_hello(
            self.role,
            self.terms,
            len(self._items),
            self._randbytes(NONCE_SIZE),
            self._receiving_key,
            self._clock(),
            self._signing_key,
        )

    def _take_hello(self, hello: Hello, at: datetime) -> list[Event]:
        check_hello(hello, self.role.other, self.terms, self._partner_key, at)
        self._hello = own = self._hello or self._make_hello()
        opened, accepted = (own, hello) if self.role is Role.INITIATOR else (hello, own)
        self._sid = session_id(opened, accepted)
        self._partner_size = hello.set_size
        self.state = State.AGREED
        return [
            Agreed(
                sid=self.sid,
                own_size=len(self._items),
                partner_size=hello.set_size,
                partner_receiving_key=hello.receiving_key,
                opened=opened,
                accepted=accepted,
            )
        ]

    # --- steps 4 to 8 ---------------------------------------------------------------------------------------------

    def _begin(self) -> tuple[OwnList, PartnerList]:
        self._own = OwnList(self.role, self._items, self.engine, self._points)
        self._partner = PartnerList(self.role.other, self._partner_size, self.engine, self.sid, self._points)
        self.state = State.BLINDING
        return self._own, self._partner

    def _take_blinded(self, message: Blinded) -> list[Event]:
        works = self._lists()[1].take(message)
        self._journal.add(message)
        return list(works)

    def _blinding_done(self) -> list[Event]:
        own, partner = self._lists()
        if not (own.complete and partner.complete):
            return []
        if not distinct_points(partner.points):
            raise fault("The partner sent a point twice.")
        if not distinct_points(own.points, partner.points):
            raise fault("The partner sent back points of ours.")
        if not all_distinct(partner.tags):
            raise fault("Two points of the partner become one under our key.")
        self._journal.settle()
        self._journal.forget_key()
        self._destroy_key()
        self._blinded = {self.role: own.digest(), self.role.other: partner.digest()}
        unsorted = partner.tags
        del own, partner
        self._forget_points()  # half of what a match holds, and sorting takes room
        order = ascending_order(unsorted)
        tags = unsorted[order]
        self._positions = order.astype(np.uint32)
        self._sorted(tags)
        commitment = self._commit(self.role, self._nonce, hashlib.sha256(tags.data).digest())
        self.state = State.COMMITTED
        sends = self._send_tags() if self.role.other in self._commitments else []
        self._commitments[self.role] = commitment
        return [Send(TagCommit(commitment)), *sends]

    def _sorted(self, tags: Rows) -> None:
        self._comparison = TagComparison(tags)

    def _commit(self, role: Role, nonce: bytes, tags_digest: bytes) -> bytes:
        blinded = self._blinded
        return tag_commitment(
            self.sid, role, blinded[Role.INITIATOR], blinded[Role.RESPONDER], nonce, tags_digest
        )

    # --- steps 9 to 12 --------------------------------------------------------------------------------------------

    def _take_commitment(self, message: TagCommit) -> list[Event]:
        if self.role.other in self._commitments:
            raise fault("The partner committed to its tags twice.")
        if self.state is State.BLINDING:
            own, partner = self._lists()
            if not partner.received:
                raise fault("The partner sent fewer points than it announced.")
            if not self._may_commit(own):
                raise fault("The partner committed to its tags before it had all points.")
        self._journal.add(message)
        self._journal.settle()  # once our tags are out, no other commitment must be taken for this one
        self._commitments[self.role.other] = message.commitment
        return self._send_tags() if self.state is State.COMMITTED else []

    def _may_commit(self, own: OwnList) -> bool:
        return own.out

    def _send_tags(self) -> list[Event]:
        """Step 9 and 10: only now that the partner's commitment is in."""
        self.state = State.TAGGED
        return [SendAll(in_messages(self._tags().own, self._nonce))]

    def _take_tags(self, message: Tags) -> list[Event]:
        comparison = self._tags()
        due, expected = comparison.taken, len(self._items)
        count, rest = divmod(len(message.tags), TAG_SIZE)
        if rest or len(message.tags) > MAX_CHUNK_BYTES or (not count and expected):
            raise fault("A message with the partner's tags has a wrong size.")
        if message.start != due:
            raise fault(f"The partner sent tags from place {message.start:,} where {due:,} was due.")
        if due + count > expected:
            raise fault(f"The partner sent more tags than the {expected:,} points it was given.")
        if len(message.nonce) != (0 if due else NONCE_SIZE):
            raise fault("The nonce belongs into the first message with tags, and only there.")
        self._journal.add(message)
        self._partner_nonce = self._partner_nonce or message.nonce
        comparison.take(message.tags)
        return self._count() if due + count == expected else []

    def _count(self) -> list[Event]:
        """Steps 10 to 12."""
        comparison = self._tags()
        commitment = self._commit(self.role.other, self._partner_nonce, comparison.digest())
        if not hmac.compare_digest(commitment, self._commitments[self.role.other]):
            raise fault("The partner's tags are not those it had committed to.")
        if not comparison.ascending:
            raise fault("The partner's tags are not in ascending order.")
        self._journal.settle()  # whoever has our signature may forget its tags
        self._tags_digest = comparison.digest()
        places = comparison.common()
        self._positions = self._positions[places]
        self._transcript = Transcript(
            sid=self.sid,
            blinded_initiator=self._blinded[Role.INITIATOR],
            blinded_responder=self._blinded[Role.RESPONDER],
            commitment_initiator=self._commitments[Role.INITIATOR],
            commitment_responder=self._commitments[Role.RESPONDER],
            count=len(places),
        )
        self._comparison = None
        self._counted_own = self._signing_key.sign(counted_bytes(self.role, self._transcript.th))
        self.state = State.COUNTED
        return [Send(Counted(self._counted_own))]

    def _take_counted(self, message: Counted) -> list[Event]:
        if self._transcript is None:
            raise RuntimeError("there is no transcript yet")
        try:
            self._partner_key.verify(counted_bytes(self.role.other, self._transcript.th), message.signature)
        except BadSignature as error:
            raise fault("The partner saw another transcript or another count.") from error
        outcome = MatchOutcome(
            role=self.role,
            transcript=self._transcript,
            initiator=self.terms.initiator,
            responder=self.terms.responder,
            partner_size=self._partner_size,
            counted_own=self._counted_own,
            counted_partner=message.signature,
            items=self._items,
            partner_positions=self._positions,
        )
        self.state = State.DONE
        self.destroy()
        return [Finished(outcome)]

    # --- guards ---------------------------------------------------------------------------------------------------

    def _lists(self) -> tuple[OwnList, PartnerList]:
        if self._own is None or self._partner is None:
            raise RuntimeError("the session has no lists in this state")
        return self._own, self._partner

    def _tags(self) -> TagComparison:
        if self._comparison is None:
            raise RuntimeError("the session has no tags in this state")
        return self._comparison

    def _require(self, state: State, role: Role | None = None) -> None:
        if self.state is not state or (role is not None and self.role is not role):
            raise RuntimeError(f"not possible for the {self.role} while {self.state}")

    def _forget_points(self) -> None:
        for points in (self._own, self._partner):
            if points is not None:
                points.points.close()
        self._own = self._partner = None

    def _destroy_key(self) -> None:
        if self._key is not None:
            self._key[:] = bytes(len(self._key))
            self._key = None


def in_messages(tags: Rows, nonce: bytes, first: int = 0) -> Iterator[MatchMessage]:
    """Step 10: ``tags`` from ``first`` on as they are sent; at least one message, where they are sent from 0."""
    for start in range(first, len(tags), TAGS_PER_MESSAGE) or [0]:
        chunk = tags[start : start + TAGS_PER_MESSAGE].tobytes()
        yield Tags(start, chunk, b"" if start else nonce)


def fault(message: str) -> PartnerFault:
    return PartnerFault(ErrorCode.BAD_MESSAGE, message)


# What may arrive in which state, and what takes it. Anything else is the partner's fault.
RECEIVES: dict[tuple[State, type], Callable[..., list[Event]]] = {
    (State.IDLE, Hello): MatchSession._take_hello,  # Open, at the responder
    (State.OPENED, Hello): MatchSession._take_hello,  # Accept, at the initiator
    (State.BLINDING, Blinded): MatchSession._take_blinded,
    (State.BLINDING, TagCommit): MatchSession._take_commitment,  # the partner may be done before we are
    (State.COMMITTED, TagCommit): MatchSession._take_commitment,
    (State.TAGGED, Tags): MatchSession._take_tags,
    (State.COUNTED, Counted): MatchSession._take_counted,
}
