"""The invented world: who is who, what each company holds about whom, and who may be shared at a moment.

A value tells whose it is (``city of proposer 3``), so that a record that left says which person it is about.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from mutuals.models.agreement import Side

PEOPLE = range(8)
HELD = {Side.PROPOSER: range(6), Side.PARTNER: range(2, 8)}
"""Whom each company knows: 2, 3, 4 and 5 are known to both."""

FIELDS: dict[Side, tuple[str, ...]] = {Side.PROPOSER: ("city", "spend"), Side.PARTNER: ("score", "visits")}
CATEGORY = {"city": "contact", "spend": "sales", "score": "contact", "visits": "sales"}
PURPOSE = "joint-marketing"
HEADER = ("contact_id", "email", "consent", "consent_at", "notified_at", "suppressed", *CATEGORY)

_VALUE = re.compile(r"(\w+) of (\w+) ([0-9])")


@dataclass(frozen=True)
class Entry:
    """What a company's list says of one person."""

    listed: bool = True
    purpose: str = PURPOSE
    consent_at: date = date(2026, 5, 1)
    notified_at: date | None = date(2026, 5, 2)
    suppressed: bool = False
    withdrawn: bool = False
    """By ``mutuals revoke``, which no list undoes."""


@dataclass
class Listing:
    """One company's list."""

    side: Side
    entries: dict[int, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, side: Side) -> Listing:
        """The list as it is in the beginning."""
        return cls(side, {person: Entry() for person in HELD[side]})

    def change(self, person: int, **changes: Any) -> None:
        """Change what the list says of a person."""
        self.entries[person] = replace(self.entries[person], **changes)

    def may_take_part(self, person: int, consent: dict[str, Any], today: date) -> bool:
        """Whether the person's consent, notice and suppression allow it, by the ``consent`` clause of a document."""
        entry = self.entries.get(person)
        if entry is None or not entry.listed or entry.suppressed or entry.withdrawn:
            return False
        oldest = today - timedelta(days=consent["max_age_days"])
        if entry.purpose != consent["purpose"] or not oldest <= entry.consent_at <= today:
            return False
        return not consent["notice_required"] or (
            entry.notified_at is not None and entry.notified_at <= today
        )

    def taking_part(self, consent: dict[str, Any], today: date) -> frozenset[int]:
        """Everybody who may."""
        return frozenset(person for person in self.entries if self.may_take_part(person, consent, today))

    def write(self, path: Path) -> None:
        """The list as the CSV file that the company's peer reads."""
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(HEADER)
            writer.writerows(self._rows())

    def _rows(self) -> Iterable[list[str]]:
        for person, entry in self.entries.items():
            if entry.listed:
                yield [
                    contact_id(self.side, person),
                    f"person{person}@example.com",
                    entry.purpose,
                    str(entry.consent_at),
                    str(entry.notified_at or ""),
                    str(entry.suppressed).lower(),
                    *(value(self.side, name, person) for name in CATEGORY),
                ]


def contact_id(side: Side, person: int) -> str:
    """The id under which a company keeps a person."""
    return f"{side.value}-{person}"


def value(side: Side, name: str, person: int) -> str:
    """What a company's field says of a person."""
    return f"{name} of {side.value} {person}"


def subject_of(text: str) -> tuple[str, Side, int]:
    """Field, company and person of a value. Raises ValueError for what no list holds."""
    found = _VALUE.fullmatch(text)
    if found is None:
        raise ValueError("a value that nobody put there")
    return found[1], Side(found[2]), int(found[3])
