"""The messages of the match, the reveal and the exchange, as values (docs/protocol.md).

Sizes are checked where bytes from the wire become one of these (``mutuals.transport.wire``), meaning in the
protocol itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mutuals.framing import Context, frame
from mutuals.models.run import Role

VERSION = 1
MAX_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Hello:
    """Open (by the initiator) and Accept (by the responder): what a side commits to before the first point.

    All digests, nonces and fingerprints are 32 bytes; ``receiving_key`` is the 1,216-byte HPKE public key of this
    run; ``set_size`` the number of points that will follow; ``sent_at`` Unix seconds.
    """

    role: Role
    agreement: bytes
    engine: str
    profile: str
    profile_digest: bytes
    set_size: int
    initiator: bytes
    responder: bytes
    nonce: bytes
    receiving_key: bytes
    sent_at: int
    count_only: bool = False
    version: int = VERSION
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """What the signature covers: every field but itself, under the context of the role."""
        context = Context.OPEN if self.role is Role.INITIATOR else Context.ACCEPT
        return frame(
            context,
            self.version,
            self.role.value,
            self.agreement,
            self.engine,
            self.profile,
            self.profile_digest,
            self.set_size,
            self.initiator,
            self.responder,
            self.nonce,
            self.receiving_key,
            self.sent_at,
            int(self.count_only),
        )


@dataclass(frozen=True)
class Blinded:
    """Points ``start`` onwards of the sender's list, each of the engine's point size."""

    start: int
    points: bytes = field(repr=False)


@dataclass(frozen=True)
class TagCommit:
    """Commitment to the sender's sorted tags (32 bytes)."""

    commitment: bytes


@dataclass(frozen=True)
class Tags:
    """Sorted tags ``start`` onwards (16 bytes each); ``nonce`` opens the commitment and comes with the first chunk."""

    start: int
    tags: bytes = field(repr=False)
    nonce: bytes = b""


@dataclass(frozen=True)
class Counted:
    """Signature over the transcript: the sender saw this count."""

    signature: bytes


@dataclass(frozen=True)
class Resume:
    """Where the sender stands in run ``sid``, whose stream broke: what it holds of the receiver's.

    The first ``points`` points of the receiver's list, with the digest over them (``BlindedDigest`` so far); the
    receiver's ``commitment``, or nothing; the first ``tags`` of its tags, with the SHA-256 over them, or nothing where
    none of its messages with tags came. ``finished`` says that the sender has the receiver's Counted, so that all it
    still owes is its own, and then the rest says nothing.
    """

    sid: bytes
    points: int
    points_digest: bytes
    commitment: bytes
    tags: int
    tags_digest: bytes
    finished: bool = False


@dataclass(frozen=True)
class Approve:
    """Signature over the transcript: the sender's side has authorised the reveal of run ``sid``."""

    sid: bytes
    signature: bytes


@dataclass(frozen=True)
class Positions:
    """Positions in the receiver's list of the common tags ``start`` onwards, in ascending order of tag."""

    start: int
    positions: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class ConfirmShare:
    """The sender's SPAKE2 message."""

    share: bytes


@dataclass(frozen=True)
class ConfirmMac:
    """Key confirmation, bound to the sender's role."""

    mac: bytes


@dataclass(frozen=True)
class ExchangeStart:
    """Names the run whose records are to be exchanged."""

    sid: bytes


@dataclass(frozen=True)
class SealedRecord:
    """One contact's fields of one retention class, sealed; ``also`` are the contact's further ranks, ascending."""

    rank: int
    also: tuple[int, ...]
    retention_days: int
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True)
class Envelope:
    """A signed batch of sealed records; ``header`` holds the exact bytes that were signed."""

    header: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    records: tuple[SealedRecord, ...] = field(repr=False)


@dataclass(frozen=True)
class EnvelopeAck:
    """The receiver's signature that it stored the envelope with this digest (32 bytes)."""

    envelope: bytes
    signature: bytes


@dataclass(frozen=True)
class ExchangeDone:
    """The responder's last word: both directions are complete, and it has noted so."""

    sid: bytes


MatchMessage = Hello | Resume | Blinded | TagCommit | Tags | Counted
RevealMessage = Approve | Positions | ConfirmShare | ConfirmMac
ExchangeMessage = ExchangeStart | Envelope | EnvelopeAck | ExchangeDone


@dataclass(frozen=True)
class Document:
    """A signed document for a partner: ``kind``, canonical JSON ``body``, Ed25519 ``signature`` by the sending peer."""

    kind: str
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """What became of the document with this id (32 bytes); ``reason`` is empty or the name of an error code."""

    document: bytes
    accepted: bool
    reason: str
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class LogHead:
    """Where the sender's log of an agreement (32-byte digest) stands, and where it last saw the receiver's.

    ``note`` is the sender's signed checkpoint, empty where it cannot prove that its log only grew since ``base``, the
    size at which the receiver last saw it; ``proof`` are the hashes that show it. ``seen`` is the receiver's own
    checkpoint as the sender last saw it, cosigned, or empty. ``refused`` says that the sender does not accept the
    receiver's log until a person has dealt with it.
    """

    agreement: bytes
    note: bytes = field(repr=False)
    base: int
    proof: tuple[bytes, ...] = field(repr=False)
    seen: bytes = field(repr=False)
    refused: bool = False
