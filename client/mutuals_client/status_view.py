"""``mutuals status`` for a person: a block for each agreement, the most urgent first, and a list of what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from mutuals.monitoring.facts import (
    AgreementStatus,
    AttestationFacts,
    CertificateFacts,
    ClosedAgreement,
    Finding,
    PeerFacts,
    Status,
    Urgency,
)
from mutuals.wording import counted

_COLOURS = {Urgency.OVERDUE: "bold red", Urgency.WARNING: "yellow", Urgency.NOTE: "cyan"}
_STATES = {"active": "green", "suspended": "yellow", "ended": "dim", "closed": "dim", "rejected": "dim"}
_LATEST = 3
"""So many runs and exports are shown where nobody asked for all."""

_SHOWN_AS_FACTS = frozenset({"agreement_missing", "run_waiting", "unread"})
"""What stands in a line of its own already; in the list of what to do it stays."""


def blocks(status: Status, *, detailed: bool) -> list[Text | Table]:
    """What concerns the peer, then each agreement; an empty line after each block."""
    shown: list[Text | Table] = [_headline(status), _peer(status), Text()]
    if not status.agreements:
        shown += [Text("No agreement is in force."), Text()]
    for agreement in status.agreements:
        findings = [finding for finding in status.findings if finding.agreement == agreement.id]
        shown += [_title(agreement), _rows(agreement, findings, detailed=detailed), Text()]
    if status.closed:
        shown += [*(_closed(agreement) for agreement in status.closed), Text()]
    return shown


def to_do(status: Status) -> list[tuple[Table, str | None]]:
    """What to do, the most urgent first, each sentence with the command for it; every command once."""
    seen: set[tuple[str | None, str | None, str]] = set()
    found: list[tuple[Table, str | None]] = []
    for finding in status.findings:
        key = (finding.command, None if finding.command else finding.agreement, finding.command or finding.do)
        if key in seen:
            continue
        seen.add(key)
        about = finding.agreement or finding.partner
        item = Table.grid(padding=(0, 1, 0, 0))
        item.add_row(
            Text("  •", _COLOURS[finding.urgency]), Text(f"{about}: {finding.do}" if about else finding.do)
        )
        found.append((item, finding.command))
    return found


def _headline(status: Status) -> Text:
    counts = [
        (urgency, sum(finding.urgency is urgency for finding in status.findings)) for urgency in Urgency
    ]
    words = {Urgency.OVERDUE: "overdue", Urgency.WARNING: "to look at", Urgency.NOTE: "to know"}
    line = Text(status.peer.organisation, "bold").append(f"  {status.at:%Y-%m-%d %H:%M} UTC", "dim")
    for urgency, count in counts:
        if count:
            line.append(" · ").append(f"{count} {words[urgency]}", _COLOURS[urgency])
    return line


def _peer(status: Status) -> Table:
    facts = status.peer
    policy = facts.policy
    approved = f"version {policy.version}, approved {_day(policy.approved_at)}" if policy else "none approved"
    rows = [("policy", Text(approved))]
    if facts.undelivered:
        rows.append(("outbox", Text(_outbox(facts))))
    for breach in facts.breaches:
        whose = f"of {breach.partner}" if breach.partner else "ours"
        rows.append(("breach", Text(f"{breach.breach} ({whose}), known since {_moment(breach.aware_at)}")))
    unread = [f"{count} for {name}" for name, count in facts.unread.items() if count]
    if unread:
        rows.append(("unread", Text(", ".join(unread))))
    return _grid([*rows, *_finding_rows(finding for finding in status.findings if finding.agreement is None)])


def _outbox(facts: PeerFacts) -> str:
    """By partner: how many documents wait, of which kinds, and the oldest's age."""
    parts = []
    for partner in dict.fromkeys(document.partner for document in facts.undelivered):
        documents = [document for document in facts.undelivered if document.partner == partner]
        kinds = ", ".join(dict.fromkeys(document.kind for document in documents))
        oldest = max(document.hours for document in documents)
        age = f"{oldest // 24} days" if oldest >= 48 else counted(oldest, "hour")
        parts.append(f"{len(documents)} for {partner} ({kinds}), the oldest {age} old")
    return "; ".join(parts)


def _title(agreement: AgreementStatus) -> Text:
    line = Text(agreement.id, "bold").append(f"  {agreement.title} · with {agreement.partner} · ")
    line.append(agreement.state, _STATES.get(agreement.state, "cyan"))
    if agreement.ended_at is not None:
        line.append(f" since {_day(agreement.ended_at)}")
    elif agreement.days_left is not None and agreement.living:
        line.append(f" · {_days(agreement.days_left)}")
    return line


def _closed(agreement: ClosedAgreement) -> Text:
    ended = f", ended {_day(agreement.ended_at)}" if agreement.ended_at else ""
    return Text(agreement.id, "bold").append(
        f"  {agreement.title} · with {agreement.partner} · closed{ended}", "dim"
    )


def _rows(agreement: AgreementStatus, findings: list[Finding], *, detailed: bool) -> Table:
    lines: Iterable[tuple[str, str]] = (
        *_version(agreement),
        *_budgets(agreement),
        *_runs(agreement, detailed=detailed),
        *_records(agreement),
        *_exports(agreement, detailed=detailed),
        *_duties(agreement),
    )
    return _grid([*((name, Text(text)) for name, text in lines), *_finding_rows(findings)])


def _version(agreement: AgreementStatus) -> Iterator[tuple[str, str]]:
    if len(agreement.versions) > 1:
        chain = " → ".join(
            f"{version.version or '?'} {version.state.replace('_', ' ')} ({version.id})"
            for version in agreement.versions
        )
        yield "versions", chain


def _budgets(agreement: AgreementStatus) -> Iterator[tuple[str, str]]:
    budgets = agreement.budgets
    if budgets is not None and budgets.runs_used and agreement.living:
        free = f"; next free {_day(budgets.next_free_at)}" if budgets.next_free_at else ""
        yield (
            "budget",
            f"{budgets.runs_used:,} of {counted(budgets.runs_allowed, 'run')}, {budgets.items_used:,} of "
            f"{budgets.items_allowed:,} identifiers in {budgets.period_days} days{free}",
        )


def _runs(agreement: AgreementStatus, *, detailed: bool) -> Iterator[tuple[str, str]]:
    """Those that wait for something first; of the others the latest."""
    waiting = [run for run in agreement.runs if run.waits_for is not None]
    others = [run for run in agreement.runs if run.waits_for is None]
    shown = others if detailed else others[:_LATEST]
    label = "runs"
    for run in (*waiting, *shown):
        overlap = "" if run.overlap is None else f", {run.overlap:,} shared"
        waits = f"; waits for {run.waits_for}" if run.waits_for else ""
        yield label, f"{run.run} {_day(run.opened_at)} {run.state.replace('_', ' ')}{overlap}{waits}"
        label = ""
    if len(shown) < len(others):
        yield label, f"and {len(others) - len(shown):,} earlier"


def _records(agreement: AgreementStatus) -> Iterator[tuple[str, str]]:
    records = agreement.records
    moved = records.records_sent or records.records_received or records.withheld
    if moved:
        withheld = ", ".join(f"{count:,} {_words(reason)}" for reason, count in records.withheld.items())
        yield (
            "records",
            f"sent {records.records_sent:,}, received {records.records_received:,} ({records.held:,} held)"
            + (f"; withheld {withheld}" if withheld else ""),
        )
    if agreement.retention:
        yield (
            "deletion",
            "; ".join(
                f"{_day(deletion.next_at)}, first of {deletion.records:,} kept "
                f"{counted(deletion.retention_days, 'day')}"
                for deletion in agreement.retention
            ),
        )


def _exports(agreement: AgreementStatus, *, detailed: bool) -> Iterator[tuple[str, str]]:
    shown = agreement.exports if detailed else agreement.exports[:_LATEST]
    label = "exports"
    for export in shown:
        fields = ", ".join(export.fields)
        file = export.file if detailed else Path(export.file).name
        yield (
            label,
            f"{_day(export.at)} by {export.operator}: {counted(export.rows, 'row')} of {fields} → {file}",
        )
        label = ""
    if len(shown) < len(agreement.exports):
        yield label, f"and {len(agreement.exports) - len(shown):,} earlier"


def _duties(agreement: AgreementStatus) -> Iterator[tuple[str, str]]:
    if agreement.certificates:
        yield "certified", ", ".join(map(_certificate, agreement.certificates))
    if agreement.attestations:
        yield "attest", ", ".join(map(_attestation, agreement.attestations))
    if agreement.checkpoint is not None:
        cosigned = "cosigned" if agreement.checkpoint.cosigned else "not cosigned yet"
        point = agreement.checkpoint
        yield (
            "log",
            f"checkpoint of {_day(point.at)} at {counted(point.size, 'entry', 'entries')}, {cosigned}",
        )
    if agreement.assessment is not None:
        yield "assessed", f"{_day(agreement.assessment.made_at)}"
    consents = agreement.consents
    if consents is not None and consents.problem is None:
        reasons = ", ".join(f"{count:,} {_words(reason)}" for reason, count in consents.excluded.items())
        yield (
            "source",
            f"{consents.source}: consent and notice let {consents.allowed:,} of "
            f"{counted(consents.contacts, 'contact')} take part" + (f" ({reasons})" if reasons else ""),
        )


def _certificate(facts: CertificateFacts) -> str:
    side = "us" if facts.side == "us" else "the partner"
    return f"by {side} {_day(facts.signed_at)}" if facts.signed_at else f"by {side} due {_day(facts.due)}"


def _attestation(facts: AttestationFacts) -> str:
    return f"{'we' if facts.side == 'us' else 'the partner'} by {_day(facts.due)}"


def _finding_rows(findings: Iterable[Finding]) -> Iterator[tuple[str, Text]]:
    for finding in findings:
        if finding.rule in _SHOWN_AS_FACTS:
            continue
        text = Text(finding.what, _COLOURS[finding.urgency]).append(f" {finding.means}", "dim")
        yield finding.urgency.value, text


def _grid(rows: Iterable[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=11)
    grid.add_column(overflow="fold")
    for name, text in rows:
        urgent = next((_COLOURS[urgency] for urgency in Urgency if urgency.value == name), "dim")
        grid.add_row(Text(f"  {name}", urgent), text)
    return grid


def _days(left: int) -> str:
    if left < 0:
        return "over"
    return {0: "last day", 1: "1 day left"}.get(left, f"{left:,} days left")


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _words(reason: str) -> str:
    return reason.replace("_", " ")
