"""Private keys wrapped for operators: destroying the rows destroys what only these keys open (DESIGN §8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, select

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
        self._connection = connection
        self._table = RowTable(connection, wrapped_keys, _WrappedKey)

    def put_wrapped(self, subject: str, operator: str, blob: bytes) -> None:
        """Keep ``subject``'s private key as sealed to ``operator``, in place of an earlier one."""
        self._table.put(_WrappedKey(subject, operator, blob))

    def wrapped(self, subject: str, operator: str) -> bytes | None:
        """``subject``'s private key as sealed to ``operator``, or nothing."""
        row = self._table.one(wrapped_keys.c.subject == subject, wrapped_keys.c.operator == operator)
        return None if row is None else row.blob

    def blobs(self, subject: str) -> dict[str, bytes]:
        """``subject``'s private key as sealed to each operator, by name."""
        rows = self._table.all(wrapped_keys.c.subject == subject, order=(wrapped_keys.c.operator,))
        return {row.operator: row.blob for row in rows}

    def subjects(self, prefix: str) -> list[str]:
        """The subjects that begin with ``prefix`` and of which there is a copy."""
        query = select(wrapped_keys.c.subject).distinct().order_by(wrapped_keys.c.subject)
        query = query.where(wrapped_keys.c.subject.startswith(prefix, autoescape=True))
        return list(self._connection.execute(query).scalars())

    def destroy_copy(self, subject: str, operator: str) -> int:
        """Destroy one operator's copy of ``subject``'s private key; how many there were (0 or 1)."""
        return self._table.delete(wrapped_keys.c.subject == subject, wrapped_keys.c.operator == operator)

    def destroy(self, subject: str) -> int:
        """Destroy ``subject``'s private key for all operators; how many copies there were."""
        return self._table.delete(wrapped_keys.c.subject == subject)
