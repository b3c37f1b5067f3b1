"""How a breach is shown: to a person in order of urgency, to a program as keys (docs/commands-guide.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mutuals_client.console import say, table

if TYPE_CHECKING:
    from mutuals.models.breach import Duty
    from mutuals.obligations.breach_scope import AffectedRun
    from mutuals.obligations.breach_standing import BreachStanding, Clock, Delivery


def say_standing(stands: BreachStanding, runs: Sequence[AffectedRun], names: Mapping[str, str]) -> None:
    """Everything that is known; ``names`` are agreement ids by digest."""
    from rich.text import Text

    breach = stands.breach
    whose = f"of {stands.partner_name}" if stands.partner_name else "own"
    say(Text(f"Breach {breach.breach_id} ({whose}, {breach.state.value})", style="bold"))
    say(Text(f"  {breach.what}"))
    agreements = ", ".join(names.get(digest, digest[:8]) for digest in breach.agreements)
    lines = [
        ("Kind", ", ".join(breach.kinds)),
        ("Aware since", f"{stands.row.aware_at:%Y-%m-%d %H:%M} UTC"),
        ("Began", f"{breach.began_at:%Y-%m-%d %H:%M} UTC" if breach.began_at else "not known"),
        ("Authority", _authority(stands)),
        ("Persons", _duty(breach.persons) if stands.own else "–"),
        ("Agreements", agreements),
        ("Suspended", ", ".join(stands.suspended) or "none"),
        ("Consequences", breach.consequences or "not known"),
        ("Measures", breach.measures or "not known"),
        ("Contact", breach.contact),
    ]
    say(*(Text(f"  {label + ':':<14}{value}") for label, value in lines), "")
    if runs:
        table(
            "What moved",
            ("Run", "Agreement", "Contacts sent", "Records held", "Exports"),
            [
                (
                    run.run_id,
                    names.get(run.agreement, run.agreement[:8]),
                    f"{run.sent_contacts:,}",
                    f"{run.received_records:,}",
                    "; ".join(f"{item.operator}: {item.file}" for item in run.exports) or "none",
                )
                for run in runs
            ],
        )
    if stands.deliveries:
        table(
            "Told over the wire",
            ("Partner", "What", "By", "How it stands"),
            [
                (
                    item.partner_name,
                    item.told.kind,
                    f"{item.told.due_at:%Y-%m-%d %H:%M}" if item in stands.notices else "",
                    _delivery(item, timed=item in stands.notices),
                )
                for item in stands.deliveries
            ],
        )
    say("")
    for update in breach.updates:
        say(Text(f"{update.at:%Y-%m-%d %H:%M} {update.operator}: {update.text}"))
    for fact in stands.missing if stands.own else ():
        say(Text(f"Not known yet: {fact}"))
    say_steps(stands)


def say_steps(stands: BreachStanding) -> None:
    """What comes next, numbered."""
    from rich.text import Text

    if stands.next_steps:
        say("", "[bold]Next[/bold]")
        say(*(Text(f"  {number}. {step}") for number, step in enumerate(stands.next_steps, 1)))


def standing_facts(stands: BreachStanding) -> dict[str, Any]:
    """A breach as JSON: hours are left to the deadline, negative once it passed."""
    breach = stands.breach
    return {
        "id": breach.breach_id,
        "partner": stands.partner_name,
        "state": breach.state.value,
        "overdue": stands.overdue,
        "what": breach.what,
        "kinds": [kind.value for kind in breach.kinds],
        "data": list(breach.whose),
        "aware_at": stands.row.aware_at,
        "began_at": breach.began_at,
        "authority": _clock_facts(stands.authority, breach.authority) if stands.own else None,
        "persons": _duty_facts(breach.persons) if stands.own else None,
        "notices": [
            {
                "partner": item.partner_name,
                "kind": item.told.kind,
                "due_at": item.told.due_at,
                "hours_left": round(item.clock.hours_left, 2),
                "acknowledged_at": item.at if item.acknowledged else None,
                "refused": item.refused,
            }
            for item in stands.deliveries
        ],
        "sent_contacts": breach.sent_contacts,
        "received_records": breach.received_records,
        "data_categories": list(breach.data_categories),
        "person_categories": list(breach.person_categories),
        "consequences": breach.consequences,
        "measures": breach.measures,
        "contact": breach.contact,
        "updates": [update.model_dump(mode="json") for update in breach.updates],
        "suspended": list(stands.suspended),
        "missing": list(stands.missing),
        "next_steps": list(stands.next_steps),
    }


def run_facts(run: AffectedRun) -> dict[str, Any]:
    """A run that moved something, as JSON."""
    return {
        "run": run.run_id,
        "sent_contacts": run.sent_contacts,
        "sent_fields": list(run.sent_fields),
        "received_records": run.received_records,
        "received_fields": list(run.received_fields),
        "exports": [
            {
                "operator": item.operator,
                "file": item.file,
                "rows": item.rows,
                "fields": list(item.fields),
                "at": item.at,
            }
            for item in run.exports
        ],
    }


def hours(left: float) -> str:
    """Hours left, or how long overdue."""
    return f"{left:.1f} h left" if left >= 0 else f"overdue by {-left:.1f} h"


def _authority(stands: BreachStanding) -> str:
    if not stands.own:
        return "the partner's duty; yours only where you must act on it too"
    duty, clock = stands.breach.authority, stands.authority
    if clock is None or duty.settled:
        return _duty(duty)
    return f"to be told by {clock.deadline:%Y-%m-%d %H:%M} UTC: {hours(clock.hours_left)} (GDPR Art. 33(1))"


def _duty(duty: Duty) -> str:
    if duty.told_at is not None:
        return f"told {duty.told_at:%Y-%m-%d %H:%M} UTC"
    return f"not told: {duty.why_not}" if duty.why_not else "not decided"


def _delivery(item: Delivery, *, timed: bool) -> str:
    if item.refused:
        return f"refused: {item.refused}"
    if item.at is not None:
        return f"acknowledged {item.at:%Y-%m-%d %H:%M}"
    return f"not delivered, {hours(item.clock.hours_left)}" if timed else "not delivered"


def _clock_facts(clock: Clock | None, duty: Duty) -> dict[str, Any]:
    facts = _duty_facts(duty)
    if clock is not None:
        facts |= {
            "deadline": clock.deadline,
            "hours_left": round(clock.hours_left, 2),
            "overdue": clock.overdue,
        }
    return facts


def _duty_facts(duty: Duty) -> dict[str, Any]:
    return {"told_at": duty.told_at, "why_not": duty.why_not}
