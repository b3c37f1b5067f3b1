"""What an act computes over and over from the same input, computed once: a failure then costs a fraction of it.

    with remembered(): ...

Only functions whose answer depends on their arguments alone, and which write nothing: compiled statements (one engine
for each store's URL, whose connections are made anew all the same), cards and signatures that were found good, a
contact file of the same bytes as it was read and normalised. What fails and what is written is untouched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy

from mutuals.crypto.signing import VerifyKey
from mutuals.identity import cards
from mutuals.sources import identifiers, readers
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.readers import OpenSource

_MANY = 5_000


class _Read:
    """A source that was read once: ``OpenSource``."""

    def __init__(self, source: OpenSource) -> None:
        self.headings, self.absent = source.headings, source.absent
        self._batches = list(source)
        self._rows = source.expected_rows()

    def __iter__(self) -> Iterator[ContactTable]:
        return iter(self._batches)

    def expected_rows(self) -> int:
        """As the source said."""
        return self._rows


@contextmanager
def remembered() -> Iterator[None]:
    """In the block, and in all threads."""
    undo: list[Callable[[], None]] = []
    real_engine, real_verify = sqlalchemy.create_engine, VerifyKey.verify
    engines: dict[str, Any] = {}
    good: set[tuple[bytes, bytes, bytes]] = set()

    def create_engine(url: Any, **options: Any) -> Any:
        key = f"{url.render_as_string(hide_password=False)} {options}"
        if key not in engines:
            engines[key] = real_engine(url, **options)
        return engines[key]

    def verify(self: VerifyKey, message: bytes, signature: bytes) -> None:
        key = self.raw, message, signature
        if key not in good:
            real_verify(self, message, signature)
            if len(good) > _MANY:
                good.clear()
            good.add(key)

    sources: dict[Any, _Read] = {}
    collected: dict[Any, Any] = {}

    def open_source(definition: SourceDefinition, fields: Collection[str] | None = None) -> OpenSource:
        content = Path(definition.path).read_bytes()
        key = content, definition.model_dump_json(), None if fields is None else tuple(fields)
        if key not in sources:
            sources[key] = _Read(real_open(definition, fields))
        return sources[key]

    def collect(table: ContactTable, types: Any, profile: Any, country: Any, spread: Any = map) -> Any:
        key = id(table), tuple(types), profile.name, country
        if key not in collected:
            collected[key] = table, real_collect(table, types, profile, country, spread)
        return collected[key][1]

    real_open, real_collect = readers.open_source, identifiers.collect_identifiers
    VerifyKey.verify = verify  # type: ignore[method-assign]
    for real, ours in (
        (real_engine, create_engine),
        (real_open, open_source),
        (real_collect, collect),
        (cards.parse_card, once(cards.parse_card)),
    ):
        undo.append(replaced_everywhere(real, ours))
    try:
        yield
    finally:
        VerifyKey.verify = real_verify  # type: ignore[method-assign]
        for back in undo:
            back()


def once(real: Callable[..., Any]) -> Callable[..., Any]:
    """``real``, which is asked once for each arguments."""
    known: dict[Any, Any] = {}

    def asked(*given: Any, **named: Any) -> Any:
        key = given, tuple(sorted(named.items()))
        if key not in known:
            if len(known) > _MANY:
                known.clear()
            known[key] = real(*given, **named)
        return known[key]

    return asked


def replaced_everywhere(real: Any, ours: Any) -> Callable[[], None]:
    """Put ``ours`` wherever a module of the product has imported ``real``; how to undo it."""
    places = [
        (module, name)
        for module_name, module in list(sys.modules.items())
        if module_name.partition(".")[0] == "mutuals"
        for name, value in vars(module).items()
        if value is real
    ]
    for module, name in places:
        setattr(module, name, ours)

    def back() -> None:
        for module, name in places:
            setattr(module, name, real)

    return back
