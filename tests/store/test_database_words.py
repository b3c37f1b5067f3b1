"""What a database says of a statement it refused may quote values, so nobody gets to read it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.engine.default import DefaultDialect

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.database import Store

SECRET = "jane@example.com"


class Postgres(sqlite3.DataError):
    """As a driver for PostgreSQL would put it."""

    sqlstate = "22P02"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (Postgres(f'invalid input syntax for type bytea: "{SECRET}"'), "22P02"),
        (sqlite3.OperationalError(SECRET), "OperationalError"),
        (sqlite3.IntegrityError(SECRET), "IntegrityError"),
    ],
)
def test_values_in_a_drivers_words_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: sqlite3.Error, told: str
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")

    def refuse(*_: object, **__: object) -> None:
        raise raised

    def read() -> None:
        with store.transaction() as tx:
            monkeypatch.setattr(DefaultDialect, "do_execute", refuse)
            tx.partners.list()

    with pytest.raises(MutualsError) as caught:
        read()
    monkeypatch.undo()
    store.close()
    assert caught.value.code in {ErrorCode.LOCAL, ErrorCode.INTERNAL}
    assert SECRET not in caught.value.message
    assert told in caught.value.message
