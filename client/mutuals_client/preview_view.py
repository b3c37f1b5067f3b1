"""The preview of an exchange as people see it, on a terminal or as a page, and as ``--json`` gives it.

say(preview_on_terminal(preview, samples=True))
html = preview_page(preview, made_at=now)
facts = preview_facts(preview)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mutuals.agreement.blocks import Block, Clause, Grid, Heading, to_terminal
from mutuals.agreement.html import to_html
from mutuals.runs.samples import CROWD, FieldProfile, MaskedValue, draw_samples, profile_field
from mutuals.wording import counted

if TYPE_CHECKING:
    from rich.console import Group

    from mutuals.models.agreement import SharedField
    from mutuals.runs.authorisation import StandingPreview
    from mutuals.runs.preview import Preview
    from mutuals.runs.records import FieldSummary

_TRANSFORMS = {
    "year": "of the date only the year",
    "month": "of the date only year and month",
    "lower": "in lower case",
    "first_letter": "only the first letter",
}

_UNFIT = {
    "not_an_integer": "not a whole number",
    "not_a_decimal": "not a number",
    "not_a_date": "not a date written as YYYY-MM-DD",
    "not_a_boolean": "neither true nor false",
    "not_a_letter": "does not begin with a letter",
    "out_of_range": "a number too large",
    "too_long": "too long a text",
}

_WITHHELD = {
    "suppressed": "suppressed in your source",
    "withdrawn": "withdrawn with mutuals revoke",
    "consent_withdrawn": "consent withdrawn, says your source",
    "consent_undated": "consent without a date",
    "consent_lapsed": "consent past its own last day",
    "consent_in_future": "consent dated in the future",
    "not_notified": "not notified of the sharing",
    "no_longer_in_source": "no longer in your source",
    "shared_with_ineligible": "known only by an address or number held also by a contact that may not be sent",
    "sent_under_another_contact": "known only by an address or number that another contact is sent under",
}


def preview_on_terminal(preview: Preview, standing: Sequence[StandingPreview], *, samples: bool) -> Group:
    """What would be sent, field by field, what is withheld and why, and with ``samples`` three masked records."""
    return to_terminal(_title(preview), list(_blocks(preview, standing, samples)))


def preview_page(preview: Preview, standing: Sequence[StandingPreview], made_at: datetime) -> str:
    """The same as one HTML page without network, with samples: for whoever has to agree."""
    head = Clause(
        f"Run {preview.run.run_id}, agreement {preview.active.agreement_id}, as of "
        f"{made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC. Nothing was signed or sent by making this page."
    )
    return to_html(_title(preview), [head, *_blocks(preview, standing, samples=True)])


def preview_facts(
    preview: Preview, standing: Sequence[StandingPreview], *, samples: bool = False
) -> dict[str, Any]:
    """A preview for ``--json``: counts only, unless ``samples`` are asked for."""
    outgoing = preview.outgoing
    facts: dict[str, Any] = {
        "run": preview.run.run_id,
        "preview": preview.id,
        "overlap_contacts": preview.run.contacts,
        "contacts": len(outgoing.sent),
        "records": len(outgoing.records),
        "withheld": outgoing.withheld,
        "fields": [
            {
                "name": item.shared.name,
                "heading": preview.active.mapping.get(item.shared.name),
                "type": item.shared.type,
                "transform": item.shared.transform,
                "retention_days": item.shared.retention_days,
                "departments": list(item.shared.departments),
                "values": item.values,
                "empty": item.empty,
                "withheld": item.withheld,
                "distinct": profile.distinct,
                "alone": profile.alone,
                "few": profile.few,
                "identifying": profile.identifying,
            }
            for item, profile in _profiled(preview)
        ],
        "kept_back": [
            {"field": item.field, "rule": item.rule, "changes": item.changes} for item in preview.kept_back
        ],
        "authorised": [
            {
                "operator": item.operator,
                "preview": item.preview,
                "same": item.preview == preview.id,
                "at": item.created_at,
                "expires_at": item.expires_at,
            }
            for item in standing
        ],
    }
    if samples:
        facts["samples"] = [
            {
                item.shared.name: {"shown": value.standing, "text": value.text}
                for item, value in zip(outgoing.fields, sample, strict=True)
            }
            for sample in draw_samples(outgoing.columns, preview.digest)
        ]
    return facts


def _title(preview: Preview) -> str:
    return f"What run {preview.run.run_id} would send to {_partner(preview)}"


def _partner(preview: Preview) -> str:
    return preview.active.agreement.party(preview.active.own_side.other).organisation


def _blocks(preview: Preview, standing: Sequence[StandingPreview], samples: bool) -> Iterator[Block]:
    if not preview.sends:
        yield Clause("Under this agreement you send nothing.")
        return
    outgoing = preview.outgoing
    yield Clause(
        f"{len(outgoing.sent):,} of your {counted(preview.run.contacts or 0, 'shared contact')}, in "
        f"{counted(len(outgoing.records), 'record')}. The preview is {preview.id}: exactly these records have that "
        "name, so whoever sees the same name saw the same."
    )
    for item in standing:
        same = "this preview" if item.preview == preview.id else f"another preview, {item.preview}"
        yield Clause(f"{item.operator} authorised {same}, on {item.created_at:%Y-%m-%d %H:%M} UTC.")
    yield from _fields(preview)
    yield from _withheld(preview)
    if samples:
        yield from _samples(preview)


def _fields(preview: Preview) -> Iterator[Block]:
    found = _profiled(preview)
    if found:
        yield Heading("Field by field")
        yield Grid(
            ("Field", "Your column", "Sent", "Kept for", "Used by"),
            tuple(
                (
                    item.shared.name,
                    preview.active.mapping.get(item.shared.name, ""),
                    sent_as(item.shared),
                    counted(item.shared.retention_days, "day"),
                    ", ".join(item.shared.departments),
                )
                for item, _ in found
            ),
        )
        yield Heading("How many values, and how rare they are")
        yield Grid(
            ("Field", "Values", "Empty", "Withheld", "Different", "Rare", "Alone"),
            tuple(
                (
                    item.shared.name,
                    f"{item.values:,}",
                    f"{item.empty:,}",
                    _unfit(item.withheld),
                    f"{profile.distinct:,}",
                    f"{profile.few:,}",
                    f"{profile.alone:,}",
                )
                for item, profile in found
            ),
        )
        yield from _warnings(found)
    if preview.kept_back:
        yield Heading("Agreed, but kept back")
        for refused in preview.kept_back:
            yield Clause(f"{refused} {refused.changes}")


def _warnings(found: Sequence[tuple[FieldSummary, FieldProfile]]) -> Iterator[Block]:
    """What a person should think about before it leaves."""
    if any(profile.few for _, profile in found):
        yield Clause(
            f"Different: so many different values. Rare: contacts with a value that fewer than {CROWD} of them have; "
            "alone: with one that no other has. A rare value says more of a person than a common one: a band, a year "
            "or a month in its place is a change to the agreement."
        )
    for item, profile in found:
        if profile.identifying:
            yield Clause(
                f"Attention, {item.shared.name}: {counted(profile.identifying, 'value')} "
                f"look{'s' if profile.identifying == 1 else ''} like an e-mail address, a telephone or other long "
                "number, or a link."
            )


def _withheld(preview: Preview) -> Iterator[Block]:
    if not preview.outgoing.withheld:
        return
    yield Heading("Shared contacts that are not sent")
    for reason, count in sorted(preview.outgoing.withheld.items(), key=lambda pair: (-pair[1], pair[0])):
        yield Clause(f"{counted(count, 'contact')}: {why_withheld(preview, reason)}.")
    yield Clause("The partner sees which pairs come without a record, not why.")


def _samples(preview: Preview) -> Iterator[Block]:
    samples = draw_samples(preview.outgoing.columns, preview.digest)
    if not samples:
        return
    yield Heading(f"{counted(len(samples), 'record')}, masked")
    yield Grid(
        ("Field", *(f"Record {number}" for number, _ in enumerate(samples, 1))),
        tuple(
            (item.shared.name, *(_shown(sample[number]) for sample in samples))
            for number, item in enumerate(preview.outgoing.fields)
        ),
    )
    yield Clause(
        f"What a column shows, taken together, fits at least {CROWD} of the contacts; the dots stand for the rest, "
        "however long. Sent are the values themselves."
    )


def _shown(value: MaskedValue) -> str:
    match value.standing:
        case "empty":
            return "(empty)"
        case "withheld":
            return f"(withheld: {_UNFIT.get(value.text, value.text)})"
        case _:
            return value.text


def _profiled(preview: Preview) -> list[tuple[FieldSummary, FieldProfile]]:
    outgoing = preview.outgoing
    return [
        (item, profile_field(column)) for item, column in zip(outgoing.fields, outgoing.columns, strict=True)
    ]


def sent_as(shared: SharedField) -> str:
    """What becomes of a field before it is sent, in words."""
    name, _, argument = shared.transform.partition(":")
    match name:
        case "none":
            return f"{shared.type}, as it is"
        case "round":
            return f"the number, rounded to {int(argument):,}"
        case "band":
            bounds = [f"{int(bound):,}" for bound in argument.split(",")]
            return f"of the number only its band, divided at {', '.join(bounds)}"
        case _:
            return _TRANSFORMS[name]


def why_withheld(preview: Preview, reason: str) -> str:
    """Why a contact is withheld, as a clause without its full stop, with the dates that count today."""
    rule = preview.rule
    match reason:
        case "no_consent":
            return f"no consent to “{rule.purpose}”"
        case "consent_expired":
            return (
                f"consent given before {preview.day - timedelta(days=rule.max_age_days):%Y-%m-%d}, longer ago than "
                f"the {counted(rule.max_age_days, 'day')} {_whose_limit(preview)}"
            )
        case "notice_too_old":
            return f"notified before {rule.notice_since:%Y-%m-%d}, the day that was agreed"
        case _:
            return _WITHHELD.get(reason, reason.replace("_", " "))


def _whose_limit(preview: Preview) -> str:
    return "agreed" if preview.rule == preview.active.agreement.consent else "your policy allows"


def _unfit(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {_UNFIT.get(why, why)}" for why, n in sorted(counts.items())) or "0"
