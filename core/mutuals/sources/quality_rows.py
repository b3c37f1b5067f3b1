"""The rows of a source as they are read for a report: counted, also those that hold no contact, and why some cannot be
used.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutuals.normalisation import TRIMMED
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.duplicates import MergedBatches
from mutuals.sources.formats import open_table
from mutuals.sources.native import ContactBatches
from mutuals.sources.notes import WithoutNotes
from mutuals.sources.sheet import CsvFile, Sheet, SheetFile
from mutuals.sources.tables import contacts_in, may_end_in_notes

ROWS_SHOWN = 10


@dataclass(frozen=True)
class Refusal:
    """``count`` values of ``column`` were refused for ``reason``; ``rows`` names the first ROWS_SHOWN of
    their rows.
    """

    column: str
    reason: str
    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class RowFigures:
    """The rows of a file, headings apart.

    ``read`` have content; of these ``rejected`` cannot be used, for ``refusals``. ``blank`` have none and stand before
    the last row that has; ``notes`` stand under the contacts and are none. ``merged`` contacts stood in several rows,
    ``merged_rows`` together, the first of which are ``merged_shown``.
    """

    read: int
    usable: int
    rejected: int
    refusals: tuple[Refusal, ...]
    blank: int
    notes: int
    merged: int
    merged_rows: int
    merged_shown: tuple[tuple[int, ...], ...]


class Refusals:
    """Refused values by column and reason, from batches of whatever size."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._rows: dict[tuple[str, str], list[int]] = {}

    def add(self, column: str, reason: str, count: int, rows: Iterable[int]) -> None:
        """``count`` more, of which ``rows`` hold the first ROWS_SHOWN or all."""
        key = (column, reason)
        self._counts[key] = self._counts.get(key, 0) + count
        self._rows[key] = heapq.nsmallest(ROWS_SHOWN, {*self._rows.get(key, ()), *rows})

    def found(self) -> tuple[Refusal, ...]:
        """The most frequent first."""
        refusals = [
            Refusal(column, reason, count, tuple(self._rows[column, reason]))
            for (column, reason), count in self._counts.items()
        ]
        return tuple(sorted(refusals, key=lambda r: (-r.count, r.rows, r.column, r.reason)))


class CountedFile:
    """``file``, counting the rows that are read of it: ``rows`` have content, ``blank`` before the last one have
    none.
    """

    def __init__(self, file: SheetFile) -> None:
        self.name = file.name
        self.headings = file.headings
        self.rows = 0
        self._file = file
        self._last = 1

    @property
    def blank(self) -> int:
        """See above."""
        return self._last - 1 - self.rows

    def expected_rows(self) -> int:
        """See ``SheetFile``."""
        return self._file.expected_rows()

    def sheets(self, columns: Sequence[int]) -> Iterator[Sheet]:
        """See ``SheetFile``; what was counted before is forgotten."""
        self.rows, self._last = 0, 1
        for sheet in self._file.sheets(columns):
            self.rows += len(sheet.rows)
            if len(sheet.rows):
                self._last = int(sheet.rows[-1])
            yield sheet


class RowCounter:
    """A source, opened to be read once, and its rows. Raises MutualsError (INPUT_QUALITY) as reading it does."""

    def __init__(self, definition: SourceDefinition) -> None:
        self._definition = definition
        notes = may_end_in_notes(definition)
        table: SheetFile = (
            CsvFile(Path(definition.path), TRIMMED)
            if definition.format == "native"
            else open_table(definition, may_end_in_notes=notes)
        )
        self._all = CountedFile(table)
        self.file = CountedFile(WithoutNotes(self._all) if notes else self._all)
        self._usable = 0
        self._rejected = 0
        self._refusals = Refusals()
        self._merged: list[tuple[int, ...]] = []
        self._merged_contacts = 0
        self._merged_rows = 0

    def contacts(self, fields: Collection[str]) -> ContactBatches | MergedBatches:
        """Its contacts, with these further columns."""
        return contacts_in(self.file, self._definition, fields)

    def add(self, batch: ContactTable) -> None:
        """The next batch of them."""
        self._usable += len(batch.frame)
        self._rejected += len({fault.row for fault in batch.rejected})
        for column, reason, rows in _by_reason(batch):
            self._refusals.add(column, reason, len(rows), rows)
        self._merged_contacts += len(batch.merged)
        self._merged_rows += sum(map(len, batch.merged))
        self._merged += batch.merged[: ROWS_SHOWN - len(self._merged)]

    def figures(self) -> RowFigures:
        """What was counted, once all was read."""
        return RowFigures(
            read=self.file.rows,
            usable=self._usable,
            rejected=self._rejected,
            refusals=self._refusals.found(),
            blank=self.file.blank,
            notes=self._all.rows - self.file.rows,
            merged=self._merged_contacts,
            merged_rows=self._merged_rows,
            merged_shown=tuple(self._merged),
        )


def row_refusals(table: ContactTable) -> tuple[Refusal, ...]:
    """Why rows cannot be used, most frequent reason first."""
    refusals = Refusals()
    for column, reason, rows in _by_reason(table):
        refusals.add(column, reason, len(rows), rows)
    return refusals.found()


def _by_reason(table: ContactTable) -> Iterator[tuple[str, str, list[int]]]:
    found: dict[tuple[str, str], list[int]] = {}
    for fault in table.rejected:
        found.setdefault((fault.column, fault.reason.value), []).append(fault.row)
    return ((column, reason, rows) for (column, reason), rows in found.items())
