"""The vectorised path and the library decide alike; normalising twice changes nothing."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.normalisation import PROFILES, Profile, get_profile
from mutuals.normalisation import email as email_module

STRICT = get_profile("strict-v1")
LOCAL = st.text("abXY09._-+'!%@ \"ÄéK", min_size=0, max_size=12)
LABEL = st.text("abZ09-_", min_size=0, max_size=8) | st.sampled_from(
    ["x" * 63, "x" * 64, "xn--bcher-kva", "bücher", "gmail", "ab--cd", "ẞ", "ｆｕｌｌ", "K"]
)
TLD = st.sampled_from(
    ["com", "de", "COM", "c", "c0", "1", "test", "local", "LocalHost", "xn--p1ai", "рф", "latest", ""]
)
ADDRESS = st.builds(
    lambda local, labels, tld: f"{local}@{'.'.join([*labels, tld])}", LOCAL, st.lists(LABEL, max_size=4), TLD
)
LONG = st.builds(lambda n, m: "a" * n + "@" + "b." * m + "com", st.integers(1, 260), st.integers(1, 130))


def by_the_library_alone(texts: list[str]) -> list[tuple[str | None, str | None]]:
    trimmed = [text.strip(STRICT.rules.trimmed) for text in texts]
    return [email_module.validated_email(text, STRICT.rules.email) for text in trimmed]


@settings(max_examples=60, deadline=None)
@given(st.lists(ADDRESS | LONG | st.emails(), min_size=1, max_size=40))
def test_fast_path_and_library_agree(texts: list[str]) -> None:
    done = STRICT.examine_emails(pl.Series(texts))
    assert list(zip(done.values, done.reasons, strict=True)) == by_the_library_alone(texts)


def test_the_fast_path_is_taken() -> None:
    plain = pl.Series(["jane.doe+x@mail.example.com", "O'Neil@EXAMPLE.co"])
    assert plain.str.contains(email_module.PLAIN_ADDRESS).all()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(ADDRESS | st.emails() | st.text(max_size=20), min_size=1, max_size=20))
def test_a_normalised_address_normalises_to_itself(profile: Profile, texts: list[str]) -> None:
    once = profile.normalise_emails(pl.Series(texts)).drop_nulls()
    assert profile.normalise_emails(once).to_list() == once.to_list()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text("+0123456789 ()-/.x#;٣３", max_size=22), min_size=1, max_size=20),
    country=st.sampled_from([None, "DE", "IT", "US", "SG", "AR", "MX"]),
)
def test_a_normalised_number_is_e164_and_normalises_to_itself(
    profile: Profile, texts: list[str], country: str | None
) -> None:
    once = profile.normalise_phones(pl.Series(texts), country).drop_nulls()
    assert once.str.contains(r"^\+[1-9][0-9]{1,14}$").all()
    assert profile.normalise_phones(once, None).to_list() == once.to_list()
