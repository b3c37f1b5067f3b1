"""A match that goes on after its stream broke or its process was killed.

    session = ResumedSession(role, terms, items, ..., key=key)
    session.restore(sid, partner_size, entries)     # what the interrupted session had journalled
    send(session.standing())                        # Resume, in place of Open and Accept
    events = session.resume(theirs, journal)        # from here on as ever

Each side says how much it holds of the other's points and tags, and hashes that; the other compares with what it sent
and continues behind it. So every position is accepted once, and what came before cannot be exchanged. A side tells no
more than in an undisturbed match: the key, the order of the items and the nonces are those of the run.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from mutuals.engines.base import Operation
from mutuals.protocol.events import Event, Send, SendAll, State
from mutuals.protocol.hello import NONCE_SIZE
from mutuals.protocol.items import Rows, as_rows
from mutuals.protocol.journal import Began, Computed, Entry, Journal
from mutuals.protocol.lists import Held, OwnList
from mutuals.protocol.match import RECEIVES, MatchSession, fault, in_messages
from mutuals.protocol.messages import Blinded, Counted, Resume, TagCommit, Tags
from mutuals.protocol.transcript import TAG_SIZE


class ResumedSession(MatchSession):
    """A session given items and key of the interrupted one; where that key was destroyed, any other."""

    _restoring = False
    _anew: Began | None = None
    _own_tags: Rows = as_rows(b"", TAG_SIZE)

    def restore(self, sid: bytes, partner_size: int, entries: Iterable[Entry], *, has_key: bool) -> None:
        """Stand where the session stood that wrote ``entries``, of run ``sid``.

        The last entries may be missing. ``has_key`` says that the key given is that of the run. Raises ValueError
        where the entries are not those of a match, or end before it can go on without the key.
        """
        self._require(State.IDLE)
        self._sid = sid
        self._partner_size = partner_size
        self._restoring = True
        for entry in entries:
            self._replay(entry)
        if self.state is State.IDLE and has_key:
            # No nonce is on the disk, so none is bound: any other will do.
            self._anew = Began(self._randbytes(NONCE_SIZE))
            self._replay(self._anew)
        self._restoring = False
        if self.state is State.IDLE or (self.state is State.BLINDING and not has_key):
            raise ValueError("the entries end before the match can go on")
        if self.state in (State.TAGGED, State.COUNTED):
            super()._forget_points()  # the partner has committed, so it had them all

    def standing(self) -> Resume:
        """What this side tells the partner about where it stands."""
        partner = self._partner
        held = partner.held if partner else Held(self._partner_size, self._blinded[self.role.other])
        comparison = self._comparison
        if self.state is State.COUNTED:
            tags, digest = len(self._items), self._tags_digest
        elif comparison is not None and self._partner_nonce:
            tags, digest = comparison.taken, comparison.digest()
        else:
            tags, digest = 0, b""
        commitment = self._commitments.get(self.role.other, b"")
        return Resume(self.sid, held.points, held.digest, commitment, tags, digest)

    def resume(self, theirs: Resume, journal: Journal) -> list[Event]:
        """Go on, now that the partner's Resume is in. Raises PartnerFault where it holds what it was never sent."""
        self._journal = journal
        try:
            if theirs.sid != self.sid:
                raise fault("The partner would go on with another run.")
            if self._anew is not None:
                journal.add(self._anew)
            journal.settle()
            if self.state is not State.BLINDING:
                journal.forget_key()
                self._destroy_key()
            if theirs.finished:
                if self.state is not State.COUNTED:
                    raise fault("The partner says it has finished a match that this side has not.")
                return []
            return [
                *self._resume_points(Held(theirs.points, theirs.points_digest)),
                *self._resume_commitment(theirs.commitment),
                *self._resume_tags(theirs),
                *([Send(Counted(self._counted_own))] if self.state is State.COUNTED else []),
            ]
        except BaseException:
            self.destroy()
            raise

    def destroy(self) -> None:
        """See ``MatchSession.destroy``."""
        super().destroy()
        super()._forget_points()

    def _replay(self, entry: Entry) -> None:
        match entry:
            case Began(nonce) if self.state is State.IDLE:
                self._nonce = nonce
                self._begin()
                self._blinding_done()  # of two empty lists
            case Computed(work, result) if self.state is State.BLINDING:
                own, partner = self._lists()
                if work.operation is Operation.BLIND:
                    own.take(work, result)
                else:
                    partner.take_tags(work, result)
                self._blinding_done()
            case Blinded() | TagCommit() | Tags() if take := RECEIVES.get((self.state, type(entry))):
                take(self, entry)
            case _:
                raise ValueError("the entries are not those of a match")

    def _forget_points(self) -> None:
        """The partner's; ours are sent again from where they are kept."""
        if self._partner is not None:
            self._partner.points.close()
            self._partner = None

    def _may_commit(self, own: OwnList) -> bool:
        return self._restoring or super()._may_commit(own)  # what is restored was found right before

    def _sorted(self, tags: Rows) -> None:
        super()._sorted(tags)
        self._own_tags = tags

    def _resume_points(self, held: Held) -> list[Event]:
        if self._own is None:
            if held != Held(len(self._items), self._blinded[self.role]):
                raise fault("The partner holds other points than it was sent.")
            return []
        events: list[Event] = [SendAll(self._own.resume(held)), *self._own.works()]
        if self._partner is not None:
            events += self._partner.works()
        return events

    def _resume_commitment(self, held: bytes) -> list[Event]:
        own = self._commitments.get(self.role, b"")
        if not held:
            return [Send(TagCommit(own))] if own else []
        if not hmac.compare_digest(held, own):
            raise fault("The partner holds another commitment than it was sent.")
        return []

    def _resume_tags(self, theirs: Resume) -> list[Event]:
        if self.state not in (State.TAGGED, State.COUNTED):
            if theirs.tags_digest:
                raise fault("The partner holds tags that it was never sent.")
            return []
        start = theirs.tags if theirs.tags_digest else 0
        if theirs.tags_digest:
            sent = hashlib.sha256(self._own_tags[:start].tobytes()).digest()
            if (
                start > len(self._own_tags)
                or not theirs.commitment
                or not hmac.compare_digest(sent, theirs.tags_digest)
            ):
                raise fault("The partner holds other tags than it was sent.")
            if start == len(self._own_tags):
                return []
        return [SendAll(in_messages(self._own_tags, self._nonce, start))]
