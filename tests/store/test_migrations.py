"""The tables: made once, by whoever comes first, as the code expects them, safe from an older release."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from store.samples import NOW, open_and_close

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store import migrate
from mutuals.store.database import Store
from mutuals.store.engine import create_store_engine, sqlite_url
from mutuals.store.schema import REVISIONS, metadata


def test_the_migrations_end_where_the_code_expects() -> None:
    script = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert [revision.revision for revision in reversed(list(script.walk_revisions()))] == list(REVISIONS)


@pytest.mark.parametrize("made", ["at once", "by every migration"])
def test_the_tables_are_those_of_the_schema(url: str, made: str) -> None:
    if made == "by every migration":
        engine = create_store_engine(url)
        with engine.begin() as connection:
            migrate.upgrade(connection)
        engine.dispose()
    open_and_close(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        inspector = inspect(connection)
        for table in metadata.sorted_tables:
            keys = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key.columns], table.name
        names = {table.name for table in metadata.sorted_tables}
        assert set(inspector.get_table_names()) == names | {"alembic_version"}
        assert connection.execute(text("SELECT id, erasures, swept FROM store_state")).all() == [(1, 0, 0)]
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
        assert versions == [REVISIONS[-1]]
    engine.dispose()


def test_opening_again_changes_nothing_and_needs_no_alembic(store_url: str, store: Store) -> None:
    with store.transaction() as tx:
        tx.log.append(None, "kept", {}, NOW)
    script = (
        "import sys; from mutuals.store.database import Store\n"
        "store = Store.open(sys.argv[1])\n"
        "with store.transaction() as tx: assert len(tx.log.entries()) == 1\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, store_url], check=True, timeout=30)


def test_several_threads_may_create_a_store_at_once(url: str) -> None:
    """Processes may, too: test_shared_store."""
    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(open_and_close, url) for _ in range(4)]:
            future.result()
    open_and_close(url)


def test_a_newer_releases_store_is_refused(store_url: str, store: Store) -> None:
    store.close()
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(MutualsError, match="written by a newer release") as refused:
        Store.open(store_url)
    assert refused.value.code is ErrorCode.LOCAL


def test_a_database_of_something_else_is_left_alone(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
    with pytest.raises(MutualsError, match="not a mutuals store") as refused:
        Store.open(url)
    assert refused.value.code is ErrorCode.LOCAL
    assert inspect(engine).get_table_names() == ["orders"]
    engine.dispose()


def as_the_first_release_left_it(url: str) -> None:
    engine = create_store_engine(url)
    with engine.begin() as connection:
        migrate.upgrade(connection, "0001")
        connection.execute(
            text("INSERT INTO log (seq, agreement, event, body, at) VALUES (1, NULL, 'kept', '{}', 0)")
        )
    engine.dispose()


def test_a_store_of_the_first_release_is_brought_up_to_date_and_keeps_what_it_holds(url: str) -> None:
    as_the_first_release_left_it(url)
    store = Store.open(url)
    with store.transaction() as tx:
        assert [entry.event for entry in tx.log.entries()] == ["kept"]
        assert tx.policies.current() is None
    store.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_the_first_release_left_it(sqlite_url(path))
    before = set(inspect(create_store_engine(sqlite_url(path))).get_table_names())
    monkeypatch.setattr(migrate, "_MIGRATIONS", path.parent / "nowhere")
    with pytest.raises(Exception, match="nowhere"):
        Store.open(sqlite_url(path))
    monkeypatch.undo()
    assert set(inspect(create_store_engine(sqlite_url(path))).get_table_names()) == before
    Store.open(sqlite_url(path)).close()
