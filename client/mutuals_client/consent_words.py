"""A decision on consent as it is given on the command line or asked on a terminal, and what is said of it."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import say, table

if TYPE_CHECKING:
    from mutuals.consent.decision import Standing
    from mutuals.sources.consent_columns import Candidate
    from mutuals.sources.consent_decision import Foreseen
    from mutuals.sources.mapping import ConsentDecision, ConsentFile, ConsentGrant, DateOrder

_ROLES = ("contact_id", "purpose", "status", "date", "evidence")


@dataclass(frozen=True)
class DecisionWords:
    """What was given on the command line, as typed; see ``mutuals source map``."""

    grants: Sequence[str] = ()
    given_at: str | None = None
    given_on: str | None = None
    notified_at: str | None = None
    notified_on: str | None = None
    register: Path | None = None
    register_columns: Sequence[str] = ()
    granted: str | None = None
    file: Path | None = None
    nobody: bool = False
    reason: str = ""

    @property
    def said(self) -> bool:
        """Whether anything of a decision was given."""
        return any(value for name, value in vars(self).items() if name != "reason") or bool(self.reason)


def decision_from(
    words: DecisionWords, headings: Collection[str], dates: DateOrder | None
) -> ConsentDecision:
    """The decision that was typed, about a file with these ``headings``. Raises MutualsError (USAGE, INPUT_QUALITY)."""
    from mutuals.sources.mapping import ConsentDecision
    from mutuals.sources.mapping_file import read_decision

    if words.file is not None:
        _refuse_besides("--decision", words, ("file", "reason"))
        decided = read_decision(words.file.expanduser())
        return decided.model_copy(update={"reason": words.reason}) if words.reason else decided
    if words.nobody:
        _refuse_besides("--nobody", words, ("nobody", "reason"))
        return ConsentDecision(reason=words.reason)
    if not words.grants and words.register is None:
        raise MutualsError(
            ErrorCode.USAGE,
            "No column and no consent file was named that grants consent.",
            hint='As in --grant joint-marketing:"Sharing consent"=Yes --given-at "Consent date"',
        )
    given_on = _day(words.given_on, "--given-on")
    return ConsentDecision(
        grants=tuple(_grant(text, headings, words.given_at, given_on) for text in words.grants),
        file=None if words.register is None else _register(words, words.register, dates),
        notified_at=words.notified_at,
        notified_on=_day(words.notified_on, "--notified-on"),
        reason=words.reason,
    )


def _refuse_besides(option: str, words: DecisionWords, allowed: Collection[str]) -> None:
    if any(value for name, value in vars(words).items() if name not in allowed):
        raise MutualsError(
            ErrorCode.USAGE, f"{option} says all of the decision; leave out the other options."
        )


def _grant(text: str, headings: Collection[str], given_at: str | None, given_on: date | None) -> ConsentGrant:
    purpose, _, rest = text.partition(":")
    column, values = _split(rest, headings)
    if not values:
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{text}” does not say which values of which column grant what.",
            hint='Write it as --grant PURPOSE:"HEADING"=VALUE,VALUE',
        )
    return checked_grant(purpose.strip(), column, values, given_at, given_on)


def _split(text: str, headings: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """Heading and values, at the first ``=`` before which a heading of the file stands; a heading may hold some."""
    places = [place for place, character in enumerate(text) if character == "="]
    place = next((p for p in places if text[:p].strip() in headings), places[0] if places else len(text))
    return text[:place].strip(), cell_values(text[place + 1 :])


def cell_values(text: str) -> tuple[str, ...]:
    """The values in ``text``, separated by commas; one that holds a comma stands in quotation marks."""
    cells = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(dict.fromkeys(cell.strip() for cell in cells if cell.strip()))


def checked_grant(
    purpose: str, column: str, values: tuple[str, ...], given_at: str | None, given_on: date | None
) -> ConsentGrant:
    """The grant that a person described. Raises MutualsError (USAGE) saying what of it cannot be."""
    from pydantic import ValidationError

    from mutuals.sources.mapping import ConsentGrant

    try:
        return ConsentGrant(
            purpose=purpose, column=column, values=values, given_at=given_at, given_on=given_on
        )
    except ValidationError as error:
        part = error.errors()[0]["loc"][0]
        if part == "purpose":
            raise _no_purpose(purpose) from None
        raise MutualsError(ErrorCode.USAGE, f"The {part} of the grant is empty or too long.") from None


def require_purpose(purpose: str) -> None:
    """Raise MutualsError (USAGE) where no agreement could name ``purpose``."""
    from pydantic import TypeAdapter, ValidationError

    from mutuals.models.agreement import Slug

    try:
        TypeAdapter(Slug).validate_python(purpose)
    except ValidationError:
        raise _no_purpose(purpose) from None


def _no_purpose(purpose: str) -> MutualsError:
    return MutualsError(
        ErrorCode.USAGE,
        f"“{purpose[:80]}” cannot be a purpose in an agreement.",
        hint="Purposes are lower-case letters, digits, - and _, beginning with a letter.",
    )


def _register(words: DecisionWords, path: Path, dates: DateOrder | None) -> ConsentFile:
    from mutuals.sources.consent_file import open_register, register_dates
    from mutuals.sources.mapping import ConsentFile

    named = {}
    for pair in words.register_columns:
        role, _, heading = (part.strip() for part in pair.partition("="))
        if role not in _ROLES or not heading:
            raise MutualsError(
                ErrorCode.USAGE,
                f"“{pair}” names no column of the consent file.",
                hint=f'Write it as --consent-column status="HEADING"; there are {", ".join(_ROLES)}.',
            )
        named[role] = heading
    place = str(path.expanduser().absolute())
    there = open_register(place).headings
    found = {role: named.get(role, role) for role in _ROLES}
    missing = next((r for r in _ROLES if found[r] not in there and (r != "evidence" or r in named)), None)
    if missing is not None:
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            f"{path.name} has no column “{found[missing]}”.",
            hint=f'Say which holds the {missing}: --consent-column {missing}="HEADING"',
        )
    granted = cell_values(words.granted or "")
    if not granted:
        raise MutualsError(
            ErrorCode.USAGE,
            "Say which status in the consent file means yes.",
            hint="As in --granted yes,granted; any other is a no.",
        )
    evidence = found["evidence"] if found["evidence"] in there else None
    return ConsentFile(
        path=place,
        contact_id=found["contact_id"],
        purpose=found["purpose"],
        status=found["status"],
        granted=granted,
        date=found["date"],
        evidence=evidence,
        dates=register_dates(place, found["date"], dates),
    )


def _day(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise MutualsError(
            ErrorCode.USAGE, f"“{text}” is no day.", hint=f"Write it as {option} 2026-01-31"
        ) from None


def tell_candidates(candidates: Sequence[Candidate]) -> None:
    """The columns a decision may name, and the frequent values in each."""
    say("", "Columns that are not used yet (values that at least 5 contacts hold):")
    tell_columns(candidates)


def tell_columns(candidates: Sequence[Candidate]) -> None:
    """These columns, numbered, with what each holds."""
    rows = []
    for number, candidate in enumerate(candidates, 1):
        shown = ", ".join(f"{printable(value)} ({count:,})" for value, count in candidate.values)
        if candidate.days:
            shown = "days"
        elif not shown:
            many = "many" if candidate.distinct is None else f"{candidate.distinct:,}"
            shown = f"{many} different values, not shown"
        rows.append((str(number), printable(candidate.heading), f"{candidate.filled:,}", shown))
    table(None, ("", "Column", "Filled", "Holds"), rows)


def tell_foreseen(foreseen: Foreseen) -> None:
    """Whom the decision makes consenting, a sentence for each purpose."""
    from rich.markup import escape

    from mutuals_client.source_report import REASONS

    for granted in foreseen.granted:
        say(
            f"This makes [bold]{granted.contacts:,} of {foreseen.contacts:,}[/] contacts consenting to "
            f"{escape(granted.purpose)}; nothing stands against {granted.remaining:,} of these today, of whom "
            f"{granted.notified:,} were told about the sharing."
        )
        for reason, count in granted.excluded.items():
            say(f"  left out: {REASONS[reason]}: {count:,}")
    if not foreseen.granted:
        say(f"This makes [bold]0 of {foreseen.contacts:,}[/] contacts consenting to anything.")
    if foreseen.rejected_rows:
        say(f"{foreseen.rejected_rows:,} rows cannot be used; see: mutuals source check")
    say("Whatever else these columns hold, or nothing, is a no.")


def candidate_facts(candidate: Candidate) -> dict[str, Any]:
    """The same as JSON values."""
    values = [{"value": value, "contacts": count} for value, count in candidate.values]
    return {**vars(candidate), "values": values}


def foreseen_facts(foreseen: Foreseen) -> dict[str, Any]:
    """The same as JSON values."""
    granted = [{**vars(one), "remaining": one.remaining} for one in foreseen.granted]
    return {"contacts": foreseen.contacts, "rejected_rows": foreseen.rejected_rows, "granted": granted}


def standing_facts(standing: Standing) -> dict[str, Any]:
    """How it stands with the decision, as JSON values."""
    at = standing.at.isoformat() if standing.at else None
    return {"state": standing.state.value, "sentence": standing.sentence, "by": standing.by, "at": at}


def tell_standing(standing: Standing) -> None:
    """Who decided, or what to do about it; of a native file there is nothing to say."""
    from rich.markup import escape

    if standing.state.value == "native":
        return
    hint = "" if standing.hint is None else f" {standing.hint}"
    colour = "" if standing.holds else "[yellow]"
    say(f"{colour}{escape(printable(standing.sentence + hint, 1000))}")


def printable(text: str, most: int = 60) -> str:
    """Text of a file without what could steer a terminal, cut."""
    shown = "".join(character if character.isprintable() else "�" for character in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def plain(text: str) -> Any:
    """``text`` as it is, for ``say``."""
    from rich.text import Text

    return Text(text)
