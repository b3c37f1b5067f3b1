"""Documents that two companies sent each other, each with the receiver's store as it was before it came.

Made by the product's own acts under random bytes that follow from a seed, so that they are the same in every process.
"""

from __future__ import annotations

import atexit
import copy
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from lifecycle.memory import MemoryStore
from lifecycle.world import Choice, World
from simulation.dice import loaded, make_worlds
from support.assessed import accept, propose
from support.pairing import agreement_between

from mutuals.agreement.active import verify_stored
from mutuals.agreement.render import local_view, render_markdown
from mutuals.canonical import canonical_json
from mutuals.crypto.signing import SigningKey
from mutuals.documents import HANDLERS
from mutuals.framing import Context, frame
from mutuals.models.agreement import Side
from mutuals.models.run import RunState
from mutuals.monitoring.status import peer_status
from mutuals.obligations.attestation import attest
from mutuals.obligations.breach import Changes, update_breach
from mutuals.obligations.certificates_due import chase
from mutuals.peer import Peer
from mutuals.rotation import CARD, CardDocument
from mutuals.runs.lifecycle import end_run
from mutuals.store.rows import PartnerRow

OPERATOR = SigningKey(b"\x05" * 32)
"""Who signs what a mutation changed: the partner's operators are whoever the partner says."""


LOOKED_AT = 64
"""After every so-manieth document that is taken, status and agreements are shown, too."""


class Undone(Exception):
    """Ends a transaction that must leave nothing behind."""


class Unusable(Exception):
    """A document was taken, and since then the peer cannot say how it stands."""


@dataclass(frozen=True)
class Scene:
    """A document of ``kind`` on its way to ``peer``, from the partner whose signing key is ``sender``."""

    kind: str
    body: bytes
    peer: Peer
    partner: PartnerRow
    sender: SigningKey
    content: bytes

    def take(self, body: bytes) -> None:
        """Handle ``body`` in place of the document's, and undo it. Raises what the handler raises, and Unusable."""
        look = body == self.body or zlib.crc32(body) % LOOKED_AT == 0
        try:
            with self.peer.store.transaction() as tx:
                HANDLERS[self.kind](tx, self.peer, self.partner, body)
                if not look:
                    raise Undone
        except Undone:
            return
        try:
            self._look()
        except Exception as error:
            raise Unusable(self.kind) from error
        finally:
            store = self.peer.store
            assert isinstance(store, MemoryStore)
            store._raw.deserialize(self.content)

    def _look(self) -> None:
        """What operators ask for next."""
        peer_status(self.peer, everything=True, sources=False)
        with self.peer.store.transaction() as tx:
            for row in tx.agreements.list():
                agreement = verify_stored(row)
                render_markdown(agreement, local_view(tx, row, agreement, self.peer.clock()))


@cache
def scenes() -> dict[str, list[Scene]]:
    """What was sent, by kind."""
    make_worlds()
    found: dict[str, list[Scene]] = {}
    with loaded(1), World.begin("exchanged") as world:
        _play(_Play(world, found))
        copies = [scene.peer for some in found.values() for scene in some]
    atexit.register(lambda: [peer.close() for peer in copies])
    return found


@dataclass
class _Play:
    """The companies, and what was found so far."""

    world: World
    found: dict[str, list[Scene]]

    def carry(self, *, times: int = 1) -> None:
        """Deliver what waits, and keep each document with the store it comes to."""
        for _ in range(times):
            for side in Side:
                for row in self.world.outbox(side):
                    self._keep(side, row.kind, row.body)
                    self.world._carry(side, row)
            self.world.settle()

    def _keep(self, side: Side, kind: str, body: bytes) -> None:
        receiver = self.world.companies[side.other]
        peer = copy.copy(receiver.peer)
        store = receiver.peer.store
        assert isinstance(store, MemoryStore)
        content = store._raw.serialize()
        peer._store = MemoryStore(content)
        peer.clock = _standing(self.world.now)
        self.found.setdefault(kind, []).append(
            Scene(kind, body, peer, receiver.partner(), self.world.peer(side).signing_key, content)
        )


def _standing(now: datetime) -> _Clock:
    return _Clock(now)


@dataclass(frozen=True)
class _Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


def _play(play: _Play) -> None:
    """Every kind of document there is, some in both directions."""
    world, carry = play.world, play.carry
    left, right = Side.PROPOSER, Side.PARTNER
    (digest,) = world.truth.deals
    (run_id,) = world.truth.runs
    refused = world.propose(left, Choice(), "anna")
    carry()
    world.reject(right, refused.digest, "anna")
    carry()
    withdrawn = world.propose(right, Choice(both_ways=False), "anna")
    carry()
    world.withdraw(right, withdrawn.digest, "anna")
    carry()
    amended = world.propose(left, Choice(days=90, finish=True), "anna", amends=digest)
    carry()
    world.accept(right, amended.digest, "anna")
    carry()
    for side in Side:
        world.suspend(side, amended.digest, "anna")
        carry()
        world.resume(side, amended.digest, "anna")
        carry()
    world.breach(left, amended.digest, "anna")
    carry()
    with world.peer(left).store.transaction() as tx:
        (breach,) = tx.breaches.list()
    update_breach(world.peer(left), breach.breach_id, Changes("It is found."), world.keys[left]["anna"])
    carry()
    world.close_breach(left, "anna")
    carry()
    _attest(play)
    world.match(left, amended.digest)
    ended = next(run for run in world.runs(right) if run.run_id != run_id)
    end_run(world.peer(right), ended, RunState.STALE, reason="A contact was withdrawn.", tell_partner=True)
    carry()
    world.revoke(left, next(iter(world.truth.runs[run_id].people)), "anna")
    carry(times=2)
    world.terminate(left, amended.digest, "anna", cause=True)
    carry()
    world.keep_retention(left)
    carry()
    world.pass_days(30)
    chase(world.peer(left))
    carry()
    world.keep_retention(right)
    carry()
    for side in Side:
        _renew(play, side)


def _renew(play: _Play, side: Side) -> None:
    """The next card, as a rotation sends it: all but its certificate is the same in every process."""
    world = play.world
    peer = world.peer(side)
    card = peer.card.card.model_copy(
        update={"serial": peer.card.card.serial + 1, "introduction": "We moved."}
    )
    document = CardDocument(
        card=card,
        signature=peer.signing_key.sign(frame(Context.CARD, canonical_json(card))).hex(),
        to=world.fingerprint(side.other).hex(),
        until=world.now + timedelta(days=7),
    )
    play._keep(side, CARD, canonical_json(document))


def _attest(play: _Play) -> None:
    """Under an agreement that asks for it."""
    world = play.world
    one, other = (world.companies[side] for side in (Side.PROPOSER, Side.PARTNER))
    term = {"measures": "Each for its own.", "breach_contact": "x", "attestation_every_days": 30}
    agreement = agreement_between(
        one, other, {}, title="Attested", nonce="77" * 32, security=term, proposer_sends=()
    )
    digest = propose(one.peer, agreement, "crm", {}, world.keys[Side.PROPOSER]["anna"])
    world.truth.add_deal(_document(one.peer, digest))
    play.carry()
    accept(other.peer, digest, "crm", {}, world.keys[Side.PARTNER]["anna"])
    play.carry()
    world.pass_days(31)
    attest(one.peer, digest, world.keys[Side.PROPOSER]["anna"])
    play.carry()


def _document(peer: Peer, digest: str) -> bytes:
    with peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    assert row is not None
    return row.document
