"""The seam for file formats: a reader turns a source definition into contacts.

    for batch in open_source(definition, fields=()):     # a few ten thousand contacts at a time
        ...
    table = read_source(definition)                      # all of them at once

A reader for a CRM's export is a class with ``open`` and a line in READERS. What it shares with the native
format it takes from ``sheet`` and ``native``; what the CRM's own columns mean is its own business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import polars as pl

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources.contacts import DATED_CONSENT, ContactTable, with_rows
from mutuals.sources.definition import SourceDefinition, StandardColumn
from mutuals.sources.formats import TABLE_FORMATS
from mutuals.sources.native import NativeReader
from mutuals.sources.tables import TableReader


class OpenSource(Protocol):
    """A source whose columns were found; iterating reads it, anew each time.

    The batches are in the order of the rows, and there is at least one. MutualsError (INPUT_QUALITY) may come with
    any of them, and after the last one: before that nothing read is certain. DATED_CONSENT is in the frames of those
    batches that have such grants.
    """

    @property
    def headings(self) -> tuple[str, ...]:
        """All further columns, in the file's order, whether they are read or not."""

    @property
    def absent(self) -> tuple[StandardColumn, ...]:
        """The standard columns that it does not have."""

    def __iter__(self) -> Iterator[ContactTable]: ...

    def expected_rows(self) -> int:
        """About how many rows it has, judged by what was read so far; 0 where nothing was."""


class Reader(Protocol):
    """Reads one format."""

    def open(self, definition: SourceDefinition, fields: Collection[str] | None = None) -> OpenSource:
        """The source. Raises MutualsError (INPUT_QUALITY) where its columns cannot be told."""


READERS: dict[str, Reader] = {
    "native": NativeReader(),
    **dict.fromkeys(TABLE_FORMATS, TableReader()),
}


def open_source(definition: SourceDefinition, fields: Collection[str] | None = None) -> OpenSource:
    """The source of ``definition``, to be read in batches; of the further columns only ``fields``, or all.

    Raises MutualsError: USAGE for an unknown format, INPUT_QUALITY where the source cannot be used.
    """
    reader = READERS.get(definition.format)
    if reader is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no reader for the format “{definition.format}”.",
            hint=f"This release reads {', '.join(READERS)}.",
        )
    return reader.open(definition, fields)


def read_through(definition: SourceDefinition) -> OpenSource:
    """The source, after reading all of it once and keeping nothing: for its columns, and so that a fault is found now.

    Raises as ``read_source`` does.
    """
    source = open_source(definition, fields=())
    for _ in source:
        pass
    return source


def read_source(
    definition: SourceDefinition,
    fields: Collection[str] | None = None,
    contacts: pl.Series | None = None,
) -> ContactTable:
    """The contacts of ``definition``, read now.

    ``fields`` are the further columns wanted, ``contacts`` (String) the ids of those wanted; None is all. What the
    source does not have is left out. Raises MutualsError: USAGE for an unknown format, INPUT_QUALITY where the
    source as a whole cannot be used.
    """
    wanted = None if contacts is None else contacts.unique().implode()
    batches: list[ContactTable] = []
    for batch in open_source(definition, fields):
        chosen = batch
        if wanted is not None:
            chosen = with_rows(batch, batch.frame["contact_id"].is_in(wanted))
        batches.append(chosen)
    mapping = definition.mapping
    return replace(join_batches(batches), dates=None if mapping is None else mapping.dates)


def join_batches(batches: Sequence[ContactTable]) -> ContactTable:
    """Batches of one source, of which there is at least one, as one."""
    frames = [batch.frame for batch in batches]
    frame = pl.concat(frames, how="diagonal")
    if DATED_CONSENT in frame.columns:
        order = next(batch.frame.columns for batch in batches if DATED_CONSENT in batch.frame.columns)
        frame = frame.select(order).with_columns(pl.col(DATED_CONSENT).fill_null([]))
    return ContactTable(
        frame=frame,
        rejected=tuple(fault for batch in batches for fault in batch.rejected),
        field_names=batches[0].field_names,
        rejected_identifiers=pl.concat([batch.rejected_identifiers for batch in batches]),
        absent=batches[0].absent,
        merged=tuple(rows for batch in batches for rows in batch.merged),
    )
