"""How ``mutuals source check`` tells what it found: the same numbers for a person and for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mutuals_client.console import say, say_commands, table
from mutuals_client.source_sections import CheckAsked, Section, Table, sections, summary
from mutuals_client.source_words import REASONS, count_of, row_numbers

if TYPE_CHECKING:
    from mutuals.sources.check import Refusal, SourceCheck

__all__ = [
    "REASONS",
    "CheckAsked",
    "check_facts",
    "count_of",
    "refusal_clauses",
    "tell_check",
    "tell_refusals",
]


def check_facts(asked: CheckAsked, found: SourceCheck) -> dict[str, Any]:
    """The dry run as the JSON values documented in docs/sources.md."""
    rows = found.rows
    consent = asdict(found.consent)
    for told, granted in zip(consent["purposes"], found.consent.purposes, strict=True):
        told["remaining"] = granted.remaining
    return {
        "source": asked.definition.name,
        "profile": asked.profile,
        "understood": asdict(found.recognised),
        "columns": [asdict(column) for column in found.columns],
        "rows": rows.read,
        "contacts": rows.usable,
        "rejected_rows": rows.rejected,
        "rejected": [asdict(refusal) for refusal in rows.refusals],
        "blank_rows": rows.blank,
        "notes": rows.notes,
        "merged": {"contacts": rows.merged, "rows": rows.merged_rows, "shown": rows.merged_shown},
        "identifiers": {kind: asdict(one) for kind, one in found.identifiers.items()},
        "profiles": {
            name: {kind: asdict(one) for kind, one in kinds.items()} for name, kinds in found.profiles.items()
        },
        "purposes": found.purposes,
        "consent": consent,
        "participation": _participation_facts(asked, found),
        "suggestions": [asdict(suggestion) for suggestion in found.suggestions],
    }


def _participation_facts(asked: CheckAsked, found: SourceCheck) -> dict[str, Any] | None:
    participants, rule = found.participants, asked.rule
    if participants is None or rule is None:
        return None
    return {
        "agreement": asked.agreement_id,
        "purpose": rule.consent.purpose,
        "max_age_days": rule.consent.max_age_days,
        "max_age_by": asked.age_by if asked.agreement_id else None,
        "contacts": len(participants.contact_ids),
        "identifiers": len(participants.items),
        "excluded": participants.excluded,
        "withheld_identifiers": participants.withheld_identifiers,
        "evidence": found.evidence,
    }


def tell_check(asked: CheckAsked, found: SourceCheck) -> None:
    """Print the dry run for a person, with what to do about it at the end."""
    from rich.markup import escape

    say(
        f"[bold]{asked.definition.name}[/]  {escape(asked.definition.path)}", "", f"[bold]{summary(found)}[/]"
    )
    for section in sections(asked, found):
        _tell_section(section)
    if found.suggestions:
        say("", "[bold]What to do about it[/]")
        for number, suggestion in enumerate(found.suggestions, 1):
            say(_numbered(number, suggestion.sentence))
            if suggestion.command is not None:
                say_commands(f"   {suggestion.command}")


def _tell_section(section: Section) -> None:
    from rich.markup import escape

    say("", f"[bold]{escape(section.heading)}[/]", *map(escape, section.sentences))
    for one in section.tables:
        _tell_table(one)
    say(*map(escape, section.after))


def _numbered(number: int, sentence: str) -> Any:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(f"{number:>3}."), Text(_plain(sentence)))
    return grid


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)


def _tell_table(one: Table) -> None:
    """Names to the left, numbers to the right, words to the left again."""
    from rich.table import Table as Grid
    from rich.text import Text

    shown = Grid(box=None, header_style="dim", padding=(0, 0, 0, 2))
    for index, name in enumerate(one.columns):
        number = index and (one.words is None or index < one.words)
        # Numbers are never broken; their headings are where the terminal is narrow.
        least = max((len(row[index]) for row in one.rows), default=0) if number else None
        shown.add_column(name, justify="right" if number else "left", overflow="fold", min_width=least)
    for row in one.rows:
        shown.add_row(*(Text(cell) for cell in row))
    say(shown)


def refusal_clauses(refusals: Sequence[Refusal]) -> str:
    """“consent_at is not a date written as YYYY-MM-DD (60 rows: 2, 3, …)”, one clause a reason."""
    return "; ".join(
        f"{r.column} is {REASONS[r.reason]} ({count_of(r.count, 'row')}: {row_numbers(r)})" for r in refusals
    )


def tell_refusals(refusals: Sequence[Refusal]) -> None:
    """The values refused, counted by column and reason, with the numbers of the first rows."""
    if refusals:
        say("")
        rows = [(f"  {r.column}", REASONS[r.reason], f"{r.count:,}", row_numbers(r)) for r in refusals]
        table(None, ("  Refused", "Because", "Count", "Rows"), rows)
