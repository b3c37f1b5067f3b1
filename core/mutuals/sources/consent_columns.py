"""What a person is shown before deciding what grants consent: the columns not used yet, and what they hold.

Shown are only values that at least SHOWN_FROM contacts hold, and none of a column whose values hardly repeat: such a
one holds names, notes or numbers of single people.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

from mutuals.normalisation import TRIMMED
from mutuals.sources.consent_file import open_register
from mutuals.sources.dates import DatesSeen, look_at_dates
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.mapped import used_headings
from mutuals.sources.mapping import SourceMapping
from mutuals.sources.tables import open_rows

SHOWN_FROM = 5
MOST_VALUES = 20
_MOST_DISTINCT = 1000
_LIKELY = re.compile(
    r"consent|opt[ _-]?in|permission|legal basis|lawful|agreed|einwillig|zustimm|erlaubnis|share|sharing",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Candidate:
    """A column that could grant consent, or say since when.

    ``filled`` counts the contacts that hold something in it. ``values`` are the most frequent ones with how many
    contacts hold each, however spelt in capitals; ``distinct`` counts all (None: more than are counted). ``days`` is
    true where most of what it holds are days, of which none is shown.
    """

    heading: str
    filled: int
    distinct: int | None
    values: tuple[tuple[str, int], ...]
    days: bool


def candidate_columns(definition: SourceDefinition, mapping: SourceMapping) -> tuple[Candidate, ...]:
    """The columns that ``mapping`` leaves for a decision on consent, those likely to hold one first.

    Raises MutualsError (INPUT_QUALITY) where the file cannot be read.
    """
    file = open_rows(definition)
    undecided = used_headings(mapping.model_copy(update={"consent": None}))
    counts = Counter(file.headings)
    left = {
        position: _Count(heading, repeat=mapping.duplicates != "refuse")
        for position, heading in enumerate(file.headings)
        if heading and counts[heading] == 1 and heading not in undecided
    }
    if mapping.contact_id not in counts or not left:
        return ()
    at = file.headings.index(mapping.contact_id)
    for sheet in file.sheets(sorted({at, *left})):
        ids = sheet.cells[str(at)].str.strip_chars(TRIMMED)
        for position, count in left.items():
            count.add(ids, sheet.cells[str(position)].str.strip_chars(TRIMMED))
    found = [count.candidate() for count in left.values()]
    return tuple(
        sorted((c for c in found if c.filled), key=lambda c: (not _LIKELY.search(c.heading), c.days))
    )


def register_columns(path: str) -> tuple[Candidate, ...]:
    """The columns of a register of consent in the file's order; ``filled`` and ``values`` count its lines.

    Raises MutualsError (INPUT_QUALITY) where the file cannot be read.
    """
    file = open_register(path)
    counts = Counter(file.headings)
    columns = [p for p, heading in enumerate(file.headings) if heading and counts[heading] == 1]
    found = {position: _Count(file.headings[position], repeat=False) for position in columns}
    for sheet in file.sheets(columns) if columns else ():
        lines = sheet.rows.cast(pl.String)
        for position, count in found.items():
            count.add(lines, sheet.cells[str(position)].str.strip_chars(TRIMMED))
    return tuple(count.candidate() for count in found.values())


class _Count:
    """Counts the contacts that hold each value of one column, in memory for the values; where contacts may ``repeat``,
    also 16 bytes for each contact and value, so that none is counted twice.
    """

    def __init__(self, heading: str, *, repeat: bool) -> None:
        self._heading = heading
        self._repeat = repeat
        self._seen = DatesSeen()
        self._filled = 0
        self._counts: list[pl.DataFrame] = []
        self._pairs: list[pl.DataFrame] = []
        self._values: set[str] | None = set()

    def add(self, ids: pl.Series, cells: pl.Series) -> None:
        """Some rows: the contact ids and the cells, trimmed."""
        rows = pl.DataFrame({"contact": ids, "cell": cells}).filter((ids != "") & (cells != ""))
        self._filled += rows["contact"].n_unique()
        self._seen += look_at_dates(rows["cell"])
        if self._values is None:
            return
        parts = rows.select(pl.col("contact").hash(), part="cell")
        if rows["cell"].str.contains(";", literal=True).any():
            parts = parts.with_columns(pl.col("part").str.split(";")).explode("part")
            parts = parts.with_columns(pl.col("part").str.strip_chars(TRIMMED)).filter(pl.col("part") != "")
        held = parts.with_columns(value=pl.col("part").str.to_lowercase()).unique(
            ["contact", "value"], maintain_order=True
        )
        counted = held.group_by("value", maintain_order=True).agg(pl.col("part").first(), held=pl.len())
        self._values |= set(counted["value"].to_list())
        if len(self._values) > _MOST_DISTINCT:
            self._values = None
            self._counts.clear()
            self._pairs.clear()
            return
        self._counts.append(counted)
        if self._repeat:
            self._pairs.append(held.select("contact", pl.col("value").hash()))

    def candidate(self) -> Candidate:
        """What was counted."""
        filled = self._filled
        days = 2 * (self._seen.year_first + self._seen.year_last) > filled
        if self._values is None or not self._counts:
            return Candidate(self._heading, filled, None if self._values is None else 0, (), days)
        counted = (
            pl.concat(self._counts)
            .group_by("value", maintain_order=True)
            .agg(pl.col("part").first(), pl.col("held").sum())
        )
        if self._repeat:
            pairs = pl.concat(self._pairs).unique()
            filled = pairs["contact"].n_unique()
            held = pairs.group_by("value").agg(held=pl.len())
            by_hash = counted.drop("held").with_columns(hashed=pl.col("value").hash())
            counted = by_hash.join(held, left_on="hashed", right_on="value")
        counted = counted.sort("held", "value", descending=[True, False])
        common = counted.filter((pl.col("held") >= SHOWN_FROM) & ~pl.col("value").str.contains("@"))
        repeats = 2 * common["held"].sum() >= counted["held"].sum()
        shown = common.head(MOST_VALUES) if repeats and not days else common.clear()
        values = tuple(shown.select("part", "held").iter_rows())
        return Candidate(self._heading, filled, len(self._values), values, days)
