"""A partner's word about a breach of its own: verified, kept, and told to the operators.

    receive_breach_notice, receive_breach_update, receive_breach_closed      run in the document's transaction

Nothing is suspended here: the partner suspends its agreements with us by its own ``suspension`` documents. What a
partner can make us keep is bounded by number and by size.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mutuals.agreement.acts import fault, partners_agreement
from mutuals.agreement.chain import BOUND
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.identity.acts import Act, verify_act
from mutuals.identity.text import deceptive_character
from mutuals.models.breach import Breach, BreachReport, BreachState, BreachUpdate
from mutuals.obligations.breach_record import parse_breach
from mutuals.obligations.breach_report import BREACH_CLOSED, BREACH_NOTICE, BREACH_UPDATE, REPORT_ACT
from mutuals.obligations.breach_text import unusable_text
from mutuals.store.rows import BreachRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

__all__ = [
    "BREACH_CLOSED",
    "BREACH_NOTICE",
    "BREACH_UPDATE",
    "receive_breach_closed",
    "receive_breach_notice",
    "receive_breach_update",
]

MAX_OPEN = 20
"""Breaches of one partner that are open here at a time."""

MAX_IN_30_DAYS = 100
"""Breaches of one partner that it may tell of in 30 days, closed or not."""

_MAX_BODY = 262_144
_AHEAD = timedelta(hours=1)  # how far a partner's clock may run before ours
_TOLD = ("privacy_officer", "admin")


def receive_breach_notice(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Keep a breach that the partner tells of for the first time. Raises PartnerFault."""
    now = peer.clock()
    report, act = _read(tx, partner, body, now)
    if report.revision != 0 or report.state is not BreachState.OPEN or report.news:
        raise fault("A breach notice is not the first word about a breach.")
    key = _key(report.breach_id, partner)
    if tx.breaches.get(key) is not None:
        raise fault(f"The partner told of breach {report.breach_id} before.")
    theirs = [row for row in tx.breaches.list() if row.partner == partner.fingerprint]
    recent = [row for row in theirs if row.opened_at > now - timedelta(days=30)]
    if sum(row.closed_at is None for row in theirs) >= MAX_OPEN or len(recent) >= MAX_IN_30_DAYS:
        raise fault("The partner tells of more breaches than this peer keeps; talk to its people.")
    breach = Breach(**_facts(report), operator=act.operator, recorded_at=now.replace(microsecond=0))
    _keep(tx, partner, breach, now, opened_at=now, aware_at=now)
    _log(tx, report, "notice-received", body, now)
    _notify(tx, partner, report, "tells of a breach of personal data", now)


def receive_breach_update(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Add what the partner learned since to a breach it told of. Raises PartnerFault."""
    now = peer.clock()
    report, act = _read(tx, partner, body, now)
    if report.state is not BreachState.OPEN:
        raise fault("An update says that the breach is closed.")
    row, breach = _continued(tx, partner, report)
    _keep(tx, partner, _with(breach, report, act, now), now, opened_at=row.opened_at, aware_at=row.aware_at)
    _log(tx, report, "update-received", body, now)
    _notify(tx, partner, report, "has news of its breach", now)


def receive_breach_closed(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Note that the partner closed a breach it told of. Raises PartnerFault."""
    now = peer.clock()
    report, act = _read(tx, partner, body, now)
    if report.state is not BreachState.CLOSED:
        raise fault("The end of a breach does not say that it is closed.")
    row, breach = _continued(tx, partner, report)
    closed = _with(breach, report, act, now).model_copy(update={"state": BreachState.CLOSED})
    _keep(tx, partner, closed, now, opened_at=row.opened_at, aware_at=row.aware_at)
    tx.breaches.close(row.breach_id, now)
    _log(tx, report, "closed-received", body, now)
    _notify(tx, partner, report, "closed its breach", now)


def _read(tx: Transaction, partner: PartnerRow, body: bytes, now: datetime) -> tuple[BreachReport, Act]:
    """The report in ``body`` and the act that signed it, in this order:

    1. bounded, canonical, exactly an act and its signature;
    2. the act is of this kind, and signed by the key that it names;
    3. the report is valid and in its one byte form, and the act is about it;
    4. its texts are plain and name nobody;
    5. every agreement bound us and this partner, and every run was under one of these.
    """
    try:
        if len(body) > _MAX_BODY:
            raise ValueError("too large")
        payload = parse_canonical(body)
        if set(payload) != {"act", "act_signature"} or not all(
            isinstance(text, str) for text in payload.values()
        ):
            raise ValueError("other keys")
        act = verify_act(payload["act"].encode(), bytes.fromhex(payload["act_signature"]))
        facts = canonical_json(act.facts)
        report = BreachReport.model_validate_json(facts, strict=True)
        if canonical_json(report) != facts or (act.act, act.subject) != (REPORT_ACT, report.breach_id):
            raise ValueError("not in its one byte form, or an act about something else")
        if any(deceptive_character(text) for text in (act.operator, act.department, *act.roles)):
            raise ValueError("a name holds a control or invisible character")
        if len(set(report.agreements)) != len(report.agreements) or len(set(report.runs)) != len(report.runs):
            raise ValueError("something is named twice")
    except (ValueError, RecursionError) as error:
        raise fault("A document about a breach is not in the form it must have.") from error
    if (wrong := unusable_text(report, report.news)) is not None:
        raise fault(f"A text about a breach {wrong}.")
    if max(report.aware_at, report.began_at or report.aware_at) > now + _AHEAD:
        raise fault("A breach is said to lie in the future.")
    for digest in report.agreements:
        row = partners_agreement(tx, partner, digest)
        if row.state not in BOUND:
            raise fault(f"A breach names agreement {row.agreement_id}, which never bound both sides.")
    for run_id in report.runs:
        run = tx.runs.get(run_id)
        if run is None or run.partner != partner.fingerprint or run.agreement not in report.agreements:
            raise PartnerFault(
                ErrorCode.RUN_UNKNOWN, "A breach names a run that is not under the agreements it names."
            )
    return report, act


def _continued(tx: Transaction, partner: PartnerRow, report: BreachReport) -> tuple[BreachRow, Breach]:
    """The breach that a later report is about."""
    row = tx.breaches.get(_key(report.breach_id, partner))
    if row is None:
        raise fault(f"There is no breach {report.breach_id} that this partner told of.")
    breach = parse_breach(row)
    if row.closed_at is not None:
        raise fault(f"Breach {report.breach_id} was closed.")
    if report.revision == 0 or not report.news:
        raise fault("An update of a breach says nothing.")
    if any(update.revision == report.revision for update in breach.updates):
        raise fault(f"Update {report.revision} of breach {report.breach_id} came before.")
    if set(report.agreements) != set(breach.agreements):
        raise fault(f"Breach {report.breach_id} is about other agreements.")
    return row, breach


def _with(breach: Breach, report: BreachReport, act: Act, now: datetime) -> Breach:
    """The breach with the update added, in order of revision; its facts are those of the latest one."""
    update = BreachUpdate(
        revision=report.revision, at=now.replace(microsecond=0), operator=act.operator, text=report.news
    )
    updates = tuple(sorted((*breach.updates, update), key=lambda item: item.revision))
    latest = _facts(report) if report.revision > breach.revision else {}
    return breach.model_copy(update={**latest, "updates": updates})


def _facts(report: BreachReport) -> dict[str, object]:
    return {
        name: getattr(report, name)
        for name in type(report).model_fields
        if name not in {"format", "news", "state"}
    }


def _keep(
    tx: Transaction,
    partner: PartnerRow,
    breach: Breach,
    now: datetime,
    *,
    opened_at: datetime,
    aware_at: datetime,
) -> None:
    """``aware_at`` is when we learned of it: from then on our own duties would run, not from the partner's moment."""
    tx.breaches.put(
        BreachRow(
            breach_id=_key(breach.breach_id, partner),
            partner=partner.fingerprint,
            document=canonical_json(breach),
            aware_at=aware_at,
            opened_at=opened_at,
            updated_at=now,
        )
    )


def _key(breach_id: str, partner: PartnerRow) -> str:
    """Partners choose their ids, so each has its own: none can take the place of an own breach, or of another's."""
    return f"{breach_id}@{partner.fingerprint}"


def _log(tx: Transaction, report: BreachReport, event: str, body: bytes, now: datetime) -> None:
    for digest in report.agreements:
        facts = {"breach": report.breach_id, "document": body.decode()}
        tx.log.append(digest, f"breach.{event}", facts, now)


def _notify(tx: Transaction, partner: PartnerRow, report: BreachReport, what: str, now: datetime) -> None:
    """Whose breach, and where to read on; never the partner's own words, which may hold anything."""
    text = f"{partner.name} {what}, {report.breach_id}: mutuals breach show {report.breach_id}"
    tx.notifications.add(report.agreements[0], text, _TOLD, now)
