"""A decision on consent asked of a person at the terminal: by columns of the export, or a consent file beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.consent_words import (
    cell_values,
    checked_grant,
    plain,
    printable,
    require_purpose,
    tell_columns,
)
from mutuals_client.console import ask, confirm, say

if TYPE_CHECKING:
    from mutuals.sources.consent_columns import Candidate
    from mutuals.sources.mapping import ConsentDecision, ConsentFile, DateOrder

_REGISTER = {
    "contact_id": "Which of its columns holds the contact's id? (number or heading)",
    "purpose": "Which one the purpose, spelt as in the agreement?",
    "status": "Which one says yes or no?",
    "date": "Which one the day?",
    "evidence": "Which one a reference to the proof? (Enter for: none)",
}


def ask_decision(
    candidates: Sequence[Candidate], headings: Collection[str], dates: DateOrder | None
) -> ConsentDecision:
    """Ask a person at the terminal; columns and values may be named by the numbers they are shown with.

    ``dates`` is the order in which days are written where a register of consent does not show its own.
    """
    from mutuals.sources.mapping import ConsentDecision

    grants = []
    register = None
    place = ask(
        "Is it in a consent file of its own? (its path, or Enter for: in columns of this one)", ""
    ).strip()
    if place:
        register = _ask_register(Path(place), dates)
    while register is None or confirm("Does a column of this file grant something, too?", honour_yes=False):
        purpose = _ask_purpose()
        column = _ask_column("In which column does a contact say yes to it?", candidates, headings)
        values = _ask_values("Which values mean yes?", column, candidates, "contacts")
        since = _ask_since(
            "Since when? (a column of days, or one day for all, as 2026-01-31)", candidates, headings
        )
        grants.append(checked_grant(purpose, column, values, *since))
        if register is None and not confirm("Is there another column or purpose?", honour_yes=False):
            break
    notified = _ask_since(
        "When were they told about the sharing? (a column, a day, or Enter for: not told)",
        candidates,
        headings,
        "",
    )
    reason = ask("Why does this count as consent? (kept with the decision)", "")
    return ConsentDecision(
        grants=tuple(grants),
        file=register,
        notified_at=notified[0],
        notified_on=notified[1],
        reason=reason[:2000],
    )


def _ask_purpose() -> str:
    """Asked again until an agreement could name it, before all the other questions are answered."""
    while True:
        purpose = ask("Which purpose is granted, spelt as in the agreement?").strip()
        try:
            require_purpose(purpose)
        except MutualsError as error:
            say(plain(error.message), plain(error.hint or ""))
        else:
            return purpose


def _ask_column(question: str, candidates: Sequence[Candidate], headings: Collection[str]) -> str:
    while True:
        named = _named(ask(f"{question} (number or heading)"), candidates)
        if named in headings:
            return named
        say(plain("There is no such column."))


def _named(answer: str, candidates: Sequence[Candidate]) -> str:
    text = answer.strip()
    known = any(candidate.heading == text for candidate in candidates)
    if not known and text.isdecimal() and 0 < int(text) <= len(candidates):
        return candidates[int(text) - 1].heading
    return text


def _ask_since(
    question: str, candidates: Sequence[Candidate], headings: Collection[str], default: str | None = None
) -> tuple[str | None, date | None]:
    while True:
        answer = ask(question, default).strip()
        if not answer:
            return None, None
        try:
            return None, date.fromisoformat(answer)
        except ValueError:
            named = _named(answer, candidates)
        if named in headings:
            return named, None
        say(plain("That is no column of the file, and no day as 2026-01-31."))


def _ask_values(question: str, column: str, candidates: Sequence[Candidate], counted: str) -> tuple[str, ...]:
    """The values of ``column`` that a person names, by themselves or by the numbers they are shown with."""
    shown = next((c.values for c in candidates if c.heading == column), ())
    for number, (value, count) in enumerate(shown, 1):
        say(plain(f"  {number}  {printable(value)}  ({count:,} {counted})"))
    answer = ask(f"{question} (numbers, or the values themselves, separated by commas)")
    if "," in answer and answer.strip().casefold() in {value.casefold() for value, _ in shown}:
        return (
            answer.strip(),
        )  # one value that holds a comma, and not two of which one may mean something else
    return tuple(
        shown[int(v) - 1][0] if v.isdecimal() and 0 < int(v) <= len(shown) else v for v in cell_values(answer)
    )


def _ask_register(path: Path, dates: DateOrder | None) -> ConsentFile:
    """Show what a register of consent holds, and ask what its columns are."""
    from mutuals.sources.consent_columns import register_columns
    from mutuals.sources.consent_file import register_dates
    from mutuals.sources.mapping import ConsentFile

    place = str(path.expanduser().absolute())
    columns = register_columns(place)
    headings = [column.heading for column in columns]
    say("", plain(f"{path.name} holds (values that at least 5 lines have):"))
    tell_columns(columns)
    named = {}
    for role, question in _REGISTER.items():
        proposed = next((h for h in headings if h.strip().lower().replace(" ", "_") == role), None)
        default = "" if role == "evidence" and proposed is None else proposed
        while True:
            answer = _named(ask(question, default), columns)
            if answer in headings or (role == "evidence" and not answer):
                break
            say(plain("There is no such column."))
        named[role] = answer
    granted = _ask_values("Which status means yes?", named["status"], columns, "lines")
    if not granted:
        raise MutualsError(ErrorCode.USAGE, "No status of the consent file means yes.")
    return ConsentFile(
        path=place,
        contact_id=named["contact_id"],
        purpose=named["purpose"],
        status=named["status"],
        granted=granted,
        date=named["date"],
        evidence=named["evidence"] or None,
        dates=register_dates(place, named["date"], dates),
    )
