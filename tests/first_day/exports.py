"""The two exports of the story, as HubSpot and Salesforce write them; days count back from the day of the story."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

FIRST = (
    "Ann",
    "Ben",
    "Carla",
    "Dora",
    "Emil",
    "Flo",
    "Gül",
    "Hugo",
    "Ines",
    "Jan",
    "Kim",
    "Lea",
    "Mia",
    "Nils",
)
LAST = (
    "O'Hara",
    "Müller",
    "Lindström",
    "Rossi",
    "Novak",
    "Dubois",
    "Silva",
    "Jansen",
    "Kaya",
    "Weber",
    "Moreau",
)
STAGES = ("Lead", "Customer", "Customer", "Evangelist")
SOURCES = ("Web", "Trade show", "Referral")
HUBSPOT, SALESFORCE = range(1300), range(700, 2000)
"""Who is in which; the numbers from 700 to 1299 are people whom both know."""


def person(number: int) -> tuple[str, str, str, str]:
    """First name, last name, e-mail address, phone number."""
    first, last = FIRST[number % len(FIRST)], LAST[number % len(LAST)]
    return first, last, f"person{number}@example.com", f"+49 30 9018{number:05d}" if number % 3 else ""


def write_hubspot(path: Path, today: date) -> None:
    """A HubSpot export: consent in its legal basis; some unsubscribed, some by legitimate interest alone."""
    rows: list[list[str]] = [
        [
            "Record ID", "First Name", "Last Name", "Email", "Phone Number", "Lifecycle Stage", "Contact owner",
            "Unsubscribed from all email", "Legal basis for processing contact's data", "Consent day", "Notice day",
        ]
    ]  # fmt: skip
    for number in HUBSPOT:
        first, last, email, phone = person(number)
        basis = "Freely given consent from contact" if number % 10 < 9 else "Not applicable"
        day = (today - timedelta(days=30 + number % 300)).isoformat()
        left = "true" if number % 41 == 0 else ""
        rows.append(
            [
                f"{10_000 + number}",
                first,
                last,
                email,
                phone,
                STAGES[number % len(STAGES)],
                "Sam",
                left,
                basis,
                day,
                day,
            ]
        )
    path.write_text(_csv(rows, "\n"), encoding="utf-8")


def write_salesforce(path: Path, today: date) -> None:
    """A Salesforce report: Latin letters of its own, and a footer below the rows."""
    rows: list[list[str]] = [
        [
            "Contact ID", "First Name", "Last Name", "Account Name", "Contact Owner", "Lead Source", "Email", "Phone",
            "Email Opt Out", "Data Sharing Consent", "Consent Date", "Notice Date",
        ]
    ]  # fmt: skip
    for number in SALESFORCE:
        first, last, email, phone = person(number)
        given = today - timedelta(days=20 + number % 200)
        day = f"{given.month}/{given.day}/{given.year}"
        said = "No" if number % 12 == 0 else "Yes"
        out = "1" if number % 53 == 0 else "0"
        rows.append(
            [f"0030000000{number:05d}", first, last, "Müller & Co", "Sam", SOURCES[number % len(SOURCES)], email.upper(),
             phone, out, said, day, day]
        )  # fmt: skip
    footer = '\n"Contacts with consent"\n"Copyright © 2000-2026 salesforce.com, inc. All rights reserved."\n'
    path.write_bytes((_csv(rows, "\n") + footer).encode("cp1252"))


def _csv(rows: Sequence[Sequence[str]], end: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
    return out.getvalue()
