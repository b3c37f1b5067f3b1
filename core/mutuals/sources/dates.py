"""Days as exports write them, and in which order: never guessed, so 03/04/2026 is one only where the order is known."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from mutuals.normalisation import TRIMMED
from mutuals.sources.mapping import DateOrder

_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?"
_TIME = rf"(?:(?:T|,? )[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]+)?)?(?: ?[AaPp]\.?[Mm]\.?)?{_ZONE})?"
_YEAR_FIRST = rf"^([0-9]{{4}})([-/.])([0-9]{{1,2}})[-/.]([0-9]{{1,2}}){_TIME}$"
_YEAR_LAST = rf"^([0-9]{{1,2}})([-/.])([0-9]{{1,2}})[-/.]([0-9]{{4}}){_TIME}$"
_MAYBE = r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}"
ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
"""A day as YYYY-MM-DD, as a pattern."""


@dataclass(frozen=True)
class DatesSeen:
    """How many cells hold a day, and what their order could be: of ``year_last`` ones ``day_first`` and ``month_first``
    count those that can be read in only that order.
    """

    year_first: int = 0
    year_last: int = 0
    day_first: int = 0
    month_first: int = 0

    def __add__(self, other: DatesSeen) -> DatesSeen:
        return DatesSeen(
            self.year_first + other.year_first,
            self.year_last + other.year_last,
            self.day_first + other.day_first,
            self.month_first + other.month_first,
        )

    @property
    def order(self) -> DateOrder | None:
        """The only order in which all of them can be read; None where there are no dates, or several orders."""
        if self.day_first and self.month_first:
            return None
        if self.day_first or self.month_first:
            return "day-first" if self.day_first else "month-first"
        return "year-first" if self.year_first and not self.year_last else None

    @property
    def ambiguous(self) -> bool:
        """Whether there are days that cannot be read without being told the order."""
        return self.year_last > 0 and self.order is None


def maybe_dated(cells: pl.DataFrame) -> list[str]:
    """The columns (strings) in which some cell may hold a day, looked at in one go: a file may have thousands."""
    seen = cells.select(pl.all().str.contains(_MAYBE).any())
    return [name for name, found in zip(seen.columns, seen.row(0), strict=True) if found]


def look_at_dates(cells: pl.Series) -> DatesSeen:
    """What ``cells`` (strings) show of the order of their days."""
    text = cells.str.strip_chars(TRIMMED).to_frame("cell")
    first, second = (pl.col("cell").str.extract(_YEAR_LAST, group).cast(pl.UInt32) for group in (1, 3))
    counted = text.select(
        year_first=pl.col("cell").str.contains(_YEAR_FIRST).sum(),
        year_last=first.is_not_null().sum(),
        day_first=((first > 12) & (second <= 12)).sum(),
        month_first=((second > 12) & (first <= 12)).sum(),
    )
    return DatesSeen(**{name: int(count or 0) for name, count in counted.row(0, named=True).items()})


def iso_day(cells: pl.Series, order: DateOrder | None) -> pl.Series:
    """``cells`` as YYYY-MM-DD, without the time of day; as they are where they are no day or need an order not given.

    A year in front needs none. The day is the one that is written, in whatever zone.
    """
    trimmed = cells.str.strip_chars(TRIMMED)
    if ((trimmed == "") | trimmed.str.contains(ISO_DAY)).all():
        return trimmed
    distinct = trimmed.unique().to_frame("cell")
    cell = pl.col("cell")
    parts = (4, 3, 1) if order == "day-first" else (4, 1, 3)
    days = distinct.with_columns(
        day=pl.when(cell.str.contains(_YEAR_FIRST))
        .then(_joined(_YEAR_FIRST, (1, 3, 4)))
        .when(cell.str.contains(_YEAR_LAST) & (order in {"day-first", "month-first"}))
        .then(_joined(_YEAR_LAST, parts))
        .otherwise(cell)
    )
    return trimmed.replace_strict(days["cell"], days["day"], return_dtype=pl.String)


def is_iso(cells: pl.Series) -> pl.Series:
    """Which of ``cells`` are written as YYYY-MM-DD."""
    return cells.str.contains(ISO_DAY)


def _joined(pattern: str, groups: tuple[int, int, int]) -> pl.Expr:
    year, month, day = (pl.col("cell").str.extract(pattern, group) for group in groups)
    return pl.concat_str(year, month.str.pad_start(2, "0"), day.str.pad_start(2, "0"), separator="-")
