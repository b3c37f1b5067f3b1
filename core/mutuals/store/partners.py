"""The partners: peers whose card was imported and whose fingerprint a person confirmed (DESIGN §4)."""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlalchemy import Connection

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.rows import PartnerRow
from mutuals.store.schema import partners
from mutuals.store.table import RowTable


class Partners:
    """A removed partner keeps its row, for the agreements and the log that name it."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, partners, PartnerRow)

    def put(self, row: PartnerRow) -> None:
        """Add a partner, or replace its card.

        Raises PEER_IDENTITY where another partner already uses the TLS key: certificates are public, and a
        copied one must not make two partners indistinguishable on a connection.
        """
        holder = self.by_pin(row.pin) or self.by_previous_pin(row.pin)
        if row.removed_at is None and holder is not None and holder.fingerprint != row.fingerprint:
            raise MutualsError(
                ErrorCode.PEER_IDENTITY,
                f"The card of {row.name} carries the TLS key of the partner {holder.name}.",
                hint="Ask both for their cards again; remove the one that is out of date.",
            )
        self._table.put(row)

    def get(self, fingerprint: str) -> PartnerRow | None:
        """The partner with this fingerprint (hex), removed or not."""
        return self._table.one(partners.c.fingerprint == fingerprint)

    def by_pin(self, pin: bytes) -> PartnerRow | None:
        """The partner, unless removed, whose current card carries this TLS public-key pin (32 bytes)."""
        return self._table.one(partners.c.pin == pin, partners.c.removed_at.is_(None))

    def by_previous_pin(self, pin: bytes) -> PartnerRow | None:
        """The partner, unless removed, whose card before carried this pin; whether that is still good, its row says."""
        return self._table.one(partners.c.previous_pin == pin, partners.c.removed_at.is_(None))

    def find(self, name_or_prefix: str) -> builtins.list[PartnerRow]:
        """Partners meant by what a person typed, by name; several where it is ambiguous.

        A full name beats the beginning of a name or of a fingerprint; upper and lower case are the same.
        """
        wanted = name_or_prefix.strip().casefold()
        current = self.list()
        exact = [row for row in current if wanted in (row.name.casefold(), row.fingerprint)]
        if exact or not wanted:
            return exact
        return [
            row
            for row in current
            if row.name.casefold().startswith(wanted) or row.fingerprint.startswith(wanted)
        ]

    def list(self, *, include_removed: bool = False) -> builtins.list[PartnerRow]:
        """All partners, by name; those removed only on request."""
        where = () if include_removed else (partners.c.removed_at.is_(None),)
        return self._table.all(*where, order=(partners.c.name, partners.c.fingerprint))

    def remove(self, fingerprint: str, at: datetime) -> None:
        """Mark the partner as removed; nothing happens to one that already is."""
        self._table.update(
            [partners.c.fingerprint == fingerprint, partners.c.removed_at.is_(None)], {"removed_at": at}
        )
