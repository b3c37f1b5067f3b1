"""An own breach of personal data, from its discovery to its end (DESIGN §5, GDPR Art. 33 and 34).

    breach = open_breach(peer, Opening(agreements=("A-7Q3K2M9X",), what="...", aware_at=now), keys)
    update_breach(peer, breach.breach_id, Changes(text="..."), keys)
    close_breach(peer, breach.breach_id, Closing(text="..."), keys)

Each is one transaction: what was known and done is signed by the operator and logged, the agreements concerned are
suspended on both sides, and each partner concerned gets a document about its own agreements and nobody else's. The
receiving side is ``breach_received``, the clock ``breach_standing``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mutuals.agreement.chain import LIVING, chain_of, newest_of
from mutuals.agreement.suspension import resume, suspend
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import SignedAct, sign_act
from mutuals.identity.operators import OperatorKeys
from mutuals.models.breach import (
    MAX_UPDATES,
    Breach,
    BreachKind,
    BreachState,
    BreachUpdate,
    Duty,
    Halt,
    RunCount,
    Whose,
)
from mutuals.obligations.breach_record import own_open_breach, put_breach, require_operator
from mutuals.obligations.breach_report import (
    BREACH_CLOSED,
    BREACH_NOTICE,
    BREACH_UPDATE,
    categories_of,
    tell,
    tell_again,
    whole_seconds,
)
from mutuals.obligations.breach_scope import Scope, find_scope, readable
from mutuals.obligations.breach_standing import deliveries
from mutuals.obligations.breach_text import plain_line, plain_text
from mutuals.shortid import short_id

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction


@dataclass(frozen=True)
class Opening:
    """What an operator says when a breach is opened; agreements and runs are ids or digests, moments aware."""

    what: str
    aware_at: datetime
    agreements: Sequence[str] = ()
    runs: Sequence[str] = ()
    everything: bool = False
    kinds: Sequence[BreachKind] = (BreachKind.CONFIDENTIALITY,)
    began_at: datetime | None = None
    whose: Sequence[Whose] = ("sent", "received")
    persons: Sequence[str] = ()
    consequences: str = ""
    measures: str = ""
    contact: str | None = None
    suspend: bool = True


@dataclass(frozen=True)
class Changes:
    """An update: its text, and the facts that are now known; nothing stays as it was."""

    text: str
    began_at: datetime | None = None
    persons: Sequence[str] = ()
    consequences: str | None = None
    measures: str | None = None
    contact: str | None = None
    authority_told_at: datetime | None = None
    persons_told_at: datetime | None = None


@dataclass(frozen=True)
class Closing:
    """The end: what came of it, and for each duty that was not done the reason why not."""

    text: str
    no_authority: str = ""
    no_persons: str = ""
    no_partners: str = ""
    keep_suspended: bool = False


def plan_breach(tx: Transaction, peer: Peer, opening: Opening) -> tuple[Breach, Scope]:
    """The breach as it would be opened, and what it touches; nothing is stored or signed.

    Raises MutualsError: USAGE (a text, a moment, nothing named), AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE, RUN_UNKNOWN.
    """
    now = whole_seconds(peer.clock())
    scope = find_scope(tx, opening.agreements, opening.runs, everything=opening.everything)
    aware_at = _past(opening.aware_at, now, "--discovered")
    whose = tuple(sorted(set(opening.whose), reverse=True))
    counts = tuple(
        RunCount(
            run=run.run_id,
            agreement=run.agreement,
            sent=run.sent_contacts if "sent" in whose else 0,
            received=run.received_records if "received" in whose else 0,
        )
        for run in scope.runs
    )
    breach = Breach(
        breach_id=short_id("B", os.urandom(8)),
        what=plain_text(opening.what, "--what"),
        kinds=tuple(kind for kind in BreachKind if kind in opening.kinds),
        aware_at=aware_at,
        began_at=_before(opening.began_at, aware_at),
        whose=whose,
        agreements=tuple(row.digest for row in scope.agreements),
        runs=tuple(run.run_id for run in scope.runs),
        data_categories=categories_of(scope.agreements, whose),
        person_categories=tuple(plain_line(text, "--persons") for text in opening.persons),
        sent_contacts=sum(count.sent for count in counts) if "sent" in whose else None,
        received_records=sum(count.received for count in counts) if "received" in whose else None,
        consequences=plain_text(opening.consequences, "--consequences", needed=False),
        measures=plain_text(opening.measures, "--measures", needed=False),
        contact=plain_line(opening.contact or _own_contact(peer, scope), "--contact"),
        operator="nobody yet",
        recorded_at=now,
        counts=counts,
    )
    return breach, scope


def open_breach(peer: Peer, opening: Opening, keys: OperatorKeys) -> Breach:
    """Record a breach, suspend the agreements concerned, and tell their partners; the breach.

    Raises what ``plan_breach`` does, and NOT_ENTITLED.
    """
    with peer.store.transaction() as tx:
        require_operator(tx, keys, "open a breach")
        planned, scope = plan_breach(tx, peer, opening)
        breach = planned.model_copy(update={"operator": keys.name})
        now = peer.clock()
        signed = sign_act(keys, "breach.open", breach.breach_id, breach.model_dump(mode="json"), now)
        told, untold = tell(tx, peer, keys, breach, scope.agreements, BREACH_NOTICE, "")
        halts = _suspend(tx, peer, keys, breach) if opening.suspend else ()
        breach = breach.model_copy(update={"told": told, "untold": untold, "halts": halts})
        _log(tx, breach, "opened", signed, now)
        put_breach(tx, breach, now, opened_at=now)
        text = f"{keys.name} opened breach {breach.breach_id}: mutuals breach show {breach.breach_id}"
        tx.notifications.add(breach.agreements[0], text, ("privacy_officer", "admin"), now, author=keys.name)
    return breach


def update_breach(peer: Peer, reference: str, changes: Changes, keys: OperatorKeys) -> Breach:
    """Record what is now known or was done, and tell the partners; the breach as it now stands.

    Raises MutualsError: USAGE (no such breach, not an own or an open one, a text), NOT_ENTITLED.
    """
    with peer.store.transaction() as tx:
        require_operator(tx, keys, "update a breach")
        row, breach = own_open_breach(tx, reference)
        if breach.revision >= MAX_UPDATES:
            raise MutualsError(
                ErrorCode.USAGE,
                f"Breach {breach.breach_id} has {MAX_UPDATES} updates already.",
                hint=f"Close it and open another: mutuals breach close {breach.breach_id} --text ...",
            )
        now = whole_seconds(peer.clock())
        text = plain_text(changes.text, "--text")
        values = _changed(breach, changes, now)
        breach = _next(breach, text, keys, now).model_copy(update=values)
        facts = {"text": text, **breach.model_dump(mode="json", include=set(values))}
        signed = sign_act(keys, "breach.update", breach.breach_id, facts, now)
        breach = tell_again(tx, peer, keys, breach, BREACH_UPDATE, text)
        _log(tx, breach, "updated", signed, now)
        put_breach(tx, breach, now, opened_at=row.opened_at)
    return breach


def close_breach(peer: Peer, reference: str, closing: Closing, keys: OperatorKeys) -> Breach:
    """Note how it ended, tell the partners, and lift the suspensions it made; the breach as it now stands.

    Raises MutualsError: USAGE (no such breach, not an own or an open one, a text), NOT_ENTITLED, and
    AGREEMENT_FORBIDS where a duty was neither done nor has a reason why not.
    """
    with peer.store.transaction() as tx:
        require_operator(tx, keys, "close a breach")
        row, breach = own_open_breach(tx, reference)
        now = whole_seconds(peer.clock())
        text = plain_text(closing.text, "--text")
        values = _duties(tx, breach, closing, now)
        _require_settled(breach, values)
        breach = _next(breach, text, keys, now).model_copy(update={**values, "state": BreachState.CLOSED})
        facts = {
            "text": text,
            "keep_suspended": closing.keep_suspended,
            **breach.model_dump(mode="json", include=set(values)),
        }
        signed = sign_act(keys, "breach.close", breach.breach_id, facts, now)
        breach = tell_again(tx, peer, keys, breach, BREACH_CLOSED, text)
        if not closing.keep_suspended:
            _lift(tx, peer, keys, breach)
        _log(tx, breach, "closed", signed, now)
        put_breach(tx, breach, now, opened_at=row.opened_at)
        tx.breaches.close(row.breach_id, now)
    return breach


def missing_duties(tx: Transaction, breach: Breach, closing: Closing, now: datetime) -> tuple[str, ...]:
    """What still hinders closing: each duty that is neither done nor excused by ``closing``, in words."""
    return tuple(
        f"{_DUTIES[name]}: record it, or say why not with --no-{name} REASON"
        for name, duty in _duties(tx, breach, closing, now).items()
        if not duty.settled
    )


def _duties(tx: Transaction, breach: Breach, closing: Closing, now: datetime) -> dict[str, Duty]:
    return {
        "authority": _settle(breach.authority, closing.no_authority, "--no-authority"),
        "persons": _settle(breach.persons, closing.no_persons, "--no-persons"),
        "partners": _settle(_partners_told(tx, breach, now), closing.no_partners, "--no-partners"),
    }


def _suspend(tx: Transaction, peer: Peer, keys: OperatorKeys, breach: Breach) -> tuple[Halt, ...]:
    """Suspend every agreement concerned that has not ended, once for all its versions."""
    halts = []
    for digest in suspendable(tx, breach.agreements):
        reason = f"Breach of personal data {breach.breach_id}"
        halts.append(
            Halt(agreement=digest, suspension=suspend(tx, peer, digest, reason, breach.breach_id, keys))
        )
    return tuple(halts)


def suspendable(tx: Transaction, digests: Iterable[str]) -> tuple[str, ...]:
    """The versions that count now of these agreements, where they have not ended."""
    newest = (newest_of(chain_of(tx, digest)) for digest in digests)
    return tuple(dict.fromkeys(row.digest for row in newest if row.state in LIVING))


def _lift(tx: Transaction, peer: Peer, keys: OperatorKeys, breach: Breach) -> None:
    for halt in breach.halts:
        held = tx.suspensions.get(halt.suspension)
        if held is not None and held.lifted_at is None and suspendable(tx, [halt.agreement]):
            resume(tx, peer, halt.agreement, halt.suspension, keys)


def _changed(breach: Breach, changes: Changes, now: datetime) -> dict[str, Any]:
    """The fields of the breach that an update sets."""
    values: dict[str, Any] = {}
    if changes.began_at is not None:
        values["began_at"] = _before(changes.began_at, breach.aware_at)
    if changes.persons:
        values["person_categories"] = tuple(plain_line(text, "--persons") for text in changes.persons)
    if changes.consequences is not None:
        values["consequences"] = plain_text(changes.consequences, "--consequences", needed=False)
    if changes.measures is not None:
        values["measures"] = plain_text(changes.measures, "--measures", needed=False)
    if changes.contact is not None:
        values["contact"] = plain_line(changes.contact, "--contact")
    if changes.authority_told_at is not None:
        values["authority"] = Duty(told_at=_past(changes.authority_told_at, now, "--told-at"))
    if changes.persons_told_at is not None:
        values["persons"] = Duty(told_at=_past(changes.persons_told_at, now, "--told-at"))
    return values


def _next(breach: Breach, text: str, keys: OperatorKeys, now: datetime) -> Breach:
    revision = breach.revision + 1
    update = BreachUpdate(revision=revision, at=now, operator=keys.name, text=text)
    return breach.model_copy(update={"revision": revision, "updates": (*breach.updates, update)})


def _settle(duty: Duty, why_not: str, option: str) -> Duty:
    if duty.told_at is not None or not why_not.strip():
        return duty
    return Duty(why_not=plain_text(why_not, option))


def _partners_told(tx: Transaction, breach: Breach, now: datetime) -> Duty:
    notices = [item for item in deliveries(tx, breach, now) if item.told.kind == BREACH_NOTICE]
    if breach.untold or not all(item.acknowledged for item in notices):
        return breach.partners
    return Duty(told_at=max((item.at for item in notices if item.at), default=None) or now)


_DUTIES = {
    "authority": "telling the supervisory authority (GDPR Art. 33(1))",
    "persons": "telling the persons concerned (GDPR Art. 34(1))",
    "partners": "telling every partner (the agreement's breach_notification_hours)",
}


def _require_settled(breach: Breach, duties: dict[str, Duty]) -> None:
    missing = [name for name, duty in duties.items() if not duty.settled]
    if not missing:
        return
    done = {"authority": "--told authority", "persons": "--told persons", "partners": ""}
    first = missing[0]
    way = (
        f"record it: mutuals breach update {breach.breach_id} {done[first]} --text TEXT; or "
        if done[first]
        else "deliver it: mutuals sync; or "
    )
    raise MutualsError(
        ErrorCode.AGREEMENT_FORBIDS,
        f"Breach {breach.breach_id} cannot be closed before this is done or has a reason why not: "
        f"{'; '.join(_DUTIES[name] for name in missing)}.",
        hint=f"Where it was done, {way}say why not: --no-{first} REASON",
    )


def _own_contact(peer: Peer, scope: Scope) -> str:
    """The data-protection officer of the newest agreement that can be read (Art. 33(3)(b)), or whom the card names."""
    for row in reversed(scope.agreements):
        agreement = readable(row)
        if agreement is not None:
            return agreement.party(row.own_side).data_protection_officer
    people = peer.card.card.contacts
    return f"{people[0].name}, {people[0].email}"[:200] if people else peer.name


def _past(moment: datetime, now: datetime, option: str) -> datetime:
    moment = whole_seconds(moment)
    if moment > now:
        raise MutualsError(ErrorCode.USAGE, f"{option} is in the future: {moment:%Y-%m-%dT%H:%M:%SZ}.")
    return moment


def _before(began: datetime | None, aware: datetime) -> datetime | None:
    if began is None:
        return None
    began = whole_seconds(began)
    if began > aware:
        raise MutualsError(ErrorCode.USAGE, "--began is after the breach was discovered.")
    return began


def _log(tx: Transaction, breach: Breach, event: str, signed: SignedAct, now: datetime) -> None:
    tx.log.append(None, f"breach.{event}", {"breach": breach.breach_id, **signed.evidence()}, now)
