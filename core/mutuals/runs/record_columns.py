"""Records in columns: many contacts' values as JSON text, without an object of Python for each.

column = write_column(shared, cells)             # one field of all contacts, transformed
texts = objects([column.members, ...], len(...)) # what each contact sends of one retention class
records = RecordColumns(ranks, {90: texts})      # a sequence of PlainRecord, made as they are asked for
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import polars as pl

from mutuals.canonical import canonical_json
from mutuals.models.agreement import SharedField
from mutuals.protocol.exchange import PlainRecord
from mutuals.runs.transforms import UnfitValue, transform
from mutuals.sources.dates import iso_day
from mutuals.sources.mapping import DateOrder

CHUNK = 8_192
"""So many contacts are taken out of their columns at once."""

_MOST_REMEMBERED = 65_536
_EMPTY = "empty"


@dataclass(frozen=True)
class WrittenColumn:
    """One field of all contacts: ``members`` (String) as ``"city":"Bremen"``, null where no value is sent.

    ``cells`` (String, null where empty) are what the source holds, days as YYYY-MM-DD where their order is known.
    ``empty`` counts the contacts without a value, ``withheld`` those whose value does not fit, by reason.
    """

    shared: SharedField
    members: pl.Series = field(repr=False)
    cells: pl.Series = field(repr=False)
    empty: int
    withheld: dict[str, int]

    @property
    def values(self) -> int:
        """How many contacts have a value that is sent."""
        return len(self.members) - self.members.null_count()


def write_column(shared: SharedField, cells: pl.Series, dates: DateOrder | None = None) -> WrittenColumn:
    """The agreed value of every cell (String, null where empty) of one field.

    Most fields have few values, so each is transformed once for all cells that hold it. ``dates`` is the order in which
    the source writes days: exports of a CRM seldom have them as an agreement does.
    """
    cells = in_agreed_form(shared, cells, dates)
    known: dict[str, tuple[str | None, str]] = {}
    lost: Counter[str] = Counter()
    chunks: list[pl.Series] = []
    for start in range(0, len(cells), CHUNK):
        members: list[str | None] = []
        for cell in cells.slice(start, CHUNK).to_list():
            text = cell or ""
            found = known.get(text)
            if found is None:
                if len(known) == _MOST_REMEMBERED:
                    known.clear()
                found = known[text] = _member(shared, text)
            member, reason = found
            members.append(member)
            if member is None:
                lost[reason] += 1
        chunks.append(pl.Series(shared.name, members, dtype=pl.String))
    written = pl.concat(chunks) if chunks else pl.Series(shared.name, [], dtype=pl.String)
    empty = lost.pop(_EMPTY, 0)
    return WrittenColumn(shared, written, cells, empty, dict(lost))


def objects(columns: Sequence[WrittenColumn], contacts: int) -> pl.Series:
    """Per contact the canonical JSON (RFC 8785) of its values in ``columns``: ``{}`` where it has none."""
    if not columns or not contacts:
        return pl.Series("text", ["{}"], dtype=pl.String).new_from_index(0, contacts)
    ordered = sorted(columns, key=lambda column: column.shared.name.encode("utf-16-be"))
    members = pl.concat_str([column.members for column in ordered], separator=",", ignore_nulls=True)
    return pl.select(pl.concat_str(pl.lit("{"), members, pl.lit("}")).alias("text"))["text"]


class RecordColumns(Sequence[PlainRecord]):
    """The records of all contacts and retention classes, ascending by rank and class."""

    def __init__(self, ranks: pl.Series, texts: Mapping[int, pl.Series]) -> None:
        """``ranks`` (List[UInt32]) are each contact's, ascending, and contacts by their lowest; ``texts`` by class."""
        self._ranks = ranks
        self._texts = dict(sorted(texts.items()))

    def __len__(self) -> int:
        return len(self._ranks) * len(self._texts)

    def __iter__(self) -> Iterator[PlainRecord]:
        for start in range(0, len(self._ranks), CHUNK):
            yield from self._chunk(start, CHUNK)

    @overload
    def __getitem__(self, index: int) -> PlainRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[PlainRecord]: ...
    def __getitem__(self, index: int | slice) -> PlainRecord | list[PlainRecord]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        contact, kind = divmod(range(len(self))[index], len(self._texts))
        return list(self._chunk(contact, 1))[kind]

    def _chunk(self, start: int, size: int) -> Iterator[PlainRecord]:
        ranks = self._ranks.slice(start, size).to_list()
        texts = [column.slice(start, size).to_list() for column in self._texts.values()]
        classes = tuple(self._texts)
        for (lowest, *also), *written in zip(ranks, *texts, strict=True):
            for days, text in zip(classes, written, strict=True):
                yield PlainRecord(lowest, tuple(also), days, text.encode())


def in_agreed_form(shared: SharedField, cells: pl.Series, dates: DateOrder | None) -> pl.Series:
    """``cells`` with days as YYYY-MM-DD where the field is one of days and their order is known; else as they are."""
    return cells if dates is None or shared.type != "date" else iso_day(cells, dates)


def refusal(shared: SharedField, cell: str | None) -> str | None:
    """Why a cell (null where empty) becomes no value of its field; nothing where it does, or where it is empty."""
    _, reason = _member(shared, cell or "")
    return None if reason in {"", _EMPTY} else reason


def _member(shared: SharedField, cell: str) -> tuple[str | None, str]:
    """What a cell becomes as a member of the record, or nothing and why."""
    cell = cell.strip()
    if not cell:
        return None, _EMPTY
    try:
        value = transform(shared, cell)
    except UnfitValue as unfit:
        return None, unfit.reason.value
    return canonical_json({shared.name: value})[1:-1].decode(), ""
