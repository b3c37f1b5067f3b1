"""What a breach touches: agreements, runs, contacts that were sent, records that were received, files they went to.

Everything here is counted without opening anything, so that any operator and the drafts can use it; which contacts
they are is ``breach_affected``, for those who hold the accountability key.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.agreement.active import find_agreement, shown
from mutuals.agreement.chain import BOUND, chain_of
from mutuals.agreement.document import parse_agreement
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement
from mutuals.models.breach import MAX_AGREEMENTS, MAX_RUNS
from mutuals.models.run import Run
from mutuals.store.rows import AgreementRow, ExportRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction


@dataclass(frozen=True)
class AffectedRun:
    """A run that moved something: how many own contacts left, how many records of the partner are held, and where
    these were exported to. Field names are those of the agreement.
    """

    run_id: str
    agreement: str
    partner: str
    opened_at: datetime
    sent_contacts: int
    sent_fields: tuple[str, ...]
    received_records: int
    received_fields: tuple[str, ...]
    exports: tuple[ExportRow, ...]


@dataclass(frozen=True)
class Scope:
    """The agreements concerned, oldest first, and the runs under them that moved something."""

    agreements: tuple[AgreementRow, ...]
    runs: tuple[AffectedRun, ...]

    @property
    def sent_contacts(self) -> int:
        """Own contacts that were sent, each counted once per run."""
        return sum(run.sent_contacts for run in self.runs)

    @property
    def received_records(self) -> int:
        """Records of partners that are held."""
        return sum(run.received_records for run in self.runs)

    @property
    def partners(self) -> tuple[str, ...]:
        """The partners concerned (fingerprints), in the order of their agreements."""
        return tuple(dict.fromkeys(row.partner for row in self.agreements))


def find_scope(
    tx: Transaction, agreements: Sequence[str], runs: Sequence[str], *, everything: bool = False
) -> Scope:
    """What is meant by agreements (ids or digests, with all their versions) and runs (ids), or by everything.

    A run stands for itself alone, unless its agreement is named too. Raises MutualsError: USAGE where nothing or too
    much is named, AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE (never in force), RUN_UNKNOWN.
    """
    every = (row for row in tx.agreements.list() if row.state in BOUND)
    chosen = {row.digest: row for row in (every if everything else _named(tx, agreements))}
    found: list[Run] = [run for run in tx.runs.list() if run.agreement in chosen]
    for run in _named_runs(tx, runs):
        row = tx.agreements.get(run.agreement)
        if row is None:
            raise MutualsError(ErrorCode.AGREEMENT_UNKNOWN, f"The agreement of run {run.run_id} is not kept.")
        chosen.setdefault(row.digest, row)
        if run not in found:
            found.append(run)
    if not chosen:
        raise MutualsError(
            ErrorCode.USAGE,
            "Nothing is named that a breach could concern.",
            hint="Say which: --agreement ID, --run ID, or --all for every agreement that ever was in force.",
        )
    touched = affected_runs(tx, chosen.values(), found)
    if len(chosen) > MAX_AGREEMENTS or len(touched) > MAX_RUNS:
        raise MutualsError(
            ErrorCode.USAGE,
            f"A breach can name at most {MAX_AGREEMENTS} agreements and {MAX_RUNS:,} runs.",
            hint="Open one for each partner: --agreement ID",
        )
    ordered = sorted(chosen.values(), key=lambda row: (row.created_at, row.digest))
    return Scope(tuple(ordered), tuple(touched))


def affected_runs(
    tx: Transaction, agreements: Collection[AgreementRow], runs: Sequence[Run]
) -> list[AffectedRun]:
    """Those of ``runs`` that sent or received something, with what they moved."""
    documents = {row.digest: (row, readable(row)) for row in agreements}
    affected = []
    for run in runs:
        row, agreement = documents[run.agreement]
        sent = sum(entry.contacts for entry in tx.sent.list(run.run_id))
        received = tx.received.count(run.run_id)
        exports = tuple(tx.exports.list(run.run_id))
        if not (sent or received or exports):
            continue
        ours = agreement.sends(row.own_side) if agreement else ()
        theirs = agreement.sends(row.own_side.other) if agreement else ()
        affected.append(
            AffectedRun(
                run_id=run.run_id,
                agreement=run.agreement,
                partner=run.partner,
                opened_at=run.opened_at,
                sent_contacts=sent,
                sent_fields=tuple(item.name for item in ours),
                received_records=received,
                received_fields=tuple(item.name for item in theirs),
                exports=exports,
            )
        )
    return affected


def readable(row: AgreementRow) -> Agreement | None:
    """The agreement in ``row``, or nothing where the stored copy is damaged: a breach may be just that."""
    try:
        return parse_agreement(row.document)
    except ValueError:
        return None


def _named(tx: Transaction, references: Sequence[str]) -> list[AgreementRow]:
    found: dict[str, AgreementRow] = {}
    for reference in references:
        row = find_agreement(tx, reference)
        versions = [other for other in chain_of(tx, row.digest) if other.state in BOUND]
        if not versions:
            raise MutualsError(
                ErrorCode.AGREEMENT_NOT_ACTIVE,
                f"Agreement {row.agreement_id} is {row.state.value} and was never in force; nothing was shared.",
                hint="See which were: mutuals agreement list",
            )
        found.update({version.digest: version for version in versions})
    return list(found.values())


def _named_runs(tx: Transaction, run_ids: Sequence[str]) -> list[Run]:
    runs = []
    for run_id in run_ids:
        run = tx.runs.get(run_id.strip().upper())
        if run is None:
            raise MutualsError(
                ErrorCode.RUN_UNKNOWN, f"There is no run {shown(run_id)}.", hint="List them: mutuals runs"
            )
        runs.append(run)
    return runs
