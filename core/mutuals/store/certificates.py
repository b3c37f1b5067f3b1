"""What the two sides certify to each other: deletion at the end, and good use in between (DESIGN §8)."""

from __future__ import annotations

import builtins

from sqlalchemy import Connection

from mutuals.models.agreement import Side
from mutuals.store.rows import AttestationRow, CertificateRow
from mutuals.store.schema import attestations, certificates
from mutuals.store.table import RowTable


class Certificates:
    """One of each side for each agreement (digest)."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, certificates, CertificateRow)

    def put(self, row: CertificateRow) -> None:
        """Add a certificate; agreement and side must be new."""
        self._table.insert([row])

    def get(self, agreement: str, side: Side) -> CertificateRow | None:
        """The certificate of ``side``, or nothing."""
        return self._table.one(certificates.c.agreement == agreement, certificates.c.side == side)

    def list(self, agreement: str) -> builtins.list[CertificateRow]:
        """Those under one agreement, oldest first."""
        return self._table.all(
            certificates.c.agreement == agreement, order=(certificates.c.at, certificates.c.side)
        )


class Attestations:
    """Attestations in the order they came."""

    def __init__(self, connection: Connection) -> None:
        self._table = RowTable(connection, attestations, AttestationRow)

    def put(self, row: AttestationRow) -> None:
        """Add an attestation."""
        self._table.insert([row])

    def list(self, agreement: str, side: Side | None = None) -> builtins.list[AttestationRow]:
        """Those under one agreement (digest), of both sides or one, oldest first."""
        where = () if side is None else (attestations.c.side == side,)
        return self._table.all(
            attestations.c.agreement == agreement, *where, order=(attestations.c.position,)
        )
