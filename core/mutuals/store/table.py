"""One table and the frozen dataclass of its rows: what all repositories do in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, select

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    R = TypeVar("R", bound=DataclassInstance)
else:
    R = TypeVar("R")

Where = ColumnElement[bool]

_ERASED = "mutuals erased"


def note_erasure(connection: Connection) -> None:
    """Remember that this transaction erased something that must not stay in the file (``mutuals.store.sweep``)."""
    connection.info[_ERASED] = True


def take_erasure(connection: Connection) -> bool:
    """Whether something was erased on this connection since this was last asked."""
    return connection.info.pop(_ERASED, False) is True


@cache
def _shape(table: Table, row: type[Any]) -> tuple[tuple[str, ...], Select[Any]]:
    """The names of a row and what selects its columns in their order; once for all transactions, each of which makes
    every repository.
    """
    names = tuple(field.name for field in fields(row))
    return names, select(*(table.c[name] for name in names))


class RowTable(Generic[R]):
    """Rows of type ``row`` in ``table``, whose columns carry the names of the dataclass's fields.

    All statements are in the portable subset of SQL. A read followed by a write is safe, because a
    transaction has the store to itself (``mutuals.store.database``). Reading closes its cursor also where a row
    cannot be read: SQLite keeps the file locked for one that is open, and a kept exception keeps it open.
    """

    def __init__(self, connection: Connection, table: Table, row: type[R]) -> None:
        self._connection = connection
        self._table = table
        self._row = row
        self._names, self._select = _shape(table, row)

    def _values(self, row: R) -> dict[str, Any]:
        # Not dataclasses.asdict: that copies every value deeply.
        return {name: getattr(row, name) for name in self._names}

    def insert(self, rows: Iterable[R]) -> None:
        """Add ``rows``; a key that is taken fails the transaction."""
        values = [self._values(row) for row in rows]
        if values:
            self._connection.execute(self._table.insert(), values)

    def put(self, row: R) -> None:
        """Add ``row``, or replace the row with the same primary key."""
        values = self._values(row)
        where = [column == values[column.name] for column in self._table.primary_key.columns]
        if not self.update(where, values):
            self._connection.execute(self._table.insert(), values)

    def one(self, *where: Where, order: Sequence[ColumnElement[Any]] = ()) -> R | None:
        """The first row that meets ``where``, in ``order``, or nothing."""
        query = self._select.where(*where).order_by(*order).limit(1)
        with self._connection.execute(query) as result:
            found = result.first()
            return None if found is None else self._row(*found)

    def all(self, *where: Where, order: Sequence[ColumnElement[Any]]) -> list[R]:
        """All rows that meet ``where``, in ``order``."""
        with self._connection.execute(self._select.where(*where).order_by(*order)) as result:
            return [self._row(*row) for row in result]

    def update(self, where: Sequence[Where], values: dict[str, Any]) -> int:
        """Set ``values`` where ``where`` is met; how many rows that were."""
        return self._connection.execute(self._table.update().where(*where).values(values)).rowcount

    def delete(self, *where: Where) -> int:
        """Delete the rows that meet ``where``; how many they were."""
        deleted = self._connection.execute(self._table.delete().where(*where)).rowcount
        if deleted:
            note_erasure(self._connection)
        return deleted
