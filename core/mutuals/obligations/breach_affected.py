"""Which own contacts a breach concerns: from the ledger of what was sent, into a file and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys
from mutuals.models.breach import Breach
from mutuals.obligations.breach_record import find_breach
from mutuals.obligations.breach_scope import AffectedRun, affected_runs
from mutuals.runs.ledger import LedgerEntry, open_ledger
from mutuals.runs.tables import check_target, write_table
from mutuals.runs.transforms import Column, Value
from mutuals.store.rows import BreachRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

COLUMNS = ("partner", "agreement", "run", "sent_at", "fields")
"""What stands beside the contact id."""


@dataclass(frozen=True)
class Affected:
    """How many own contacts a breach concerns, in how many rows of the file; and the runs, with their exports."""

    contacts: int
    rows: int
    runs: tuple[AffectedRun, ...]


def write_affected(
    peer: Peer, reference: str, path: Path, keys: OperatorKeys, *, force: bool = False
) -> Affected:
    """Write the own contacts that were sent under the agreements and runs of a breach, with the fields sent.

    A .csv or .parquet, one row per contact and run, readable by its owner alone. Of a partner's breach these are the
    contacts whose data the partner had received. The listing is logged, by number. Raises MutualsError: USAGE (no such
    breach, no such file possible), NOT_ENTITLED (no accountability key), LOCAL (ledger damaged, file not writable).
    """
    check_target(path, force=force)
    with peer.store.transaction() as tx:
        row, breach = find_breach(tx, reference)
        entries = _entries(tx, peer, row, breach, keys)
        runs = touched_runs(tx, breach)
        names = {partner.fingerprint: partner.name for partner in tx.partners.list(include_removed=True)}
        ids = {item.digest: item.agreement_id for item in tx.agreements.list()}
    contacts = {contact for entry in entries for contact in entry.contacts}
    rows: list[tuple[str, dict[str, Value]]] = [
        (
            contact,
            {
                "partner": names.get(entry.partner, entry.partner),
                "agreement": ids.get(entry.agreement, entry.agreement),
                "run": entry.run.run_id,
                "sent_at": f"{entry.at:%Y-%m-%dT%H:%M:%SZ}",
                "fields": " ".join(sent.fields),
            },
        )
        for entry in entries
        for contact, sent in entry.contacts.items()
    ]

    def record() -> None:
        with peer.store.transaction() as tx:
            facts = {"breach": breach.breach_id, "operator": keys.name, "contacts": len(contacts)}
            tx.log.append(None, "breach.affected-listed", facts, peer.clock())

    columns = [(name, name, Column.TEXT) for name in COLUMNS]
    write_table(path, columns, rows, force=force, before_visible=record)
    return Affected(len(contacts), len(rows), runs)


def touched_runs(tx: Transaction, breach: Breach) -> tuple[AffectedRun, ...]:
    """The runs of the breach as they stand now: counts, fields, and exports by file and operator."""
    rows = [row for digest in breach.agreements if (row := tx.agreements.get(digest)) is not None]
    runs = [run for run_id in breach.runs if (run := tx.runs.get(run_id)) is not None]
    known = {row.digest for row in rows}
    return tuple(affected_runs(tx, rows, [run for run in runs if run.agreement in known]))


def _entries(
    tx: Transaction, peer: Peer, row: BreachRow, breach: Breach, keys: OperatorKeys
) -> list[LedgerEntry]:
    concerned = "received" if row.partner else "sent"
    if concerned not in breach.whose:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Breach {breach.breach_id} does not concern contacts that were sent, only those that were received.",
            hint=f"See how many records, and who exported them: mutuals breach show {breach.breach_id}",
        )
    entries = open_ledger(tx, peer, keys, partner=row.partner)
    return [
        entry for entry in entries if entry.agreement in breach.agreements and entry.run.run_id in breach.runs
    ]
