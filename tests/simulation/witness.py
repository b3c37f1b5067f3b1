"""What each company knows at every moment, and so what must not leave it then.

A company knows what its store held when the thread that sends last looked into it: what another process commits after
that comes too late for a message on its way. What must not leave is told from the records themselves, which are opened
on their way as the partner could: every value says whose it is (``lifecycle.people``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.people import CATEGORY, FIELDS, HELD, subject_of
from lifecycle.world import PolicyChoice

from mutuals.agreement.active import verify_stored
from mutuals.agreement.chain import BOUND
from mutuals.models.agreement import AgreementState, Side
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.messages import Envelope, Hello, Positions
from mutuals.protocol.sealing import RecordKeys, open_secret

if TYPE_CHECKING:
    from simulation.disk import SimStore
    from simulation.simulated import Simulation

BOTH_KNOW = frozenset(HELD[Side.PROPOSER]) & frozenset(HELD[Side.PARTNER])


@dataclass(frozen=True)
class Knowledge:
    """What a side's store held at a moment: states of agreements by digest, who had withdrawn, how many policies there
    had been, and which own fields the one in force lets nobody share.
    """

    states: dict[str, AgreementState]
    withdrawn: frozenset[int] = frozenset()
    hashes: int = 0
    policies: int = 0
    kept_back: frozenset[str] = frozenset()


class Witness:
    """Keeps what both sides knew when, and looks at everything that leaves."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.moment = 0
        """Grows with every commit."""
        self._known: dict[Side, list[tuple[int, Knowledge]]] = {}
        self.ever_kept_back: dict[Side, frozenset[str]] = {side: frozenset() for side in Side}
        self._secrets: dict[tuple[bytes, str], bytes] = {}

    def begin(self, side: Side, store: SimStore) -> None:
        """A side's store, as it is before anything happens."""
        states, hashes, policies = store.summary()
        self._known[side] = [(0, Knowledge(states, hashes=hashes, policies=policies))]

    def committed(self, side: Side, store: SimStore) -> None:
        """Something was committed by the task whose turn it is; ``about`` says whom or what it meant to change."""
        self.moment += 1
        before = self.now(side)
        states, hashes, policies = store.summary()
        known = replace(before, states=states, hashes=hashes, policies=policies)
        about = self._simulation.scheduler.current.about
        if hashes > before.hashes:
            assert isinstance(about, int)
            known = replace(known, withdrawn=before.withdrawn | {about})
        if policies > before.policies:
            assert isinstance(about, PolicyChoice)
            kept_back = {name for name in FIELDS[side] if CATEGORY[name] == "sales"}
            known = replace(known, kept_back=frozenset(() if about.sales_shared_by else kept_back))
            self.ever_kept_back[side] |= known.kept_back
        if known != before:
            self._known[side].append((self.moment, known))

    def now(self, side: Side) -> Knowledge:
        """What a side knows now."""
        return self._known[side][-1][1]

    def leaves(self, side: Side, message: object) -> None:
        """A message of a side leaves."""
        seen = self._simulation.scheduler.current.sight.moment
        known = next(knowledge for moment, knowledge in reversed(self._known[side]) if moment <= seen)
        match message:
            case Hello():
                self._in_force(side, known, message.agreement.hex(), "a greeting", new=True)
            case Positions():
                gone = known.withdrawn & BOTH_KNOW
                if len(message.positions) > len(BOTH_KNOW) - len(gone):
                    self._wrong(f"positions of the {side} left with that of a contact who had withdrawn")
            case Envelope():
                self._envelope(side, known, message)

    def _envelope(self, side: Side, known: Knowledge, envelope: Envelope) -> None:
        header = EnvelopeHeader.from_bytes(envelope.header)
        if self._acknowledged(side, header):
            return  # it is there, and goes out again only so that both hear the end
        self._in_force(side, known, header.agreement.hex(), "an envelope", new=False)
        for values in self._open(header, envelope):
            for name, text in values.items():
                shown, origin, person = subject_of(text)
                if (shown, origin) != (name, side) or person not in BOTH_KNOW:
                    self._wrong(f"the {side} sent {text!r} as {name}")
                if person in known.withdrawn:
                    self._wrong(f"the {side} sent a record of a contact who had withdrawn")
                if name in known.kept_back:
                    self._wrong(f"the {side} sent {name}, which its policy lets nobody share")

    def _in_force(self, side: Side, known: Knowledge, digest: str, what: str, *, new: bool) -> None:
        """The version is in force, or the last one is and all since this one let its runs finish."""
        with self._simulation.unobserved(), self._simulation.store(side).transaction() as tx:
            rows = {
                row.replaces: row for row in tx.agreements.list() if known.states.get(row.digest) in BOUND
            }
        while known.states[digest] is AgreementState.SUPERSEDED and not new and digest in rows:
            if verify_stored(rows[digest]).runs_of_replaced != "finish":
                break
            digest = rows[digest].digest
        if known.states[digest] is not AgreementState.ACTIVE:
            self._wrong(f"{what} of the {side} left under an agreement that is {known.states[digest]} there")

    def _acknowledged(self, side: Side, header: EnvelopeHeader) -> bool:
        with self._simulation.unobserved(), self._simulation.store(side).transaction() as tx:
            run = tx.runs.by_sid(header.sid)
            rows = [] if run is None else tx.envelopes.outgoing(run.run_id)
        return any(row.number == header.number and row.acknowledged_at is not None for row in rows)

    def _open(self, header: EnvelopeHeader, envelope: Envelope) -> list[dict[str, str]]:
        place = (header.sid, header.direction.value)
        if header.sealed_secret:
            private = self._simulation.privates[self._receiving_key(header)]
            self._secrets[place] = open_secret(private, header.sid, header.direction, header.sealed_secret)
        keys = RecordKeys(header.sid, header.direction, self._secrets[place])
        opened = [
            keys.open(record.rank, record.retention_days, record.ciphertext) for record in envelope.records
        ]
        return [json.loads(plaintext) for plaintext in opened]

    def _receiving_key(self, header: EnvelopeHeader) -> bytes:
        for side in Side:
            if self._simulation.world.fingerprint(side) == header.recipient:
                with self._simulation.unobserved(), self._simulation.store(side).transaction() as tx:
                    run = tx.runs.by_sid(header.sid)
                assert run is not None
                return run.own_receiving_key
        raise AssertionError("an envelope for somebody else")

    def _wrong(self, what: str) -> None:
        self._simulation.violations.append(what)
