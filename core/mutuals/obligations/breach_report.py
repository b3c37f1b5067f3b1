"""What partners are told of an own breach: a document each, about its own agreements and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from mutuals.identity.acts import sign_act
from mutuals.identity.operators import OperatorKeys
from mutuals.models.breach import Breach, BreachReport, Told, Whose
from mutuals.obligations.breach_scope import readable
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

BREACH_NOTICE: Final = "breach-notice"
BREACH_UPDATE: Final = "breach-update"
BREACH_CLOSED: Final = "breach-closed"
REPORT_ACT = "breach.report"
"""What an operator signs for a partner; the report itself is the act's facts."""

_Kind = Literal["breach-notice", "breach-update", "breach-closed"]
_SHORTEST_HOURS = 24  # asked where the agreement's own hours cannot be read any more: the default of a draft


def report_to(breach: Breach, agreements: Sequence[AgreementRow], news: str) -> BreachReport:
    """What the partner of ``agreements`` is told: the facts of these agreements alone."""
    digests = tuple(row.digest for row in agreements)
    counts = [count for count in breach.counts if count.agreement in digests]
    return BreachReport(
        breach_id=breach.breach_id,
        what=breach.what,
        kinds=breach.kinds,
        aware_at=breach.aware_at,
        began_at=breach.began_at,
        whose=breach.whose,
        agreements=digests,
        runs=tuple(count.run for count in counts),
        data_categories=categories_of(agreements, breach.whose),
        person_categories=breach.person_categories,
        sent_contacts=sum(count.sent for count in counts) if "sent" in breach.whose else None,
        received_records=sum(count.received for count in counts) if "received" in breach.whose else None,
        consequences=breach.consequences,
        measures=breach.measures,
        contact=breach.contact,
        revision=breach.revision,
        state=breach.state,
        news=news,
    )


def tell(
    tx: Transaction,
    peer: Peer,
    keys: OperatorKeys,
    breach: Breach,
    agreements: Sequence[AgreementRow],
    kind: _Kind,
    news: str,
) -> tuple[tuple[Told, ...], tuple[str, ...]]:
    """A signed document for each partner; who was told by which, and which partners were removed meanwhile."""
    told, untold = [], []
    for fingerprint in dict.fromkeys(row.partner for row in agreements):
        partner = tx.partners.get(fingerprint)
        if partner is None or partner.removed_at is not None:
            untold.append(fingerprint)
            continue
        theirs = [row for row in agreements if row.partner == fingerprint]
        report = report_to(breach, theirs, news)
        now = peer.clock()
        signed = sign_act(keys, REPORT_ACT, breach.breach_id, report.model_dump(mode="json"), now)
        document = enqueue(tx, peer, fingerprint, sign_document(peer, kind, dict(signed.evidence())))
        start = breach.aware_at if kind == BREACH_NOTICE else whole_seconds(now)
        hours = min(_hours(row) for row in theirs)
        told.append(
            Told(partner=fingerprint, kind=kind, document=document, due_at=start + timedelta(hours=hours))
        )
        for row in theirs:
            body = {**signed.evidence(), "document": document}
            tx.log.append(row.digest, f"breach.{kind.removeprefix('breach-')}-signed", body, now)
    return tuple(told), tuple(untold)


def tell_again(
    tx: Transaction, peer: Peer, keys: OperatorKeys, breach: Breach, kind: _Kind, news: str
) -> Breach:
    """Tell those who had the notice what is new; the breach with the documents noted."""
    rows = [row for digest in breach.agreements if (row := tx.agreements.get(digest)) is not None]
    reached = {told.partner for told in breach.told}  # who never had the notice cannot place an update
    told, _ = tell(tx, peer, keys, breach, [row for row in rows if row.partner in reached], kind, news)
    return breach.model_copy(update={"told": (*breach.told, *told)})


def categories_of(agreements: Sequence[AgreementRow], whose: Sequence[Whose]) -> tuple[str, ...]:
    """The categories of the fields that moved in the directions concerned."""
    found = set()
    for row in agreements:
        agreement = readable(row)
        if agreement is not None:
            sides = [row.own_side] if "sent" in whose else []
            sides += [row.own_side.other] if "received" in whose else []
            found |= {item.category for side in sides for item in agreement.sends(side)}
    return tuple(sorted(found))[:100]


def _hours(row: AgreementRow) -> int:
    agreement = readable(row)
    return agreement.security.breach_notification_hours if agreement else _SHORTEST_HOURS


def whole_seconds(moment: datetime) -> datetime:
    """``moment`` in UTC, as documents write it."""
    return moment.astimezone(UTC).replace(microsecond=0)
