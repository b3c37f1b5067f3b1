"""The exchange, sans-I/O: sealing this side's records into envelopes, and checking the partner's.

    for sealed in seal_envelopes(flow, records, secret=new_secret(), signing_key=own_key):
        sealed.message()                                             # an Envelope
    receiver = EnvelopeReceiver(flow, partner_key, own_key)          # at the other side
    accepted = receiver.receive(envelope)                            # store accepted, then send accepted.ack

A ``Flow`` is one direction of one run. The receiver checks everything that can be checked without opening a
record; content is checked when an entitled operator exports (``mutuals.runs.export``), and a fault found then
is evidence, because the header commits to the plaintext.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.envelopes import (
    MAX_BATCH_BYTES,
    MAX_RECORD_BYTES,
    MAX_RECORDS_PER_ENVELOPE,
    NO_PREVIOUS,
    EnvelopeHeader,
    ack_bytes,
    batch_digest,
    decode_records,
    encode_records,
    envelope_digest,
    receiving_key_id,
)
from mutuals.protocol.messages import Envelope, EnvelopeAck, SealedRecord
from mutuals.protocol.sealing import TAG_BYTES, RecordKeys, seal_secret


@dataclass(frozen=True)
class Flow:
    """One direction of a run's exchange, as both sides know it before it starts.

    ``agreement`` and ``sid`` are digests, ``sender`` and ``recipient`` fingerprints (32 bytes each),
    ``direction`` the sender's role, ``receiving_key`` the recipient's run receiving key (1,216 bytes),
    ``retention_classes`` the agreed classes in days, ``pairs`` the size of the overlap.
    """

    agreement: bytes
    sid: bytes
    direction: Role
    sender: bytes
    recipient: bytes
    receiving_key: bytes = field(repr=False)
    retention_classes: frozenset[int]
    pairs: int


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """The agreed fields of one contact and retention class (canonical JSON), before sealing."""

    rank: int
    also: tuple[int, ...]
    retention_days: int
    plaintext: bytes = field(repr=False)


@dataclass(frozen=True)
class SealedEnvelope:
    """An envelope as the store keeps it: ``records`` is what ``encode_records`` writes, ``digest`` over both parts."""

    header: bytes
    signature: bytes
    records: bytes = field(repr=False)
    digest: bytes

    def message(self) -> Envelope:
        """As it is sent."""
        return Envelope(self.header, self.signature, decode_records(self.records))


def seal_envelopes(
    flow: Flow, records: Sequence[PlainRecord], *, secret: bytes, signing_key: SigningKey
) -> Iterator[SealedEnvelope]:
    """The envelopes of this direction one after the other, signed and chained; one even without a record.

    ``records`` ascend by rank and class, and are taken batch by batch. ``secret`` must be fresh: sealing twice with it
    would repeat a nonce. Raises ValueError where records are out of order or too large.
    """
    keys = RecordKeys(flow.sid, flow.direction, secret)
    key_id = receiving_key_id(flow.receiving_key)
    previous = NO_PREVIOUS
    start = 0
    for number, batch in enumerate(_batches(records)):
        encoded = encode_records(
            [
                SealedRecord(
                    r.rank, r.also, r.retention_days, keys.seal(r.rank, r.retention_days, r.plaintext)
                )
                for r in batch
            ]
        )
        header = EnvelopeHeader(
            agreement=flow.agreement,
            sid=flow.sid,
            direction=flow.direction,
            sender=flow.sender,
            recipient=flow.recipient,
            receiving_key=key_id,
            number=number,
            last=start + len(batch) == len(records),
            total=len(records),
            start=start,
            count=len(batch),
            previous=previous,
            batch=batch_digest(encoded),
            plaintext=keys.plaintext_digest(number, [record.plaintext for record in batch]),
            sealed_secret=b""
            if number
            else seal_secret(flow.receiving_key, flow.sid, flow.direction, secret),
        ).to_bytes()
        previous = envelope_digest(header, encoded)
        yield SealedEnvelope(header, signing_key.sign(header), encoded, previous)
        start += len(batch)


def verify_ack(flow: Flow, envelope: bytes, ack: EnvelopeAck, recipient_key: VerifyKey) -> None:
    """Check that ``ack`` is the recipient's for the envelope with this digest. Raises PartnerFault."""
    if ack.envelope != envelope:
        raise _fault("acknowledged another envelope than the one it was sent")
    try:
        recipient_key.verify(ack_bytes(flow.sid, envelope), ack.signature)
    except BadSignature as error:
        raise _fault("sent an acknowledgement whose signature does not fit") from error


@dataclass(frozen=True)
class Accepted:
    """An envelope that passed every check. ``new`` is False, and ``ack`` the same, where it was here before."""

    header: EnvelopeHeader
    digest: bytes
    records: tuple[SealedRecord, ...] = field(repr=False)
    ack: EnvelopeAck = field(repr=False)
    new: bool


class EnvelopeReceiver:
    """Takes the envelopes of one direction in order; every one either passes all checks or raises
    PartnerFault.

    After a PartnerFault the receiver is as it was before.
    """

    def __init__(self, flow: Flow, sender_key: VerifyKey, own_key: SigningKey) -> None:
        self._flow = flow
        self._sender_key = sender_key
        self._own_key = own_key
        self._key_id = receiving_key_id(flow.receiving_key)
        self._digests: list[bytes] = []
        self._records = 0
        self._total: int | None = None
        self._complete = False
        self._ranks = _Ranks(flow.pairs)

    @property
    def complete(self) -> bool:
        """True once the last envelope is in."""
        return self._complete

    @property
    def envelopes(self) -> int:
        """Number of envelopes received so far."""
        return len(self._digests)

    @property
    def records(self) -> int:
        """Number of records received so far."""
        return self._records

    @property
    def contacts(self) -> int:
        """Number of the partner's contacts that records were received of."""
        return self._ranks.contacts

    @property
    def pairs(self) -> int:
        """Number of pairs that the records received so far name."""
        return self._ranks.pairs

    def restore(self, envelopes: Sequence[tuple[bytes, bytes]], records: Iterable[SealedRecord]) -> None:
        """Go on after an interruption: (header, digest) of what was stored, in order, and the stored records.

        Trusts them: they passed the checks before they were stored. Records deleted since may be missing, and so may
        the ciphertext of the others, which is not looked at.
        """
        for header_bytes, digest in envelopes:
            header = EnvelopeHeader.from_bytes(header_bytes)
            self._digests.append(digest)
            self._records = header.start + header.count
            self._total = header.total
            self._complete = header.last
        self._ranks.extend(sorted(records, key=lambda record: (record.rank, record.retention_days)))

    def receive(self, envelope: Envelope) -> Accepted:
        """Check one envelope; see the steps. Raises PartnerFault."""
        # 1 The signature, before anything it covers is believed.
        try:
            self._sender_key.verify(envelope.header, envelope.signature)
        except BadSignature as error:
            raise _fault("sent an envelope whose signature does not fit") from error
        # 2 The header: well-formed, and about this run and direction.
        try:
            header = EnvelopeHeader.from_bytes(envelope.header)
        except ValueError as error:
            raise _fault("sent an envelope whose header cannot be read") from error
        self._check_binding(header)
        # 3 The records: exactly those that were signed.
        encoded = encode_records(envelope.records)
        if header.count != len(envelope.records) or header.batch != batch_digest(encoded):
            raise _fault("sent an envelope with other records than it signed")
        digest = envelope_digest(envelope.header, encoded)
        # 4 Seen before: the same bytes get the same answer, other bytes under the same number are a failure.
        new = header.number >= len(self._digests)
        if not new and self._digests[header.number] != digest:
            raise _fault(f"sent envelope {header.number} a second time with other content")
        if new:
            self._check_new(header, envelope.records)
            self._digests.append(digest)
            self._records += header.count
            self._total = header.total
            self._complete = header.last
        ack = EnvelopeAck(digest, self._own_key.sign(ack_bytes(self._flow.sid, digest)))
        return Accepted(header, digest, envelope.records, ack, new)

    def _check_binding(self, header: EnvelopeHeader) -> None:
        flow = self._flow
        expected = {
            "agreement": (header.agreement, flow.agreement),
            "run": (header.sid, flow.sid),
            "direction": (header.direction, flow.direction),
            "sender": (header.sender, flow.sender),
            "recipient": (header.recipient, flow.recipient),
            "receiving key": (header.receiving_key, self._key_id),
        }
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise _fault(f"sent an envelope that was made for another {name}")

    def _check_new(self, header: EnvelopeHeader, records: Sequence[SealedRecord]) -> None:
        # 5 The chain: order, previous digest, total, and the last flag exactly where the total is reached.
        if self._complete or header.number != len(self._digests):
            raise _fault("sent envelopes out of order")
        if header.previous != (self._digests[-1] if self._digests else NO_PREVIOUS):
            raise _fault("sent an envelope that does not follow the one before it")
        if bool(header.sealed_secret) != (header.number == 0):
            raise _fault("sent its secret with another envelope than the first, or not at all")
        most = self._flow.pairs * len(self._flow.retention_classes)
        if header.total > most or self._total not in (None, header.total):
            raise _fault(
                "announced more records than the overlap allows, or changed its mind about their number"
            )
        end = self._records + header.count
        if header.start != self._records or end > header.total or header.last != (end == header.total):
            raise _fault("sent another number of records than it announced")
        if header.count > MAX_RECORDS_PER_ENVELOPE or (header.count == 0 and header.total > 0):
            raise _fault("sent an envelope with no records or too many")
        # 6 The records' ranks and classes.
        for record in records:
            self._check_record(record)
        self._ranks.extend(records)

    def _check_record(self, record: SealedRecord) -> None:
        if record.retention_days not in self._flow.retention_classes:
            raise _fault("sent a record of a retention class that was not agreed")
        if not TAG_BYTES <= len(record.ciphertext) <= MAX_RECORD_BYTES + TAG_BYTES:
            raise _fault("sent a record of an impossible size")
        if not all(0 <= rank < self._flow.pairs for rank in (record.rank, *record.also)):
            raise _fault("sent a record for a rank outside the overlap")


class _Ranks:
    """Which ranks were named so far: each belongs to one contact, and contacts come in ascending order."""

    def __init__(self, count: int) -> None:
        self.pairs = 0
        self.contacts = 0
        self._claimed = bytearray(count)
        self._latest: SealedRecord | None = None

    def extend(self, records: Iterable[SealedRecord]) -> None:
        """Take further records, whose ranks are in the overlap. Raises PartnerFault, and then takes none of them."""
        latest = self._latest
        taken: list[int] = []
        contacts = 0
        try:
            for record in records:
                if latest is not None and record.rank == latest.rank:
                    if record.also != latest.also or record.retention_days <= latest.retention_days:
                        raise _fault("sent two records for one rank that do not go together")
                else:
                    if latest is not None and record.rank < latest.rank:
                        raise _fault("sent records that do not ascend by rank")
                    self._claim(record, taken)
                    contacts += 1
                latest = record
        except PartnerFault:
            for rank in taken:
                self._claimed[rank] = 0
            raise
        self.pairs += len(taken)
        self.contacts += contacts
        self._latest = latest

    def _claim(self, record: SealedRecord, taken: list[int]) -> None:
        named = (record.rank, *record.also)
        if record.also and any(high <= low for low, high in pairwise(named)):
            raise _fault("sent a record whose further ranks do not ascend")
        for rank in named:
            if self._claimed[rank]:
                raise _fault("sent two records for the same rank")
            self._claimed[rank] = 1
            taken.append(rank)


def _batches(records: Iterable[PlainRecord]) -> Iterator[list[PlainRecord]]:
    """The records of one envelope after the other; an empty batch where there is none at all."""
    batch: list[PlainRecord] = []
    size = 0
    latest = (-1, 0)
    for record in records:
        if len(record.plaintext) > MAX_RECORD_BYTES:
            raise ValueError("a record is too large to be sent")
        place = (record.rank, record.retention_days)
        if place <= latest:
            raise ValueError("records must ascend by rank and retention class")
        latest = place
        own_size = len(record.plaintext) + 4 * len(record.also)
        if batch and (len(batch) == MAX_RECORDS_PER_ENVELOPE or size + own_size > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += own_size
    yield batch


def _fault(what: str) -> PartnerFault:
    return PartnerFault(ErrorCode.BAD_MESSAGE, f"The partner {what}.")
