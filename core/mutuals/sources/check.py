"""A dry run over a source: what it holds, what cannot be used and why, and who could take part.

Everything here is a count, a row number, a heading or a purpose; never an identifier or another cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from mutuals.models.agreement import ConsentRule
from mutuals.normalisation import Profile, Reason
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.identifiers import collect_identifiers
from mutuals.sources.participants import Participants, participants_among

ROWS_SHOWN = 10
IDENTIFIER_TYPES = ("email", "phone")
EVIDENCE_TEXTS = ("consent_basis", "consent_method", "consent_notice_version", "consent_evidence")
"""The columns of evidence that decide nothing. Of the last, a reference for each contact, only whether it is given
is counted.
"""
EVIDENCE_SHOWN = 10


@dataclass(frozen=True)
class Refusal:
    """``count`` values of ``column`` were refused for ``reason``; ``rows`` names the first ROWS_SHOWN of
    their rows.
    """

    column: str
    reason: str
    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class IdentifierCheck:
    """Of the ``written`` values of usable rows, ``usable`` were accepted, which are ``distinct`` identifiers."""

    written: int
    usable: int
    distinct: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class ParticipationRule:
    """Whom to count as taking part: as an agreement says, or as a person supposes."""

    consent: ConsentRule
    identifiers: tuple[str, ...] = IDENTIFIER_TYPES
    include_shared: bool = False


@dataclass(frozen=True)
class SourceCheck:
    """What a dry run found.

    ``rows`` counts the rows with content, headings apart; ``contacts`` those that can be used;
    ``rejected_rows`` the others, with ``rejected`` telling why. ``purposes`` counts contacts by granted
    purpose, most frequent first. ``participants`` is there where a rule was given, and ``evidence`` then counts them by
    what the source says of their consent: column of EVIDENCE_TEXTS -> value -> contacts; an empty value says nothing.
    """

    rows: int
    contacts: int
    rejected_rows: int
    rejected: tuple[Refusal, ...]
    identifiers: dict[str, IdentifierCheck]
    purposes: dict[str, int]
    participants: Participants | None
    hints: tuple[str, ...]
    evidence: dict[str, dict[str, int]] = field(default_factory=dict)


def check_source(
    definition: SourceDefinition,
    table: ContactTable,
    profile: Profile,
    today: date,
    rule: ParticipationRule | None = None,
) -> SourceCheck:
    """Examine a source that was read. Raises MutualsError (USAGE) for an unknown country."""
    collected = collect_identifiers(table, IDENTIFIER_TYPES, profile, definition.default_country)
    participants = None if rule is None else _participants(table, collected, rule, today)
    identifiers = {kind: _identifier_check(collected, kind) for kind in IDENTIFIER_TYPES}
    rejected_rows = len({rejected.row for rejected in table.rejected})
    return SourceCheck(
        rows=len(table.frame) + rejected_rows + sum(len(rows) - 1 for rows in table.merged),
        contacts=len(table.frame),
        rejected_rows=rejected_rows,
        rejected=row_refusals(table),
        identifiers=identifiers,
        purposes=_purposes(table),
        participants=participants,
        hints=(
            *source_hints(table),
            *_country_hints(definition, identifiers),
        ),
        evidence={} if participants is None else _evidence(table, participants),
    )


def row_refusals(table: ContactTable) -> tuple[Refusal, ...]:
    """Why rows cannot be used, most frequent reason first."""
    return _refusals((fault.column, fault.reason.value, fault.row) for fault in table.rejected)


def _identifier_check(collected: pl.DataFrame, kind: str) -> IdentifierCheck:
    ours = collected.filter(pl.col("contact").is_not_null(), type=kind)
    usable = ours["value"].drop_nulls()
    refused = ours.filter(pl.col("reason").is_not_null())
    return IdentifierCheck(
        written=len(ours),
        usable=len(usable),
        distinct=usable.n_unique(),
        refused=_refusals(refused.select("type", "reason", "row").iter_rows()),
    )


def _refusals(faults: Iterable[tuple[str, str, int]]) -> tuple[Refusal, ...]:
    """Faults (column, reason, row) counted by column and reason, most frequent first."""
    rows: dict[tuple[str, str], list[int]] = {}
    for column, reason, row in faults:
        rows.setdefault((column, reason), []).append(row)
    refusals = [
        Refusal(column, reason, len(found), tuple(sorted(set(found))[:ROWS_SHOWN]))
        for (column, reason), found in rows.items()
    ]
    return tuple(sorted(refusals, key=lambda refusal: -refusal.count))


def _purposes(table: ContactTable) -> dict[str, int]:
    granted = table.frame.select("row", purpose="consent").explode("purpose").drop_nulls().unique()
    counts = granted.group_by("purpose").len().sort("len", "purpose", descending=[True, False])
    return dict(counts.iter_rows())


def _participants(
    table: ContactTable, collected: pl.DataFrame, rule: ParticipationRule, today: date
) -> Participants:
    wanted = collected.filter(pl.col("type").is_in(rule.identifiers))
    return participants_among(table, wanted, rule.consent, today, include_shared=rule.include_shared)


def _evidence(table: ContactTable, participants: Participants) -> dict[str, dict[str, int]]:
    """What those who take part have in the columns of evidence that the source has, most frequent first."""
    wanted = pl.DataFrame({"contact_id": participants.contact_ids})
    taking_part = table.frame.join(wanted, on="contact_id", how="semi")
    said = pl.col("value").fill_null("")
    given = pl.when(said == "").then(pl.lit("")).otherwise(pl.lit("given"))
    counted = {}
    for column in EVIDENCE_TEXTS:
        if column in taking_part.columns:
            value = given if column == "consent_evidence" else said
            values = taking_part.select(value=column).select(value=value)
            counts = values.group_by("value").len().sort("len", "value", descending=[True, False])
            counted[column] = dict(counts.head(EVIDENCE_SHOWN).iter_rows())
    return counted


def source_hints(table: ContactTable) -> tuple[str, ...]:
    """Sentences about a source that could be read but is perhaps not what was meant.

    It holds headings only, or lacks the column of a type of identifier. A column that is there and empty is
    nothing to speak of.
    """
    empty = table.frame.is_empty() and not table.rejected
    nobody = ("The file has headings but no contacts yet, so nobody takes part.",) if empty else ()
    return nobody + tuple(
        f'No {called} were read; if the file has some, name their column with --map {kind}="HEADING".'
        for kind, called in (("email", "e-mail addresses"), ("phone", "phone numbers"))
        if kind in table.absent
    )


def _country_hints(definition: SourceDefinition, identifiers: dict[str, IdentifierCheck]) -> tuple[str, ...]:
    homeless = sum(
        refusal.count for refusal in identifiers["phone"].refused if refusal.reason == Reason.NO_COUNTRY_CODE
    )
    if not homeless or definition.default_country is not None:
        return ()
    subject = "1 number has" if homeless == 1 else f"{homeless:,} numbers have"
    return (f"{subject} no country code; set --default-country if they are all of one country.",)
