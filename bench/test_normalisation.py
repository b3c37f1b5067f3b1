"""Normalising numbers: `phonenumbers` alone, one thread, against a column at a time: ``make bench``.

The ratio of the two medians is the promise that a source is checked faster than its numbers could be parsed.
"""

from __future__ import annotations

import random

import phonenumbers
import polars as pl
import pytest
from phonenumbers import PhoneNumberFormat
from pytest_benchmark.fixture import BenchmarkFixture

from mutuals.normalisation import Profile, get_profile

NUMBERS = 50_000
SHARES = {
    "DE": 30,
    "US": 25,
    "GB": 15,
    "FR": 8,
    "NL": 5,
    "CA": 4,
    "IT": 4,
    "ES": 3,
    "CH": 2,
    "AT": 2,
    "PL": 1,
    "SE": 1,
}


def exported(count: int) -> list[str]:
    """Numbers as a company in Germany has them in its CRM: 2 in 100 with an extension."""
    dice = random.Random(5)
    examples = {
        region: [
            phonenumbers.national_significant_number(number)
            for number in (phonenumbers.example_number_for_type(region, kind) for kind in range(3))
            if number is not None
        ]
        for region in SHARES
    }
    regions = dice.choices(list(SHARES), list(SHARES.values()), k=count)
    return [
        _written(region, dice.choice(examples[region])[:-6] + f"{dice.randrange(10**6):06d}", dice)
        for region in regions
    ]


def _written(region: str, national: str, dice: random.Random) -> str:
    number = phonenumbers.parse(f"+{phonenumbers.country_code_for_region(region)}{national}")
    plain = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    spaced = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    at_home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    kind = dice.random()
    if kind < 0.3:
        return plain
    if kind < 0.55:
        return spaced
    if kind < 0.65 and region in ("DE", "GB"):
        return spaced.replace(" ", " (0)", 1)
    if kind < 0.7:
        return f"00{plain[1:]}"
    if kind < 0.72:
        return f"{spaced} ext. 12"
    return at_home if region == "DE" else spaced.replace(" ", "-")


@pytest.fixture(scope="module")
def written() -> list[str]:
    """The same numbers for all."""
    return exported(NUMBERS)


@pytest.mark.parametrize("profile", ["uid2-v1", "strict-v1"])
def test_our_normalisation(benchmark: BenchmarkFixture, written: list[str], profile: str) -> None:
    """A series of NUMBERS texts, in this process alone."""
    done = benchmark(get_profile(profile).normalise_phones, pl.Series(written), "DE")
    assert len(done) - done.null_count() > 0.95 * NUMBERS


@pytest.mark.parametrize("profile", ["uid2-v1", "strict-v1"])
def test_phonenumbers_alone(benchmark: BenchmarkFixture, written: list[str], profile: str) -> None:
    """Parse, judge and write each of them, which is what the profile asks for."""
    done = benchmark.pedantic(_alone, (written, get_profile(profile)), rounds=1)
    ours = get_profile(profile).normalise_phones(pl.Series(written), "DE").to_list()
    assert [own for own, theirs in zip(ours, done, strict=True) if own is not None and own != theirs] == []


def _alone(texts: list[str], profile: Profile) -> list[str | None]:
    accepts = (
        phonenumbers.is_valid_number
        if profile.rules.phone.international == "valid"
        else phonenumbers.is_possible_number
    )
    done: list[str | None] = []
    for text in texts:
        number = phonenumbers.parse(text, "DE")
        done.append(phonenumbers.format_number(number, PhoneNumberFormat.E164) if accepts(number) else None)
    return done
