"""Risk assessments, each signed by the operator who made it (DESIGN §5)."""

from __future__ import annotations

from sqlalchemy import Connection

from mutuals.store.rows import AssessmentRow
from mutuals.store.schema import assessments
from mutuals.store.table import RowTable


class Assessments:
    """Assessments by digest (hex)."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, assessments, AssessmentRow)

    def put(self, row: AssessmentRow) -> None:
        """Add an assessment, or replace the same."""
        self._table.put(row)

    def get(self, digest: str) -> AssessmentRow | None:
        """The assessment with this digest."""
        return self._table.one(assessments.c.digest == digest)

    def latest(self, terms: str) -> AssessmentRow | None:
        """The latest assessment of these terms (digest, hex)."""
        return self._table.one(
            assessments.c.terms == terms, order=(assessments.c.created_at.desc(), assessments.c.digest)
        )
