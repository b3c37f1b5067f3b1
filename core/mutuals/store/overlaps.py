"""The own side of each confirmed overlap, sealed (``mutuals.runs.overlap``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from mutuals.store.schema import overlaps
from mutuals.store.table import RowTable


@dataclass(frozen=True)
class _OverlapRow:
    run_id: str
    blob: bytes = field(repr=False)


class Overlaps:
    """One sealed blob per run."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, overlaps, _OverlapRow)

    def put(self, run_id: str, blob: bytes) -> None:
        """Keep the run's overlap, in place of an earlier one."""
        self._table.put(_OverlapRow(run_id, blob))

    def get(self, run_id: str) -> bytes | None:
        """The run's overlap, or nothing."""
        row = self._table.one(overlaps.c.run_id == run_id)
        return None if row is None else row.blob

    def destroy(self, run_id: str) -> int:
        """Delete the run's overlap; how many there were (0 or 1)."""
        return self._table.delete(overlaps.c.run_id == run_id)
