"""How a breach stands: the hours left, who was told and has acknowledged it, and what comes next, in order.

The authority's clock is Art. 33(1) GDPR: 72 hours after having become aware, counted to the second from ``aware_at``.
(Regulation 1182/71 would leave out the hour that was begun; this clock is never later than that.) A partner's clock is
the agreement's ``breach_notification_hours``, and stops at its signed receipt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mutuals.agreement.suspension import open_suspensions
from mutuals.errors import MutualsError
from mutuals.models.breach import Breach, Told
from mutuals.obligations.breach_record import parse_breach
from mutuals.obligations.breach_report import BREACH_NOTICE
from mutuals.obligations.breach_scope import readable
from mutuals.policy.current import current_policy
from mutuals.store.rows import BreachRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

AUTHORITY_HOURS = 72


@dataclass(frozen=True)
class Clock:
    """A duty with a deadline: ``hours_left`` at the moment asked (negative once overdue), and when it was met."""

    deadline: datetime
    hours_left: float
    met_at: datetime | None

    @property
    def overdue(self) -> bool:
        """Whether the deadline passed without the duty being met in time or at all."""
        return self.met_at > self.deadline if self.met_at is not None else self.hours_left < 0


@dataclass(frozen=True)
class Delivery:
    """A document to a partner: when it was acknowledged, or ``refused`` by which code, or neither yet."""

    told: Told
    partner_name: str
    clock: Clock
    refused: str | None

    @property
    def acknowledged(self) -> bool:
        """Whether the partner took it."""
        return self.clock.met_at is not None and self.refused is None

    @property
    def at(self) -> datetime | None:
        """When the receipt came."""
        return self.clock.met_at


@dataclass(frozen=True)
class BreachStanding:
    """A breach with its clocks. ``authority`` is nothing where a reason was given not to tell it, or for a partner's
    breach. ``suspended`` are the agreements (ids) that are suspended because of it now.
    """

    row: BreachRow
    breach: Breach
    partner_name: str | None
    authority: Clock | None
    deliveries: tuple[Delivery, ...]
    suspended: tuple[str, ...]
    missing: tuple[str, ...]
    next_steps: tuple[str, ...]

    @property
    def own(self) -> bool:
        """Whether it is this company's own breach."""
        return self.row.partner is None

    @property
    def overdue(self) -> bool:
        """Whether something is overdue that this side owes for an open breach."""
        if self.row.closed_at is not None or not self.own:
            return False
        late = self.authority is not None and self.authority.met_at is None and self.authority.overdue
        return late or any(not item.acknowledged and item.clock.overdue for item in self.notices)

    @property
    def notices(self) -> tuple[Delivery, ...]:
        """The first notice to each partner, which the agreement's hours are about."""
        return tuple(item for item in self.deliveries if item.told.kind == BREACH_NOTICE)


def open_breaches(tx: Transaction, now: datetime) -> list[BreachStanding]:
    """How every breach stands that is not closed, own and partners', oldest first."""
    return [standing(tx, row, now) for row in tx.breaches.list(open_only=True)]


def standing(tx: Transaction, row: BreachRow, now: datetime) -> BreachStanding:
    """How this breach stands at ``now``. Raises MutualsError (LOCAL) where its record is damaged."""
    breach = parse_breach(row)
    sent = deliveries(tx, breach, now)
    missing = missing_facts(breach)
    partner = tx.partners.get(row.partner) if row.partner else None
    return BreachStanding(
        row=row,
        breach=breach,
        partner_name=partner.name if partner else None,
        authority=None if row.partner else authority_clock(breach, now),
        deliveries=sent,
        suspended=_suspended(tx, row, breach),
        missing=missing,
        next_steps=_partner_steps(breach) if row.partner else _own_steps(tx, row, breach, sent, missing, now),
    )


def authority_clock(breach: Breach, now: datetime) -> Clock | None:
    """The 72 hours of Art. 33(1) GDPR, or nothing where a reason was given why no authority is told."""
    if breach.authority.why_not and breach.authority.told_at is None:
        return None
    deadline = breach.aware_at + timedelta(hours=AUTHORITY_HOURS)
    return Clock(deadline, _hours_between(now, deadline), breach.authority.told_at)


def deliveries(tx: Transaction, breach: Breach, now: datetime) -> tuple[Delivery, ...]:
    """Every document that this breach put into the outbox, with what became of it."""
    found = []
    for told in breach.told:
        row = tx.outbox.get(told.document)
        partner = tx.partners.get(told.partner)
        met_at = row.delivered_at if row is not None else None
        found.append(
            Delivery(
                told=told,
                partner_name=partner.name if partner else "unknown",
                clock=Clock(told.due_at, _hours_between(now, told.due_at), met_at),
                refused=_refusal(row.receipt) if row is not None and row.receipt is not None else None,
            )
        )
    return tuple(found)


def missing_facts(breach: Breach) -> tuple[str, ...]:
    """What Art. 33(3) GDPR asks for and is not known yet, each with the letter."""
    facts = [
        (breach.began_at is None, "when it began (Art. 33(3)(a))", "--began TIME"),
        (not breach.person_categories, "the categories of persons (Art. 33(3)(a))", "--persons TEXT"),
        (not breach.data_categories, "the categories of data (Art. 33(3)(a))", ""),
        (not breach.consequences, "the likely consequences (Art. 33(3)(c))", "--consequences TEXT"),
        (not breach.measures, "the measures taken or proposed (Art. 33(3)(d))", "--measures TEXT"),
    ]
    return tuple(f"{what}: {option}" if option else what for absent, what, option in facts if absent)


def _own_steps(
    tx: Transaction,
    row: BreachRow,
    breach: Breach,
    sent: tuple[Delivery, ...],
    missing: tuple[str, ...],
    now: datetime,
) -> tuple[str, ...]:
    """What is still to be done: the company's own steps first, then what the law and the agreements ask for."""
    if row.closed_at is not None:
        return ()
    name = breach.breach_id
    steps = list(_policy_steps(tx))
    for item in sent:
        if item.told.kind != BREACH_NOTICE or item.acknowledged:
            continue
        call = f"call {_breach_contact(tx, breach, item.told)}."
        if item.refused:
            steps.append(f"{item.partner_name} refused the notice ({item.refused}): {call}")
        else:
            soon = _by_when(item.clock.hours_left)
            steps.append(f"Reach {item.partner_name} {soon}: mutuals sync; or {call}")
    steps += [
        f"Tell {_name(tx, fingerprint)} by hand: it was removed here, so no document reaches it."
        for fingerprint in breach.untold
    ]
    clock = authority_clock(breach, now)
    if not breach.authority.settled and clock is not None:
        steps.append(
            f"Tell the supervisory authority {_by_when(clock.hours_left)}, unless a risk to persons is "
            f"unlikely (GDPR Art. 33(1)): mutuals breach notices {name} --out DIR; then record it: "
            f"mutuals breach update {name} --told authority --text TEXT"
        )
    if not breach.persons.settled:
        steps.append(
            "Where the risk to persons is likely to be high, tell them without undue delay (GDPR Art. 34(1)); who "
            f"they are: mutuals breach affected {name} --out FILE"
        )
    if missing:
        steps.append(f"Find out what is missing, and add it: mutuals breach update {name} ... --text TEXT")
    steps.append(f"When all is done: mutuals breach close {name} --text TEXT")
    return tuple(steps)


def _partner_steps(breach: Breach) -> tuple[str, ...]:
    name = breach.breach_id
    if breach.state == "closed":
        return ()
    steps = [
        f"Talk to the partner: {breach.contact}.",
        "Decide whether you too must tell an authority or persons; where the partner processes for you, your 72 hours "
        "run from its notice (GDPR Art. 33(1) and (2)): mutuals breach open",
    ]
    if "received" in breach.whose:
        steps.append(f"See which of your contacts it had received: mutuals breach affected {name} --out FILE")
    return tuple(steps)


def _policy_steps(tx: Transaction) -> tuple[str, ...]:
    try:
        policy = current_policy(tx)
    except MutualsError:  # a breach may be what damaged it; the law's own steps still show
        return ("The company's policy cannot be read; look up its steps for a breach elsewhere.",)
    if policy is None:
        return ()
    people = "; ".join(policy.breach.contacts)
    call = f"Within {policy.breach.tell_within_hours} hours call: {people} (your policy)."
    return (call, *(f"{step} (your policy)" for step in policy.breach.steps))


def _suspended(tx: Transaction, row: BreachRow, breach: Breach) -> tuple[str, ...]:
    """Agreements (ids) that a suspension for this breach, by the side that had it, still halts."""
    names = []
    for digest in breach.agreements:
        for halt in open_suspensions(tx, digest):
            version = tx.agreements.get(halt.agreement)
            if version is None or halt.breach != breach.breach_id:
                continue
            if (halt.side is version.own_side) is (row.partner is None):
                names.append(version.agreement_id)
    return tuple(dict.fromkeys(names))


def _breach_contact(tx: Transaction, breach: Breach, told: Told) -> str:
    """Whom an agreement names at this partner. ``security.breach_contact`` is one for both, often the own one."""
    for digest in breach.agreements:
        row = tx.agreements.get(digest)
        agreement = readable(row) if row is not None and row.partner == told.partner else None
        if row is not None and agreement is not None:
            party = agreement.party(row.own_side.other)
            return f"{party.contact}, or {party.data_protection_officer}"
    return "its people"


def _refusal(receipt: bytes) -> str | None:
    """The code by which the partner refused, or nothing where it took the document."""
    try:
        value = json.loads(receipt)
        return str(value["reason"]) if value["accepted"] is False else None
    except (ValueError, KeyError, TypeError):
        return None


def _hours_between(now: datetime, deadline: datetime) -> float:
    return (deadline - now).total_seconds() / 3600


def _by_when(hours: float) -> str:
    if hours < 0:
        return f"at once, as it is overdue by {-hours:.0f} h"
    return f"within {hours:.0f} h" if hours >= 1 else f"within {hours * 60:.0f} minutes"


def _name(tx: Transaction, fingerprint: str) -> str:
    partner = tx.partners.get(fingerprint)
    return partner.name if partner else f"the partner {fingerprint[:8]}"
