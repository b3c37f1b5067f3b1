"""Every home's store on PostgreSQL: what ``make test-postgres`` puts in place of the default SQLite file.

``move_in_everywhere`` is called by ``tests/conftest.py``, and ``move_in`` by
``postgres_site/sitecustomize.py`` in processes that tests start.
"""

from __future__ import annotations

import os
import pickle
import shutil
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from mutuals.identity.home import Config, Home
from mutuals.store.schema import metadata
from support import postgres

_configured = getattr(Home.store_url, "configured", Home.store_url)  # not the one of postgres_site

Rows = dict[str, list[tuple[Any, ...]]]
"""The rows of a store by table, as the database gives them."""

_kept: dict[str, Path] = {}
"""Databases this process made, and the folder that must be there for them to be needed."""


def move_in_everywhere() -> None:
    """``move_in``, here and in the processes that this one starts."""
    tests = Path(__file__).parent.parent
    paths = [str(tests / "support" / "postgres_site"), str(tests), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    move_in()


def move_in() -> None:
    """From now on a home without a store of its own in ``config.toml`` has a database."""
    Home.store_url = store_url  # type: ignore[method-assign]  # what this module is for


def store_url(home: Home, config: Config) -> str:
    """In place of ``Home.store_url``."""
    if config.store:
        return _configured(home, config)
    if not home.store.exists():
        name = postgres.new_database()
        postgres.mark(home.store, name)
        _kept[name] = home.root.parent
    name_here = postgres.named_in(home.store)
    return _configured(home, config) if name_here is None else postgres.url_of(name_here)


def copy_databases_with_homes() -> None:
    """Let ``shutil.copytree`` copy the databases of the homes that it copies."""
    copytree = shutil.copytree
    inside = threading.local()

    def copy(source: Any, target: Any, *rest: Any, **options: Any) -> Any:
        if getattr(inside, "copying", False):  # it calls itself for every folder
            return copytree(source, target, *rest, **options)
        inside.copying = True
        try:
            made = copytree(source, target, *rest, **options)
        finally:
            inside.copying = False
        for marker in Path(target).rglob("store.sqlite"):
            name = postgres.named_in(marker)
            if name is not None:
                copied = postgres.new_database(like=name)
                postgres.mark(marker, copied)
                _kept[copied] = marker.parent.parent
        return made

    shutil.copytree = copy


def drop_what_nobody_needs() -> None:
    """Drop the databases of homes whose test is over: each takes 8 MB."""
    for name, folder in list(_kept.items()):
        if not os.path.exists(folder):
            postgres.drop_database(name)
            del _kept[name]


def content(url: str) -> Rows:
    """All rows of the store at ``url``: what a copy of SQLite's file is."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in connection.execute(text(f'SELECT * FROM "{table.name}"'))),  # noqa: S608
                key=repr,
            )
            for table in metadata.sorted_tables
        }


def content_of(home: Path) -> Rows | None:
    """The same of the home in that folder, or nothing where its store is a SQLite file."""
    name = postgres.named_in(home / "store.sqlite")
    return None if name is None else content(postgres.url_of(name))


def save(url: str, to: Path) -> Path:
    """The content, in a file."""
    to.write_bytes(pickle.dumps(content(url)))
    return to


def put_back(url: str, copy: Path | Rows) -> None:
    """The rows that were saved, and no others, while the store may be open."""
    rows = pickle.loads(copy.read_bytes()) if isinstance(copy, Path) else copy  # noqa: S301 - written by ``save``
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        for table in metadata.sorted_tables:
            marks = ", ".join(["%s"] * len(table.columns))
            for row in rows[table.name]:
                connection.exec_driver_sql(f'INSERT INTO "{table.name}" VALUES ({marks})', row)  # noqa: S608
            if "position" in table.columns:
                sequence = f"pg_get_serial_sequence('{table.name}', 'position')"
                connection.exec_driver_sql(f'SELECT setval({sequence}, max(position)) FROM "{table.name}"')  # noqa: S608


def change(url: str, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change the store by hand, with statements written for SQLite."""
    if any("blob" in statement.lower() for statement, _ in statements):
        postgres.needs_sqlite("the change is written in its own SQL")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement, values in statements:
            connection.exec_driver_sql(statement.replace("?", "%s"), values)
