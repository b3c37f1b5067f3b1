"""The agreements and the two signed statements over each (DESIGN §5)."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import AgreementState
from mutuals.store.rows import AgreementRow, StatementRow
from mutuals.store.schema import agreements, statements
from mutuals.store.table import RowTable


class Agreements:
    """Agreements by digest (hex), and their statements."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, agreements, AgreementRow)
        self._statements = RowTable(connection, statements, StatementRow)

    def put(self, row: AgreementRow) -> None:
        """Add an agreement, or replace the row of this digest."""
        self._table.put(row)

    def get(self, digest: str) -> AgreementRow | None:
        """The agreement with this digest."""
        return self._table.one(agreements.c.digest == digest)

    def find(self, id_or_prefix: str) -> builtins.list[AgreementRow]:
        """Agreements meant by what a person typed, oldest first; several where it is ambiguous.

        A full id or digest beats the beginning of one; upper and lower case are the same.
        """
        wanted = id_or_prefix.strip().casefold()
        rows = self.list()
        exact = [row for row in rows if wanted in (row.agreement_id.casefold(), row.digest)]
        if exact or not wanted:
            return exact
        return [
            row
            for row in rows
            if row.agreement_id.casefold().startswith(wanted) or row.digest.startswith(wanted)
        ]

    def list(self) -> builtins.list[AgreementRow]:
        """All agreements, oldest first."""
        return self._table.all(order=(agreements.c.created_at, agreements.c.digest))

    def set_state(self, digest: str, state: AgreementState, at: datetime, reason: str | None = None) -> None:
        """Move the agreement to ``state``. Raises AGREEMENT_UNKNOWN."""
        self._change(digest, {"state": state, "updated_at": at, "reason": reason})

    def set_end(self, digest: str, *, ends_at: datetime | None, ended_at: datetime | None) -> None:
        """Note when a termination takes effect, and when the agreement ended. Raises AGREEMENT_UNKNOWN."""
        self._change(digest, {"ends_at": ends_at, "ended_at": ended_at})

    def bind(self, digest: str, source: str, mapping: dict[str, str]) -> None:
        """Name the own source and which of its columns feeds which agreed field. Raises AGREEMENT_UNKNOWN."""
        self._change(digest, {"source": source, "mapping": mapping})

    def add_statement(self, row: StatementRow) -> None:
        """Keep one side's statement. The same again is fine; raises USAGE for another one of that side."""
        held = self._statements.one(statements.c.digest == row.digest, statements.c.side == row.side)
        if held is None:
            self._statements.insert([row])
        elif held != row:
            raise MutualsError(
                ErrorCode.USAGE, f"Agreement {row.digest[:16]} already carries a statement of the {row.side}."
            )

    def statements(self, digest: str) -> builtins.list[StatementRow]:
        """The statements over this agreement, the partner's first."""
        return self._statements.all(statements.c.digest == digest, order=(statements.c.side,))

    def _change(self, digest: str, values: dict[str, Any]) -> None:
        if not self._table.update([agreements.c.digest == digest], values):
            raise MutualsError(
                ErrorCode.AGREEMENT_UNKNOWN, f"There is no agreement with digest {digest[:16]}."
            )
