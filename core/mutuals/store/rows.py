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
    """A partner; ``signed_card`` as imported, ``pin`` the SHA-256 of the card's TLS public key (32 bytes)."""

    fingerprint: str
    name: str
    signed_card: bytes = field(repr=False)
    serial: int
    pin: bytes = field(repr=False)
    added_at: datetime
    removed_at: datetime | None = None


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
    """The partner's sealed record of one contact and class; ``also`` are the contact's other ranks."""

    run_id: str
    rank: int
    also: tuple[int, ...]
    retention_days: int
    ciphertext: bytes = field(repr=False)
    received_at: datetime
    delete_after: datetime


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


@dataclass(frozen=True)
class ExportRow:
    """An export: who took which fields of a run's records out of the store, to which file."""

    run_id: str
    operator: str
    file: str
    rows: int
    fields: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class LogRow:
    """An entry of the append-only log; ``seq`` counts from 1 without gaps, ``body`` is a JSON object."""

    seq: int
    agreement: str | None
    event: str
    body: dict[str, Any]
    at: datetime
