"""What is known about each agreement and about the peer, as values: the keys of ``mutuals status --json``.

Digests and fingerprints are hex, moments aware and in UTC. Contacts are counted, never named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Urgency(StrEnum):
    """How urgent a finding is, the most urgent first."""

    OVERDUE = "overdue"  # a date or a duty has passed: the exit code says so
    WARNING = "warning"  # looks wrong, or will soon be overdue
    NOTE = "note"  # somebody is waiting, or something is good to know

    @property
    def rank(self) -> int:
        """0 for the most urgent."""
        return list(Urgency).index(self)


@dataclass(frozen=True)
class Finding:
    """Something to look at: ``what`` is so, what it ``means``, what to ``do``, and with which ``command``.

    ``rule`` is the stable name under which docs/monitoring.md explains it, ``agreement`` the short name where it is
    about one, ``due`` the moment by which something had or has to be done.
    """

    rule: str
    urgency: Urgency
    what: str
    means: str
    do: str
    command: str | None = None
    agreement: str | None = None
    partner: str | None = None
    due: datetime | None = None


@dataclass(frozen=True)
class Version:
    """One version of an agreement; ``since`` is when its state last changed.

    ``answer_of`` is ``us`` or ``partner`` where it is proposed and that side has not answered; ``signed_by`` are our
    operators whose signature waits for a second one.
    """

    version: int | None
    id: str
    digest: str
    state: str
    since: datetime
    answer_of: str | None = None
    signed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budgets:
    """What the partner has used in ``period_days`` over all agreements with it, of what this agreement allows.

    At ``next_free_at`` the oldest run leaves the period; nothing where none was charged.
    """

    runs_used: int
    runs_allowed: int
    items_used: int
    items_allowed: int
    period_days: int
    next_free_at: datetime | None


@dataclass(frozen=True)
class RunFacts:
    """A run: sizes and overlap in identifiers, and what has to happen next.

    ``to_export`` is True where it is done, and what it received is in the store and was never exported.
    """

    run: str
    state: str
    opened_at: datetime
    own_size: int
    partner_size: int
    overlap: int | None
    reveal_by: datetime | None
    waits_for: str | None
    to_export: bool = False


@dataclass(frozen=True)
class Records:
    """What the exchanges moved. ``held`` counts the received records that are still in the store.

    A contact whose fields have several retention classes counts as several records. ``withheld`` counts own contacts
    of the overlap that were not sent, by reason.
    """

    contacts_sent: int = 0
    records_sent: int = 0
    contacts_received: int = 0
    records_received: int = 0
    held: int = 0
    withheld: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportFacts:
    """An export: who wrote which fields of how many contacts to which file, and when."""

    run: str
    operator: str
    file: str
    rows: int
    fields: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Deletion:
    """The next deletion in one retention class, of so many records in all; ``next_at`` is the earliest date."""

    retention_days: int
    records: int
    next_at: datetime


@dataclass(frozen=True)
class SuspensionFacts:
    """An open suspension: by ``us`` or ``partner``, why, since when, and the breach behind it, if any."""

    suspension: str
    by: str
    reason: str
    since: datetime
    breach: str | None


@dataclass(frozen=True)
class Undelivered:
    """A signed document that waits in the outbox for ``partner`` (its name); ``endpoint``: whether we can call it."""

    partner: str
    kind: str
    since: datetime
    hours: int
    endpoint: bool = True


@dataclass(frozen=True)
class RevocationFacts:
    """A contact that we withdrew after it was sent, and whose deletion the partner has not confirmed."""

    revocation: str
    run: str
    since: datetime
    due: datetime


@dataclass(frozen=True)
class AttestationFacts:
    """The period of use that ``side`` (``us`` or ``partner``) attests next; it can, and should, from its end on."""

    side: str
    since: datetime
    due: datetime


@dataclass(frozen=True)
class CertificateFacts:
    """The deletion certificate that ``side`` owes after the end; ``signed_at`` where it is in."""

    side: str
    signed_at: datetime | None
    due: datetime


@dataclass(frozen=True)
class CheckpointFacts:
    """Our latest checkpoint of the agreement's log: so many entries, and whether the partner cosigned it."""

    size: int
    at: datetime
    cosigned: bool


@dataclass(frozen=True)
class AssessmentFacts:
    """Our risk assessment that the binding version was signed with."""

    digest: str
    made_at: datetime
    age_days: int


@dataclass(frozen=True)
class ConsentFacts:
    """The bound source, read now: contacts in all, those whom consent and notice allow, and the others by reason.

    ``expiring`` counts contacts whose consent becomes too old within ``within_days``. ``problem`` says why the source
    cannot be used; the numbers are then 0.
    """

    source: str
    contacts: int = 0
    allowed: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    expiring: int = 0
    within_days: int = 30
    problem: str | None = None


@dataclass(frozen=True)
class BreachFacts:
    """An open breach, ours or one that a partner told of.

    ``authority_due`` is when GDPR Art. 33(1) wants the authority to be told (72 hours after we became aware), nothing
    once it was or need not be, or where it is the partner's; ``partners_due`` when the first agreement wants its
    partner to be told that has not acknowledged the notice.
    """

    breach: str
    partner: str | None
    aware_at: datetime
    authority_due: datetime | None
    hours_left: int | None
    partners_due: datetime | None = None
    partner_hours_left: int | None = None


@dataclass(frozen=True)
class PolicyFacts:
    """The company's own policy as it was approved last; ``intact`` is False where it is not what was signed."""

    version: int
    approved_at: datetime
    operator: str
    intact: bool = True


@dataclass(frozen=True)
class LogFaultFacts:
    """A log of an agreement (short name) that lacks what was cosigned, ours (``own``) or the partner's.

    ``kind`` and ``size`` as in ``mutuals.runs.log_faults``, ``what`` in a sentence.
    """

    agreement: str
    partner: str
    own: bool
    kind: str
    size: int
    since: datetime
    what: str


@dataclass(frozen=True)
class CardFacts:
    """Until when the TLS certificate on a card is valid; ``owner`` is ``us`` or the partner's name."""

    owner: str
    valid_until: datetime


@dataclass(frozen=True)
class RotationFacts:
    """A rotation of the own certificate: until when that of before is good, and which of the ``partners`` (a number)
    have not got the new card, or refused it; ``stolen`` says that the key of before was.
    """

    until: datetime
    stolen: bool
    partners: int
    waiting: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class AgreementStatus:
    """How one agreement stands, over all its versions; ``state`` is that of the version that binds, or the latest.

    ``days_left`` counts to the last day, or to when a termination takes effect (``ends_at``). ``intact`` is False where
    the stored document or signatures no longer verify; what the document says is then unknown. ``partner_endpoint`` is
    False where the partner's card has none, so that the partner has to call.
    """

    id: str
    digest: str
    title: str
    partner: str
    partner_fingerprint: str
    own_side: str
    state: str
    version: int | None
    versions: tuple[Version, ...]
    valid_from: date | None
    valid_until: date | None
    days_left: int | None
    ends_at: datetime | None
    ended_at: datetime | None
    intact: bool
    budgets: Budgets | None
    runs: tuple[RunFacts, ...]
    records: Records
    exports: tuple[ExportFacts, ...]
    retention: tuple[Deletion, ...]
    suspensions: tuple[SuspensionFacts, ...]
    revocations: tuple[RevocationFacts, ...]
    attestations: tuple[AttestationFacts, ...]
    certificates: tuple[CertificateFacts, ...]
    checkpoint: CheckpointFacts | None
    assessment: AssessmentFacts | None
    consents: ConsentFacts | None = None
    partner_endpoint: bool = True

    @property
    def living(self) -> bool:
        """Whether it may still be used, or be used again: neither ended nor turned down."""
        return self.state in {"proposed", "active", "suspended"}


@dataclass(frozen=True)
class PeerFacts:
    """What concerns the peer as a whole; ``partners`` by name, ``unread`` counts notifications by operator.

    ``operators_changed`` says which stored operators are not as an admin appointed them, a clause for each.
    ``clock_behind_seconds`` is how far this clock stands before the latest entry of the own log; mostly 0.
    """

    organisation: str
    policy: PolicyFacts | None
    cards: tuple[CardFacts, ...]
    breaches: tuple[BreachFacts, ...]
    undelivered: tuple[Undelivered, ...]
    unread: dict[str, int]
    clock_behind_seconds: int
    partners: tuple[str, ...]
    log_faults: tuple[LogFaultFacts, ...] = ()
    operators_changed: tuple[str, ...] = ()
    rotation: RotationFacts | None = None


@dataclass(frozen=True)
class ClosedAgreement:
    """An agreement that is closed: destroyed and certified on both sides."""

    id: str
    title: str
    partner: str
    ended_at: datetime | None


@dataclass(frozen=True)
class Status:
    """Everything at one moment: ``agreements`` most urgent first, ``findings`` likewise.

    ``closed`` has the closed ones, oldest first, where neither one agreement nor all were asked for.
    """

    at: datetime
    peer: PeerFacts
    agreements: tuple[AgreementStatus, ...]
    findings: tuple[Finding, ...]
    closed: tuple[ClosedAgreement, ...] = ()

    @property
    def overdue(self) -> bool:
        """Whether a date or a duty has passed."""
        return any(finding.urgency is Urgency.OVERDUE for finding in self.findings)
