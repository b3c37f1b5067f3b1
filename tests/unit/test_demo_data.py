"""The demo's data: what the generator claims about its own spellings is so, and the lists are as untidy as promised."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from random import Random

import phonenumbers
import polars as pl
import pytest

from mutuals.models.agreement import ConsentRule
from mutuals.normalisation import get_profile
from mutuals.sources import SourceDefinition, read_source
from mutuals.sources.identifiers import collect_identifiers
from mutuals.sources.participants import participants_among, plain_items
from mutuals_client.demo.consent import KINDS, MAX_AGE_DAYS, PURPOSE
from mutuals_client.demo.contacts import STANDARD_COLUMNS
from mutuals_client.demo.data import DemoCompany, DemoData, generate
from mutuals_client.demo.handles import FICTIONAL, AddressBook, PhoneBook

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def data() -> DemoData:
    return generate(2_000, 7, today=TODAY)


def sides(data: DemoData) -> tuple[DemoCompany, DemoCompany]:
    return data.left, data.right


def test_every_spelling_normalises_to_the_identifier_it_was_made_from(data: DemoData) -> None:
    profile = get_profile("uid2-v1")
    for company in sides(data):
        handles = [handle for contact in company.contacts for handle in contact.handles]
        for kind in ("email", "phone"):
            own = [handle for handle in handles if handle.kind == kind]
            written = pl.Series([handle.written for handle in own])
            found = (
                profile.normalise_emails(written)
                if kind == "email"
                else profile.normalise_phones(written, company.profile.default_country)
            )
            expected = [handle.identifier for handle in own]
            given = [None if value is None else f"{kind}:{value}" for value in found]
            wrong = [
                (handle.written, was)
                for handle, want, was in zip(own, expected, given, strict=True)
                if want != was
            ]
            assert wrong == []


def test_the_product_reads_the_lists_as_the_truth_has_them(data: DemoData, tmp_path: Path) -> None:
    profile = get_profile("uid2-v1")
    rule = ConsentRule(purpose=PURPOSE, max_age_days=MAX_AGE_DAYS, notice_required=True)
    found = []
    for company, truth, path in zip(
        sides(data), (data.truth.left, data.truth.right), data.write(tmp_path), strict=True
    ):
        country = company.profile.default_country
        table = read_source(SourceDefinition(name="crm", path=str(path), default_country=country))
        collected = collect_identifiers(table, ("email", "phone"), profile, country)
        participants = participants_among(table, collected, rule, TODAY, include_shared=False)
        assert set(participants.contact_ids) == truth.taking_part
        assert len(participants.items) == truth.items
        assert set(company.profile.fields.values()) <= set(table.field_names)
        found.append({item.tobytes() for item in participants.items})
    assert found[0] & found[1] == {item.tobytes() for item in plain_items(sorted(data.truth.overlap))}


def test_every_fictional_range_holds_valid_numbers_of_its_country() -> None:
    for country, (code, ranges) in FICTIONAL.items():
        for leading, digits in ranges:
            for filling in (0, 10**digits // 2, 10**digits - 1):
                number = phonenumbers.parse(f"+{code}{leading}{filling:0{digits}d}")
                assert phonenumbers.is_valid_number(number), number
                assert phonenumbers.region_code_for_number(number) == country


def test_a_phone_number_is_drawn_once_and_a_country_may_run_out() -> None:
    book = PhoneBook(Random(1))
    drawn = [book.draw("SE") for _ in range(300)]
    given = [phone for phone in drawn if phone is not None]
    assert len({phone.identifier for phone in given}) == len(given) == 200


def test_an_address_is_drawn_once() -> None:
    book = AddressBook(Random(1))
    drawn = [book.draw("Zoë", "d'Aubrac").identifier for _ in range(2_000)]
    assert len(set(drawn)) == len(drawn)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    once = generate(300, 3, today=TODAY).write(tmp_path / "once")
    again = generate(300, 3, today=TODAY).write(tmp_path / "again")
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]
    other = generate(300, 4, today=TODAY).write(tmp_path / "other")
    assert once[0].read_bytes() != other[0].read_bytes()


@pytest.mark.parametrize("contacts", [0, 1, 2, 7, 100])
def test_a_list_has_as_many_rows_as_asked_for_with_unique_ids(contacts: int, tmp_path: Path) -> None:
    data = generate(contacts, 11, today=TODAY)
    for company, path in zip(sides(data), data.write(tmp_path), strict=True):
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
        assert reader.fieldnames == [*STANDARD_COLUMNS, *company.headings]
        assert rows == [contact.row() for contact in company.contacts]
        assert len({row["contact_id"] for row in rows}) == len(rows) == contacts


def test_the_lists_hold_every_kind_of_disorder(data: DemoData) -> None:
    for company in sides(data):
        contacts = company.contacts
        assert {contact.consent.kind for contact in contacts} == set(KINDS)
        assert any(not contact.handles for contact in contacts)
        assert any(handle.identifier is None for contact in contacts for handle in contact.handles)
        assert any(len(contact.identifiers) < len(contact.handles) for contact in contacts)
        assert len({contact.person for contact in contacts}) < len(contacts)
        cells = {value for contact in contacts for value in contact.row().values()}
        for mark in ('"', ",", "\n", "ß", "🚲", "'"):
            assert any(mark in cell for cell in cells), mark
    assert data.truth.left.shared_identifiers > 20
    assert data.truth.right.shared_identifiers > 20


def test_about_a_sixth_of_each_list_is_in_the_overlap(data: DemoData) -> None:
    for side in (data.truth.left, data.truth.right):
        assert 0.14 < len(side.matched) / side.contacts < 0.21
        assert 0.7 < len(side.eligible) / side.contacts < 0.9


def test_the_truth_obeys_the_rules_of_the_agreement(data: DemoData) -> None:
    left = {contact.contact_id: contact for contact in data.left.contacts}
    right = {contact.contact_id: contact for contact in data.right.contacts}
    for one, other in data.truth.pairs:
        assert left[one].eligible
        assert right[other].eligible
        assert left[one].identifiers & right[other].identifiers & data.truth.overlap
        assert left[one].person == right[other].person
    assert data.truth.left.matched == {one for one, _ in data.truth.pairs}
    assert data.truth.right.matched == {other for _, other in data.truth.pairs}


def test_two_people_are_matched_by_e_mail_alone_by_phone_alone_and_by_both(data: DemoData) -> None:
    left = {contact.contact_id: contact for contact in data.left.contacts}
    kinds = {
        frozenset(identifier.split(":")[0] for identifier in left[one].identifiers & data.truth.overlap)
        for one in data.truth.left.matched
    }
    assert kinds == {frozenset({"email"}), frozenset({"phone"}), frozenset({"email", "phone"})}


def test_some_people_on_both_lists_are_rightly_not_found(data: DemoData) -> None:
    assert len(data.truth.pairs) < data.truth.in_common


def test_the_agreed_values_are_those_of_the_file_under_the_agreed_names(data: DemoData) -> None:
    contact = data.right.contacts[0]
    values = data.right.agreed_values(contact.contact_id)
    assert set(values) == set(data.right.profile.fields)
    assert values["loyalty_tier"] == contact.row()["Loyalty tier"]


def test_a_negative_number_of_contacts_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        generate(-1, 1, today=TODAY)
