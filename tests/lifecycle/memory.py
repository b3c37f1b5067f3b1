"""A peer's store in memory, for histories by the thousand: the product's repositories and SQL, without the file.

Two thirds of a history's time went into SQLAlchemy's way from a statement to a row, and into files and journals. Here
a statement is compiled once for all stores of the process and goes straight to SQLite. Transactions, the schema's
rules and the repositories are the product's own; only the engine below them is not. What the file itself must not
hold (``mutuals.store.sweep``) is for other tests, and some histories run with the real store (``Lifecycle.on_disk``).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import BindParameter, ClauseElement, Column, ColumnElement, Connection, Table, create_engine
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import False_, Null, True_

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.database import Store, Transaction
from mutuals.store.engine import explain
from mutuals.store.table import RowTable, Where, note_erasure

_ENGINE = create_engine("sqlite://")
_DIALECT = _ENGINE.dialect
_PLANS: dict[Any, _Plan] = {}
_REPOSITORIES = {name: type(value) for name, value in vars(Transaction(cast(Connection, None))).items()}

Convert = Callable[[Any], Any]


def read_store(path: Path) -> bytes:
    """The SQLite file at ``path``, as ``MemoryStore`` takes it; nobody may be writing to it."""
    source = sqlite3.connect(path)
    try:
        return source.serialize()
    finally:
        source.close()


class MemoryStore(Store):
    """A store that begins as the file with these bytes did."""

    def __init__(self, content: bytes) -> None:
        super().__init__(_ENGINE)
        self._raw = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._raw.deserialize(content)
        self._raw.execute("PRAGMA foreign_keys=ON")
        self._turn = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """As the store's own: all or nothing, and one at a time."""
        if getattr(self._here, "busy", False):
            raise MutualsError(ErrorCode.INTERNAL, "A transaction was begun inside another one.")
        with self._turn:
            self._here.busy = True
            self._raw.execute("BEGIN IMMEDIATE")
            try:
                yield cast(Transaction, _Repositories(_Connection(self._raw)))
            except BaseException as error:
                self._raw.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    raise MutualsError(ErrorCode.INTERNAL, "A row broke a rule of the store.") from error
                if isinstance(error, sqlite3.Error):
                    raise explain(_ENGINE, error) from error
                raise
            else:
                self._raw.execute("COMMIT")
            finally:
                self._here.busy = False

    @property
    def path(self) -> Path | None:
        """There is no file."""
        return None

    def sweep(self, *, again: bool = False) -> bool:
        """There is nothing to sweep."""
        return True

    def close(self) -> None:
        """Nothing: a peer that was closed is opened again with what it stored."""

    def discard(self) -> None:
        """End it."""
        self._raw.close()


class _Repositories:
    """A transaction whose repositories are made when they are asked for."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        made = _REPOSITORIES[name](cast(Connection, self._connection))
        for attribute, value in vars(made).items():
            if type(value) is RowTable:
                setattr(made, attribute, _QuickTable(value))
        setattr(self, name, made)
        return made


class _QuickTable(RowTable[Any]):
    """A table whose statements are found by the shape of their conditions, so that none is built a second time."""

    def __init__(self, table: RowTable[Any]) -> None:
        vars(self).update(vars(table))

    def insert(self, rows: Iterable[Any]) -> None:
        """As RowTable."""
        values = [self._values(row) for row in rows]
        if values:
            self._quick.insert(self._table, values)

    def put(self, row: Any) -> None:
        """As RowTable."""
        values = self._values(row)
        where = [column == values[column.name] for column in self._table.primary_key.columns]
        if not self.update(where, values):
            self._quick.insert(self._table, [values])

    def one(self, *where: Where, order: Sequence[ColumnElement[Any]] = ()) -> Any:
        """As RowTable."""
        select = self._select
        found = self._quick.run(
            "one", self._row, where, order, lambda: select.where(*where).order_by(*order).limit(1)
        ).first()
        return None if found is None else self._row(*found)

    def all(self, *where: Where, order: Sequence[ColumnElement[Any]]) -> list[Any]:
        """As RowTable."""
        select = self._select
        rows = self._quick.run("all", self._row, where, order, lambda: select.where(*where).order_by(*order))
        return [self._row(*row) for row in rows]

    def update(self, where: Sequence[Where], values: dict[str, Any]) -> int:
        """As RowTable; a value may be another column, and then nothing is quick."""
        if any(isinstance(value, ClauseElement) for value in values.values()):
            return super().update(where, values)
        build = self._table.update
        kind = ("update", *values)
        found = self._quick.run(
            kind, self._table, where, (), lambda: build().where(*where).values(values), values
        )
        return found.rowcount

    def delete(self, *where: Where) -> int:
        """As RowTable."""
        build = self._table.delete
        deleted = self._quick.run("delete", self._table, where, (), lambda: build().where(*where)).rowcount
        if deleted:
            note_erasure(self._connection)
        return deleted

    @property
    def _quick(self) -> _Connection:
        return cast(_Connection, self._connection)


class _Connection:
    """As much of SQLAlchemy's connection as repositories use."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self.info: dict[str, Any] = {}

    def execute(self, statement: Any, values: dict[str, Any] | list[dict[str, Any]] | None = None) -> _Result:
        """Run a statement, or an insert of rows."""
        if values is not None:
            return self.insert(statement.table, values if isinstance(values, list) else [values])
        key = statement._generate_cache_key()
        sizes = tuple(len(bound.value) for bound in key.bindparams if bound.expanding)
        plan = _PLANS.get((key.key, sizes))
        if plan is None:
            plan = _PLANS[key.key, sizes] = _Plan.of(statement._compiler(_DIALECT, cache_key=key))
        return _Result(self._raw.execute(plan.sql, plan.bound(key.bindparams)), plan)

    def insert(self, table: Table, rows: list[dict[str, Any]]) -> _Result:
        """Insert rows that have the same columns."""
        plan = _insert_plan(table, tuple(rows[0]))
        self._raw.executemany(plan.sql, map(plan.row, rows))
        return _Result(None, plan)

    def run(
        self,
        kind: Any,
        what: Any,
        where: Sequence[Any],
        order: Sequence[Any],
        build: Callable[[], Any],
        values: dict[str, Any] | None = None,
    ) -> _Result:
        """Run what ``build`` makes of these conditions; what it was made into before serves again.

        ``values`` are those that an update sets.
        """
        shapes: list[Any] = []
        given: list[Any] = []
        for condition in where:
            left, right = condition.left, condition.right
            if not isinstance(left, Column):
                return self.execute(build())
            if isinstance(right, BindParameter):
                several: Any = right.value if right.expanding else None
                shapes.append((id(left), condition.operator, None if several is None else len(several)))
                given.extend((right.value,) if several is None else several)
            elif isinstance(right, Null | True_ | False_):
                shapes.append((id(left), condition.operator, type(right)))
            else:
                return self.execute(build())
        key = (kind, id(what), *shapes, *map(_ordering, order))
        plan = _PLANS.get(key)
        if plan is None:
            plan = _PLANS[key] = _Plan.of(build()._compiler(_DIALECT, cache_key=None))
        if values:  # set in the order of the table's columns, and before the conditions
            given = [*(values[name] for name in plan.names[: len(values)]), *given]
        if kind == "one":  # limit and offset
            given += (1, 0)
        bound = [
            value if convert is None else convert(value)
            for value, convert in zip(given, plan.converts, strict=True)
        ]
        return _Result(self._raw.execute(plan.sql, bound), plan)


def _ordering(element: Any) -> Any:
    """A column, or one with a direction."""
    return id(element) if isinstance(element, Column) else (id(element.element), element.modifier)


def _insert_plan(table: Table, names: tuple[str, ...]) -> _Plan:
    plan = _PLANS.get((table, names))
    if plan is None:
        compiled = table.insert()._compiler(_DIALECT, cache_key=None, column_keys=list(names))
        plan = _PLANS[table, names] = _Plan.of(compiled)
    return plan


@dataclass(frozen=True)
class _Plan:
    """A compiled statement: how values are bound, in order, and how each column comes back."""

    sql: str
    compiled: SQLCompiler
    names: tuple[str, ...]
    converts: tuple[Convert | None, ...]
    lists: dict[str, list[str]]
    columns: tuple[Convert | None, ...]

    @classmethod
    def of(cls, compiled: SQLCompiler) -> _Plan:
        """For one with lists, of one of their lengths."""
        columns = tuple(
            entry.type._cached_result_processor(_DIALECT, None) for entry in compiled._result_columns
        )
        sql, names, lists = compiled.string, compiled.positiontup or [], {}
        converts = dict(compiled._bind_processors)
        if compiled.post_compile_params or "POSTCOMPILE" in sql:
            expanded = compiled._process_parameters_for_postcompile(compiled.construct_params())
            sql, names = expanded.statement, list(expanded.positiontup or ())
            lists = {name: list(parts) for name, parts in expanded.parameter_expansion.items()}
            converts.update(expanded.processors)
        found = tuple(converts.get(name) for name in names)
        return cls(sql, compiled, tuple(names), cast(Any, found), lists, columns)

    def bound(self, extracted: Sequence[Any]) -> list[Any]:
        """The values of a statement with the same key, as SQLite takes them."""
        return self.row(
            dict(self.compiled.construct_params(extracted_parameters=extracted, escape_names=False))
        )

    def row(self, values: dict[str, Any]) -> list[Any]:
        """These values by name, as SQLite takes them."""
        for name, parts in self.lists.items():
            values.update(zip(parts, values[name], strict=True))
        return [
            values[name] if convert is None else convert(values[name])
            for name, convert in zip(self.names, self.converts, strict=True)
        ]


class _Result:
    """The rows, read at once; a row is a tuple in the order of the columns."""

    def __init__(self, cursor: sqlite3.Cursor | None, plan: _Plan) -> None:
        self.rowcount = -1 if cursor is None else cursor.rowcount
        rows = cursor.fetchall() if cursor is not None and plan.columns else []
        columns = plan.columns
        self._rows: list[tuple[Any, ...]] = [
            tuple(
                [
                    value if convert is None else convert(value)
                    for value, convert in zip(row, columns, strict=True)
                ]
            )
            for row in rows
        ]

    def __enter__(self) -> _Result:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def first(self) -> tuple[Any, ...] | None:
        """The first row."""
        return self._rows[0] if self._rows else None

    def one(self) -> tuple[Any, ...]:
        """The only row."""
        (row,) = self._rows
        return row

    def scalar(self) -> Any:
        """The first value of the first row, if any."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        """The first value of the only row."""
        return self.one()[0]

    def scalars(self) -> Iterator[Any]:
        """The first value of each row."""
        return (row[0] for row in self._rows)
