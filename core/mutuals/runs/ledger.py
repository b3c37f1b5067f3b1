"""The ledger of what was sent to whom: written with the public half of the accountability key, read with the private.

    for entry in open_ledger(tx, peer, keys):          # an operator who holds the accountability key
        entry.contacts["C-1001"].fields                # ("city", "segment"), sent in entry.run to entry.partner

A request for erasure and a breach are answered from here, also when the source no longer has the contact.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.crypto.hpke import open_sealed, seal
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.accountability import open_accountability
from mutuals.identity.operators import OperatorKeys
from mutuals.models.run import Run
from mutuals.peer import Peer
from mutuals.store.rows import SentRow

if TYPE_CHECKING:
    import polars as pl

    from mutuals.store.database import Transaction


_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class SentContact:
    """What was sent of one contact: the fields that had a value, and its ranks in the run's overlap, ascending."""

    fields: tuple[str, ...]
    ranks: tuple[int, ...]


@dataclass(frozen=True)
class LedgerEntry:
    """What was sent in ``run`` to ``partner`` (fingerprint) under ``agreement`` (digest), by own contact id."""

    run: Run
    partner: str
    agreement: str
    at: datetime
    contacts: dict[str, SentContact] = field(repr=False)


def seal_contacts(public: bytes, sid: bytes, fields: Sequence[str], sent: pl.DataFrame) -> bytes:
    """The contacts sent in run ``sid`` (32 bytes), sealed to the accountability key.

    ``sent`` is ``OutgoingRecords.sent`` and ``fields`` names what its digits stand for. Lines of JSON: the names of the
    fields, then for each contact its id, its digits, and its ranks.
    """
    lines = [json.dumps(list(fields))]
    for contact, digits, ranks in sent.select("contact", "fields", "ranks").iter_rows():
        lines.append(_LINE.encode([contact, digits, *ranks]))
    return seal(public, frame(Context.SENT, sid), "\n".join(lines).encode())


def open_ledger(
    tx: Transaction,
    peer: Peer,
    keys: OperatorKeys,
    *,
    agreement: str | None = None,
    partner: str | None = None,
    run_id: str | None = None,
) -> list[LedgerEntry]:
    """What was sent, oldest first: all of it, or under one agreement (digest), to one partner, in one run.

    Raises MutualsError: NOT_ENTITLED where the operator holds no accountability key, LOCAL where an entry is damaged.
    """
    private = open_accountability(tx, keys, peer.accountability_public)
    entries = []
    for row in tx.sent.list(run_id):
        if agreement in (None, row.agreement) and partner in (None, row.partner):
            run = tx.runs.get(row.run_id)
            if run is None:
                raise _damaged(row)
            entries.append(LedgerEntry(run, row.partner, row.agreement, row.at, _opened(private, run, row)))
    return entries


def _opened(private: bytes, run: Run, row: SentRow) -> dict[str, SentContact]:
    try:
        names, *contacts = open_sealed(private, frame(Context.SENT, run.sid), row.blob).decode().split("\n")
        fields = json.loads(names)
        found = {}
        sets: dict[str, tuple[str, ...]] = {}
        for line in contacts:
            contact, digits, *ranks = json.loads(line)
            if digits not in sets:
                sets[digits] = tuple(name for name, digit in zip(fields, digits, strict=True) if digit == "1")
            found[contact] = SentContact(sets[digits], tuple(ranks))
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(row) from error


def _damaged(row: SentRow) -> MutualsError:
    return MutualsError(
        ErrorCode.LOCAL,
        f"The ledger entry of run {row.run_id} is damaged, or was not sealed to this accountability key.",
        hint="Restore the store and keys/accountability.pub from the same backup.",
    )
