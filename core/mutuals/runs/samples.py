"""What a preview says of its fields, and three masked records: the form of what would leave, not whose it is.

    profile = profile_field(column)                        # how many values it has, and who is alone with one
    samples = draw_samples(outgoing.columns, preview.digest)

Everything a sample shows of the values of one contact fits at least ``CROWD`` of the contacts that are sent, all of
it together: a value that fewer have in common is shown in a coarser form, and where none is coarse enough, not at all.
That holds for the sample as a whole, because three harmless values side by side can point at one person. A whole day,
an e-mail address, a telephone number and a link are never shown, however many share them. Only whether a value is
there is always said: it is the form that a reader came for.

Which contacts are taken follows from the preview's digest, so that two operators who look at the same preview see the
same samples, and nobody chooses them. Samples are made for a person's eyes: nothing here writes them anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from mutuals.canonical import canonical_json
from mutuals.models.agreement import SharedField
from mutuals.runs.record_columns import WrittenColumn, refusal
from mutuals.runs.transforms import Column, Value, column_of

CROWD = 5
"""So many contacts must fit what is shown of one of them."""

SAMPLES = 3

_LONGEST_SHOWN = 40
_DOTS = "••••"
_MEMBER = "member"

# A text with one of these is nobody's category: it reaches, or names, one person.
_IDENTIFYING = r"@|://|\d(?:[\s()/.\-]*\d){5,}"
_LONG_NUMBER = 7

Standing = Literal["whole", "part", "masked", "empty", "withheld"]


@dataclass(frozen=True)
class FieldProfile:
    """Of one field, over all contacts that are sent: ``distinct`` values; ``alone``, the contacts that are the only one
    with their value; ``few``, those whose value fewer than ``CROWD`` share; ``identifying``, the texts that look like
    an e-mail address, a telephone number or a link.
    """

    distinct: int
    alone: int
    few: int
    identifying: int


@dataclass(frozen=True)
class MaskedValue:
    """What a sample shows of one field: ``text`` for people; why a value is ``withheld``, in ``text``."""

    standing: Standing
    text: str = field(repr=False)


@dataclass(frozen=True)
class _Level:
    """One way to show a value, and which members (of the column ``_MEMBER``) it would show alike."""

    text: str
    alike: pl.Expr
    standing: Standing


def profile_field(column: WrittenColumn) -> FieldProfile:
    """How the values of a field are spread over the contacts."""
    shared = column.shared
    values = column.members.drop_nulls()
    sizes = values.value_counts(name="contacts")["contacts"]
    identifying = 0
    if column_of(shared) is Column.TEXT and shared.transform in {"none", "lower"}:
        # Only the value may count, not the field's name.
        written = values.str.slice(len(_opening(shared)))
        identifying = int(written.str.contains(_IDENTIFYING).sum())
    return FieldProfile(
        distinct=len(sizes),
        alone=int((sizes == 1).sum()),
        few=int(sizes.filter(sizes < CROWD).sum()),
        identifying=identifying,
    )


def draw_samples(
    columns: Sequence[WrittenColumn], digest: bytes, *, crowd: int = CROWD
) -> tuple[tuple[MaskedValue, ...], ...]:
    """At most ``SAMPLES`` contacts, each with what may be shown of it in every one of ``columns``, in their order.

    ``digest`` (32 bytes) is the preview's. Each sample begins with another field, since what the first fields show
    leaves less room for the last.
    """
    contacts = len(columns[0].members) if columns else 0
    samples = []
    for number, contact in enumerate(_chosen(contacts, digest)):
        start = number * len(columns) // SAMPLES
        order = [*range(start, len(columns)), *range(start)]
        shown = dict(zip(order, _masked([columns[i] for i in order], contact, crowd), strict=True))
        samples.append(tuple(shown[i] for i in range(len(columns))))
    return tuple(samples)


def _chosen(contacts: int, digest: bytes) -> list[int]:
    chosen: list[int] = []
    for number in range(min(SAMPLES, contacts)):
        at = int.from_bytes(digest[8 * number : 8 * number + 8], "big") % contacts
        while at in chosen:
            at = (at + 1) % contacts
        chosen.append(at)
    return chosen


def _masked(columns: Sequence[WrittenColumn], contact: int, crowd: int) -> Iterator[MaskedValue]:
    """What may be shown of one contact, field by field, the first fields before the others."""
    fitting = pl.Series("fitting", [True], dtype=pl.Boolean()).new_from_index(0, len(columns[0].members))
    for column in columns:
        member = column.members[contact]
        if member is None:
            reason = refusal(column.shared, column.cells[contact])
            yield MaskedValue("withheld", reason) if reason else MaskedValue("empty", "")
            continue
        *levels, nothing = _levels(column.shared, member)
        for level in levels:
            alike = column.members.alias(_MEMBER).to_frame().select(level.alike.fill_null(value=False))
            together = fitting & alike.to_series()
            if together.sum() >= crowd:
                fitting = together
                yield MaskedValue(level.standing, level.text)
                break
        else:
            yield MaskedValue("masked", nothing.text)


def _levels(shared: SharedField, member: str) -> list[_Level]:
    """The ways to show a value, from the whole to nothing of it."""
    value: Value = json.loads(f"{{{member}}}")[shared.name]
    whole = _Level(_words(value), pl.col(_MEMBER) == member, "whole")
    match shared.transform.partition(":")[0], shared.type:
        case ("year", _):
            return [whole, _nothing(_DOTS)]
        case ("month", _):
            return [whole, _prefix(shared, str(value)[:5], "••"), _nothing("••••-••")]
        case ("band", _) | ("none", "boolean"):
            return [whole, _nothing("••")]
        case ("first_letter", _):
            return [whole, _nothing("•")]
        case (_, "date"):
            return [_prefix(shared, str(value)[:5], "••-••"), _nothing("••••-••-••")]
        case (_, "integer" | "decimal"):
            return _number_levels(shared, str(value), whole)
        case _:
            return _text_levels(shared, str(value), whole)


def _text_levels(shared: SharedField, text: str, whole: _Level) -> list[_Level]:
    if re.search(_IDENTIFYING, text):
        return [_nothing(_DOTS)]
    levels = [whole] if len(text) <= _LONGEST_SHOWN else []
    levels += [_prefix(shared, text[:size], _DOTS) for size in (2, 1) if len(text) > size]
    return [*levels, _nothing(_DOTS)]


def _number_levels(shared: SharedField, number: str, whole: _Level) -> list[_Level]:
    size = len(number.lstrip("-").partition(".")[0])
    quote = '"' if column_of(shared) is Column.DECIMAL else ""
    pattern = f"^{re.escape(_opening(shared))}{quote}-?[0-9]{{{size}}}(\\.[0-9]+)?{quote}$"
    digits = _Level(
        "1 digit" if size == 1 else f"{size} digits", pl.col(_MEMBER).str.contains(pattern), "part"
    )
    return [*([whole] if size < _LONG_NUMBER else []), digits, _nothing("digits")]


def _prefix(shared: SharedField, beginning: str, rest: str) -> _Level:
    # Each character has one way to be written, so that what begins alike is written alike at its beginning.
    written = canonical_json({shared.name: beginning})[1:-2].decode()
    return _Level(beginning + rest, pl.col(_MEMBER).str.starts_with(written), "part")


def _nothing(text: str) -> _Level:
    return _Level(text, pl.lit(value=True), "masked")


def _opening(shared: SharedField) -> str:
    """What stands before the value in every member of this field."""
    return canonical_json({shared.name: 0})[1:-2].decode()


def _words(value: Value) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
