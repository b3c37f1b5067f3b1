"""A run: one execution of the matching protocol under one agreement."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mutuals.models.statistics import RunStatistics


class Role(StrEnum):
    """Who opened the run."""

    INITIATOR = "initiator"
    RESPONDER = "responder"

    @property
    def other(self) -> Role:
        """The opposite role."""
        return Role.RESPONDER if self is Role.INITIATOR else Role.INITIATOR


class RunState(StrEnum):
    """Where a run stands; the right-hand states are final."""

    MATCHING = "matching"
    COUNTED = "counted"  # waiting for both sides to authorise the reveal
    REVEALING = "revealing"  # positions may have left the house
    REVEALED = "revealed"  # overlap confirmed by both; waiting for the exchange
    EXCHANGING = "exchanging"
    DONE = "done"
    COUNT_ONLY = "count_only"
    BELOW_THRESHOLD = "below_threshold"
    STALE = "stale"
    EXPIRED = "expired"
    FAILED = "failed"
    HALF_REVEALED = "half_revealed"  # blocks new runs with the partner until a person clears it

    @property
    def final(self) -> bool:
        """True where nothing more can happen to the run."""
        return self in _FINAL


_FINAL = frozenset(
    {
        RunState.DONE,
        RunState.COUNT_ONLY,
        RunState.BELOW_THRESHOLD,
        RunState.STALE,
        RunState.EXPIRED,
        RunState.FAILED,
    }
)


@dataclass(frozen=True)
class Run:
    """What the store keeps of a run.

    ``run_id`` is the short name both sides show, derived from ``sid`` (32 bytes). ``agreement`` is the digest in
    hex, ``partner`` the fingerprint in hex. Sizes and counts are in items, ``pairs`` too; ``contacts`` counts the
    own distinct contacts in the overlap. ``th`` is the transcript hash both sides signed (32 bytes). ``spool_key``
    is the run key of the spool, or nothing once destroyed; ``match_key`` the engine's, kept until all points are
    blinded, so that an interrupted match can go on. ``statistics`` are this side's numbers for the report. ``backend``
    is what computed the arithmetic on this side, where the engine leaves a choice, and ``executor`` where: ``local``,
    or the address of a cluster's scheduler.
    """

    run_id: str
    sid: bytes
    agreement: str
    partner: str
    role: Role
    engine: str
    state: RunState
    own_size: int
    partner_size: int
    opened_at: datetime
    own_receiving_key: bytes
    partner_receiving_key: bytes
    spool_key: bytes | None = None
    count: int | None = None
    th: bytes | None = None
    counted_at: datetime | None = None
    reveal_by: datetime | None = None
    revealed_at: datetime | None = None
    contacts: int | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    statistics: RunStatistics | None = None
    backend: str | None = None
    executor: str | None = None
    match_key: bytes | None = field(default=None, repr=False)
