"""How ``mutuals source check`` tells what it found: the same numbers for a person and for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mutuals.wording import counted
from mutuals_client.console import say, table

if TYPE_CHECKING:
    from mutuals.sources.check import ParticipationRule, Refusal, SourceCheck
    from mutuals.sources.definition import SourceDefinition
    from mutuals.sources.participants import Participants

_PURPOSES_SHOWN = 20

REASONS = {
    "empty": "empty",
    "not_a_date": "not a date written as YYYY-MM-DD",
    "not_true_or_false": "neither true nor false",
    "repeated": "the id of another row, too",
    "not_valid": "not valid",
    "reserved_domain": "a domain that exists only inside a network, such as .local",
    "not_a_number": "not a phone number",
    "no_country_code": "no country code",
    "unknown_country_code": "an unknown country code",
    "has_extension": "an extension, so not one person's own number",
    "wrong_length": "too short or too long",
    "suppressed": "suppressed",
    "withdrawn": "withdrawn with mutuals revoke",
    "no_consent": "consent to this purpose not given",
    "consent_withdrawn": "consent withdrawn, says the source",
    "consent_undated": "consent without a date",
    "consent_expired": "consent too old",
    "consent_lapsed": "consent past its own last day",
    "consent_in_future": "consent dated in the future",
    "not_notified": "not notified",
    "notice_too_old": "notified before the date agreed",
    "no_identifier": "no usable identifier",
    "only_shared_identifiers": "only identifiers shared with other contacts",
    "shared": "held by several contacts",
    "shared_with_ineligible": "held also by a contact who may not take part",
}


def check_facts(
    definition: SourceDefinition,
    profile: str,
    found: SourceCheck,
    rule: ParticipationRule | None,
    agreement_id: str | None,
    agreed_days: int | None,
) -> dict[str, Any]:
    """The dry run as the JSON values documented in docs/sources.md; ``agreed_days`` as in ``tell_check``."""
    return {
        "source": definition.name,
        "profile": profile,
        "rows": found.rows,
        "contacts": found.contacts,
        "rejected_rows": found.rejected_rows,
        "rejected": [asdict(refusal) for refusal in found.rejected],
        "identifiers": {kind: asdict(checked) for kind, checked in found.identifiers.items()},
        "purposes": found.purposes,
        "participation": _participation_facts(found, rule, agreement_id, agreed_days),
        "hints": list(found.hints),
    }


def _participation_facts(
    found: SourceCheck, rule: ParticipationRule | None, agreement_id: str | None, agreed_days: int | None
) -> dict[str, Any] | None:
    participants = found.participants
    if participants is None or rule is None:
        return None
    return {
        "agreement": agreement_id,
        "purpose": rule.consent.purpose,
        "max_age_days": rule.consent.max_age_days,
        "max_age_by": _age_by(rule, agreed_days) if agreement_id else None,
        "contacts": len(participants.contact_ids),
        "identifiers": len(participants.items),
        "excluded": participants.excluded,
        "withheld_identifiers": participants.withheld_identifiers,
        "evidence": found.evidence,
    }


def tell_check(
    definition: SourceDefinition,
    profile: str,
    found: SourceCheck,
    rule: ParticipationRule | None,
    agreement_id: str | None,
    agreed_days: int | None,
) -> None:
    """Print the dry run for a person; ``agreed_days`` is how old a consent may be by the agreement alone."""
    from rich.markup import escape

    say(f"[bold]{definition.name}[/]  {escape(definition.path)}", "")
    say(f"[bold]{count_of(found.contacts, 'contact')}[/] in {count_of(found.rows, 'row')}; {_usable(found)}.")
    tell_refusals(found.rejected)
    say("", f"Identifiers, normalised by {profile}")
    counts = [
        (kind, f"{checked.written:,}", f"{checked.usable:,}", f"{checked.distinct:,}")
        for kind, checked in found.identifiers.items()
    ]
    _numbers(("", "Written", "Usable", "Distinct"), counts)
    tell_refusals([refusal for checked in found.identifiers.values() for refusal in checked.refused])
    if found.participants is not None and rule is not None:
        under = f"agreement {agreement_id}" if agreement_id else f"purpose “{rule.consent.purpose}”"
        _tell_participants(found.participants, under)
        if agreement_id and _age_by(rule, agreed_days) == "policy":
            say(
                "",
                f"A consent counts for {counted(rule.consent.max_age_days, 'day')}, as your policy says; "
                "the agreement would "
                f"take {agreed_days:,}.",
            )
        _tell_evidence(found.evidence)
    elif found.contacts:
        _tell_purposes(found.purposes)
    for hint in found.hints:
        say("", f"[yellow]{escape(hint)}[/]")


def _age_by(rule: ParticipationRule, agreed_days: int | None) -> str:
    """Whose limit it is that a consent be no older than ``rule`` says."""
    return "agreement" if rule.consent.max_age_days == agreed_days else "policy"


def count_of(number: int, noun: str) -> str:
    """“1 contact”, “1,200 contacts”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _usable(found: SourceCheck) -> str:
    if not found.rows:
        return "headings only"
    if not found.rejected_rows:
        return "all usable"
    return f"{count_of(found.rejected_rows, 'row')} cannot be used"


def refusal_clauses(refusals: Sequence[Refusal]) -> str:
    """“consent_at is not a date written as YYYY-MM-DD (60 rows: 2, 3, …)”, one clause a reason."""
    return "; ".join(
        f"{r.column} is {REASONS[r.reason]} ({count_of(r.count, 'row')}: {_row_numbers(r)})" for r in refusals
    )


def tell_refusals(refusals: Sequence[Refusal]) -> None:
    """The values refused, counted by column and reason, with the numbers of the first rows."""
    if refusals:
        say("")
        rows = [(f"  {r.column}", REASONS[r.reason], f"{r.count:,}", _row_numbers(r)) for r in refusals]
        table(None, ("  Refused", "Because", "Count", "Rows"), rows)


def _row_numbers(refusal: Refusal) -> str:
    shown = ", ".join(str(row) for row in refusal.rows)
    return f"{shown}, …" if refusal.count > len(refusal.rows) else shown


def _tell_participants(participants: Participants, under: str) -> None:
    say("", f"Contacts under {under}")
    rows = [("take part", f"{len(participants.contact_ids):,}")]
    rows += [(f"left out: {REASONS[why]}", f"{count:,}") for why, count in participants.excluded.items()]
    _numbers(None, rows)
    say("", "Identifiers of those who may take part")
    rows = [("enter the match", f"{len(participants.items):,}")]
    rows += [
        (f"withheld: {REASONS[why]}", f"{count:,}")
        for why, count in participants.withheld_identifiers.items()
    ]
    _numbers(None, rows)


def _tell_evidence(evidence: dict[str, dict[str, int]]) -> None:
    """What the source says of the consent of those who take part; gaps first of all."""
    rows = [
        (f"{column}: {_printable(value) or 'nothing'}", f"{count:,}")
        for column, counts in evidence.items()
        for value, count in sorted(counts.items(), key=lambda item: bool(item[0]))
    ]
    if rows:
        say("", "Evidence of their consent")
        _numbers(None, rows)


def _tell_purposes(purposes: dict[str, int]) -> None:
    if not purposes:
        say("", "No contact has granted any purpose.")
        return
    say("", "Contacts by granted purpose (--purpose or --agreement counts who could take part)")
    shown = list(purposes.items())[:_PURPOSES_SHOWN]
    _numbers(None, [(_printable(purpose), f"{count:,}") for purpose, count in shown])
    if len(purposes) > len(shown):
        say(f"  and {len(purposes) - len(shown):,} more")


def _printable(text: str) -> str:
    """A cell's text without what could steer a terminal, cut to 60 characters."""
    shown = "".join(character if character.isprintable() else "�" for character in text)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def _numbers(headings: tuple[str, ...] | None, rows: Sequence[tuple[str, ...]]) -> None:
    """Names to the left, numbers to the right."""
    from rich.table import Table
    from rich.text import Text

    width = len(rows[0])
    shown = Table(box=None, show_header=headings is not None, header_style="bold", padding=(0, 0, 0, 2))
    for index in range(width):
        shown.add_column(
            headings[index] if headings else "", justify="right" if index else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    say(shown)
