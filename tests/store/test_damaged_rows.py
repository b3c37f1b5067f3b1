"""A row that cannot be read fails whoever reads it, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mutuals.store import engine
from mutuals.store.database import Store
from mutuals.store.rows import SourceRow

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("read", ["get", "list"])
def test_others_can_write_while_somebody_still_holds_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.5)
    store = Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store.transaction() as tx:
        for number in range(3):
            tx.sources.put(SourceRow(f"crm{number}", "{}", NOW))

    def damaged(*_: Any) -> SourceRow:
        raise ValueError("a row that cannot be read")

    def fail() -> None:
        with store.transaction() as tx:
            monkeypatch.setattr(tx.sources._table, "_row", damaged)
            if read == "get":
                tx.sources.get("crm0")
            else:
                tx.sources.list()

    with pytest.raises(ValueError, match="cannot be read") as kept:
        fail()
    with store.transaction() as tx:
        tx.sources.put(SourceRow("another", "{}", NOW))
    assert kept.value.__traceback__ is not None
    store.close()
