"""The report on a source's quality as sections of sentences and tables: the same for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mutuals.wording import counted
from mutuals_client.source_words import REASONS, count_of, printable, row_numbers

if TYPE_CHECKING:
    from mutuals.sources.check import ParticipationRule, SourceCheck
    from mutuals.sources.definition import SourceDefinition
    from mutuals.sources.participants import Participants
    from mutuals.sources.quality_consent import ConsentFigures
    from mutuals.sources.quality_identifiers import ProfileFigures
    from mutuals.sources.quality_rows import Refusal

DEFAULT_PROFILE = "uid2-v1"
_FIELDS_SHOWN = 40
_KINDS = {"email": "Addresses", "phone": "Numbers"}
_BASE = "strict-v1"


@dataclass(frozen=True)
class CheckAsked:
    """What was asked of a source; ``agreed_days`` is how old a consent may be by the agreement alone."""

    definition: SourceDefinition
    profile: str
    rule: ParticipationRule | None = None
    agreement_id: str | None = None
    agreed_days: int | None = None

    @property
    def age_by(self) -> str:
        """Whose limit it is that a consent be no older than the rule says: “agreement” or “policy”."""
        days = None if self.rule is None else self.rule.consent.max_age_days
        return "agreement" if days == self.agreed_days else "policy"


@dataclass(frozen=True)
class Table:
    """``rows`` under ``columns``; the first of a row says what it is about, and columns from ``words`` on are text."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: int | None = None


@dataclass(frozen=True)
class Section:
    """Its sentences, then its tables, then ``after``; without any it says nothing."""

    heading: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    after: tuple[str, ...] = ()


def summary(found: SourceCheck) -> str:
    """“5 contacts in 7 rows; 2 rows cannot be used.”"""
    rows = found.rows
    if not rows.read:
        usable = "headings only"
    elif not rows.rejected:
        usable = "all usable"
    else:
        usable = f"{count_of(rows.rejected, 'row')} cannot be used"
    return f"{count_of(rows.usable, 'contact')} in {count_of(rows.read, 'row')}; {usable}."


def sections(asked: CheckAsked, found: SourceCheck) -> list[Section]:
    """All that was found, without the suggestions."""
    parts = [_understood(found), _rows(found), _identifiers(asked, found)]
    if found.rows.usable:
        parts.append(_consent(found.consent))
        if found.participants is not None and asked.rule is not None:
            parts += _participation(asked, found, found.participants)
        parts.append(_profiles(asked, found))
    return parts


def _understood(found: SourceCheck) -> Section:
    known = found.recognised
    how = f"Read as {known.title}"
    if known.confidence is not None:
        how += f", {known.confidence}% sure by its headings"
    if known.runner_up is not None:
        how += f"; next likely: {known.runner_up[0]}, {known.runner_up[1]}%"
    fields = [column.heading for column in found.columns if column.role == "field"]
    shown = ", ".join(f"“{printable(heading)}”" for heading in fields[:_FIELDS_SHOWN])
    more = f" and {len(fields) - _FIELDS_SHOWN:,} more" if len(fields) > _FIELDS_SHOWN else ""
    sentences = [f"{known.file}: {known.kind}. {how}."]
    if known.date_order is not None:
        sentences.append(f"Days are written {known.date_order}.")
    rows = [
        (f"“{printable(column.heading)}”" if column.heading else "(none)", column.says)
        for column in found.columns
        if column.role != "field"
    ]
    rest = (f"Fields that an agreement may share: {shown}{more}.",) if fields else ()
    table = Table("What each column is taken for", ("Column", "Taken for"), rows, words=1)
    return Section("How the file was understood", tuple(sentences), (table,), rest)


def _rows(found: SourceCheck) -> Section:
    rows = found.rows
    counts = [
        ("with content", rows.read),
        ("usable contacts", rows.usable),
        ("cannot be used", rows.rejected),
        ("merged into one contact with others", rows.merged_rows),
        ("blank", rows.blank),
        ("notes under the contacts", rows.notes),
    ]
    always = 3
    shown = [(name, f"{count:,}") for place, (name, count) in enumerate(counts) if place < always or count]
    after = ()
    if rows.merged:
        groups = "; ".join(", ".join(map(str, group)) for group in rows.merged_shown)
        more = "; …" if rows.merged > len(rows.merged_shown) else ""
        after = (f"Merged into {counted(rows.merged, 'contact')}: rows {groups}{more}.",)
    tables = (Table("Rows of the file", ("Rows", "Count"), shown), *_refused(rows.refusals, "Rows refused"))
    return Section("Rows", (), tables, after)


def _identifiers(asked: CheckAsked, found: SourceCheck) -> Section:
    counts = (
        ("written", "written"),
        ("usable", "usable"),
        ("distinct", "distinct"),
        ("of these held by several contacts", "shared"),
        ("contacts that hold such", "sharing"),
    )
    rows = [
        (name, *(f"{getattr(one, count):,}" for one in found.identifiers.values())) for name, count in counts
    ]
    columns = ("Identifiers", *(_KINDS[kind] for kind in found.identifiers))
    refused = [refusal for one in found.identifiers.values() for refusal in one.refused]
    return Section(
        "Identifiers",
        (f"Those of usable rows, as {asked.profile} writes them.",),
        (Table("Identifiers by type", columns, rows), *_refused(refused, "Identifiers refused")),
        (
            (
                f"{counted(capitals, 'address', 'addresses')} in capitals {'is' if capitals == 1 else 'are'} matched "
                "in small letters.",
            )
            if (capitals := found.identifiers["email"].capitals)
            else ()
        ),
    )


def _refused(refusals: Sequence[Refusal], caption: str) -> tuple[Table, ...]:
    if not refusals:
        return ()
    rows = [(r.column, f"{r.count:,}", REASONS[r.reason], row_numbers(r)) for r in refusals]
    return (Table(caption, ("Refused", "Count", "Because it is", "In rows"), rows, words=2),)


def _consent(consent: ConsentFigures) -> Section:
    sentences = [
        "Whatever is empty or not known counts as no."
        if consent.purposes
        else "No contact has granted any purpose: whatever is empty or not known counts as no."
    ]
    status = [
        ("object", consent.objecting),
        ("taken out with mutuals revoke", consent.withdrawn),
        ("grant nothing, which counts as no", consent.silent),
        ("grant what can be no purpose", consent.unnamed),
    ]
    rows = [(name, f"{count:,}") for name, count in status if count or name == "object"]
    tables = [Table("Contacts by what they say", ("Contacts", "Count"), rows)]
    if consent.purposes:
        purposes = [
            (p.purpose, f"{p.contacts:,}", f"{p.remaining:,}", f"{p.notified:,}") for p in consent.purposes
        ]
        columns = ("Purpose", "Granted by", "Nothing against it", "of these told")
        tables.append(Table("Consent by purpose", columns, purposes))
        against = [
            (f"{p.purpose}: {REASONS[reason]}", f"{count:,}")
            for p in consent.purposes
            for reason, count in p.against.items()
        ]
        if against:
            tables.append(
                Table("Granted, and still no part taken", ("Granted, but no part taken", "Count"), against)
            )
        ages = [
            (f"{p.purpose}: {band}", f"{count:,}") for p in consent.purposes for band, count in p.ages.items()
        ]
        if ages:
            tables.append(Table("Age of consents that stand", ("Age of the consents left", "Count"), ages))
    if consent.further:
        sentences.append(f"{counted(consent.further, 'further purpose')} not counted here.")
    if consent.purposes:
        sentences.append("How old a consent may be, and whether notice is a condition, an agreement says.")
    return Section("Consent", tuple(sentences), tuple(tables))


def _participation(asked: CheckAsked, found: SourceCheck, participants: Participants) -> Iterator[Section]:
    rule = asked.rule
    if rule is None:
        return
    under = f"agreement {asked.agreement_id}" if asked.agreement_id else f"purpose “{rule.consent.purpose}”"
    rows = [("take part", f"{len(participants.contact_ids):,}")]
    rows += [(f"left out: {REASONS[why]}", f"{count:,}") for why, count in participants.excluded.items()]
    entering = [("enter the match", f"{len(participants.items):,}")]
    entering += [
        (f"withheld: {REASONS[why]}", f"{count:,}")
        for why, count in participants.withheld_identifiers.items()
    ]
    tables = [
        Table("Contacts", ("Contacts", "Count"), rows),
        Table("Identifiers of those who may take part", ("Their identifiers", "Count"), entering),
    ]
    said = [
        (f"{column}: {printable(value) or 'nothing'}", f"{count:,}")
        for column, counts in found.evidence.items()
        for value, count in sorted(counts.items(), key=lambda item: bool(item[0]))
    ]
    if said:
        tables.append(Table("Evidence of their consent", ("Evidence of their consent", "Count"), said))
    after = ()
    if asked.agreement_id and asked.age_by == "policy" and asked.agreed_days is not None:
        after = (
            f"A consent counts for {counted(rule.consent.max_age_days, 'day')}, as your policy says; the agreement "
            f"would take {asked.agreed_days:,}.",
        )
    yield Section(f"Who takes part under {under}", (), tuple(tables), after)


def _profiles(asked: CheckAsked, found: SourceCheck) -> Section:
    rows = [
        (
            f"{name} (this report)" if name == asked.profile else name,
            *(f"{kinds[kind].distinct:,}" for kind in _KINDS),
            *(f"{sum(getattr(kinds[kind], what) for kind in _KINDS):,}" for what in ("changed", "alike")),
        )
        for name, kinds in found.profiles.items()
    ]
    ordered = sorted(found.profiles.items(), key=lambda item: item[0] != asked.profile)
    sentences = [s for name, kinds in ordered if name != _BASE for s in _effect(name, kinds)]
    columns = ("Profile", "Addresses", "Numbers", "Changed", "Fall together")
    return Section(
        "What the profile does",
        tuple(sentences),
        (Table("Distinct identifiers by profile, held against strict-v1", columns, rows),),
    )


def _effect(name: str, kinds: dict[str, ProfileFigures]) -> Iterator[str]:
    email, phone = kinds["email"], kinds["phone"]
    said = False
    if email.alike:
        said = True
        yield (
            f"{name}: {counted(email.alike, 'address', 'addresses')} {_differing(name)} and are matched as "
            f"{'one' if email.becoming == 1 else f'{email.becoming:,}'}."
        )
    for figures, one, many, why in (
        (email, "address", "addresses", "once white space is taken out"),
        (phone, "number", "numbers", "of the right length, though in no range known to be assigned"),
    ):
        if figures.more:
            said = True
            yield f"{name} takes {counted(figures.more, one, many)} more than {_BASE}: {why}."
        if figures.fewer:
            said = True
            yield f"{name} refuses {counted(figures.fewer, one, many)} that {_BASE} takes."
    if not said:
        yield f"{name} finds the same identifiers in this source as {_BASE}."


def _differing(name: str) -> str:
    from mutuals.normalisation import get_profile

    rules = get_profile(name).rules.email
    domains = " and ".join(rules.alias_domains)
    aliases = f"of {domains} differ only by dots or +tags" if domains else "differ only in spelling"
    return f"{aliases}, or by white space," if rules.inner_white_space == "remove" else aliases
