"""How a file was recognised, for a report: told anew from its headings, with the confidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mutuals.errors import MutualsError
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.detect import Wishes, rank, understand
from mutuals.sources.encodings import CALLED as ENCODINGS
from mutuals.sources.formats.delimiters import CALLED as DELIMITERS
from mutuals.sources.layouts import BY_NAME


@dataclass(frozen=True)
class Recognised:
    """``file`` is its name without the folder, or the source's for a database; ``kind`` says what it is in words.

    ``confidence`` in ``layout`` is in per cent, with ``runner_up`` the next likely; None where nothing had to be
    recognised, or a person said it. ``date_order`` and ``duplicates`` are as in SourceMapping.
    """

    file: str
    kind: str
    format: str
    encoding: str | None
    delimiter: str | None
    layout: str
    title: str
    confidence: int | None
    runner_up: tuple[str, int] | None
    date_order: str | None
    duplicates: str


def recognise(definition: SourceDefinition, headings: tuple[str, ...]) -> Recognised:
    """What is known of the file with these headings."""
    mapping = definition.mapping
    text = definition.format in {"csv", "native"}
    confidence, runner_up = None, None
    if mapping is not None:
        confidence, runner_up = _confidence(definition, mapping.layout, headings)
    return Recognised(
        file=definition.name if definition.format == "sql" else Path(definition.path).name,
        kind=_kind(definition),
        format=definition.format,
        encoding=ENCODINGS[definition.encoding] if text else None,
        delimiter=DELIMITERS[definition.delimiter] if text else None,
        layout="native" if mapping is None else mapping.layout,
        title="the native format" if mapping is None else BY_NAME[mapping.layout].title,
        confidence=confidence,
        runner_up=runner_up,
        date_order=None if mapping is None else mapping.dates,
        duplicates="refuse" if mapping is None else mapping.duplicates,
    )


def _confidence(
    definition: SourceDefinition, layout: str, headings: tuple[str, ...]
) -> tuple[int | None, tuple[str, int] | None]:
    others = [score for score in rank(headings) if score.layout.name != layout]
    runner_up = (others[0].layout.name, others[0].confidence) if others[0].confidence else None
    for score in rank(headings):
        if score.layout.name == layout:
            return score.confidence, runner_up
    mapping = definition.mapping
    reason = "" if mapping is None else mapping.no_objections_because
    try:
        again = understand(definition, Wishes(dates="year-first", no_objections_because=reason))
    except MutualsError:
        return None, runner_up
    return (again.confidence if again.layout == layout else None), runner_up


def _kind(definition: SourceDefinition) -> str:
    if definition.format in {"csv", "native"}:
        return f"CSV separated by {DELIMITERS[definition.delimiter]}, {ENCODINGS[definition.encoding]}"
    if definition.format == "sql":
        return "rows of a database"
    return "Parquet" if definition.format == "parquet" else f"a workbook, sheet “{definition.sheet}”"
