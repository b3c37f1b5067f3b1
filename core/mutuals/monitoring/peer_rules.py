"""What is overdue or looks wrong about the peer as a whole: store, breaches, documents, cards, policy, clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from shlex import quote

from mutuals.monitoring.facts import BreachFacts, Finding, PeerFacts, Urgency
from mutuals.monitoring.integrity import integrity_findings
from mutuals.monitoring.next_steps import partner_calls
from mutuals.wording import counted

UNDELIVERED_WARNING = timedelta(days=1)
UNDELIVERED_OVERDUE = timedelta(days=7)
CARD_ENDING = timedelta(days=30)
ROTATION_ENDING = timedelta(days=2)
CLOCK_TOLERANCE = timedelta(minutes=5)


def peer_findings(facts: PeerFacts, now: datetime) -> Iterator[Finding]:
    """What every rule has to say about the peer."""
    yield from integrity_findings(facts)
    for breach in facts.breaches:
        yield from _breach(breach)
    yield from _undelivered(facts, now)
    yield from _cards(facts, now)
    yield from _rotation(facts, now)
    behind = timedelta(seconds=facts.clock_behind_seconds)
    if behind > CLOCK_TOLERANCE:
        yield Finding(
            "clock_behind",
            Urgency.WARNING,
            f"The clock stands {_span(behind)} before the latest entry of the log.",
            "It was put back; dates of terms, consents and deletions are then judged wrongly.",
            "Set the clock, best by network time.",
        )
    if facts.policy is None:
        yield Finding(
            "policy_missing",
            Urgency.WARNING,
            "No data-ownership policy of your company is approved.",
            "Nothing but the agreements then says who may see, export or share which field.",
            "Write your company's policy, then approve it: mutuals policy approve.",
            "mutuals policy init",
        )
    unread = sum(facts.unread.values())
    if unread:
        names = ", ".join(name for name, count in facts.unread.items() if count)
        yield Finding(
            "unread",
            Urgency.NOTE,
            f"There are notifications that were not read yet, for {names}.",
            "They are shown at the operator's next command.",
            "Read the notifications; any command that you sign shows them.",
        )


def _breach(breach: BreachFacts) -> Iterator[Finding]:
    whose = (
        f"Breach {breach.breach}" if breach.partner is None else f"{breach.partner}’s breach {breach.breach}"
    )
    if breach.partner is not None:
        yield Finding(
            "breach_told",
            Urgency.WARNING,
            f"{whose} is open.",
            "The partner suspends what must stop; you may have to tell an authority or persons yourself.",
            "Read what it says, and talk to it.",
            f"mutuals breach show {breach.breach}",
            partner=breach.partner,
        )
    if breach.authority_due is not None and breach.hours_left is not None:
        yield _clock(
            breach,
            "breach_authority",
            f"{whose}: {_left(breach.hours_left)} to tell the authority (GDPR Art. 33(1)).",
            breach.authority_due,
            late=breach.hours_left < 0,
        )
    if breach.partners_due is not None and breach.partner_hours_left is not None:
        yield _clock(
            breach,
            "breach_partners",
            f"{whose}: {_left(breach.partner_hours_left)} to tell the partners concerned.",
            breach.partners_due,
            late=breach.partner_hours_left < 0,
        )


def _clock(breach: BreachFacts, rule: str, what: str, due: datetime, *, late: bool) -> Finding:
    return Finding(
        rule,
        Urgency.OVERDUE if late else Urgency.WARNING,
        what,
        "A later notice has to give the reasons for the delay."
        if late
        else "The hours run from when it was known.",
        "Tell whom the breach concerns, note it, and close it when it is dealt with.",
        f"mutuals breach show {breach.breach}",
        partner=breach.partner,
        due=due,
    )


def _undelivered(facts: PeerFacts, now: datetime) -> Iterator[Finding]:
    """One finding for each partner, by the age of the oldest document."""
    oldest: dict[str, datetime] = {}
    counts: dict[str, int] = {}
    for document in facts.undelivered:
        oldest[document.partner] = min(oldest.get(document.partner, document.since), document.since)
        counts[document.partner] = counts.get(document.partner, 0) + 1
    for partner, since in oldest.items():
        age = now - since
        if age <= UNDELIVERED_WARNING:
            continue
        late = age > UNDELIVERED_OVERDUE
        documents = counted(counts[partner], "document")
        found = Finding(
            "undelivered",
            Urgency.OVERDUE if late else Urgency.WARNING,
            f"{documents} for {partner} could not be delivered, the oldest for {_span(age)}.",
            "The partner cannot be reached, or does not call; it knows nothing of them.",
            "Try again, or call the partner.",
            f"mutuals sync {quote(partner)}",
            partner=partner,
            due=since + UNDELIVERED_OVERDUE,
        )
        called = all(document.endpoint for document in facts.undelivered if document.partner == partner)
        yield found if called else partner_calls(found, partner)


def _cards(facts: PeerFacts, now: datetime) -> Iterator[Finding]:
    for card in facts.cards:
        left = card.valid_until - now
        if left > CARD_ENDING:
            continue
        ours = card.owner == "us"
        late = left <= timedelta()
        yield Finding(
            "card_expired" if late else "card_expiring",
            Urgency.OVERDUE if late else Urgency.WARNING,
            f"The certificate on {'your' if ours else card.owner + '’s'} card "
            f"{'expired' if late else 'expires'} on {card.valid_until:%Y-%m-%d}.",
            "Partners then refuse your connections."
            if ours
            else "You then refuse the partner's connections.",
            "Renew it; the new card goes to every partner."
            if ours
            else "Ask the partner for a renewed card.",
            "mutuals card --renew" if ours else None,
            partner=None if ours else card.owner,
            due=card.valid_until,
        )


def _rotation(facts: PeerFacts, now: datetime) -> Iterator[Finding]:
    rotation = facts.rotation
    if rotation is None or not (rotation.waiting or rotation.refused):
        return
    missing = (*rotation.waiting, *rotation.refused)
    pressing = rotation.stolen or rotation.refused or rotation.until - now <= ROTATION_ENDING
    yield Finding(
        "card_rotation",
        Urgency.WARNING if pressing else Urgency.NOTE,
        f"Your renewed card has not arrived at {len(missing)} of {counted(rotation.partners, 'partner')}: "
        f"{', '.join(missing)}.",
        "Whoever has your TLS key of before can pass for you there."
        if rotation.stolen
        else f"After {rotation.until:%Y-%m-%d %H:%M} UTC they cannot connect to you, nor you to them.",
        "Synchronise, or give it to them by hand: mutuals card.",
        "mutuals sync",
        due=rotation.until,
    )


def _left(hours: int) -> str:
    return f"{counted(hours, 'hour')} left" if hours >= 0 else f"{counted(-hours, 'hour')} late"


def _span(span: timedelta) -> str:
    if span >= timedelta(days=2):
        return f"{span.days:,} days"
    hours = span // timedelta(hours=1)
    return f"{hours} hours" if hours >= 2 else counted(span // timedelta(minutes=1), "minute")
