"""How a file was understood, said to a person: whose export it is, and what each column is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import say

if TYPE_CHECKING:
    from mutuals.sources.definition import Delimiter
    from mutuals.sources.detect import Understood, Wishes
    from mutuals.sources.mapping import ObjectionRule, SourceMapping


_DELIMITERS: dict[str, Delimiter] = {"comma": ",", "semicolon": ";", "tab": "\t"}


def wishes_of(
    columns: dict[str, str],
    layout: str | None,
    no_objections: str | None,
    dates: str | None,
    duplicates: str | None,
    delimiter: str | None,
    *,
    by_file: bool,
) -> Wishes:
    """What a person said on the command line, apart from a mapping ``by_file``.

    Raises MutualsError (USAGE) where it cannot be.
    """
    from mutuals.sources.detect import Wishes
    from mutuals.sources.mapping import DateOrder, Duplicates

    orders: tuple[DateOrder, ...] = get_args(DateOrder)
    ways: tuple[Duplicates, ...] = get_args(Duplicates)
    if by_file and (columns or any((layout, no_objections, dates, duplicates))):
        raise MutualsError(
            ErrorCode.USAGE,
            "--mapping says all that --map, --layout, --no-objections, --dates and --duplicates could say.",
            hint="Write it into that file.",
        )
    if no_objections is not None and not no_objections.strip():
        raise MutualsError(
            ErrorCode.USAGE,
            "--no-objections needs a reason.",
            hint='As in --no-objections "asked all in May".',
        )
    return Wishes(
        layout=layout,
        columns=columns,
        no_objections_because=no_objections or "",
        dates=None if dates is None else orders[_chosen(dates, orders, "order of dates")],
        duplicates="refuse" if duplicates is None else ways[_chosen(duplicates, ways, "way with duplicates")],
        delimiter=None
        if delimiter is None
        else _DELIMITERS[tuple(_DELIMITERS)[_chosen(delimiter, tuple(_DELIMITERS), "delimiter")]],
    )


def _chosen(given: str, among: Sequence[str], what: str) -> int:
    if given not in among:
        raise MutualsError(
            ErrorCode.USAGE, f"“{given}” is no {what}.", hint=f"It is one of {', '.join(among)}."
        )
    return among.index(given)


def understood_facts(understood: Understood) -> dict[str, Any]:
    """The same as JSON values (docs/sources.md)."""
    return {
        "layout": understood.layout,
        "confidence": understood.confidence,
        "runner_up": None if understood.runner_up is None else list(understood.runner_up),
        "sentences": list(understood.sentences),
    }


def tell_understood(understood: Understood, *, mapping: bool = True) -> None:
    """Print it, with the ``mapping`` or without; of a native file there is nothing to say."""
    from rich.markup import escape

    found = understood.definition.mapping
    if found is not None:
        say(*(escape(sentence) for sentence in understood.sentences))
        if mapping:
            tell_mapping(found, understood.definition.default_country)


def tell_mapping(mapping: SourceMapping, country: str | None = None) -> None:
    """What each column is taken for, one line each, and the ``country`` of numbers that name none."""
    lines = [("contact id", f"“{mapping.contact_id}”")]
    lines += [("e-mail", f"“{heading}”") for heading in mapping.emails]
    lines += [("phone", f"“{heading}”") for heading in mapping.phones]
    if country is not None and mapping.phones:
        lines.append(("country", f"{country}, of numbers without a country code"))
    lines += [("objects", _rule(rule)) for rule in mapping.objections]
    if mapping.no_objections_because:
        lines.append(("objects", f"nobody: {mapping.no_objections_because}"))
    if mapping.dates is not None:
        lines.append(("dates", mapping.dates))
    if mapping.duplicates != "refuse":
        lines.append(("same id", "rows are merged" if mapping.duplicates == "merge" else "rows are left out"))
    decision = mapping.consent
    if decision is None:
        lines.append(("consent", "not decided yet, so nobody takes part"))
    else:
        for grant in decision.grants:
            values = " or ".join(f"“{value}”" for value in grant.values)
            since = f"“{grant.given_at}”" if grant.given_at else str(grant.given_on or "a day nobody knows")
            lines.append(("consent", f"{grant.purpose}: “{grant.column}” is {values}, since {since}"))
        if decision.file is not None:
            yes = " or ".join(f"“{value}”" for value in decision.file.granted)
            lines.append(("consent", f"from {decision.file.path}, where “{decision.file.status}” is {yes}"))
        if not decision.grants and decision.file is None:
            lines.append(("consent", "nothing in it grants any"))
        if decision.notified_at or decision.notified_on:
            told = f"“{decision.notified_at}”" if decision.notified_at else str(decision.notified_on)
            lines.append(("notified", f"on {told}"))
        if decision.reason:
            lines.append(("because", decision.reason))
    _tell(lines)


def _rule(rule: ObjectionRule) -> str:
    if rule.objects_if:
        return (
            f"“{rule.column}” is {', '.join(rule.objects_if[:4])}{' …' if len(rule.objects_if) > 4 else ''}"
        )
    return f"“{rule.column}” is filled"


def _tell(lines: list[tuple[str, str]]) -> None:
    from rich.markup import escape

    say(*(f"{name:>16}  {escape(_printable(text))}" for name, text in lines))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)
