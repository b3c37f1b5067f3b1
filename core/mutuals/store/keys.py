"""Private keys wrapped for operators: destroying the rows destroys what only these keys open (DESIGN §8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from mutuals.store.schema import wrapped_keys
from mutuals.store.table import RowTable


@dataclass(frozen=True)
class _WrappedKey:
    subject: str
    operator: str
    blob: bytes = field(repr=False)


class Keys:
    """``subject`` names the key pair: ``run:<run_id>`` or ``accountability``."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, wrapped_keys, _WrappedKey)

    def put_wrapped(self, subject: str, operator: str, blob: bytes) -> None:
        """Keep ``subject``'s private key as sealed to ``operator``, in place of an earlier one."""
        self._table.put(_WrappedKey(subject, operator, blob))

    def wrapped(self, subject: str, operator: str) -> bytes | None:
        """``subject``'s private key as sealed to ``operator``, or nothing."""
        row = self._table.one(wrapped_keys.c.subject == subject, wrapped_keys.c.operator == operator)
        return None if row is None else row.blob

    def destroy(self, subject: str) -> int:
        """Destroy ``subject``'s private key for all operators; how many copies there were."""
        return self._table.delete(wrapped_keys.c.subject == subject)
