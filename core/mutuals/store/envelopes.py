"""Envelopes of both directions, so that an exchange can be taken up where it broke off (DESIGN §7)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.store.rows import IncomingRow, OutgoingRow
from mutuals.store.schema import incoming, outgoing
from mutuals.store.table import RowTable, note_erasure


class Envelopes:
    """Envelopes by run and number. The same number with other bytes is a failure."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outgoing = RowTable(connection, outgoing, OutgoingRow)
        self._incoming = RowTable(connection, incoming, IncomingRow)

    def put_outgoing(self, row: OutgoingRow) -> None:
        """Keep an envelope before it is sent; the same again changes nothing, other bytes raise INTERNAL."""
        held = self._outgoing.one(outgoing.c.run_id == row.run_id, outgoing.c.number == row.number)
        if held is None:
            self._outgoing.insert([row])
        elif held.digest != row.digest or held.header != row.header:
            raise MutualsError(
                ErrorCode.INTERNAL,
                f"Envelope {row.number} of run {row.run_id} was made twice, with different contents.",
            )

    def outgoing(self, run_id: str) -> list[OutgoingRow]:
        """The envelopes this side made in this run, by number."""
        return self._outgoing.all(outgoing.c.run_id == run_id, order=(outgoing.c.number,))

    def empty_outgoing(self, run_id: str) -> int:
        """Erase the records in the envelopes this side made in this run; how many envelopes had any.

        Headers, digests and acknowledgements stay: they prove what was sent and taken, and hold no content.
        """
        erased = self._outgoing.update(
            [outgoing.c.run_id == run_id, outgoing.c.records != b""], {"records": b""}
        )
        if erased:
            note_erasure(self._connection)
        return erased

    def acknowledge(self, run_id: str, number: int, ack: bytes, at: datetime) -> None:
        """Keep the partner's signed acknowledgement; the first one stays."""
        where = [
            outgoing.c.run_id == run_id,
            outgoing.c.number == number,
            outgoing.c.acknowledged_at.is_(None),
        ]
        self._outgoing.update(where, {"ack": ack, "acknowledged_at": at})

    def put_incoming(self, row: IncomingRow) -> bool:
        """Keep an envelope that arrived; whether it is new.

        The same again changes nothing; another one under a taken number raises PartnerFault (BAD_MESSAGE).
        """
        held = self._incoming.one(incoming.c.run_id == row.run_id, incoming.c.number == row.number)
        if held is None:
            self._incoming.insert([row])
        elif held.digest != row.digest or held.header != row.header:
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE,
                f"The partner sent two different envelopes {row.number} in run {row.run_id}.",
            )
        return held is None

    def incoming(self, run_id: str) -> list[IncomingRow]:
        """The envelopes that arrived in this run, by number."""
        return self._incoming.all(incoming.c.run_id == run_id, order=(incoming.c.number,))

    def destroy_incoming(self, run_id: str) -> int:
        """Delete the envelopes that arrived in this run, with the secret they carry; how many there were."""
        return self._incoming.delete(incoming.c.run_id == run_id)
