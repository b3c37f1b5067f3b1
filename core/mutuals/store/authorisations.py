"""Operators' signed permissions, without which the server neither reveals nor exchanges (DESIGN §8)."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.store.rows import Act, AuthorisationRow
from mutuals.store.schema import authorisations
from mutuals.store.table import RowTable


class Authorisations:
    """Signed statements are added and voided, never replaced."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, authorisations, AuthorisationRow)

    def put(self, row: AuthorisationRow) -> None:
        """Add an authorisation; its id must be new."""
        self._table.insert([row])

    def current(self, act: Act, subject: str, now: datetime) -> AuthorisationRow | None:
        """The latest permission for ``act`` on ``subject`` that is neither voided nor expired at ``now``."""
        return self._table.one(
            authorisations.c.act == act,
            authorisations.c.subject == subject,
            authorisations.c.voided_at.is_(None),
            authorisations.c.expires_at > now,
            order=(authorisations.c.created_at.desc(), authorisations.c.id),
        )

    def standing(self, act: Act, subject: str, now: datetime) -> builtins.list[AuthorisationRow]:
        """All permissions for ``act`` on ``subject`` that are neither voided nor expired at ``now``, latest first."""
        return self._table.all(
            authorisations.c.act == act,
            authorisations.c.subject == subject,
            authorisations.c.voided_at.is_(None),
            authorisations.c.expires_at > now,
            order=(authorisations.c.created_at.desc(), authorisations.c.id),
        )

    def void_by(self, operator: str, at: datetime) -> int:
        """Withdraw whatever ``operator`` permitted; how many permissions there were."""
        return self._table.update(
            [authorisations.c.operator == operator, authorisations.c.voided_at.is_(None)], {"voided_at": at}
        )

    def void_earlier(self, act: Act, subject: str, operator: str, at: datetime) -> None:
        """Withdraw what ``operator`` permitted of this before: a later signature takes an earlier one's place."""
        self._table.update(
            [
                authorisations.c.act == act,
                authorisations.c.subject == subject,
                authorisations.c.operator == operator,
                authorisations.c.voided_at.is_(None),
            ],
            {"voided_at": at},
        )

    def voided(self, act: Act, subject: str) -> bool:
        """Whether a permission for ``act`` on ``subject`` was ever withdrawn."""
        found = self._table.one(
            authorisations.c.act == act,
            authorisations.c.subject == subject,
            authorisations.c.voided_at.is_not(None),
            order=(authorisations.c.created_at.desc(), authorisations.c.id),
        )
        return found is not None

    def given(self, act: Act, subject: str) -> bool:
        """Whether a permission for ``act`` on ``subject`` was ever given, also where it no longer counts."""
        found = self._table.one(
            authorisations.c.act == act,
            authorisations.c.subject == subject,
            order=(authorisations.c.created_at.desc(), authorisations.c.id),
        )
        return found is not None

    def void(self, id: str, at: datetime) -> None:
        """Withdraw a permission; nothing happens to one that already is."""
        self._table.update(
            [authorisations.c.id == id, authorisations.c.voided_at.is_(None)], {"voided_at": at}
        )
