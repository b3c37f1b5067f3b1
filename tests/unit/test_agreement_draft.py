"""The draft: the template parses once filled in, and everything else is refused by key."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreements import BLANKS, filled_draft, plain_card
from support.homes import NOW

from mutuals.agreement.document import agreement_bytes, parse_agreement
from mutuals.agreement.draft import MAX_DRAFT_CHARACTERS, parse_draft
from mutuals.agreement.template import DraftOptions, draft_toml
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement, Side
from mutuals.normalisation import get_profile

OWN, PARTNER = plain_card(1), plain_card(2)
TEXT = filled_draft(OWN, PARTNER)


def refusal(text: str) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        parse_draft(text, OWN, PARTNER, file="a.toml")
    assert caught.value.code is ErrorCode.INPUT_QUALITY
    assert caught.value.exit_code == 7
    return caught.value


def test_filled_in_template_is_an_agreement() -> None:
    agreement = parse_draft(TEXT, OWN, PARTNER)
    assert agreement.side_of(OWN_FINGERPRINT) is Side.PROPOSER
    assert agreement.parties.partner.organisation == "Company 2 Ltd"
    assert agreement.matching.profile_digest == get_profile("uid2-v1").rules_digest().hex()
    assert agreement.valid_from == NOW.date()
    assert agreement.proposer_sends
    assert agreement.partner_sends
    assert parse_agreement(agreement_bytes(agreement)) == agreement


OWN_FINGERPRINT = parse_draft(TEXT, OWN, PARTNER).parties.proposer.fingerprint


def test_every_draft_has_its_own_nonce() -> None:
    assert parse_draft(TEXT, OWN, PARTNER).nonce != parse_draft(TEXT, OWN, PARTNER).nonce


@pytest.mark.parametrize(("one_way", "empty"), [("send", "partner_sends"), ("receive", "proposer_sends")])
def test_one_way_draft_has_one_direction(one_way: str, empty: str) -> None:
    agreement = parse_draft(filled_draft(OWN, PARTNER, one_way=one_way), OWN, PARTNER)
    assert getattr(agreement, empty) == ()
    assert len(agreement.proposer_sends + agreement.partner_sends) == 2


def test_template_as_it_is_names_every_blank() -> None:
    text = draft_toml(OWN, PARTNER, DraftOptions(today=date(2026, 5, 1)))
    error = refusal(text)
    for key in (
        "purpose",
        "consent.purpose",
        "governing_law",
        "parties.partner.lawful_basis",
        "security.breach_contact",
    ):
        assert re.search(rf"^  line \d+: {re.escape(key)}: is still a blank", error.message, re.MULTILINE)


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_left_in_a_longer_text_is_found(blank: str) -> None:
    text = draft_toml(OWN, PARTNER, DraftOptions(today=date(2026, 5, 1)))
    assert "is still a blank" in refusal(text.replace(blank, f"For now {blank}.")).message


def test_address_in_angle_brackets_is_no_blank() -> None:
    text = TEXT.replace("Ann Example, privacy@example.com", "Ann Example <privacy@example.com>")
    assert "<privacy@example.com>" in parse_draft(text, OWN, PARTNER).parties.proposer.contact


def test_a_party_may_be_left_to_its_card() -> None:
    text = TEXT.replace('organisation = "Company 1 Ltd"', "", 1)
    assert parse_draft(text, OWN, PARTNER).parties.proposer.organisation == "Company 1 Ltd"


def test_organisation_full_of_quotes_and_braces_survives() -> None:
    own = plain_card(1, organisation="\"Quo\\te\" {x} #1 'Ltd'")
    assert (
        parse_draft(filled_draft(own, PARTNER), own, PARTNER).parties.proposer.organisation
        == own.organisation
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "min_set_size = 1000",
            "min_set_siz = 1000",
            "matching.min_set_siz: unknown key; did you mean min_set_size?",
        ),
        ("[matching]", "[matching]\npurpose = 'x'", "matching.purpose: unknown key"),
        (
            "governing_law =",
            "min_overlap = 5\ngoverning_law =",
            "min_overlap: unknown key; it belongs under [matching]",
        ),
        ("min_overlap = 25", 'min_overlap = "25"', "matching.min_overlap: must be a whole number"),
        ("min_overlap = 25", "min_overlap = 2.5", "matching.min_overlap: must be a whole number"),
        ("min_overlap = 25", "min_overlap = 0", "matching.min_overlap: must be at least 1"),
        ("min_overlap = 25", "", "matching.min_overlap: "),
        (
            "runs_per_30_days = 4",
            "runs_per_30_days = 1001",
            "matching.runs_per_30_days: must be at most 1,000",
        ),
        ("pad_sizes = false", 'pad_sizes = "no"', "matching.pad_sizes: must be true or false"),
        ('["email", "phone"]', "[]", "matching.identifiers: must have at least 1 entry"),
        ('["email", "phone"]', '["email", "fax"]', 'matching.identifiers[2]: must be "email" or "phone"'),
        ('["email", "phone"]', '["email", "email"]', "matching: an identifier type is named twice"),
        ('profile = "uid2-v1"', 'profile = "uid9-v1"', "matching.profile: "),
        (
            'engine = "x25519"',
            'engine = "magic"',
            "matching.engine: This release has no engine called 'magic'",
        ),
        ("valid_from = 2026-05-01", 'valid_from = "May"', "valid_from: must be a date such as 2026-01-31"),
        (
            "valid_until = 2027-04-30",
            'valid_until = "2027-04-30"',
            "valid_until: must be a date: write it without quotation marks",
        ),
        (
            "# notice_since = 2026-01-01",
            'notice_since = "2026-01-01"',
            "consent.notice_since: must be a date",
        ),
        ("valid_from = 2026-05-01", "valid_from = 2026-05-01T00:00:00", "valid_from: must be a date"),
        ("title =", "title = 2026-05-01 #", "title: must be text in quotes"),
        (
            "prohibited_uses = [",
            "prohibited_uses = [ 07:30:00,",
            "prohibited_uses[1]: must be text in quotes",
        ),
        (
            'organisation = "Company 1 Ltd"',
            'organisation = "Evil Corp"',
            "parties.proposer.organisation: is not the name on your card, “Company 1 Ltd”",
        ),
        (
            'organisation = "Company 2 Ltd"',
            'organisation = "Company 2"',
            "parties.partner.organisation: is not the name on your partner's card, “Company 2 Ltd”",
        ),
        ("valid_from = 2026-05-01", "valid_from = 2027-12-01", "valid_until is before valid_from"),
        ("valid_until = 2027-04-30", "valid_until = 9999-12-31", "valid_until: is more than ten years after"),
        ("max_set_size = 1_000_000", "max_set_size = 10", "min_set_size is larger than max_set_size"),
        ("min_overlap = 25", "min_overlap = 2000000", "matching.min_overlap: is larger than max_set_size"),
        (
            'transform = "month"',
            'transform = "weekday"',
            'proposer_sends[2].transform: must be "none", "year"',
        ),
        (
            'transform = "month"',
            'transform = "round:10"',
            "proposer_sends[2]: transform round needs a field of type integer or decimal",
        ),
        (
            "band:0,100,500,2000",
            "band:100,0",
            "partner_sends[2]: the bounds of a band must ascend",
        ),
        ('name = "last_purchase"', 'name = "city"', "proposer_sends names the field city twice"),
        (
            'name = "last_purchase"',
            'name = "Last Purchase"',
            "proposer_sends[2].name: must be lower-case letters",
        ),
        (
            'departments = ["marketing"]',
            "departments = []",
            "proposer_sends[1].departments: must have at least 1",
        ),
        (
            'departments = ["marketing"]',
            'departments = "all"',
            "proposer_sends[1].departments: must be a list",
        ),
        ("[consent]", "[consent]\nnonce = 1", "consent.nonce: unknown key"),
        ("title =", 'nonce = "00"\ntitle =', "nonce: is filled in by mutuals; leave it out"),
        ('engine = "x25519"', 'profile_digest = "00"', "matching.profile_digest: is filled in by mutuals"),
        ("title =", "version = 2\ntitle =", "version: is filled in by mutuals"),
        (
            "A joint campaign",
            "A \\u202e joint campaign",
            "purpose: holds the control or invisible character U+202E",
        ),
        ("[responsibilities]", "[responsibilities_of]", "responsibilities: is missing"),
    ],
)
def test_fault_is_named_by_its_key(old: str, new: str, expected: str) -> None:
    assert old in TEXT
    if new == "":  # a key with a default may be left out
        parse_draft(TEXT.replace(old, new, 1), OWN, PARTNER)
        return
    assert expected in refusal(TEXT.replace(old, new, 1)).message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('["email", "phone"]', '["email", "phone]', "a text in quotation marks is not closed"),
        ("min_overlap = 25", "min_overlap = 25\nmin_overlap = 30", "a key stands there a second time"),
        ("[consent]", "[matching]", "a section stands there a second time"),
        ("min_overlap = 25", "min_overlap 25", "a key is not followed by ="),
        ("pad_sizes = false", "pad_sizes = no", "what follows = is neither text in quotation marks"),
        ("[matching]", "[matching", "the name of a section is not closed"),
        ("A joint campaign", "A \\joint campaign", "a backslash in a text must be written twice"),
    ],
)
def test_a_slip_is_told_in_plain_words_with_its_line(old: str, new: str, expected: str) -> None:
    line = TEXT[: TEXT.index(old)].count("\n") + 1 + new.count("\n")
    error = refusal(TEXT.replace(old, new, 1))
    assert re.match(rf"a\.toml, line ({line}|{line + 1}): {expected}", error.message) or "section" in expected
    assert expected in error.message
    assert error.hint == "Mend that line; the rest may stay."
    assert "tomllib" not in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize("text", ["title = = 3", 'title = "x', "a = 1\na = 2", "x = [1,", "a = 1\r\nb"])
def test_the_last_line_is_a_line_too(text: str) -> None:
    assert f"a.toml, line {text.count(chr(10)) + 1}: " in refusal(text).message


def test_one_problem_ends_in_one_mark_and_says_where_keys_are_explained() -> None:
    error = refusal(TEXT.replace("min_set_size", "min_set_siz", 1))
    assert error.message.endswith("did you mean min_set_size?")
    assert error.hint == "What each key means: docs/agreement.md"


def test_several_problems_are_listed_up_to_ten() -> None:
    lines = refusal("").message.splitlines()
    assert lines[0].startswith("a.toml has ")
    assert len(lines) == 12
    assert lines[-1].strip().startswith("and ")


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MAX_DRAFT_CHARACTERS + 1),
        "x = " + "[" * 20_000,
        "x = " + "9" * 5000,
        "parties = 3",
        "[matching]\nprofile=3",
    ],
)
def test_absurd_drafts_are_refused(text: str) -> None:
    refusal(text)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_draft_parses_or_is_refused(data: st.DataObject) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 1, 2, 10, 60]))
        piece = data.draw(
            st.one_of(st.text(max_size=6), st.sampled_from(["[", "]]", '"', "=", "\n", "1e9", "nan", "x.y"]))
        )
        text = text[:start] + piece + text[start + length :]
    try:
        agreement = parse_draft(text, OWN, PARTNER)
    except MutualsError as error:
        assert error.code is ErrorCode.INPUT_QUALITY  # noqa: PT017
    else:
        assert isinstance(agreement, Agreement)
        assert parse_agreement(agreement_bytes(agreement)) == agreement
