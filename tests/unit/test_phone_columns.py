"""What is answered a column at a time is what `phonenumbers` answers, value and reason; and most is."""

from __future__ import annotations

import random
from functools import cache

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from mutuals.normalisation import PROFILES, Profile, get_profile
from mutuals.normalisation.phone import normalised_phone
from mutuals.normalisation.phone_columns import phones_by_column
from mutuals.normalisation.phone_plans import home_plan, region_tests
from mutuals.normalisation.result import Outcome

FORMATS = (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
# One of each kind: plain 0, Italian zero, no prefix, carrier codes, rewritten prefixes, shared codes with and without
# leading digits, several international prefixes.
HOMES = [
    "DE",
    "IT",
    "ES",
    "BR",
    "AR",
    "MX",
    "SM",
    "LI",
    "US",
    "CA",
    "JM",
    "GB",
    "IM",
    "RU",
    "KZ",
    "NO",
    "AU",
    "FI",
]
TWO = [get_profile("uid2-v1"), get_profile("strict-v1")]


@cache
def examples() -> list[str]:
    """Numbers of every region and kind, in three spellings."""
    numbers = [phonenumbers.example_number_for_type(region, kind) for region in REGIONS for kind in range(11)]
    numbers += [
        phonenumbers.example_number_for_non_geo_entity(code)
        for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    ]
    return [
        phonenumbers.format_number(number, form)
        for number in numbers
        if number is not None
        for form in FORMATS
    ]


@cache
def at_home(region: str) -> list[str]:
    """Numbers of ``region``, in three spellings."""
    numbers = [phonenumbers.example_number_for_type(region, kind) for kind in range(11)]
    return [phonenumbers.format_number(number, form) for number in numbers if number for form in FORMATS]


def mutated(text: str, dice: random.Random) -> str:
    """``text`` as people spoil it, or rewrite it."""
    place = dice.randrange(len(text) + 1)
    return dice.choice(
        [
            text,
            "".join(
                dice.choice("0123456789") if char.isdigit() and dice.random() < 0.3 else char for char in text
            ),
            text[:place] + dice.choice("0123456789 ()-./+x,#~;*\u2013\u00a0٣") + text[place:],
            text[:place] + text[place + 1 :],
            text.replace(" ", " (0)", 1),
            "00" + text.lstrip("+"),
            "011" + text.lstrip("+"),
            text.lstrip("+"),
            f"({text[:3]}){text[3:]}",
            f"+{dice.randrange(10 ** dice.randrange(1, 18))}",
        ]
    )


def assert_the_library_agrees(texts: list[str], country: str | None, profile: Profile) -> int:
    """How many were answered without it."""
    rules = profile.rules.phone
    answers = phones_by_column(pl.Series(texts, dtype=pl.String), country, rules, few=0)
    assert answers["row"].n_unique() == len(answers)
    plus = "+" if rules.form == "E.164 with +" else ""
    found: dict[str, Outcome] = {
        texts[row]: (None if digits is None else plus + digits, reason)
        for row, digits, reason in answers.iter_rows()
    }
    assert found == {text: normalised_phone(text, country, rules) for text in found}
    return len(answers)


@pytest.mark.parametrize("profile", TWO, ids=lambda profile: profile.name)
def test_numbers_of_every_region_and_kind(profile: Profile) -> None:
    dice = random.Random(1)
    texts = [mutated(text, dice).strip() for text in dice.sample(examples(), 500)]
    assert assert_the_library_agrees(texts, dice.choice([None, *HOMES]), profile) > len(texts) // 2


@pytest.mark.parametrize("country", HOMES)
def test_numbers_under_their_own_country(country: str) -> None:
    dice = random.Random(2)
    texts = [mutated(dice.choice(at_home(country)), dice).strip() for _ in range(50)]
    assert_the_library_agrees(texts, country, get_profile("strict-v1"))


@pytest.mark.parametrize("profile", TWO, ids=lambda profile: profile.name)
@settings(max_examples=8, deadline=None)
@given(
    texts=st.lists(st.text("+00112345678999 ()-/.x#", min_size=5, max_size=22), min_size=5, max_size=60),
    country=st.sampled_from([None, *HOMES]),
)
def test_any_text_of_such_characters(profile: Profile, texts: list[str], country: str | None) -> None:
    assert_the_library_agrees([text.strip() for text in texts], country, profile)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+49 (0)30 901820", None),
        ("(+49) 30-901820", None),
        ("+44 (0)20 7946 0958", "US"),
        ("+1 (650) 555-1212", None),
        ("1-650-555-1212", "US"),
        ("650.555.1212", "US"),
        ("416 555 0134", "CA"),
        ("030/901820", "DE"),
        ("4930901820", "DE"),
        ("0049 30 901820", "DE"),
        ("06 12345678", "IT"),
        ("+7 912 345\u201167\u201189", None),
        ("030 901820", None),
    ],
)
def test_the_common_spellings_are_answered_here(text: str, country: str | None) -> None:
    for profile in TWO:
        assert assert_the_library_agrees([text], country, profile) == 1


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_long_columns_come_back_in_their_order(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mutuals.normalisation.result.PIECE", 70)
    some = ["+49 30 901820", "+1 650 555 1212 ext. 5", None, "030 901820", "call me", "+1 650 555 1212"]
    texts = [*some * 40, *[f"+49 30 9018{number:03d}" for number in range(150)]]
    done = profile.examine_phones(pl.Series(texts), "DE")
    alone = [normalised_phone(text or "", "DE", profile.rules.phone) for text in texts]
    assert list(zip(done.values, done.reasons, strict=True)) == alone


def test_the_metadata_is_of_the_kind_that_was_reasoned_about() -> None:
    assert not any(home_plan(region).unclear for region in REGIONS)
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        assert len(region_tests(code)) == len(regions)
