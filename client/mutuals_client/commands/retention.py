"""``mutuals retention``: destroy what is due, certify what has ended, and say what is due when."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import Command, open_peer, result, say, table

if TYPE_CHECKING:
    from mutuals.models.certificate import Certificate
    from mutuals.obligations.destruction import Destroyed
    from mutuals.obligations.retention import Due, RetentionReport
    from mutuals.peer import Peer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("retention", cls=Command)(retention)


def retention(
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Only say what is due when."),
) -> None:
    """Delete what has passed its retention, destroy what was received under agreements that ended, and certify it.

    Needs no passphrase; `mutuals serve` does it by itself. Example: mutuals retention --dry-run
    """
    from mutuals.obligations.retention import keep_retention, plan_retention

    with open_peer() as peer:
        report = None if dry_run else keep_retention(peer)
        deliveries = _deliver(peer, report) if report is not None else {}
        plan = plan_retention(peer)
        names = _partner_names(peer)
    if report is not None:
        tell_report(report, deliveries)
    _show(plan, names, dry_run=dry_run)
    if report is not None and report.problems:
        raise MutualsError(
            ErrorCode.LOCAL,
            report.problems[0],
            hint="Nothing was certified that may not be gone. Try again: mutuals retention",
        )
    result(**report_facts(report), deliveries=deliveries, due=[asdict(due) for due in plan], dry_run=dry_run)


def _deliver(peer: Peer, report: RetentionReport) -> dict[str, str]:
    """Try to hand certificates and reminders to the partners concerned; how that went, by partner."""
    from mutuals_client.delivery import try_sync

    if not (report.certificates or report.reminded or report.ended):
        return {}
    with peer.store.transaction() as tx:
        waiting = {row.partner for row in tx.outbox.pending()}
        partners = [row for row in tx.partners.list() if row.fingerprint in waiting]
    return {row.name: try_sync(peer, row) for row in partners if row.removed_at is None}


def tell_report(report: RetentionReport, deliveries: dict[str, str]) -> None:
    """Say what was done; of what could not be done, all but the first, with which the command ends."""
    from rich.text import Text

    if report.idle:
        say("Nothing was due.")
    lines = [f"Agreement {agreement} has ended." for agreement in dict.fromkeys(report.ended)]
    lines += [f"Run {run} expired unused." for run in report.expired_runs]
    lines += [f"Run {gone.run}: destroyed {_destroyed(gone)}." for gone in report.destroyed]
    if report.ledger_entries:
        lines.append(
            f"The ledger of what was sent: {counted(report.ledger_entries, 'entry', 'entries')} passed the retention."
        )
    if (scan := report.scan) is not None:
        lines.append(
            f"Searched {counted(scan.files, 'file')} for {counted(scan.slices, 'piece')} of what was "
            "destroyed: found in none."
        )
    for certificate in report.certificates:
        lines += _certified(certificate)
    lines += [f"Agreement {agreement} is closed: both certificates are in." for agreement in report.closed]
    lines += [
        f"Asked the partner for its deletion certificate for {agreement}." for agreement in report.reminded
    ]
    lines += deliveries.values()
    lines += report.problems[1:]
    say(*(Text(line) for line in lines))


def _destroyed(gone: Destroyed) -> str:
    if not gone.records:
        return "its key, as nothing is left to read"
    return f"{counted(gone.records, 'record')}{' and its key' if gone.key else ''}"


def _certified(certificate: Certificate) -> list[str]:
    from mutuals.agreement.document import agreement_id

    lines = [f"Signed the deletion certificate for agreement {agreement_id(certificate.agreement)}."]
    if certificate.exports_in_all:
        lines.append(
            f"  {counted(certificate.exports_in_all, 'file was', 'files were')} exported from it. Delete "
            "that, and every copy:"
        )
        lines += [
            f"    {export.file} ({export.operator}, {counted(export.rows, 'row')}, {export.at:%Y-%m-%d})"
            for export in certificate.exports
        ]
    return lines


def _show(plan: list[Due], names: dict[str, str], *, dry_run: bool) -> None:
    if not plan:
        say("Nothing will be due: no agreement is in force, and nothing received is kept.")
        return
    say("" if not dry_run else "Nothing was changed.")
    table(
        "Due",
        ("When", "Agreement", "Partner", "Run", "What"),
        [
            (
                f"{_day(due.at)}{' (overdue)' if due.overdue else ''}",
                due.agreement_id,
                names.get(due.partner, due.partner[:12]),
                due.run or "",
                _what(due),
            )
            for due in plan
        ],
    )


def _what(due: Due) -> str:
    if due.records is None:
        return due.what
    kept = counted(due.retention_days or 0, "day")
    return f"{counted(due.records, 'record')} of the class of {kept}: the first are deleted"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _partner_names(peer: Peer) -> dict[str, str]:
    with peer.store.transaction() as tx:
        return {row.fingerprint: row.name for row in tx.partners.list()}


def report_facts(report: RetentionReport | None) -> dict[str, Any]:
    """What was done, as JSON."""
    if report is None:
        return {}
    return {
        "ended": list(dict.fromkeys(report.ended)),
        "expired_runs": list(report.expired_runs),
        "destroyed": [asdict(gone) for gone in report.destroyed],
        "ledger_entries": report.ledger_entries,
        "search": asdict(report.scan) if report.scan is not None else None,
        "certificates": [certificate.model_dump(mode="json") for certificate in report.certificates],
        "closed": list(report.closed),
        "reminded": list(report.reminded),
        "problems": list(report.problems),
    }
