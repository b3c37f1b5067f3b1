"""Signed heads of the log, ours and the partners' (DESIGN §9)."""

from __future__ import annotations

import builtins

from sqlalchemy import Connection

from mutuals.store.rows import CheckpointRow
from mutuals.store.schema import checkpoints
from mutuals.store.table import RowTable


class Checkpoints:
    """Checkpoints by log (agreement digest, empty for the peer's own), side and size."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, checkpoints, CheckpointRow)

    def put(self, row: CheckpointRow) -> None:
        """Add a checkpoint; log, side and size must be new."""
        self._table.insert([row])

    def latest(self, agreement: str, *, own: bool) -> CheckpointRow | None:
        """The largest checkpoint of this log."""
        return self._table.one(
            checkpoints.c.agreement == agreement,
            checkpoints.c.own == own,
            order=(checkpoints.c.size.desc(),),
        )

    def at(self, agreement: str, *, own: bool, size: int) -> CheckpointRow | None:
        """The checkpoint of this log at exactly this size."""
        return self._table.one(
            checkpoints.c.agreement == agreement, checkpoints.c.own == own, checkpoints.c.size == size
        )

    def list(self, agreement: str | None = None) -> builtins.list[CheckpointRow]:
        """All checkpoints, or those of one log, by size."""
        where = () if agreement is None else (checkpoints.c.agreement == agreement,)
        return self._table.all(*where, order=(checkpoints.c.agreement, checkpoints.c.own, checkpoints.c.size))

    def cosign(self, agreement: str, size: int, cosignature: bytes) -> None:
        """Keep the partner's signature under an own checkpoint."""
        self._table.update(
            [checkpoints.c.agreement == agreement, checkpoints.c.own.is_(True), checkpoints.c.size == size],
            {"cosignature": cosignature},
        )

    def forget(self, agreement: str, *, own: bool, size: int) -> None:
        """Remove one checkpoint, which a person declared void; the log keeps its text."""
        self._table.delete(
            checkpoints.c.agreement == agreement, checkpoints.c.own == own, checkpoints.c.size == size
        )
