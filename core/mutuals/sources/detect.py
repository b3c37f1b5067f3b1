"""What a file is, told from its headings: whose export, with how much confidence, and the mapping that follows.

understood = understand(SourceDefinition(name="crm", path="/data/hubspot.csv"), Wishes())
understood.definition.mapping      # proposed; nobody consents until a person decides
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources.blocks import input_fault
from mutuals.sources.dates import DatesSeen, look_at_dates
from mutuals.sources.definition import Delimiter, SourceDefinition
from mutuals.sources.encodings import CALLED as ENCODINGS
from mutuals.sources.formats import open_table, understand_table
from mutuals.sources.formats.delimiters import CALLED as DELIMITERS
from mutuals.sources.formats.excel import ExcelFile
from mutuals.sources.languages import plain_heading
from mutuals.sources.layout import Layout
from mutuals.sources.layouts import BY_NAME, COMMON, GENERIC, LAYOUTS, matching, objections
from mutuals.sources.mapped import MappedFile
from mutuals.sources.mapping import DateOrder, Duplicates, SourceMapping
from mutuals.sources.sheet import SheetFile

NATIVE_HEADINGS = ("contact_id", "email", "phone", "consent", "consent_at", "notified_at", "suppressed")
_NATIVE_MARKS = frozenset({"contact_id", "consent", "consent_at", "suppressed"})
_OWN_WEIGHT, _ALWAYS_WEIGHT = 3, 3
_CONFIDENT = 60
_AHEAD = 15
_ROWS_OF_HEAD = 5000


@dataclass(frozen=True)
class Wishes:
    """What a person said about a file; whatever is None or empty is found out.

    What ``mapping`` says of consent is not taken over: it counts when an operator signs it (mutuals.consent.decision).
    """

    layout: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    no_objections_because: str = ""
    dates: DateOrder | None = None
    duplicates: Duplicates = "refuse"
    mapping: SourceMapping | None = None
    delimiter: Delimiter | None = None


@dataclass(frozen=True)
class Score:
    """How well a layout fits: ``confidence`` in per cent, with the headings that speak for it."""

    layout: Layout
    confidence: int
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Understood:
    """``definition`` with all that was found out; ``sentences`` say it to a person; ``hints`` what deserves a look.

    ``confidence`` is in per cent; None where nothing had to be recognised. ``runner_up`` is the next likely layout.
    """

    definition: SourceDefinition
    layout: str
    confidence: int | None
    runner_up: tuple[str, int] | None
    sentences: tuple[str, ...]
    hints: tuple[str, ...]


def understand(definition: SourceDefinition, wishes: Wishes) -> Understood:
    """What the file of ``definition`` is; only if its format is "sql" is that known before.

    Raises MutualsError: INPUT_QUALITY where the file cannot be read or its columns cannot be told, USAGE where the
    wishes cannot be met.
    """
    table = understand_table(definition, wishes.delimiter)
    file = open_table(table)
    if isinstance(file, ExcelFile):
        table = table.model_copy(update={"sheet": file.sheet})
    about = [f"{file.name}: {_kind(table)}."]
    if wishes.mapping is not None:
        MappedFile(file, wishes.mapping)
        undecided = wishes.mapping.model_copy(update={"consent": None})
        kept = table.model_copy(update={"mapping": undecided, "columns": {}})
        return Understood(kept, undecided.layout, None, None, tuple(about), ())
    if wishes.layout == "native" or (wishes.layout is None and _is_native(file.headings, wishes.columns)):
        plain = table.format == "csv" and (table.encoding, table.delimiter) == ("utf-8", ",")
        kept = table.model_copy(update={"columns": wishes.columns, **({"format": "native"} if plain else {})})
        return Understood(
            kept, "native", None, None, (*about, "It has the headings of the native format."), ()
        )
    ranked = rank(file.headings)
    chosen, reason = _choose(ranked, wishes.layout, file)
    others = [score for score in ranked if score.layout is not chosen.layout]
    runner_up = (others[0].layout.name, others[0].confidence) if others and others[0].confidence else None
    about.append(reason)
    mapping, hints = _propose(chosen.layout, file, wishes)
    if wishes.dates is None:
        seen = dates_in(open_table(table, may_end_in_notes=chosen.layout.may_end_in_notes))
        mapping = mapping.model_copy(update={"dates": seen.order})
        hints += _date_hints(seen)
    return Understood(
        definition=table.model_copy(update={"mapping": mapping, "columns": {}}),
        layout=chosen.layout.name,
        confidence=chosen.confidence,
        runner_up=runner_up,
        sentences=tuple(about),
        hints=tuple(hints),
    )


def rank(headings: Sequence[str]) -> list[Score]:
    """Every CRM's layout by how well it fits ``headings``, best first.

    The confidence is the share of the headings known to any CRM that this one knows, where a heading that is one CRM's
    alone weighs three; headings nobody knows do not count. Where none of those is there that the CRM writes into every
    export, that weighs three against it.
    """
    plain = tuple(map(plain_heading, headings))
    there = set(plain)
    knowing = {
        heading: [layout for layout in LAYOUTS if heading in layout.marks | layout.known] for heading in there
    }
    weights = {
        heading: _OWN_WEIGHT if len(layouts) == 1 and heading in layouts[0].marks else 1
        for heading, layouts in knowing.items()
        if layouts
    }
    scores = []
    for layout in LAYOUTS:
        lacking = _ALWAYS_WEIGHT if layout.always and not layout.always & there else 0
        found = sum(weight for heading, weight in weights.items() if layout in knowing[heading])
        share = found / max(sum(weights.values()) + lacking, 1)
        marks = tuple(h for h in plain if h in layout.marks)
        scores.append(Score(layout, round(layout.certainty * share), marks))
    return sorted(scores, key=lambda score: -score.confidence)


def _is_native(headings: Sequence[str], columns: dict[str, str]) -> bool:
    own = {columns.get(name, name) for name in _NATIVE_MARKS}
    return len(own & set(headings)) >= 3


def _choose(ranked: list[Score], wanted: str | None, file: SheetFile) -> tuple[Score, str]:
    """The layout to go by, and the sentence that says so."""
    if wanted is not None:
        if wanted not in BY_NAME:
            raise MutualsError(
                ErrorCode.USAGE,
                f"There is no layout “{wanted}”.",
                hint=f"This release knows native, {', '.join(BY_NAME)}.",
            )
        layout = BY_NAME[wanted]
        score = next((score for score in ranked if score.layout is layout), Score(layout, 100, ()))
        return score, f"Read as {layout.title}, as you said."
    best, second = ranked[0], ranked[1]
    behind = f"; next likely: {second.layout.title}, {second.confidence}%" if second.confidence else ""
    if best.marks and best.confidence >= _CONFIDENT and best.confidence - second.confidence >= _AHEAD:
        why = ", ".join(f"“{heading}”" for heading in best.marks[:4])
        more = len(best.marks) - 4
        and_more = f" and {more} more" if more > 0 else ""
        return best, f"{best.layout.title}, {best.confidence}% sure, by {why}{and_more}{behind}."
    if len(best.marks) < 2:
        roles = (
            _first_id(GENERIC, file.headings),
            _identifying(GENERIC, file.headings),
            objections(GENERIC, file.headings),
        )
        confidence = round(100 * sum(map(bool, roles)) / len(roles))
        return (
            Score(GENERIC, confidence, ()),
            f"No CRM's export was recognised; {confidence}% of what is needed was found by common headings{behind}.",
        )
    raise input_fault(
        f"{file.name} could be an export of {best.layout.title} ({best.confidence}%) or of {second.layout.title} "
        f"({second.confidence}%).",
        f"Say which: --layout {best.layout.name} or --layout {second.layout.name}",
    )


def _propose(layout: Layout, file: SheetFile, wishes: Wishes) -> tuple[SourceMapping, list[str]]:
    """The mapping that follows from the headings and the wishes, and what deserves a look."""
    headings = file.headings
    own = {name: _required(wishes.columns[name], file) for name in wishes.columns}
    unusable = [name for name in own if name not in {"contact_id", "email", "phone", "suppressed"}]
    if unusable:
        raise MutualsError(
            ErrorCode.USAGE,
            f"In an export of {layout.title} --map cannot name {unusable[0]}.",
            hint="What grants consent is decided with: mutuals source map NAME. In the native format: --layout native",
        )
    emails = (own["email"],) if "email" in own else _columns(layout.emails, GENERIC.emails, headings)
    phones = (own["phone"],) if "phone" in own else _columns(layout.phones, GENERIC.phones, headings)
    if not emails and not phones:
        raise input_fault(
            f"{file.name} has no column that is known to hold e-mail addresses or phone numbers.",
            'Name one: --map email="HEADING" or --map phone="HEADING"',
        )
    hints: list[str] = []
    contact_id = own.get("contact_id") or _first_id(layout, headings)
    if contact_id is None:
        contact_id = (emails or phones)[0]
        hints.append(
            f"There is no column of ids, so “{contact_id}” serves as the contact's id, and rows without one take no "
            'part. Better export the id too, or name its column: --map contact_id="HEADING"'
        )
    rules = objections(layout, headings)
    if "suppressed" in own:
        rules = (*(r for r in rules if r.column != own["suppressed"]), COMMON.rule(own["suppressed"]))
    reason = wishes.no_objections_because.strip()
    if not rules and not reason:
        raise input_fault(
            f"{file.name} has no column that says who objects, and nobody is assumed not to.",
            'Export it with the opt-out columns, name one with --map suppressed="HEADING", or say why there is none: '
            '--no-objections "REASON"',
        )
    if rules and reason:
        named = ", ".join(f"“{rule.column}”" for rule in rules)
        raise MutualsError(
            ErrorCode.USAGE, f"{file.name} says who objects, in {named}.", hint="Leave out --no-objections."
        )
    mapping = SourceMapping(
        layout=layout.name,
        contact_id=contact_id,
        emails=emails,
        phones=phones,
        objections=rules,
        no_objections_because=reason,
        dates=wishes.dates,
        duplicates=wishes.duplicates,
    )
    return mapping, hints


def _required(heading: str, file: SheetFile) -> str:
    if heading not in file.headings:
        raise input_fault(
            f"{file.name} has no column “{heading}”.", "Name the heading as it stands in row 1."
        )
    return heading


def _columns(pattern: str, otherwise: str, headings: Sequence[str]) -> tuple[str, ...]:
    return matching(pattern, headings) or matching(otherwise, headings)


def _first_id(layout: Layout, headings: Sequence[str]) -> str | None:
    """The column of ids: the first pattern of the layout that a heading matches, or one of those generally used."""
    patterns = layout.ids if layout is GENERIC else (*layout.ids, *GENERIC.ids)
    return next((found[0] for pattern in patterns if (found := matching(pattern, headings))), None)


def _identifying(layout: Layout, headings: Sequence[str]) -> tuple[str, ...]:
    return matching(layout.emails, headings) + matching(layout.phones, headings)


def dates_in(file: SheetFile, columns: Sequence[str] | None = None) -> DatesSeen:
    """What the columns (headings) of ``file`` show of the order of their days; None is all that begin with some."""
    positions = [
        p for p, heading in enumerate(file.headings) if heading and (columns is None or heading in columns)
    ]
    seen = DatesSeen()
    for number, sheet in enumerate(file.sheets(positions) if positions else ()):
        if not number and columns is None:
            head = sheet.cells.head(_ROWS_OF_HEAD)
            dated = [p for p in positions if look_at_dates(head[str(p)]) != DatesSeen()]
            return dates_in(file, [file.headings[p] for p in dated]) if dated else seen
        seen = sum((look_at_dates(sheet.cells[str(position)]) for position in positions), seen)
    return seen


def _date_hints(seen: DatesSeen) -> list[str]:
    if not seen.ambiguous:
        return []
    why = (
        "some days are written day first and others month first"
        if seen.day_first
        else "no day tells whether 03/04/2026 is in March or in April"
    )
    return [
        f"Its dates cannot be read: {why}. Before one of them counts, say: --dates day-first or month-first"
    ]


def _kind(definition: SourceDefinition) -> str:
    if definition.format == "csv":
        return f"CSV separated by {DELIMITERS[definition.delimiter]}, {ENCODINGS[definition.encoding]}"
    if definition.format == "sql":
        return "rows of a database"
    return "Parquet" if definition.format == "parquet" else f"a workbook, sheet “{definition.sheet}”"
