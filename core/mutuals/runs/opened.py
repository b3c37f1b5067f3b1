"""What an operator opened of a run, in columns: a row for each own contact that a record came for.

    opening = Opening(shared, visible, keys, envelopes, alive)
    for rows in pages: opening.take(rows)              # by rank and class; a rank's classes come together
    rows, ambiguous = opening.joined(overlap)

Every envelope's plaintext is held against the digest that the partner signed, every value against what was agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, overload

import numpy as np
import polars as pl

from mutuals.canonical import parse_canonical
from mutuals.models.agreement import SharedField
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.sealing import RecordKeys
from mutuals.runs.overlap import Overlap
from mutuals.runs.transforms import Column, Value, check_value, column_of
from mutuals.store.rows import IncomingRow, ReceivedRow

CONTACT = "contact"
_CHUNK = 8_192
_MOST_REMEMBERED = 65_536
_KINDS: dict[Column, Any] = {Column.INTEGER: pl.Int64(), Column.BOOLEAN: pl.Boolean()}


class ContentFault(ValueError):
    """What an opened record or envelope has that it must not have; ``envelope`` where it is known."""

    def __init__(self, what: str, envelope: IncomingRow | None = None) -> None:
        super().__init__(what)
        self.envelope = envelope


class OpenedRows(Sequence[tuple[str, dict[str, Value]]]):
    """Own contact id and the values by field that it has, for each contact."""

    def __init__(self, contacts: pl.Series, values: pl.DataFrame) -> None:
        self._contacts = contacts
        self._values = values

    @property
    def contacts(self) -> pl.Series:
        """The own contact ids (String), one for each row."""
        return self._contacts

    def of(self, contacts: pl.Series) -> OpenedRows:
        """The rows of those own contacts (ids, String)."""
        chosen = self._contacts.is_in(contacts.implode())
        return OpenedRows(self._contacts.filter(chosen), self._values.filter(chosen))

    def __len__(self) -> int:
        return len(self._contacts)

    def __iter__(self) -> Iterator[tuple[str, dict[str, Value]]]:
        for start in range(0, len(self), _CHUNK):
            yield from self[start : start + _CHUNK]

    @overload
    def __getitem__(self, index: int) -> tuple[str, dict[str, Value]]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, dict[str, Value]]]: ...
    def __getitem__(
        self, index: int | slice
    ) -> tuple[str, dict[str, Value]] | list[tuple[str, dict[str, Value]]]:
        if not isinstance(index, slice):
            return self[index : index + 1][0]
        names = self._values.columns
        return [
            (contact, {name: value for name, value in zip(names, row, strict=True) if value is not None})
            for contact, row in zip(self._contacts[index], self._values[index].rows(), strict=True)
        ]

    def columns(self) -> tuple[pl.Series, pl.DataFrame]:
        """The same as columns: the contact ids (String), and the values of each field, null where there is none."""
        return self._contacts, self._values


class Opening:
    """Opens the records of one run page by page. Raises ContentFault, and is of no use afterwards.

    ``shared`` are the agreed fields, ``visible`` the names of those that are kept; ``alive`` says of a record whether
    it may still be read.
    """

    def __init__(
        self,
        shared: Sequence[SharedField],
        visible: Collection[str],
        keys: RecordKeys,
        envelopes: Sequence[IncomingRow],
        alive: Callable[[ReceivedRow], bool],
    ) -> None:
        self.opened = 0
        self.expired = 0
        self._keys = keys
        self._alive = alive
        self._fields = {item.name: (item, set[str]()) for item in shared}  # and texts that were found to fit
        self._schema = {
            item.name: _KINDS.get(column_of(item), pl.String()) for item in shared if item.name in visible
        }
        self._envelopes = {envelope.number: envelope for envelope in envelopes}
        self._closed: set[int] = set()
        self._batch: list[bytes] = []
        self._number = -1
        self._ranks: list[tuple[int, tuple[int, ...]]] = []
        self._pages: list[pl.DataFrame] = []

    def take(self, rows: Sequence[ReceivedRow]) -> None:
        """Open further records, which ascend by rank and class."""
        found: dict[int, dict[str, Value]] = {}
        for row in rows:
            values = self._values(row, self._open(row))
            self.opened += 1
            if not self._alive(row):
                self.expired += 1
                continue
            if row.rank not in found:
                found[row.rank] = {}
                if row.also:
                    self._ranks.append((row.rank, row.also))
            found[row.rank].update(values)
        columns: dict[str, pl.Series] = {"rank": pl.Series("rank", list(found), dtype=pl.UInt32)}
        for name, kind in self._schema.items():
            columns[name] = pl.Series(name, [values.get(name) for values in found.values()], dtype=kind)
        self._pages.append(pl.DataFrame(columns))

    def joined(self, overlap: Overlap) -> tuple[OpenedRows, int]:
        """One row per own contact that has a record, by lowest rank; how many contacts had records of several."""
        self._close_batch()
        for number in list(self._envelopes):  # of which nothing came
            self._number = number
            self._close_batch()
        values = pl.concat(self._pages) if self._pages else pl.DataFrame(schema={"rank": pl.UInt32()})
        ranks = values["rank"].to_numpy()
        record_of = np.full(overlap.count, -1, dtype=np.int64)
        record_of[ranks] = np.arange(len(ranks))
        for lowest, also in self._ranks:
            record_of[[rank for rank in also if rank < overlap.count]] = record_of[lowest]
        holders = overlap.holders()
        known_as = (
            holders.with_columns(record=pl.Series(record_of[holders["rank"].to_numpy()]))
            .filter(pl.col("record") >= 0)
            .group_by(CONTACT, maintain_order=True)
            .agg(pl.col("record").min(), several=pl.col("record").n_unique() > 1)
        )
        rows = values.drop("rank")[known_as["record"]] if len(known_as) else values.drop("rank").clear()
        return OpenedRows(known_as[CONTACT], rows), int(known_as["several"].sum())

    def _open(self, row: ReceivedRow) -> bytes:
        """The record's plaintext, which also counts for its envelope's.

        An envelope of which retention or a revocation deleted records cannot be compared any more, and only that one:
        else a partner could have one record deleted to hide what it signed for the others. Each record still opened
        under its own key.
        """
        try:
            plaintext = self._keys.open(row.rank, row.retention_days, row.ciphertext)
        except ValueError as error:
            raise ContentFault("a record that does not open") from error
        if row.envelope is not None:
            if row.envelope != self._number:
                self._close_batch()
                self._number = row.envelope
            self._batch.append(plaintext)
        return plaintext

    def _close_batch(self) -> None:
        """Compare what came of one envelope; its records stand together, so none of it comes again."""
        if self._number in self._closed:
            raise ContentFault("records in another order than their envelopes'")
        self._closed.add(self._number)
        envelope = self._envelopes.pop(self._number, None)
        if envelope is not None:
            header = EnvelopeHeader.from_bytes(envelope.header)
            whole = len(self._batch) >= header.count
            if whole and self._keys.plaintext_digest(header.number, self._batch) != header.plaintext:
                raise ContentFault("records that differ from the digest it signed", envelope)
        self._batch = []

    def _values(self, row: ReceivedRow, plaintext: bytes) -> dict[str, Value]:
        try:
            values: dict[str, Value] = parse_canonical(plaintext)
            for name, value in values.items():
                shared, fitting = self._fields[name]
                if shared.retention_days != row.retention_days:
                    raise ValueError("a field is not agreed")
                if isinstance(value, str) and value in fitting:
                    continue
                check_value(shared, value)
                if isinstance(value, str) and len(fitting) < _MOST_REMEMBERED:
                    fitting.add(value)
        except (ValueError, KeyError) as error:
            raise ContentFault("a record with content that was not agreed") from error
        return values
