"""What could be done about a source, one sentence each with the command that does it.

A suggestion says on what evidence it rests; nothing is done because of it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mutuals.errors import MutualsError
from mutuals.normalisation import Reason
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.eligibility import Exclusion
from mutuals.sources.mapping import SourceMapping
from mutuals.sources.quality_columns import Head, Looks
from mutuals.sources.quality_consent import ConsentFigures
from mutuals.sources.quality_countries import main_region, name_of
from mutuals.sources.quality_identifiers import IdentifierFigures
from mutuals.sources.quality_values import MISTYPED
from mutuals.wording import counted

_CALLED: dict[Looks, tuple[str, str]] = {
    "email": ("e-mail addresses", "an e-mail address"),
    "phone": ("phone numbers", "a phone number"),
}
_MOSTLY = 0.5


@dataclass(frozen=True)
class Suggestion:
    """``about`` is a word for a program; ``count`` how many values, rows or contacts it concerns, if it can be counted;
    ``command`` what to run, if that helps.
    """

    about: str
    sentence: str
    command: str | None = None
    count: int | None = None


@dataclass(frozen=True)
class Evidence:
    """All that suggestions are made from.

    ``homes`` counts the contacts whose number lacks a country code by the country (ISO 3166) that their row names,
    ``codes`` numbers by country code; ``odd`` is as ``quality_values.odd_values`` gives it, by type.
    """

    definition: SourceDefinition
    head: Head
    rows: int
    absent: tuple[str, ...]
    identifiers: Mapping[str, IdentifierFigures]
    odd: Mapping[str, Counter[tuple[str, str]]]
    codes: Counter[int]
    homes: Counter[str]
    consent: ConsentFigures


def suggest(found: Evidence) -> tuple[Suggestion, ...]:
    """What deserves a look, the weightiest first."""
    if not found.rows:
        return (
            Suggestion("headings_only", "The file has headings but no contacts yet, so nobody takes part."),
        )
    return tuple(
        suggestion
        for part in (_consent, _dates, _columns, _country, _mistyped, _placeholders, _same, _spelling)
        for suggestion in part(found)
    )


def _consent(found: Evidence) -> Iterator[Suggestion]:
    definition, consent = found.definition, found.consent
    name = definition.name
    if definition.mapping is not None and definition.mapping.consent is None:
        yield Suggestion(
            "no_decision",
            "Nobody has decided yet what in it grants consent, so nobody takes part.",
            f"mutuals source map {name}",
            consent.contacts,
        )
        return
    undated = sum(p.against.get(Exclusion.CONSENT_UNDATED.value, 0) for p in consent.purposes)
    if undated:
        mapped = definition.mapping is not None
        how = (
            "a decision can name the column of days, or one day for all"
            if mapped
            else f"“{definition.heading('consent_at')}” holds it"
        )
        yield Suggestion(
            "undated_consent",
            f"{counted(undated, 'consent')} {_has(undated)} no day, and one of unknown age does not count; {how}.",
            f"mutuals source map {name}" if mapped else None,
            undated,
        )
    if consent.unnamed:
        yield Suggestion(
            "unnamed_purpose",
            f"{counted(consent.unnamed, 'contact')} {_has(consent.unnamed)} something in the column of consent that "
            "can be no purpose (lower-case letters, digits, - and _), so it grants nothing.",
            None,
            consent.unnamed,
        )


def _dates(found: Evidence) -> Iterator[Suggestion]:
    mapping, seen = found.definition.mapping, found.head.dates
    if mapping is None or mapping.dates in {"day-first", "month-first"} or not seen.year_last:
        return
    if seen.day_first and seen.month_first:
        why = f"{seen.day_first:,} can only be day first and {seen.month_first:,} only month first"
    elif seen.order is None:
        why = "none of them tells whether 03/04/2026 is in March or in April"
    else:
        why = f"{seen.day_first or seen.month_first:,} of them can only be {seen.order.replace('-', ' ')}"
    order = seen.order if seen.order in {"day-first", "month-first"} else "day-first"
    yield Suggestion(
        "ambiguous_dates",
        f"{counted(seen.year_last, 'day')} of consent or notice cannot be read before somebody says the order: {why}. "
        "Set it to day-first or month-first.",
        _add_again(found.definition, dates=order),
        seen.year_last,
    )


def _columns(found: Evidence) -> Iterator[Suggestion]:
    name = found.definition.name
    for kind in ("email", "phone"):
        many, one = _CALLED[kind]
        unread = found.head.looking_like(kind)
        if kind in found.absent and not unread:
            yield Suggestion(
                f"no_{kind}",
                f"No {many} were read; if the file has some, name their column.",
                _add_again(found.definition, column=(kind, "HEADING")),
            )
        for seen in unread:
            looks = (
                f"“{seen.heading}” is not read, and in {seen.matching:,} of {counted(seen.filled, 'row')} that "
                f"{'holds' if seen.filled == 1 else 'hold'} something it looks like {one}"
                f"{_of_head(found)}. If these are the contacts’ own, "
            )
            if kind in found.absent:
                command = _add_again(found.definition, column=(kind, seen.heading))
                yield Suggestion(f"unread_{kind}", looks + "read it.", command, seen.matching)
            elif found.definition.mapping is None:
                yield Suggestion(
                    f"unread_{kind}",
                    f"{looks}put them beside the others into “{found.definition.heading(kind)}”, separated by ;.",
                    None,
                    seen.matching,
                )
            else:
                yield Suggestion(
                    f"unread_{kind}",
                    f"{looks}add it to {kind}s in the saved mapping, and add the source again with --mapping.",
                    f"mutuals source map {name} --save {name}.toml",
                    seen.matching,
                )


def _of_head(found: Evidence) -> str:
    return f" (looking at the first {found.head.rows:,} rows)" if found.head.rows < found.rows else ""


def _country(found: Evidence) -> Iterator[Suggestion]:
    homeless = sum(
        r.count for r in found.identifiers["phone"].refused if r.reason == Reason.NO_COUNTRY_CODE.value
    )
    if not homeless or found.definition.default_country is not None:
        return
    sentence = f"{counted(homeless, 'number')} {_has(homeless)} no country code"
    region, evidence = _likely_country(found)
    if region is None:
        yield Suggestion(
            "default_country",
            f"{sentence}; set default_country if they are all of one country.",
            _add_again(found.definition, country="CC"),
            homeless,
        )
        return
    yield Suggestion(
        "default_country",
        f'{sentence}; set default_country = "{region}"? {evidence}',
        _add_again(found.definition, country=region),
        homeless,
    )


def _likely_country(found: Evidence) -> tuple[str | None, str]:
    """The country of most rows concerned, else that of most numbers with a code; and the sentence that says so."""
    if found.homes:
        (home, count), whole = found.homes.most_common(1)[0], sum(found.homes.values())
        if count <= _MOSTLY * whole:
            return None, ""
        column = found.head.looking_like("country")[0].heading
        return home, f"“{column}” says {name_of(home)} for {count:,} of the {whole:,} whose country it tells."
    if found.codes:
        (code, count), whole = found.codes.most_common(1)[0], sum(found.codes.values())
        region = main_region(code)
        if region is not None and count > _MOSTLY * whole:
            return (
                region,
                f"Of {counted(whole, 'number')} with a country code {count:,} {_has(count)} +{code}.",
            )
    return None, ""


def _mistyped(found: Evidence) -> Iterator[Suggestion]:
    odd = {domain: n for (what, domain), n in found.odd["email"].items() if what == "mistyped"}
    if odd:
        count = sum(odd.values())
        ordered = sorted(odd.items(), key=lambda item: (-item[1], item[0]))
        named = ", ".join(f"{domain} for {MISTYPED[domain]}: {n:,}" for domain, n in ordered)
        yield Suggestion(
            "mistyped_domain",
            f"{counted(count, 'address', 'addresses')} may be mistyped ({named}); they are matched as they stand. "
            "Correct them in the CRM.",
            None,
            count,
        )


def _placeholders(found: Evidence) -> Iterator[Suggestion]:
    email, phone = (found.odd[kind]["placeholder", ""] for kind in ("email", "phone"))
    if email:
        yield Suggestion(
            "placeholder_email",
            f"{counted(email, 'address', 'addresses')} {'looks' if email == 1 else 'look'} like no person’s own "
            "(test@, noreply@ and the like), and would match everybody else’s. Take them out in the CRM.",
            None,
            email,
        )
    if phone:
        yield Suggestion(
            "placeholder_phone",
            f"{counted(phone, 'number')} {'looks' if phone == 1 else 'look'} made up (one digit over and over, or "
            "1234567). Take them out in the CRM.",
            None,
            phone,
        )


def _same(found: Evidence) -> Iterator[Suggestion]:
    for kind, one, many in (("email", "address", "addresses"), ("phone", "number", "numbers")):
        figures = found.identifiers[kind]
        if figures.shared:
            yield Suggestion(
                f"shared_{kind}",
                f"{counted(figures.shared, one, many)} {_is(figures.shared)} held by several contacts "
                f"({figures.sharing:,} together), or also by a row that cannot be used; under most agreements such "
                "take no part. If they are one person, merge them in the CRM.",
                None,
                figures.shared,
            )


def _spelling(found: Evidence) -> Iterator[Suggestion]:
    respelt = found.identifiers["email"].respelt
    if respelt:
        yield Suggestion(
            "respelt_email",
            f"{counted(respelt, 'address', 'addresses')} {_is(respelt)} there in several spellings, which differ in "
            "capitals or dots and the like: so one person gets into a CRM twice. Each is matched as one; look for "
            "double contacts.",
            None,
            respelt,
        )


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _add_again(
    definition: SourceDefinition,
    *,
    country: str | None = None,
    dates: str | None = None,
    column: tuple[str, str] | None = None,
) -> str:
    """The command that adds the source once more, with one thing otherwise."""
    name, mapping = definition.name, definition.mapping
    words = ["mutuals", "source", "add", name, *_place(definition)]
    first = ""
    if mapping is None:
        for standard, heading in definition.columns.items():
            words += ["--map", f"{standard}={heading}"]
        if column is not None:
            words += ["--map", "=".join(column)]
    elif dates is None and column is None and not _found_again(definition, mapping):
        first = f"mutuals source map {name} --save {name}.toml && "
        words += ["--mapping", f"{name}.toml"]
    else:
        words += _said(mapping, dates)
        if column is not None:
            words += ["--map", "=".join(column)]
    if country or definition.default_country:
        words += ["--default-country", country or definition.default_country or ""]
    return first + shlex.join([*words, "--replace"])


def _place(definition: SourceDefinition) -> list[str]:
    if definition.format == "sql":
        what = ["--query", "FILE"] if definition.table is None else ["--table", definition.table]
        return ["--url", definition.path, *what]
    sheet = [] if definition.sheet is None else ["--sheet", definition.sheet]
    return ["--path", definition.path, *sheet]


def _said(mapping: SourceMapping, dates: str | None) -> list[str]:
    """What of a mapping is said on the command line."""
    words = [] if mapping.duplicates == "refuse" else ["--duplicates", mapping.duplicates]
    if mapping.no_objections_because:
        words += ["--no-objections", mapping.no_objections_because]
    return [*words, "--dates", dates] if dates else words


def _found_again(definition: SourceDefinition, mapping: SourceMapping) -> bool:
    """Whether the same mapping follows from the file and what ``_said`` gives."""
    wishes = Wishes(
        dates=mapping.dates or "year-first",
        duplicates=mapping.duplicates,
        no_objections_because=mapping.no_objections_because,
    )
    try:
        again = understand(definition, wishes).definition
    except MutualsError:
        return False
    if again.mapping is None or (again.delimiter, again.sheet) != (definition.delimiter, definition.sheet):
        return False
    undecided = mapping.model_copy(update={"consent": None, "dates": again.mapping.dates})
    return again.mapping == undecided
