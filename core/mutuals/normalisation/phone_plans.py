"""The numbering plans of `phonenumbers` in the form in which polars can apply them to a whole column.

Nothing here is written by hand: every prefix, length and pattern is the library's own metadata. Its patterns use
digits, classes, groups and repetition alone, on which Python's and Rust's engines agree; ``(?-u)`` makes ``\\d`` ASCII,
and everything they see is ASCII digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberDesc

_NEVER = r"[^\s\S]"
_ATOM = re.compile(r"\\d|\[[^\]]*\]|\{[^}]*\}|\d")
_LONGEST = 20
_PREFIX_DIGITS = 3


@dataclass(frozen=True)
class Described:
    """National numbers that match ``pattern`` from end to end; and have one of ``lengths``, where that says more."""

    pattern: str
    lengths: tuple[int, ...] | None


@dataclass(frozen=True)
class RegionTest:
    """Which national numbers are valid in a region: those in ``general`` that are also in one of ``kinds``.

    Among regions that share a country code, one with ``leading`` digits alone decides what begins with them.
    """

    leading: str | None
    general: Described
    kinds: tuple[Described, ...]


@dataclass(frozen=True)
class Plan:
    """How numbers are dialled in a region.

    ``national_prefix`` and ``international_prefix`` match at the beginning of the digits and capture what they match;
    None where there is none. Where the national one ``rewrites``, removing it is not all that the library does, and
    where it is ``unclear`` not even what happens to a number without it is known. ``viable`` is the general pattern.
    ``possible`` and ``local_only`` are lengths of national numbers.
    """

    country_code: int
    national_prefix: str | None
    rewrites: bool
    unclear: bool
    international_prefix: str | None
    viable: str
    possible: tuple[int, ...]
    local_only: tuple[int, ...]

    @property
    def usable_lengths(self) -> tuple[int, ...]:
        """The lengths that are possible from abroad."""
        return tuple(length for length in self.possible if length not in self.local_only)


@cache
def code_of_prefix() -> tuple[int, ...]:
    """The country code with which each beginning of three digits starts, 0 where there is none: 1000 of them."""
    found = []
    for digits in (f"{number:0{_PREFIX_DIGITS}d}" for number in range(10**_PREFIX_DIGITS)):
        beginnings = [digits[:length] for length in range(1, _PREFIX_DIGITS + 1)]
        codes = [int(text) for text in beginnings if digits[0] != "0"]
        found.append(next((code for code in codes if code in COUNTRY_CODE_TO_REGION_CODE), 0))
    return tuple(found)


def main_plan(country_code: int) -> Plan:
    """The plan by which the library reads a number with this country code: that of its first region."""
    return plan(country_code, COUNTRY_CODE_TO_REGION_CODE[country_code][0])


def home_plan(region: str) -> Plan:
    """The plan for numbers written without a country code in ``region`` (ISO 3166, supported)."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.country_code is None:
        raise LookupError(region)
    return plan(metadata.country_code, region)


@cache
def plan(country_code: int, region: str) -> Plan:
    """The plan of ``region`` (ISO 3166, or ``001`` for a code that belongs to no country)."""
    metadata = _metadata(country_code, region)
    prefix = metadata.national_prefix_for_parsing or None
    # Where the prefix matches without consuming anything and without any group, the library changes nothing.
    empty = re.match(prefix, "") if prefix else None
    general = _general(metadata)
    return Plan(
        country_code=country_code,
        national_prefix=_beginning(prefix),
        rewrites=prefix is not None
        and (re.compile(prefix).groups > 0 or bool(metadata.national_prefix_transform_rule)),
        unclear=empty is not None and any(group is not None for group in empty.groups()),
        international_prefix=_beginning(metadata.international_prefix),
        viable=_whole([general.national_number_pattern or _NEVER]),
        possible=tuple(general.possible_length),
        local_only=tuple(general.possible_length_local_only),
    )


@cache
def region_tests(country_code: int) -> tuple[RegionTest, ...]:
    """What the library asks, in this order, to find out whether a number with this country code is valid."""
    regions = COUNTRY_CODE_TO_REGION_CODE[country_code]
    alone = len(regions) == 1
    return tuple(_region_test(_metadata(country_code, region), alone) for region in regions)


def _region_test(metadata: PhoneMetadata, alone: bool) -> RegionTest:
    leading = None if alone else metadata.leading_digits
    described = [
        metadata.premium_rate,
        metadata.toll_free,
        metadata.shared_cost,
        metadata.voip,
        metadata.personal_number,
        metadata.pager,
        metadata.uan,
        metadata.voicemail,
        metadata.fixed_line,
    ]
    if not metadata.same_mobile_and_fixed_line_pattern:
        described.append(metadata.mobile)
    general = _general(metadata)
    return RegionTest(
        leading=f"(?-u)^(?:{leading})" if leading is not None else None,
        general=Described(_whole([general.national_number_pattern or _NEVER]), _deciding_lengths(general)),
        kinds=_described(kind for kind in described if kind is not None),
    )


def _described(kinds: Iterable[PhoneNumberDesc]) -> tuple[Described, ...]:
    """One pattern for all kinds with the same deciding lengths: mostly one in all."""
    patterns: dict[tuple[int, ...] | None, list[str]] = {}
    for kind in kinds:
        if kind.national_number_pattern:
            patterns.setdefault(_deciding_lengths(kind), []).append(kind.national_number_pattern)
    return tuple(Described(_whole(some), lengths) for lengths, some in patterns.items())


def _deciding_lengths(described: PhoneNumberDesc) -> tuple[int, ...] | None:
    """The lengths that are asked for beside the pattern; None where the pattern has no others anyway."""
    lengths = tuple(described.possible_length)
    if not lengths or _lengths_of(described.national_number_pattern or _NEVER) <= set(lengths):
        return None
    return lengths


def _lengths_of(pattern: str) -> set[int]:
    """The lengths of what matches ``pattern``: with every atom replaced by the same letter, length is all it asks."""
    if pattern == _NEVER:
        return set()
    shape = re.compile(_ATOM.sub(lambda atom: atom[0] if atom[0].startswith("{") else "x", pattern))
    return {length for length in range(_LONGEST) if shape.fullmatch("x" * length)}


def _metadata(country_code: int, region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    if metadata is None:
        raise LookupError(region)
    return metadata


def _general(metadata: PhoneMetadata) -> PhoneNumberDesc:
    if metadata.general_desc is None:
        raise LookupError(metadata.id)
    return metadata.general_desc


def _beginning(pattern: str | None) -> str | None:
    return f"(?-u)^({pattern})" if pattern else None


def _whole(patterns: list[str]) -> str:
    return f"(?-u)^(?:{'|'.join(patterns)})$"
