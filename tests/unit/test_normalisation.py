"""Normalisation profiles: published vectors, known traps, reasons, digests."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals.normalisation import PROFILES, Profile, get_profile
from mutuals.normalisation import profile as profile_module

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "normalisation.json").read_text(encoding="utf-8")
)
UID2 = get_profile("uid2-v1")
STRICT = get_profile("strict-v1")
GOOGLE = get_profile("google-v1")
META = get_profile("meta-v1")


def email(profile: Profile, text: str) -> tuple[str | None, str | None]:
    done = profile.examine_emails(pl.Series([text]))
    return done.values[0], done.reasons[0]


def phone(profile: Profile, text: str, country: str | None = None) -> tuple[str | None, str | None]:
    done = profile.examine_phones(pl.Series([text]), country)
    return done.values[0], done.reasons[0]


def published(case: dict[str, str]) -> str:
    return f"{case['profile']} {case['input']}"


@pytest.mark.parametrize("case", VECTORS["cases"], ids=published)
def test_a_profile_gives_what_its_platform_publishes(case: dict[str, str]) -> None:
    profile = get_profile(f"{case['profile']}-v1")
    text, _, country = case["input"].partition(" (default country ")
    if case["type"] == "email":
        value, _ = email(profile, text)
    else:
        value, _ = phone(profile, text, country.rstrip(")") or None)
    assert value == case["normalised"]
    hashed = hashlib.sha256(case["normalised"].encode()).digest()
    assert hashed.hex() == case["sha256"]
    assert base64.b64decode(base64.b64encode(hashed)) == hashed


@pytest.mark.parametrize(
    ("text", "google", "meta"),
    [
        ("Jane.Doe+x@gmail.com", "janedoe@gmail.com", "jane.doe+x@gmail.com"),
        ("Jane.Doe+x@GoogleMail.com", "janedoe@googlemail.com", "jane.doe+x@googlemail.com"),
        ("jane.doe+x@example.com", "jane.doe+x@example.com", "jane.doe+x@example.com"),
        ("jane doe @ example. com", "janedoe@example.com", None),
        ("jane\u200b.doe\u00a0@b\u00fccher.example", "jane.doe@xn--bcher-kva.example", None),
        ("+x @googlemail.com", None, None),
        (" ", None, None),
    ],
)
def test_google_and_meta_differ_about_gmail_and_white_space(
    text: str, google: str | None, meta: str | None
) -> None:
    assert email(GOOGLE, text)[0] == google
    assert email(META, text)[0] == meta


@pytest.mark.parametrize(
    ("text", "country", "value"),
    [
        ("+49 (0)30 901820", None, "4930901820"),
        ("0049 30 901820", "DE", "4930901820"),
        ("06 12345678", "IT", "390612345678"),
        ("030 901820", None, None),
    ],
)
def test_meta_writes_a_number_as_its_digits(text: str, country: str | None, value: str | None) -> None:
    assert phone(META, text, country)[0] == value
    assert phone(GOOGLE, text, country)[0] == (value and "+" + value)


@pytest.mark.parametrize(
    ("text", "uid2", "strict"),
    [
        ("  Jane.Doe@Example.COM\u00a0", "jane.doe@example.com", "jane.doe@example.com"),
        ("J.A.N.E+x+y@GMAIL.com", "jane@gmail.com", "j.a.n.e+x+y@gmail.com"),
        ("jane.doe+x@googlemail.com", "jane.doe+x@googlemail.com", "jane.doe+x@googlemail.com"),
        ("jane+x@mail.gmail.com", "jane+x@mail.gmail.com", "jane+x@mail.gmail.com"),
        ("jane@Bücher.example", "jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"),
        ("jane@XN--BCHER-KVA.example", "jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"),
        ("JÖRG@example.com", "jörg@example.com", "jörg@example.com"),
        ("JO\u0308RG@example.com", "jörg@example.com", "jörg@example.com"),
        ("a.b+c@ｇｍａｉｌ.com", "ab@gmail.com", "a.b+c@gmail.com"),
        ("o'neil_x-y/z@example.com", "o'neil_x-y/z@example.com", "o'neil_x-y/z@example.com"),
        ("INFO@example.com", "info@example.com", "info@example.com"),
        ("\u202ajane@example.com\u202c", "jane@example.com", "jane@example.com"),
    ],
)
def test_an_address_becomes(text: str, uid2: str, strict: str) -> None:
    assert email(UID2, text) == (uid2, None)
    assert email(STRICT, text) == (strict, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("jane", "not_valid"),
        ("jane@example", "not_valid"),
        ("@example.com", "not_valid"),
        ("jane@@example.com", "not_valid"),
        ("jane@doe@example.com", "not_valid"),
        ("jane..doe@example.com", "not_valid"),
        (".jane@example.com", "not_valid"),
        ("jane\u00b7doe @ex_ample.com", "not_valid"),
        ("Jane <jane@example.com>", "not_valid"),
        ('"jane"@example.com', "not_valid"),
        ("jane@[192.0.2.1]", "not_valid"),
        ("jane@-example.com", "not_valid"),
        ("jane@ex_ample.com", "not_valid"),
        ("jane@ab--cd.example.com", "not_valid"),
        ("jane@xn--a.example.com", "not_valid"),
        ("jane@example.c0m1", "not_valid"),
        ("jane@corp.local", "reserved_domain"),
        ("jane@CORP.TEST", "reserved_domain"),
        ("x" * 300 + "@example.com", "not_valid"),
        ("x" * 100_000, "not_valid"),
        ("jane@" + "a." * 50_000 + "com", "not_valid"),
    ],
)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_an_address_is_refused_with_its_reason(profile: Profile, text: str, reason: str) -> None:
    assert email(profile, text) == (None, reason)


@pytest.mark.parametrize("text", ["+tag@gmail.com", "+@gmail.com", "+a.b@gmail.com"])
def test_a_gmail_address_of_nothing_but_a_tag_names_nobody(text: str) -> None:
    assert email(UID2, text) == (None, "not_valid")


@pytest.mark.parametrize(
    "text", ["jane@exampleatest.com", "jane@latest.dev", "jane@mylocal.org", "jane@test.org"]
)
def test_a_domain_that_only_resembles_a_reserved_one_passes(text: str) -> None:
    assert email(UID2, text) == (text, None)


@pytest.mark.parametrize(
    ("text", "country", "value"),
    [
        ("06 12345678", "IT", "+390612345678"),
        ("+39 06 12345678", None, "+390612345678"),
        ("0039 06 12345678", "DE", "+390612345678"),
        ("+49 (0)30 901820", None, "+4930901820"),
        ("030 / 90 18 20", "de", "+4930901820"),
        ("\u202a+49 30 901820\u202c", None, "+4930901820"),
        ("011 49 30 901820", "US", "+4930901820"),
        ("16505551212", "US", "+16505551212"),
        ("tel:+1-650-555-1212", None, "+16505551212"),
        ("０３０９０１８２０", "DE", "+4930901820"),
    ],
)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_number_becomes(profile: Profile, text: str, country: str | None, value: str) -> None:
    plus = profile.rules.phone.form == "E.164 with +"
    assert phone(profile, text, country) == (value if plus else value[1:], None)


@pytest.mark.parametrize(
    ("text", "country", "reason"),
    [
        ("", None, "empty"),
        ("call me", "DE", "not_a_number"),
        ("030 901820", None, "no_country_code"),
        ("0049 30 901820", None, "no_country_code"),
        ("+999 30 901820", None, "unknown_country_code"),
        ("+1 650 555 1212 ext. 5", None, "has_extension"),
        ("1", "DE", "not_a_number"),
        ("+49 1", None, "wrong_length"),
        ("+1 555 1212", None, "wrong_length"),
        ("65 1243 5678", "SG", "not_valid"),
        ("9" * 300, "DE", "wrong_length"),
    ],
)
def test_a_number_is_refused_with_its_reason(text: str, country: str | None, reason: str) -> None:
    assert phone(UID2, text, country) == (None, reason)


def test_a_country_code_without_plus_is_not_read_as_a_number_of_the_default_country() -> None:
    for profile in PROFILES.values():
        assert phone(profile, "65 1243 5678", "SG")[0] is None


def test_strict_wants_assigned_numbers_where_uid2_takes_possible_ones() -> None:
    assert phone(UID2, "+1 100 555 1212") == ("+11005551212", None)
    assert phone(STRICT, "+1 100 555 1212") == (None, "not_valid")


def test_output_is_as_long_as_input_and_null_where_refused() -> None:
    raw = pl.Series(["a@example.com", None, "nobody", "a@example.com"])
    assert UID2.normalise_emails(raw).to_list() == ["a@example.com", None, None, "a@example.com"]
    assert UID2.examine_emails(raw).reasons.to_list() == [None, "empty", "not_valid", None]
    assert UID2.normalise_emails(pl.Series([], dtype=pl.String)).to_list() == []
    assert UID2.normalise_phones(pl.Series([], dtype=pl.Null), None).to_list() == []


@pytest.mark.parametrize("country", ["XX", "germany", ""])
def test_an_unknown_default_country_is_a_usage_error(country: str) -> None:
    with pytest.raises(MutualsError) as caught:
        UID2.normalise_phones(pl.Series(["1"]), country)
    assert caught.value.code is ErrorCode.USAGE


def test_an_unknown_profile_is_a_usage_error_naming_those_there_are() -> None:
    with pytest.raises(MutualsError) as caught:
        get_profile("uid2-v9")
    assert caught.value.code is ErrorCode.USAGE
    assert "uid2-v1" in (caught.value.hint or "")


def test_published_rules_never_change() -> None:
    assert {name: profile.rules_digest().hex() for name, profile in PROFILES.items()} == {
        "uid2-v1": "d1cdd29d5eb0e4196aa3f35a0f1a1cc94db842c71e76ad79eba0b5e231b9b1b0",
        "strict-v1": "8fb4caa001b482c342eab1118d129cbddca09321efac99823532519a8eee1624",
        "google-v1": "cede874fc23d1d113b0c0173d321a766df756407c5834675006c4b753967a034",
        "meta-v1": "35028a1d009fe5599599d2751ed2f0412b85ec784b348a97772d0720be5f3e3e",
    }


def test_any_changed_rule_changes_the_digest() -> None:
    rules = UID2.rules
    changed = [
        dataclasses.replace(rules, email=dataclasses.replace(rules.email, alias_domains=())),
        dataclasses.replace(rules, phone=dataclasses.replace(rules.phone, international="valid")),
        dataclasses.replace(rules, phone=dataclasses.replace(rules.phone, form="E.164 without +")),
        dataclasses.replace(rules, email=dataclasses.replace(rules.email, inner_white_space="remove")),
        dataclasses.replace(rules, trimmed=" "),
    ]
    digests = {Profile(each).rules_digest() for each in [rules, *changed]}
    assert len(digests) == len(changed) + 1


def test_another_library_version_changes_the_digest_but_not_that_of_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, rules_before = UID2.digest(), UID2.rules_digest()
    monkeypatch.setattr(profile_module, "version", lambda name: f"{name} 0.0.1")
    assert UID2.digest() != before
    assert UID2.rules_digest() == rules_before
