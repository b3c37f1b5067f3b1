"""The report on a source's quality: exact numbers, the same however the file is cut, and never a contact's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.consent.decision import DecisionState, Standing
from mutuals.models.agreement import ConsentRule
from mutuals.normalisation import PROFILES, get_profile
from mutuals.sources import SourceDefinition, define_source
from mutuals.sources import check as checking
from mutuals.sources import sheet as sheets
from mutuals.sources.check import ParticipationRule, SourceCheck, check_source
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.identifiers import collect_identifiers
from mutuals.sources.mapping import ConsentDecision, ConsentGrant
from mutuals.sources.quality_countries import name_of, region_of
from mutuals.sources.quality_identifiers import SHORT_DIGITS, Batch, examine_batch
from mutuals.sources.readers import read_source
from mutuals_client.source_checking import Checked
from mutuals_client.source_report import check_facts, tell_check
from mutuals_client.source_report_page import source_page
from mutuals_client.source_sections import CheckAsked

EXPORTS = Path(__file__).parents[1] / "data" / "exports"
TODAY = date(2026, 12, 31)
UID2 = get_profile("uid2-v1")
HEADINGS = "contact_id,email,phone,consent,consent_at,notified_at,suppressed"
RULE = ParticipationRule(ConsentRule(purpose="sharing", max_age_days=730, notice_required=False))


def exported(name: str, **changes: Any) -> SourceDefinition:
    definition = understand(
        SourceDefinition(name="crm", path=str(EXPORTS / name), format="csv"), Wishes()
    ).definition
    assert definition.mapping is not None
    return definition.model_copy(update={"mapping": definition.mapping.model_copy(update=changes)})


def native(file: Path, *rows: str, headings: str = HEADINGS, country: str | None = None) -> SourceDefinition:
    file.write_text("\n".join([headings, *rows, ""]), encoding="utf-8")
    return define_source("crm", str(file), {}, country)


def found_in(definition: SourceDefinition, profile: str = "uid2-v1") -> SourceCheck:
    return check_source(definition, get_profile(profile), TODAY)


def suggested(found: SourceCheck) -> dict[str, int | None]:
    return {one.about: one.count for one in found.suggestions}


def sentence(found: SourceCheck, about: str) -> str:
    return next(one.sentence for one in found.suggestions if one.about == about)


def everything(definition: SourceDefinition, found: SourceCheck, capture: pytest.CaptureFixture[str]) -> str:
    """The report as JSON, on a terminal and as a page."""
    asked = CheckAsked(definition, "uid2-v1", None if found.participants is None else RULE)
    standing = Standing(DecisionState.NATIVE, "The source says itself who has consented to what.")
    done = Checked(asked, found, standing, datetime(2026, 12, 31, tzinfo=UTC))
    capture.readouterr()
    tell_check(asked, found)
    return capture.readouterr().out + json.dumps(check_facts(asked, found)) + source_page(done, "Acme Ltd")


@pytest.mark.parametrize(
    ("name", "addresses", "numbers", "blank", "notes"),
    [
        ("hubspot.csv", 8, 4, 0, 0),
        ("salesforce-api.csv", 8, 5, 0, 0),
        ("salesforce-report.csv", 7, 4, 0, 4),
        ("dynamics365.xlsx", 8, 4, 0, 0),
        ("zoho.csv", 8, 4, 0, 0),
        ("pipedrive.csv", 8, 4, 0, 0),
        ("generic.txt", 8, 4, 0, 0),
    ],
)
def test_each_crms_export_in_exact_numbers(
    name: str, addresses: int, numbers: int, blank: int, notes: int
) -> None:
    found = found_in(exported(name).model_copy(update={"default_country": "DE"}))
    rows = found.rows
    assert (rows.read, rows.usable, rows.rejected, rows.refusals) == (7, 7, 0, ())
    assert (rows.blank, rows.notes) == (blank, notes)
    email, phone = found.identifiers["email"], found.identifiers["phone"]
    assert (email.written, email.usable, email.distinct, email.shared) == (addresses, addresses, addresses, 0)
    assert (phone.written, phone.usable, phone.distinct) == (numbers, numbers, numbers)
    assert found.recognised.layout == name.split(".", maxsplit=1)[0]
    assert (found.recognised.confidence or 0) >= 80
    assert [column.role for column in found.columns].count("contact_id") == 1
    assert any(column.role == "objects" for column in found.columns)
    consent = found.consent
    assert (consent.contacts, consent.objecting, consent.silent, consent.purposes) == (7, 1, 7, ())
    assert suggested(found)["no_decision"] == 7
    assert found.suggestions[0].command == "mutuals source map crm"


def test_after_a_decision_consent_is_counted_by_what_stands_against_it_and_by_age() -> None:
    grant = ConsentGrant(
        purpose="sharing",
        column="Legal basis for processing contact's data",
        values=("Freely given consent from contact",),
        given_at="Consent day",
    )
    found = check_source(exported("hubspot.csv", consent=ConsentDecision(grants=(grant,))), UID2, TODAY, RULE)
    (sharing,) = found.consent.purposes
    assert (sharing.contacts, sharing.remaining, sharing.notified) == (5, 3, 0)
    assert sharing.against == {"consent_undated": 1, "suppressed": 1}
    assert sharing.ages == {"under 6 months": 1, "6 to 12 months": 2}
    assert (found.consent.silent, found.consent.objecting) == (2, 1)
    assert suggested(found)["undated_consent"] == 1
    assert found.participants is not None
    assert len(found.participants.contact_ids) == 3
    columns = {column.heading: column for column in found.columns}
    assert columns["Consent day"].role == "given_at"
    assert "“Freely given consent from contact”; nothing else does" in columns[grant.column].says
    assert "not where it is empty or says false, no, n, f …" in columns["Unsubscribed from all email"].says


CRAFTED = (
    "c1,Jane.Doe@gmail.com,+4930901820,sharing,2026-12-01,2026-12-02,",
    "c2,janedoe+x@gmail.com,+49 30 901820,sharing,2025-01-01,,",
    "c3,ANN@EXAMPLE.COM;ann@example.com,030 901821,sharing;news,2022-01-01,,",
    "c4,test@acme.de;x@gmial.com,0000000,Sharing Data!,2026-01-01,,",
    "c5,noreply@acme.de,+1 415 555 0100,sharing,2027-01-01,,true",
    "c6,a b@example.com,+49 30 901822 ext. 5,sharing,,,",
    ",lost@example.com,+49 171 5555555,,,,",
    "c8,lost@example.com,+44 20 7946 0018,,soon,,",
)


def test_a_crafted_file_in_exact_numbers(tmp_path: Path) -> None:
    found = found_in(native(tmp_path / "crm.csv", *CRAFTED[:4], "", *CRAFTED[4:]))
    rows = found.rows
    assert (rows.read, rows.usable, rows.rejected, rows.blank) == (8, 6, 2, 1)
    assert [(r.column, r.reason, r.count, r.rows) for r in rows.refusals] == [
        ("contact_id", "empty", 1, (9,)),
        ("consent_at", "not_a_date", 1, (10,)),
    ]
    email, phone = found.identifiers["email"], found.identifiers["phone"]
    assert (email.written, email.usable, email.distinct) == (8, 7, 5)
    assert (email.shared, email.sharing, email.respelt, email.capitals) == (1, 2, 2, 1)
    assert [(r.reason, r.rows) for r in email.refused] == [("not_valid", (8,))]
    assert (phone.written, phone.usable, phone.distinct, phone.shared) == (6, 3, 2, 1)
    assert {r.reason: (r.count, r.rows) for r in phone.refused} == {
        "no_country_code": (2, (4, 5)),
        "has_extension": (1, (8,)),
    }
    profiles = {name: kinds["email"] for name, kinds in found.profiles.items()}
    assert (profiles["uid2-v1"].alike, profiles["uid2-v1"].becoming) == (2, 1)
    assert (profiles["strict-v1"].distinct, profiles["strict-v1"].changed) == (6, 0)
    assert (profiles["google-v1"].usable, profiles["google-v1"].more) == (8, 1)
    assert profiles["meta-v1"] == profiles["strict-v1"]
    sharing = found.consent.purposes[0]
    assert (sharing.purpose, sharing.contacts, sharing.remaining, sharing.notified) == ("sharing", 5, 3, 1)
    assert sharing.against == {"consent_undated": 1, "suppressed": 1}
    assert sharing.ages == {"under 6 months": 1, "1 to 2 years": 1, "over 3 years": 1}
    assert (found.consent.unnamed, found.consent.silent, found.consent.objecting) == (1, 0, 1)
    counts = suggested(found)
    assert {
        about: counts[about] for about in ("mistyped_domain", "placeholder_email", "placeholder_phone")
    } == {
        "mistyped_domain": 1,
        "placeholder_email": 2,
        "placeholder_phone": 1,
    }
    assert "gmial.com for gmail.com: 1" in sentence(found, "mistyped_domain")
    assert (counts["default_country"], counts["undated_consent"], counts["unnamed_purpose"]) == (2, 1, 1)
    assert "Of 3 numbers with a country code 2 have +49." in sentence(found, "default_country")


def test_a_country_column_speaks_louder_than_the_other_numbers(tmp_path: Path) -> None:
    rows = [
        *(f"c{n},,030 90182{n},,,,,Deutschland,0171 555555{n}" for n in range(3)),
        "c4,,+33 1 42 68 53 00,,,,,France,",
        "c5,,01 42 68 53 00,,,,,france,",
        "c6,,030 901829,,,,,Nowhere,",
    ]
    definition = native(tmp_path / "crm.csv", *rows, headings=f"{HEADINGS},Country,Mobile")
    found = found_in(definition)
    said = sentence(found, "default_country")
    assert said.startswith('5 numbers have no country code; set default_country = "DE"?')
    assert "“Country” says Germany for 3 of the 4 whose country it tells." in said
    command = next(one.command for one in found.suggestions if one.about == "default_country")
    assert command == f"mutuals source add crm --path {definition.path} --default-country DE --replace"
    assert suggested(found)["unread_phone"] == 3
    assert region_of("Tyskland") == "DE"
    assert region_of("uk") == "GB"
    assert (region_of("nowhere"), name_of("FR")) == (None, "France")


def test_days_whose_order_nobody_said_are_pointed_out(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    rows = "".join(f"{n},p{n}@example.com,,yes,0{n}/04/2026\n" for n in range(1, 5))
    file.write_text(f"Customer ID,Email,Opt-out,Sharing,Since\n{rows}")
    grant = ConsentGrant(purpose="sharing", column="Sharing", values=("yes",), given_at="Since")
    definition = understand(SourceDefinition(name="crm", path=str(file), format="csv"), Wishes()).definition
    assert definition.mapping is not None
    mapping = definition.mapping.model_copy(update={"consent": ConsentDecision(grants=(grant,))})
    found = found_in(definition.model_copy(update={"mapping": mapping}))
    assert (found.rows.rejected, suggested(found)["ambiguous_dates"]) == (4, 4)
    assert "none of them tells whether 03/04/2026 is in March or in April" in sentence(
        found, "ambiguous_dates"
    )


def test_what_is_unread_because_all_rows_are_refused_or_there_are_none(tmp_path: Path) -> None:
    empty = found_in(native(tmp_path / "crm.csv"))
    assert (empty.rows.read, empty.rows.usable, list(suggested(empty))) == (0, 0, ["headings_only"])
    lost = found_in(native(tmp_path / "crm.csv", *(f"c{n},,,,soon,," for n in range(60))))
    assert (lost.rows.read, lost.rows.usable, lost.rows.rejected) == (60, 0, 60)
    assert lost.rows.refusals[0].rows == tuple(range(2, 12))
    huge = native(tmp_path / "crm.csv", f"c1,a@example.com,,{'sharing;' * 15_000},2026-01-01,,")
    found = found_in(huge)
    assert (found.rows.usable, found.consent.purposes[0].contacts) == (1, 1)


def test_neither_a_heading_nor_a_cell_is_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = '<script>alert(1)</script><img src=x onerror="x">'
    rows = [f'c{n},a{n}@example.com,,,,,,"b{n}@example.org"' for n in range(3)]
    quoted = hostile.replace('"', '""')
    definition = native(tmp_path / "crm.csv", *rows, headings=f'{HEADINGS},"{quoted}"')
    found = found_in(definition)
    assert suggested(found)["unread_email"] == 3
    done = Checked(
        CheckAsked(definition, "uid2-v1"),
        found,
        Standing(DecisionState.MISSING, f"Nobody decided {hostile}"),
        datetime(2026, 12, 31, tzinfo=UTC),
    )
    page = source_page(done, f"Acme {hostile}")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert hostile in everything(definition, found, capsys)


PLANTED = ("zebedee", "4711081", "quuxington", "ZZ-9-PLURAL", "hush-hush", "19.03.2021")


def test_no_value_of_a_contact_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, number, surname, contact, secret, day = PLANTED
    rows = [
        f"{contact},{name}@quuxington.example.com,+49 30 {number},sharing,2026-05-01,,,{surname},{secret}0",
        f"{contact}2,{name},030 {number},{secret} {name}!,2026-05-01,,,{surname},{secret}1",
        f"{contact}3,{name.upper()}@gmial.com,{number} ext 3,sharing,{day},,,{surname},{secret}2",
        f"{contact}4,{name}@gmial.com,{number},sharing,2026-05-01,,{surname},{surname},{secret}3",
        f"{contact}5,{name}+a@gmail.com,{number},sharing,2026-05-01,,,{surname},{secret}4",
    ]
    headings = f"{HEADINGS},Name,consent_method"
    definition = native(tmp_path / "crm.csv", *rows, headings=headings)
    for rule in (None, RULE):
        found = check_source(definition, UID2, TODAY, rule)
        told = everything(definition, found, capsys).lower()
        assert "5 rows" in told or "in 5" in told
        for planted in PLANTED:
            assert planted.lower() not in told, planted


CELLS = st.sampled_from(
    [
        "a@example.com",
        "A@Example.com",
        "j.d@gmail.com",
        "jd+x@gmail.com",
        "a b@example.com",
        "x@y.local",
        "nobody",
        "test@x.de;a@example.com",
        "",
    ]
)
NUMBERS = st.sampled_from(["+49 30 901820", "0049 30 901820", "030 901820", "+1 3101234", "0000000", "x", ""])
CONSENT = st.sampled_from(["sharing", "news", "sharing;news", "sharing@2026-01-01", "No!", ""])
DAYS = st.sampled_from(["2026-12-01", "2020-01-01", "2027-01-01", "soon", ""])
ROWS = st.lists(st.tuples(CELLS, NUMBERS, CONSENT, DAYS, st.sampled_from(["", "true", "?"])), max_size=14)


def _told(definition: SourceDefinition) -> dict[str, Any]:
    found = check_source(definition, UID2, TODAY, RULE)
    participants = found.participants
    assert participants is not None
    facts = asdict(replace(found, participants=None))
    return facts | {"taking part": participants.contact_ids.to_list(), "why not": participants.excluded}


@given(rows=ROWS, size=st.integers(40, 200), together=st.integers(1, 4))
@settings(max_examples=6, deadline=None)
def test_the_report_is_the_same_however_the_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], size: int, together: int
) -> None:
    file = tmp_path_factory.mktemp("cut") / "crm.csv"
    lines = [
        f"c{n},{email},{phone},{consent},{day},,{objects},Germany"
        for n, (email, phone, consent, day, objects) in enumerate(rows)
    ]
    definition = native(file, *lines, headings=f"{HEADINGS},Country")
    whole = _told(definition)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets.CsvFile.__init__, "__defaults__", (size,))
        patch.setattr(checking, "_AT_ONCE", together)
        assert _told(definition) == whole


def test_every_profile_is_counted_as_it_normalises(tmp_path: Path) -> None:
    rows = [
        f"c{n},{email},{phone},,,,"
        for n, (email, phone) in enumerate(
            [
                ("J.D@gmail.com", "+1 3101234"),
                ("jd@gmail.com", "+1 310 123 4567"),
                ("j d@gmail.com", "+49 30 901820"),
                ("jd@googlemail.com", "+49 999 1"),
                ("JD+a@GOOGLEMAIL.com", "0049 171 5555555"),
                ("..@gmail.com", "+49 30 901820 ext. 1"),
                ("", "+999 12345"),
            ]
        )
    ]
    definition = native(tmp_path / "crm.csv", *rows)
    table = read_source(definition)
    for name, profile in PROFILES.items():
        counted = check_source(definition, profile, TODAY)
        expected = collect_identifiers(table, ("email", "phone"), profile, None)
        batch = Batch(table, None, name, ("email", "phone"))
        assert examine_batch(batch).collected.equals(expected)
        for kind in ("email", "phone"):
            values = expected.filter(type=kind)["value"].drop_nulls()
            figures, under = counted.identifiers[kind], counted.profiles[name][kind]
            assert (figures.usable, figures.distinct) == (len(values), values.n_unique()), (name, kind)
            assert (under.usable, under.distinct) == (len(values), values.n_unique()), (name, kind)


def test_a_valid_number_that_is_not_short_has_a_possible_length() -> None:
    """What lets numbers that the strictest profile accepts go unasked under the others."""
    for code, longer in _lengths_beyond_the_main_region():
        assert len(str(code)) + max(longer) <= SHORT_DIGITS, code


def _lengths_beyond_the_main_region() -> Iterator[tuple[int, set[int]]]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
    from phonenumbers.phonemetadata import PhoneMetadata

    kinds = (
        *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
        *("personal_number", "voip", "pager", "uan", "voicemail"),
    )
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if len(regions) == 1:
            continue
        metadata: list[Any] = [PhoneMetadata.metadata_for_region(region, None) for region in regions]
        main = set(metadata[0].general_desc.possible_length)
        for one in metadata:
            described = [getattr(one, kind) for kind in kinds]
            lengths = {
                length
                for kind in described
                if kind is not None and kind.national_number_pattern is not None
                for length in (kind.possible_length or one.general_desc.possible_length)
            } - {-1}
            if lengths - main:
                yield code, lengths - main


def test_workers_give_what_this_process_gives(tmp_path: Path) -> None:
    definition = native(tmp_path / "crm.csv", *CRAFTED)
    calls: list[int] = []

    def spread(function: Any, arguments: Any) -> Any:
        for argument in arguments:
            calls.append(len(argument.table.frame))
            yield function(argument)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "_AT_ONCE", 1)
        patch.setattr(sheets.CsvFile.__init__, "__defaults__", (80,))
        spreading = check_source(definition, UID2, TODAY, spread=spread)
    assert len(calls) > 1
    assert spreading == check_source(definition, UID2, TODAY)
    assert pl.Series(calls).sum() == 6
