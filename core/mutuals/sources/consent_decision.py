"""A decision on consent held against the file it is about: whether it can be, and whom it would make consenting.

check_decision(definition, today)           # MutualsError where it could not be meant
foreseen = foresee(definition, today)       # how many contacts consent to what, and who stays out all the same
digest = decision_digest(definition)        # what the operator signs (mutuals.consent.decision)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import date

import polars as pl

from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import ConsentRule
from mutuals.sources.consent_file import read_register
from mutuals.sources.dates import DatesSeen
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.detect import dates_in
from mutuals.sources.eligibility import consent_exclusions
from mutuals.sources.mapped import used_headings
from mutuals.sources.mapping import ConsentDecision, ConsentGrant, SourceMapping
from mutuals.sources.readers import open_source
from mutuals.sources.sheet import SheetFile
from mutuals.sources.tables import open_rows

_ANY_AGE = 3650


@dataclass(frozen=True)
class Granted:
    """``contacts`` consent to ``purpose``; ``excluded`` of them take no part all the same, by Exclusion.

    ``notified`` counts those of the others who were told about the sharing by today. How old a consent may be and
    whether notice is a condition is the agreement's to say; neither is applied here.
    """

    purpose: str
    contacts: int
    excluded: dict[str, int]
    notified: int

    @property
    def remaining(self) -> int:
        """How many could take part today."""
        return self.contacts - sum(self.excluded.values())


@dataclass(frozen=True)
class Foreseen:
    """What a decision makes of the file as it is now. ``rejected_rows`` cannot be used, whatever was decided."""

    contacts: int
    rejected_rows: int
    granted: tuple[Granted, ...]


def mapping_of(definition: SourceDefinition) -> SourceMapping:
    """Its mapping. Raises MutualsError (USAGE) for headings that say for themselves who consents."""
    if definition.mapping is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Source {definition.name} has the headings of the native format, which says for itself who consents.",
            hint=f"See: mutuals source show {definition.name}",
        )
    return definition.mapping


def with_decision(definition: SourceDefinition, decision: ConsentDecision | None) -> SourceDefinition:
    """``definition`` with that decision in place of any other."""
    mapping = mapping_of(definition).model_copy(update={"consent": decision})
    return definition.model_copy(update={"mapping": mapping})


def unsigned(decision: ConsentDecision) -> ConsentDecision:
    """What was decided, without who did and the signature."""
    return decision.model_copy(update={"decided_by": "", "decided_at": None, "act": {}})


def decision_digest(definition: SourceDefinition) -> str:
    """SHA-256 (hex) of all that a decision rests on: the whole mapping, and what of a database is read.

    Over canonical JSON (RFC 8785) of what differs from the defaults, so that a later release may know further keys.
    Where the file lies is not part of it: the next export may have another name.
    """
    mapping = mapping_of(definition)
    plain = mapping.model_copy(update={"consent": unsigned(mapping.consent or ConsentDecision())})
    covered = {
        "mapping": plain.model_dump(mode="json", exclude_defaults=True),
        "table": definition.table,
        "query": definition.query,
    }
    return hashlib.sha256(canonical_json(covered)).hexdigest()


def keep_decision(before: SourceDefinition, now: SourceDefinition) -> SourceDefinition:
    """``now`` with the decision taken on ``before``, where it is the same mapping of another file that has its columns.

    Whether it stands is not checked. Raises MutualsError (INPUT_QUALITY) where the file cannot be read.
    """
    if now.mapping is None or before.mapping is None or now.mapping.consent is not None:
        return now
    kept = with_decision(now, before.mapping.consent)
    if decision_digest(kept) != decision_digest(before) or before.mapping.consent is None:
        return now
    headings = open_rows(kept).headings
    there = all(headings.count(heading) == 1 for heading in used_headings(mapping_of(kept)))
    return kept if there else now


def purposes_of(decision: ConsentDecision) -> tuple[str, ...]:
    """The purposes that its columns grant, in order; a register names its own."""
    return tuple(dict.fromkeys(grant.purpose for grant in decision.grants))


def check_decision(definition: SourceDefinition, today: date) -> None:
    """Refuse a decision that its file does not bear out, or that lets something count which is no consent.

    Raises MutualsError: USAGE for the decision, INPUT_QUALITY for a file or register that cannot be read.
    """
    mapping = mapping_of(definition)
    decision = mapping.consent or ConsentDecision()
    file = open_rows(definition)
    for grant in decision.grants:
        _check_grant(grant, mapping, file, today)
    if decision.notified_at is not None and decision.notified_on is not None:
        raise _wrong("The notice has a column of its own or one day, not both.")
    if decision.notified_at is not None:
        _check_days(decision.notified_at, mapping, file)
    _check_day(decision.notified_on, "notice", today)
    if decision.file is not None:
        if not any(value.strip() for value in decision.file.granted):
            raise _wrong("No status of the consent file means yes.", 'Name it: --granted "VALUE"')
        if read_register(decision.file).is_empty():
            raise _wrong(
                "Nobody has consented by the consent file: no line says yes with a day that can be read.",
                "Look at --granted, at the columns, and at --dates.",
            )


def foresee(definition: SourceDefinition, today: date) -> Foreseen:
    """Read the source as its decision says, and count. Raises MutualsError (INPUT_QUALITY)."""
    contacts, rejected = 0, set[int]()
    held, notified = Counter[str](), Counter[str]()
    excluded: dict[str, Counter[str]] = {}
    decision = mapping_of(definition).consent or ConsentDecision()
    purposes = dict.fromkeys(purposes_of(decision))
    for batch in open_source(definition, fields=()):
        contacts += len(batch.frame)
        rejected |= {fault.row for fault in batch.rejected}
        if decision.file is not None:
            purposes |= dict.fromkeys(batch.frame["consent"].explode().drop_nulls().unique().sort().to_list())
        for purpose in purposes:
            granting = batch.frame.filter(pl.col("consent").list.contains(purpose).fill_null(value=False))
            held[purpose] += len(granting)
            rule = ConsentRule(purpose=purpose, max_age_days=_ANY_AGE, notice_required=False)
            reasons = consent_exclusions(granting, rule, today)
            excluded.setdefault(purpose, Counter()).update(reasons.drop_nulls().to_list())
            told = granting.filter(reasons.is_null() & (granting["notified_at"] <= today))
            notified[purpose] += len(told)
    granted = tuple(Granted(p, held[p], dict(excluded.get(p, {})), notified[p]) for p in purposes)
    return Foreseen(contacts, len(rejected), granted)


def _check_grant(grant: ConsentGrant, mapping: SourceMapping, file: SheetFile, today: date) -> None:
    _require(grant.column, file)
    if grant.column in (mapping.contact_id, *mapping.emails, *mapping.phones):
        raise _wrong(f"“{grant.column}” says who a contact is, not what they consent to.")
    if grant.column in (rule.column for rule in mapping.objections):
        raise _wrong(
            f"“{grant.column}” says who objects, and not having objected is no consent to sharing.",
            "Name a column in which contacts say yes to the sharing, or a consent file.",
        )
    if not all(value.strip() for value in grant.values):
        raise _wrong(f"An empty cell of “{grant.column}” says nothing, so it can grant nothing.")
    if (grant.given_at is None) == (grant.given_on is None):
        raise _wrong(
            f"Say since when {grant.purpose} is granted: by a column of days, or one day for all.",
            'Add --given-at "HEADING" or --given-on 2026-01-31',
        )
    if grant.given_at is not None:
        _check_days(grant.given_at, mapping, file)
    _check_day(grant.given_on, "consent", today)


def _check_days(heading: str, mapping: SourceMapping, file: SheetFile) -> None:
    """Refuse a column that holds no days, or such as cannot be read before somebody says their order."""
    _require(heading, file)
    seen = dates_in(file, [heading])
    if seen == DatesSeen():
        raise _wrong(f"“{heading}” holds no days.", "Name another column, or one day for all.")
    if seen.year_last and mapping.dates not in {"day-first", "month-first"}:
        raise _wrong(
            f"“{heading}” does not say whether 03/04/2026 is in March or in April.",
            "Say it: --dates day-first or --dates month-first",
        )


def _check_day(day: date | None, of_what: str, today: date) -> None:
    if day is not None and day > today:
        raise _wrong(f"The day of the {of_what}, {day}, lies ahead.")


def _require(heading: str, file: SheetFile) -> None:
    count = file.headings.count(heading)
    if count != 1:
        raise _wrong(
            f"{file.name} has {'no column' if not count else f'{count} columns'} “{heading}”.",
            "Name the heading as it stands in row 1.",
        )


def _wrong(sentence: str, hint: str | None = None) -> MutualsError:
    return MutualsError(ErrorCode.USAGE, sentence, hint=hint)
