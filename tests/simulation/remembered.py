"""What follows from its arguments alone and takes long, worked out once a process or once a seed.

A simulation asks the same again and again: the same signatures under the same checkpoints, the same rows of the same
two lists, the same conditions of the same statements. Nothing here remembers what a store or a file says now.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from sqlalchemy import Column
from sqlalchemy.sql.schema import Table

from mutuals import peer as peers
from mutuals.audit import heads, tree
from mutuals.crypto.signing import VerifyKey
from mutuals.identity import partners
from mutuals.normalisation.profile import Profile
from mutuals.runs import prepare
from mutuals.sources import ContactTable, read_source
from mutuals.sources.definition import SourceDefinition
from mutuals.store.schema import metadata

_PURE = ((tree, "parse_note"), (heads, "parse_note"), (peers, "parse_card"), (partners, "parse_card"))
"""Functions, by the module that calls them and their names."""

_SIMPLE = (str, int, bool, bytes, type(None))


@contextmanager
def remembering() -> Iterator[None]:
    """Meanwhile the product is told what it was told before."""
    with ExitStack() as stack:
        for module, name in _PURE:
            stack.enter_context(patch.object(module, name, _kept(module, name)))
        stack.enter_context(patch.object(VerifyKey, "verify", _verify))
        stack.enter_context(patch.object(Profile, "digest", _digest))
        stack.enter_context(patch.object(tree.Entry, "leaf", _leaf))
        stack.callback(_LEAVES.clear)
        stack.enter_context(patch.object(prepare, "read_source", _read_source))
        stack.enter_context(patch.object(Column, "operate", _conditions()))
        yield


@cache
def _kept(module: Any, name: str) -> Any:
    return lru_cache(4096)(getattr(module, name))


_real_verify = VerifyKey.verify


@lru_cache(1 << 14)
def _verified(raw: bytes, message: bytes, signature: bytes) -> None:
    """Only what holds is remembered: a signature that does not fit is an exception."""
    _real_verify(VerifyKey(raw), message, signature)


def _verify(key: VerifyKey, message: bytes, signature: bytes) -> None:
    _verified(key.raw, bytes(message), bytes(signature))


_digest = lru_cache(16)(Profile.digest)

_real_leaf = tree.Entry.leaf
_LEAVES: dict[bytes, bytes] = {}


def _leaf(entry: tree.Entry) -> bytes:
    key = marshal.dumps((entry.seq, entry.event, entry.body, entry.at, entry.salt), 2)
    if key not in _LEAVES:
        _LEAVES[key] = _real_leaf(entry)
    return _LEAVES[key]


_real_read = read_source
_TABLES: dict[Any, ContactTable] = {}


def _read_source(
    definition: SourceDefinition, fields: Collection[str] | None = None, contacts: pl.Series | None = None
) -> ContactTable:
    """The same file, whatever its folder; who withdrew is in the store, and marked afterwards."""
    wanted = None if contacts is None else tuple(contacts)
    columns = None if fields is None else frozenset(fields)
    key = (Path(definition.path).read_bytes(), definition.default_country, columns, wanted)
    if key not in _TABLES:
        _TABLES[key] = _real_read(definition, fields, contacts)
    return _TABLES[key]


def _conditions() -> Callable[..., Any]:
    """``column == value`` of the store's tables, which SQLAlchemy takes longer to build than SQLite to look up."""
    built: dict[Any, Any] = {}
    real = Column.operate

    def operate(column: Column[Any], op: Any, *others: Any, **options: Any) -> Any:
        if options or len(others) != 1 or not isinstance(column.table, Table):
            return real(column, op, *others, **options)
        (other,) = others
        if isinstance(other, tuple | list | set | frozenset):
            value: Any = tuple(other)
            simple = all(isinstance(item, str) for item in value)
        else:
            value, simple = other, isinstance(other, _SIMPLE)
        if not simple or column.table.metadata is not metadata:
            return real(column, op, other)
        key = (id(column), op, type(other), value)
        if key not in built:
            built[key] = real(column, op, other)
        return built[key]

    return operate
