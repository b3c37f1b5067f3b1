"""About how many mobile numbers a country has: what somebody would have to try who guesses them all."""

from __future__ import annotations

import random
import re
from functools import lru_cache

import phonenumbers

from mutuals.normalisation.phone import checked_country

_PREFIX_DIGITS = 3
_TRIES = 20


@lru_cache(maxsize=64)
def mobile_numbers(country: str) -> int:
    """The mobile numbers that the numbering plan of ``country`` (ISO 3166) allows, assigned or not; ±5 %.

    Counted over the metadata of ``phonenumbers``: for each length and each beginning of three digits a fixed sample
    of numbers is tried. 0 where the plan does not tell mobile numbers from others. Raises MutualsError (USAGE) for an
    unknown country.
    """
    region = checked_country(country) or country
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.mobile is None or not metadata.mobile.national_number_pattern:
        return 0
    pattern = re.compile(metadata.mobile.national_number_pattern)
    dice = random.Random(0)  # noqa: S311 - a sample that is the same every time
    total = 0.0
    for length in metadata.mobile.possible_length:
        rest_digits = length - _PREFIX_DIGITS
        if rest_digits < 1:
            continue
        rest = 10**rest_digits
        for prefix in range(10**_PREFIX_DIGITS):
            tries = (
                f"{prefix:0{_PREFIX_DIGITS}d}{dice.randrange(rest):0{rest_digits}d}" for _ in range(_TRIES)
            )
            total += rest * sum(pattern.fullmatch(number) is not None for number in tries) / _TRIES
    return _two_digits(total)


def _two_digits(number: float) -> int:
    whole = round(number)
    step = 10 ** max(0, len(str(whole)) - 2)
    return int(round(whole / step) * step)
