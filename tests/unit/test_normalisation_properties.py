"""The vectorised path and the library decide alike; normalising twice changes nothing."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.normalisation import PROFILES, Profile, get_profile
from mutuals.normalisation import email as email_module

STRICT = get_profile("strict-v1")
# One odd part at a time, so that it decides; an address with several faults is refused either way.
SOUND_LOCAL = st.sampled_from(["jane", "Jane.Doe", "o'neil", "a+b", "x_y-z", "1"])
ODD_LOCAL = st.text("abXY09._-+'!%@ \"ÄéK", max_size=12)
SOUND_LABEL = st.sampled_from(["example", "gmail", "Mail-1", "b", "9", "x" * 63])
ODD_LABEL = st.text("abZ09-_", max_size=8) | st.sampled_from(
    [
        "x" * 64,
        "xn--bcher-kva",
        "xn--a",
        "XN--ZZ",
        "bücher",
        "ab--cd",
        "a--b",
        "ẞ",
        "ｆｕｌｌ",
        "K",
        "-a",
        "a-",
        "test",
    ]
)
SOUND_TLD = st.sampled_from(["com", "de", "COM", "latest"])
ODD_TLD = st.sampled_from(
    ["c", "c0", "0c", "1", "test", "local", "LocalHost", "arpa", "xn--p1ai", "рф", "", "a-b"]
)
SOUND_LABELS = st.lists(SOUND_LABEL, min_size=1, max_size=3)


def address(local: str, labels: list[str], tld: str) -> str:
    return f"{local}@{'.'.join([*labels, tld])}"


ADDRESS = st.one_of(
    st.builds(address, SOUND_LOCAL, SOUND_LABELS, SOUND_TLD),
    st.builds(address, ODD_LOCAL, SOUND_LABELS, SOUND_TLD),
    st.builds(address, SOUND_LOCAL, st.lists(ODD_LABEL, max_size=2), SOUND_TLD),
    st.builds(address, SOUND_LOCAL, SOUND_LABELS, ODD_TLD),
)
LONG = st.builds(lambda n, m: "a" * n + "@" + "b." * m + "com", st.integers(1, 260), st.integers(1, 130))


def by_the_library_alone(texts: list[str]) -> list[tuple[str | None, str | None]]:
    trimmed = [text.strip(STRICT.rules.trimmed) for text in texts]
    return [email_module.validated_email(text, STRICT.rules.email) for text in trimmed]


@settings(max_examples=30, deadline=None)
@given(st.lists(ADDRESS | LONG | st.emails(), min_size=15, max_size=40))
def test_fast_path_and_library_agree(texts: list[str]) -> None:
    done = STRICT.examine_emails(pl.Series(texts))
    assert list(zip(done.values, done.reasons, strict=True)) == by_the_library_alone(texts)


def test_the_fast_path_is_taken() -> None:
    plain = pl.Series(["jane.doe+x@mail.example.com", "O'Neil@EXAMPLE.co"])
    assert plain.str.contains(email_module.PLAIN_ADDRESS).all()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@settings(max_examples=15, deadline=None)
@given(texts=st.lists(ADDRESS | st.emails() | st.text(max_size=20), min_size=1, max_size=20))
def test_a_normalised_address_normalises_to_itself(profile: Profile, texts: list[str]) -> None:
    once = profile.normalise_emails(pl.Series(texts)).drop_nulls()
    assert profile.normalise_emails(once).to_list() == once.to_list()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@settings(max_examples=15, deadline=None)
@given(
    texts=st.lists(st.text("+0123456789 ()-/.x#;٣３", max_size=22), min_size=1, max_size=20),
    country=st.sampled_from([None, "DE", "IT", "US", "SG", "AR", "MX"]),
)
def test_a_normalised_number_is_e164_and_normalises_to_itself(
    profile: Profile, texts: list[str], country: str | None
) -> None:
    once = profile.normalise_phones(pl.Series(texts), country).drop_nulls()
    if profile.rules.phone.form == "E.164 without +":
        once = "+" + once
    assert once.str.contains(r"^\+[1-9][0-9]{1,14}$").all()
    if profile.rules.phone.form == "E.164 without +":
        assert ("+" + profile.normalise_phones(once, None)).to_list() == once.to_list()
        return
    assert profile.normalise_phones(once, None).to_list() == once.to_list()
