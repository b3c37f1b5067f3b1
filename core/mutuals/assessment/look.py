"""Looking at the own source and at the terms: the numbers an assessment rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from mutuals.assessment.anonymity import anonymity, birth_column, count_minors
from mutuals.models.agreement import Agreement, Side
from mutuals.models.assessment import Anonymity, Probing, Volumes
from mutuals.normalisation import get_profile
from mutuals.normalisation.number_space import mobile_numbers
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.participants import select_participants

_WINDOW_DAYS = 30


@dataclass(frozen=True)
class Look:
    """What was seen in the own source."""

    volumes: Volumes
    anonymity: Anonymity | None


def look_at(
    definition: SourceDefinition,
    table: ContactTable,
    agreement: Agreement,
    side: Side,
    mapping: dict[str, str],
    today: date,
) -> Look:
    """The numbers of a source that was read, as ``side`` would take part with it ``today``.

    ``mapping`` is field to heading for every field it sends. Raises MutualsError (USAGE) for an unknown country.
    """
    profile = get_profile(agreement.matching.profile)
    taking = select_participants(table, agreement, profile, today, definition.default_country)
    frame = table.frame
    eligible = frame.filter(frame["contact_id"].is_in(taking.contact_ids.implode()))
    born = birth_column(table.field_names) or next(
        (heading for name, heading in mapping.items() if birth_column((name,))), None
    )
    granted = frame["consent"].list.contains(agreement.consent.purpose).fill_null(value=False).sum()
    volumes = Volumes(
        contacts=len(frame),
        unusable_rows=len({fault.row for fault in table.rejected}),
        eligible=len(taking.contact_ids),
        identifiers=len(taking.items),
        excluded=taking.excluded,
        withheld=taking.withheld_identifiers,
        granted=int(granted or 0),
        birth_column=born[:200] if born else None,
        minors=count_minors(eligible[born], today) if born else 0,
    )
    return Look(volumes, anonymity(eligible, agreement.sends(side), mapping, table.dates))


def probing(agreement: Agreement, country: str | None) -> Probing:
    """What the budgets let a lying partner test; ``country`` is the source's default for phone numbers."""
    matching = agreement.matching
    per_window = min(matching.items_per_30_days, matching.runs_per_30_days * matching.max_set_size)
    days = (agreement.valid_until - agreement.valid_from).days + 1
    guesses = per_window * -(-days // _WINDOW_DAYS)
    numbers = mobile_numbers(country) if country and "phone" in matching.identifiers else 0
    return Probing(
        per_30_days=per_window,
        guesses=guesses,
        country=country if numbers else None,
        numbers=numbers or None,
        share=min(1_000_000, guesses * 1_000_000 // numbers) if numbers else None,
    )
