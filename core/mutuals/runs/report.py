"""What a run can be reported by: numbers, dates and names of companies; no contact, nor anything derived from one.

report = gather_report(peer, run_id)
report.facts()                         # the same as values for JSON

The page made of it may be mailed around (``mutuals report``), so nothing here needs a key or a passphrase.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mutuals.agreement.active import verify_stored
from mutuals.agreement.document import agreement_id
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.partners import partner_card
from mutuals.models.agreement import Agreement, AgreementState
from mutuals.models.run import Run, RunState
from mutuals.models.statistics import RunStatistics
from mutuals.peer import Peer
from mutuals.runs.moved import ExchangeSummary, exchange_summary
from mutuals.store.rows import AgreementRow, CheckpointRow, LogRow

_ABOUT_RUN = ("run", "subject")


@dataclass(frozen=True)
class Milestone:
    """An entry about the run: ``number`` counts from 1 in the agreement's log, as both sides' verifiers count."""

    number: int
    at: datetime
    event: str
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """A file of the run's received records; where it was written is not told."""

    at: datetime
    operator: str
    rows: int
    fields: tuple[str, ...]


@dataclass(frozen=True)
class LogHead:
    """The newest signed head of the agreement's log: ``size`` entries, ``root`` in hex, of ``entries`` by now."""

    size: int
    root: str
    at: datetime
    cosigned: bool
    entries: int


@dataclass(frozen=True)
class RunReport:
    """Everything the report on a run says. Names are texts of both companies and have to be escaped.

    ``own_identifiers`` leaves out padding. ``fields_promised`` are those the partner sends under the agreement;
    ``envelopes`` of ours are acknowledged and made; ``held`` counts received records that are still here.
    """

    run: Run
    made_at: datetime
    own: str
    partner: str
    agreement: Agreement
    agreement_state: AgreementState
    moved: ExchangeSummary
    fields_promised: tuple[str, ...]
    envelopes: tuple[int, int]
    held: int
    exports: tuple[Export, ...]
    milestones: tuple[Milestone, ...]
    head: LogHead | None
    waits_for: str | None = None
    events: frozenset[str] = field(default=frozenset())

    @property
    def statistics(self) -> RunStatistics | None:
        """The own side's numbers; nothing where the match was never agreed to."""
        return self.run.statistics

    @property
    def own_identifiers(self) -> int:
        """How many own identifiers entered the match."""
        return self.run.own_size - (self.statistics.padding if self.statistics else 0)

    @property
    def padded(self) -> bool:
        """Whether the announced sizes may hold padding."""
        return self.agreement.matching.pad_sizes

    @property
    def counted(self) -> bool:
        """Whether this side knows the size of the overlap."""
        return self.run.count is not None

    @property
    def revealed(self) -> bool:
        """Whether both sides confirmed the pairs."""
        return self.run.revealed_at is not None

    @property
    def half_revealed(self) -> bool:
        """Whether positions may have left, and the pairs were never confirmed."""
        if self.revealed:
            return False
        broke_off = self.run.state in {RunState.REVEALING, RunState.HALF_REVEALED}
        below = self.run.state is RunState.BELOW_THRESHOLD and self.counted
        return broke_off or below or "run.half_revealed" in self.events

    @property
    def exchange_began(self) -> bool:
        """Whether records may have left."""
        return "run.exchange_prepared" in self.events

    @property
    def exchanged(self) -> bool:
        """Whether both directions are complete."""
        return "run.exchanged" in self.events

    @property
    def own_rate(self) -> float | None:
        """Share of the own identifiers that the partner holds as well, 0 to 1."""
        return _share(self.run.count, self.own_identifiers)

    @property
    def partner_rate(self) -> float | None:
        """Share of the partner's announced identifiers, 0 to 1; too low where it padded its list."""
        return _share(self.run.count, self.run.partner_size)

    @property
    def contact_rate(self) -> float | None:
        """Share of the own contacts that took part, 0 to 1; known from the reveal on."""
        return _share(self.run.contacts, self.statistics.eligible if self.statistics else 0)

    def facts(self) -> dict[str, Any]:
        """The report as values for JSON: the keys documented in docs/commands-guide.md."""
        run, statistics = self.run, self.statistics
        return {
            "run": run.run_id,
            "state": run.state.value,
            "reason": run.reason,
            "waits_for": self.waits_for,
            "own": self.own,
            "partner": self.partner,
            "role": run.role.value,
            "engine": run.engine,
            "backend": run.backend,
            "opened_at": run.opened_at,
            "counted_at": run.counted_at,
            "revealed_at": run.revealed_at,
            "finished_at": run.finished_at,
            "agreement": {
                "id": agreement_id(run.agreement),
                "digest": run.agreement,
                "title": self.agreement.title,
                "state": self.agreement_state.value,
                "valid_from": self.agreement.valid_from,
                "valid_until": self.agreement.valid_until,
                "min_overlap": self.agreement.matching.min_overlap,
            },
            "sizes": {
                "own": run.own_size,
                "own_identifiers": self.own_identifiers,
                "partner": run.partner_size,
                "overlap": run.count,
                "contacts": run.contacts,
                "padded": self.padded,
            },
            "match_rate": {
                "own": self.own_rate,
                "partner": self.partner_rate,
                "contacts": self.contact_rate,
            },
            "statistics": statistics.model_dump(mode="json") if statistics else None,
            "exchange": {
                "began": self.exchange_began,
                "complete": self.exchanged,
                "preview": self.moved.preview,
                "contacts_sent": self.moved.contacts_sent,
                "records_sent": self.moved.records_sent,
                "fields_sent": list(self.moved.fields_sent),
                "withheld": self.moved.withheld,
                "envelopes_acknowledged": self.envelopes[0],
                "envelopes_made": self.envelopes[1],
                "contacts_received": self.moved.contacts_received,
                "records_received": self.moved.records_received,
                "records_held": self.held,
                "fields_received": list(self.fields_promised) if self.held or self.exchanged else [],
                "exports": [
                    {"at": one.at, "operator": one.operator, "rows": one.rows, "fields": list(one.fields)}
                    for one in self.exports
                ],
            },
            "log": {
                "entries": [
                    {
                        "number": one.number,
                        "at": one.at,
                        "event": one.event,
                        "operators": list(one.operators),
                    }
                    for one in self.milestones
                ],
                "head": None
                if self.head is None
                else {
                    "size": self.head.size,
                    "root": self.head.root,
                    "at": self.head.at,
                    "cosigned": self.head.cosigned,
                    "entries": self.head.entries,
                },
                "transcript": run.th.hex() if run.th else None,
            },
        }


def gather_report(peer: Peer, run_id: str) -> RunReport:
    """The report on a run in whatever state it is.

    Raises MutualsError: RUN_UNKNOWN, AGREEMENT_NOT_ACTIVE where the stored agreement is not what was signed.
    """
    from mutuals.runs.waiting import waits_for

    now = peer.clock()
    with peer.store.transaction() as tx:
        run = tx.runs.get(run_id)
        row = tx.agreements.get(run.agreement) if run else None
        if run is None or row is None:
            raise MutualsError(
                ErrorCode.RUN_UNKNOWN,
                f"There is no run {run_id} in this home.",
                hint="List them: mutuals runs",
            )
        agreement = verify_stored(row)
        partner = tx.partners.get(run.partner)
        entries = tx.log.of(run.agreement)
        made = tx.envelopes.outgoing(run.run_id)
        held = tx.received.count(run.run_id)
        exports = tx.exports.list(run.run_id)
        head = tx.checkpoints.latest(run.agreement, own=True)
        waiting = waits_for(tx, run, now)
    milestones = _milestones(run, entries)
    return RunReport(
        run=run,
        made_at=now,
        own=peer.name,
        partner=partner_card(partner).organisation if partner else _party(agreement, row),
        agreement=agreement,
        agreement_state=row.state,
        moved=exchange_summary(peer, run),
        fields_promised=tuple(item.name for item in agreement.sends(row.own_side.other)),
        envelopes=(sum(one.acknowledged_at is not None for one in made), len(made)),
        held=held,
        exports=tuple(Export(one.at, one.operator, one.rows, one.fields) for one in exports),
        milestones=milestones,
        head=_head(head, len(entries)),
        waits_for=waiting,
        events=frozenset(one.event for one in milestones),
    )


def _party(agreement: Agreement, row: AgreementRow) -> str:
    return agreement.party(row.own_side.other).organisation


def _milestones(run: Run, entries: list[LogRow]) -> tuple[Milestone, ...]:
    return tuple(
        Milestone(number, entry.at, entry.event, _operators(entry.body))
        for number, entry in enumerate(entries, 1)
        if any(entry.body.get(key) == run.run_id for key in _ABOUT_RUN)
    )


def _operators(body: dict[str, Any]) -> tuple[str, ...]:
    several, one = body.get("operators"), body.get("operator")
    if isinstance(several, list):
        return tuple(str(name) for name in several)
    return (str(one),) if one else ()


def _head(row: CheckpointRow | None, entries: int) -> LogHead | None:
    if row is None:
        return None
    return LogHead(row.size, row.root.hex(), row.at, row.cosignature is not None, entries)


def _share(part: int | None, whole: int) -> float | None:
    return None if part is None or whole <= 0 else min(part / whole, 1.0)
