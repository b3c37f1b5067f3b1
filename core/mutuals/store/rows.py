"""The rows of the store, as values. Fingerprints and digests are hex, moments aware and in UTC.

Byte fields stay out of ``repr``, so that neither keys nor ciphertext reach a log by way of a traceback.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mutuals.models.agreement import AgreementState, Side

Act = Literal["reveal", "exchange", "mandate"]


@dataclass(frozen=True)
class PartnerRow:
    """A partner; ``signed_card`` as imported, ``pin`` the SHA-256 of the card's TLS public key (32 bytes).

    ``previous_certificate`` (PEM) with its pin is that of the card before, good until ``previous_until`` besides.
    """

    fingerprint: str
    name: str
    signed_card: bytes = field(repr=False)
    serial: int
    pin: bytes = field(repr=False)
    added_at: datetime
    removed_at: datetime | None = None
    previous_certificate: str | None = None
    previous_pin: bytes | None = field(default=None, repr=False)
    previous_until: datetime | None = None


@dataclass(frozen=True)
class OperatorRow:
    """An operator; ``sealed_private`` holds both private keys under the passphrase."""

    name: str
    roles: tuple[str, ...]
    department: str
    signing_public: bytes = field(repr=False)
    wrapping_public: bytes = field(repr=False)
    sealed_private: bytes = field(repr=False)
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True)
class SourceRow:
    """A source of contacts; ``definition`` is JSON."""

    name: str
    definition: str
    added_at: datetime


@dataclass(frozen=True)
class AgreementRow:
    """An agreement as this side sees it.

    ``document`` is the canonical JSON, ``partner`` the fingerprint, ``mapping`` agreed field to own column.
    ``replaces`` is the digest of the version before it. ``ends_at`` is when a termination takes effect, ``ended_at``
    when the agreement ended.
    """

    digest: str
    agreement_id: str
    title: str
    partner: str
    own_side: Side
    state: AgreementState
    document: bytes = field(repr=False)
    source: str | None
    mapping: dict[str, str]
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    replaces: str | None = None
    ends_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class StatementRow:
    """One side's signed statement over an agreement; one per side."""

    digest: str
    side: Side
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class BudgetUsage:
    """What a partner has used: runs opened and items announced."""

    runs: int
    items: int


@dataclass(frozen=True)
class AuthorisationRow:
    """An operator's signed permission. ``subject`` is a run id, or an agreement digest for a mandate."""

    id: str
    act: Act
    subject: str
    operator: str
    statement: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    preview: bytes | None = field(repr=False)
    created_at: datetime
    expires_at: datetime
    voided_at: datetime | None = None


@dataclass(frozen=True)
class OutboxRow:
    """A signed document for a partner, and the partner's receipt once it is delivered."""

    document_id: str
    partner: str
    kind: str
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    created_at: datetime
    delivered_at: datetime | None = None
    receipt: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class OutgoingRow:
    """An envelope as it was sent, kept so that a retry sends the same bytes; ``digest`` is 32 bytes."""

    run_id: str
    number: int
    header: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    records: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    acknowledged_at: datetime | None = None
    ack: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class IncomingRow:
    """An envelope that arrived, without its records, and our acknowledgement; ``digest`` is 32 bytes."""

    run_id: str
    number: int
    header: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    ack: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True)
class ReceivedRow:
    """The partner's sealed record of one contact and class; ``also`` are the contact's other ranks.

    ``envelope`` is the number of the envelope it came in.
    """

    run_id: str
    rank: int
    also: tuple[int, ...]
    retention_days: int
    ciphertext: bytes = field(repr=False)
    received_at: datetime
    delete_after: datetime
    envelope: int | None = None


@dataclass(frozen=True)
class SentRow:
    """What we sent to whom, sealed to the accountability key; ``contacts`` counts them."""

    run_id: str
    partner: str
    agreement: str
    blob: bytes = field(repr=False)
    contacts: int
    at: datetime
    delete_after: datetime


OWN_IDS = "own contact ids"
"""What an export has in place of fields where only the overlap was taken out; no field can be called so."""


@dataclass(frozen=True)
class ExportRow:
    """An export: who took which fields of a run's records out of the store, to which file."""

    run_id: str
    operator: str
    file: str
    rows: int
    fields: tuple[str, ...]
    at: datetime

    @property
    def of_records(self) -> bool:
        """Whether something that the partner sent was taken out, and not the overlap alone."""
        return self.fields != (OWN_IDS,)


@dataclass(frozen=True)
class LogRow:
    """An entry of the append-only log; ``seq`` counts from 1 without gaps, ``body`` is a JSON object."""

    seq: int
    agreement: str | None
    event: str
    body: dict[str, Any]
    at: datetime


@dataclass(frozen=True)
class AssessmentRow:
    """A risk assessment that an operator signed; ``terms`` is the digest of the terms it is about, both hex."""

    digest: str
    terms: str
    document: bytes = field(repr=False)
    operator: str
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True)
class ApprovalRow:
    """An operator's signed act that others rely on: ``act`` names the kind, ``subject`` what it is about."""

    act: str
    subject: str
    operator: str
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    at: datetime
    voided_at: datetime | None = None


@dataclass(frozen=True)
class PolicyRow:
    """An approved version of the company's policy, counted from 1; ``document`` is canonical JSON."""

    version: int
    digest: str
    document: bytes = field(repr=False)
    operator: str
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    approved_at: datetime


@dataclass(frozen=True)
class SuppressionRow:
    """A contact or identifier that must stay out: its keyed hash (32 bytes) and why.

    ``agreement`` is the digest of the first version of the agreement that it stays out of; without one, of every.
    """

    hash: bytes = field(repr=False)
    reason: str
    at: datetime
    agreement: str | None = None


@dataclass(frozen=True)
class RevocationRow:
    """A contact withdrawn after it was sent: ``own`` where we sent it, else the partner's word about one of its.

    ``ranks`` name it in the run's overlap; ``sealed`` are the own contact ids, sealed to the accountability key.
    ``answered_at`` and ``deleted`` are the recipient's acknowledgement and how many records it deleted.
    """

    revocation_id: str
    run_id: str
    partner: str
    own: bool
    ranks: tuple[int, ...]
    sealed: bytes | None = field(repr=False)
    at: datetime
    answered_at: datetime | None = None
    deleted: int | None = None


@dataclass(frozen=True)
class SuspensionRow:
    """One side's halt of an agreement; in effect until ``lifted_at``. ``breach`` is the id of the reason, if any."""

    suspension_id: str
    agreement: str
    side: Side
    reason: str
    breach: str | None
    at: datetime
    lifted_at: datetime | None = None


@dataclass(frozen=True)
class BreachRow:
    """A breach: an own one, or one that ``partner`` told of. ``document`` is canonical JSON as it now stands."""

    breach_id: str
    partner: str | None
    document: bytes = field(repr=False)
    aware_at: datetime
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True)
class CertificateRow:
    """One side's signed deletion certificate under an agreement (digest)."""

    agreement: str
    side: Side
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    at: datetime


@dataclass(frozen=True)
class AttestationRow:
    """One side's signed word that it kept to an agreement (digest) in a period."""

    agreement: str
    side: Side
    period_from: datetime
    period_until: datetime
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    at: datetime


@dataclass(frozen=True)
class NotificationRow:
    """A sentence for operators with one of ``roles`` (all where empty), about an agreement (digest) or the peer.

    ``author`` is the operator whose act it tells of, who is not told.
    """

    position: int
    agreement: str | None
    text: str
    roles: tuple[str, ...]
    at: datetime
    author: str | None = None


@dataclass(frozen=True)
class CheckpointRow:
    """A signed tree head of a log: ours (``own``) with the partner's ``cosignature``, or the partner's as last seen.

    ``agreement`` is the digest, empty for the peer's own log; ``root`` has 32 bytes, ``note`` is a C2SP signed note.
    """

    agreement: str
    own: bool
    size: int
    root: bytes = field(repr=False)
    note: bytes = field(repr=False)
    at: datetime
    cosignature: bytes | None = field(default=None, repr=False)
