"""A dry run over a source: what it holds, what cannot be used and why, who could take part, and what could be done.

    found = check_source(definition, get_profile("uid2-v1"), today, spread=pool.map)

The file is read in batches and its identifiers are normalised in workers; of a value a few bytes of hash are kept.
Everything in the result is a count, a row number, a heading or a purpose; never an identifier or another cell.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, islice

import polars as pl

from mutuals.models.agreement import ConsentRule
from mutuals.normalisation import PROFILES, Profile, Spread
from mutuals.normalisation.phone import checked_country
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.participants import Participants, Selection, plain_items
from mutuals.sources.quality_columns import Column, columns_of, look_at_head
from mutuals.sources.quality_consent import ConsentFigures, ConsentTally
from mutuals.sources.quality_countries import region_of
from mutuals.sources.quality_evidence import EvidenceTally
from mutuals.sources.quality_identifiers import (
    COUNTRY,
    Batch,
    Examined,
    IdentifierFigures,
    IdentifierTally,
    ProfileFigures,
    examine_batch,
)
from mutuals.sources.quality_layout import Recognised, recognise
from mutuals.sources.quality_rows import ROWS_SHOWN, Refusal, RowCounter, RowFigures, row_refusals
from mutuals.sources.quality_suggestions import Evidence, Suggestion, suggest
from mutuals.sources.readers import join_batches

__all__ = [
    "IDENTIFIER_TYPES",
    "ROWS_SHOWN",
    "ParticipationRule",
    "Refusal",
    "SourceCheck",
    "check_source",
    "row_refusals",
    "source_hints",
]
IDENTIFIER_TYPES = ("email", "phone")
_AT_ONCE = 30_000
Mark = Callable[[ContactTable], ContactTable]
"""Marks the contacts of a batch that were withdrawn (mutuals.consent)."""


@dataclass(frozen=True)
class ParticipationRule:
    """Whom to count as taking part: as an agreement says, or as a person supposes."""

    consent: ConsentRule
    identifiers: tuple[str, ...] = IDENTIFIER_TYPES
    include_shared: bool = False


@dataclass(frozen=True)
class SourceCheck:
    """What a dry run found.

    ``recognised`` and ``columns`` say how the file was understood, ``identifiers`` and ``profiles`` (by name) count by
    type of identifier. ``participants`` is there where a rule was given, and ``evidence`` then counts them by what the
    source says of their consent: column of EVIDENCE_TEXTS -> value -> contacts; an empty value says nothing.
    """

    recognised: Recognised
    columns: tuple[Column, ...]
    rows: RowFigures
    identifiers: dict[str, IdentifierFigures]
    profiles: dict[str, dict[str, ProfileFigures]]
    consent: ConsentFigures
    participants: Participants | None
    suggestions: tuple[Suggestion, ...]
    evidence: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def purposes(self) -> dict[str, int]:
        """Contacts by granted purpose, most frequent first."""
        return {granted.purpose: granted.contacts for granted in self.consent.purposes}


def check_source(
    definition: SourceDefinition,
    profile: Profile,
    today: date,
    rule: ParticipationRule | None = None,
    *,
    spread: Spread = map,
    mark: Mark = lambda batch: batch,
) -> SourceCheck:
    """Read a source and examine it; ``spread`` distributes the work over cores where there is much.

    Raises MutualsError: INPUT_QUALITY where it cannot be used as a whole, USAGE for an unknown country.
    """
    checked_country(definition.default_country)
    counter = RowCounter(definition)
    columns = columns_of(definition, counter.file.headings)
    head = look_at_head(counter.file, columns)
    country = next((seen.heading for seen in head.looking_like("country")), None)
    source = counter.contacts(() if country is None else (country,))
    tallies = {kind: IdentifierTally(kind, profile) for kind in IDENTIFIER_TYPES}
    consent, evidence = ConsentTally(today), EvidenceTally()
    selection = None
    if rule is not None:
        selection = Selection(rule.consent, today, include_shared=rule.include_shared, itemise=plain_items)
    collect = () if rule is None else rule.identifiers
    homes: Counter[str] = Counter()
    before = 0

    def gathered(table: ContactTable) -> None:
        counter.add(table)
        consent.add(table)
        if selection is not None:
            evidence.add(table)

    def work(table: ContactTable) -> Batch:
        home = [] if country is None else [pl.col(country).alias(COUNTRY)]
        slim = ContactTable(
            table.frame.select("row", "email", "phone", *home),
            rejected=(),
            field_names=(),
            rejected_identifiers=table.rejected_identifiers,
        )
        return Batch(slim, definition.default_country, profile.name, collect)

    def kept(table: ContactTable) -> ContactTable | None:
        if selection is None:
            return None
        return ContactTable(table.frame.drop("email", "phone"), rejected=(), field_names=())

    for contacts, table, examined in _examined(map(mark, source), gathered, work, kept, spread):
        for kind, tally in tallies.items():
            tally.add(examined.kinds[kind], before)
        for text, count in examined.kinds["phone"].homeless.items():
            region = region_of(text)
            homes.update({region: count} if region else {})
        if selection is not None and table is not None:
            selection.add(table, examined.collected)
        before += contacts
    participants = None if selection is None else selection.participants()
    rows = counter.figures()
    identifiers = {kind: tally.figures() for kind, tally in tallies.items()}
    profiles = {
        name: {kind: tally.under(other) for kind, tally in tallies.items()}
        for name, other in PROFILES.items()
    }
    figures = consent.figures()
    found = Evidence(
        definition=definition,
        head=head,
        rows=rows.read,
        absent=source.absent,
        identifiers=identifiers,
        odd={kind: tally.odd for kind, tally in tallies.items()},
        codes=tallies["phone"].codes,
        homes=homes,
        consent=figures,
    )
    return SourceCheck(
        recognised=recognise(definition, counter.file.headings),
        columns=columns,
        rows=rows,
        identifiers=identifiers,
        profiles=profiles,
        consent=figures,
        participants=participants,
        suggestions=suggest(found),
        evidence={} if participants is None else evidence.of(participants),
    )


def _examined(
    source: Iterable[ContactTable],
    gathered: Callable[[ContactTable], None],
    work: Callable[[ContactTable], Batch],
    kept: Callable[[ContactTable], ContactTable | None],
    spread: Spread,
) -> Iterator[tuple[int, ContactTable | None, Examined]]:
    """What was found in some ten thousand contacts at a time, several times as many being worked on: how many contacts,
    and what of them is ``kept``. A single batch is worked on without any worker.
    """
    waiting: deque[tuple[int, ContactTable | None]] = deque()

    def batches() -> Iterator[Batch]:
        for table in _together(source):
            gathered(table)
            waiting.append((len(table.frame), kept(table)))
            yield work(table)

    pending = batches()
    first = list(islice(pending, 2))
    distribute = spread if len(first) > 1 else map
    for examined in distribute(examine_batch, chain(first, pending)):
        yield *waiting.popleft(), examined


def _together(source: Iterable[ContactTable]) -> Iterator[ContactTable]:
    """The batches of ``source``, small ones joined: hundreds of small steps are needed for each, however long it is."""
    held: list[ContactTable] = []
    for batch in source:
        held.append(batch)
        if sum(len(one.frame) for one in held) >= _AT_ONCE:
            yield join_batches(held)
            held = []
    if held:
        yield join_batches(held)


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
