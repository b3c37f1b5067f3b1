"""Consent of every kind: what each invented contact granted, when, and whether that is enough (DESIGN §5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

# What the demo's agreement asks of a contact; the story writes the agreement with these.
PURPOSE = "partner-matching"
MAX_AGE_DAYS = 730
OTHER_PURPOSES = ("newsletter", "postal", "profiling", "events")


@dataclass(frozen=True)
class Consent:
    """The consent columns of one contact, and by construction whether it is ``eligible`` under the agreement.

    A ``kind`` of consent that is dated "31.12.2025" instead of 2025-12-31 is no consent: such a row is refused whole.
    """

    kind: str
    eligible: bool
    purposes: tuple[str, ...]
    consent_at: date | None
    notified_at: date | None
    suppressed: bool

    def columns(self) -> dict[str, str]:
        """The consent columns as the file has them."""
        form = "%d.%m.%Y" if self.kind == "dated unreadably" else "%Y-%m-%d"
        return {
            "consent": ";".join(self.purposes),
            "consent_at": self.consent_at.strftime(form) if self.consent_at else "",
            "notified_at": self.notified_at.isoformat() if self.notified_at else "",
            "suppressed": "true" if self.suppressed else "false",
        }


# Kind of consent and how many contacts of a hundred have it.
KINDS = {
    "granted": 79.5,
    "other purposes only": 6.0,
    "none": 4.0,
    "expired": 3.5,
    "undated": 1.5,
    "dated unreadably": 0.5,
    "in the future": 0.5,
    "never notified": 2.5,
    "suppressed": 2.0,
}


def draw_consent(random: Random, today: date) -> Consent:
    """A contact's consent as seen on ``today``; no date is so close to a limit that midnight would change it."""
    kind = random.choices(list(KINDS), weights=list(KINDS.values()))[0]
    other = tuple(random.sample(OTHER_PURPOSES, random.choice((0, 0, 1, 1, 2))))
    purposes = tuple(random.sample((PURPOSE, *other), len(other) + 1))
    granted: date | None = today - timedelta(days=random.randrange(10, MAX_AGE_DAYS - 30))
    notified: date | None = today - timedelta(days=random.randrange(2, 900))
    if kind == "other purposes only":
        purposes = other or ("newsletter",)
    elif kind == "none":
        purposes, granted = (), None
    elif kind == "expired":
        granted = today - timedelta(days=random.randrange(MAX_AGE_DAYS + 30, 4 * MAX_AGE_DAYS))
    elif kind == "undated":
        granted = None
    elif kind == "in the future":
        granted = today + timedelta(days=random.randrange(10, 90))
    elif kind == "never notified":
        notified = None
    return Consent(kind, kind == "granted", purposes, granted, notified, kind == "suppressed")
