"""Who takes part: the order of reasons, shared identifiers, and a check against a plain reckoning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.models.agreement import (
    Agreement,
    ConsentRule,
    Matching,
    Parties,
    Party,
    Responsibilities,
    Security,
)
from mutuals.normalisation import get_profile
from mutuals.protocol.items import Rows, items_for
from mutuals.sources import (
    ContactTable,
    Participants,
    define_source,
    read_source,
    select_participants,
    still_eligible,
)
from mutuals.sources.check import ParticipationRule, check_source
from mutuals.sources.identifiers import collect_identifiers
from mutuals.sources.participants import Selection

TODAY = date(2026, 6, 1)
PROFILE = get_profile("uid2-v1")
HEADINGS = "contact_id,email,phone,consent,consent_at,notified_at,suppressed"


def agreement(matching: dict[str, Any] | None = None, **consent: Any) -> Agreement:
    def party(digit: str) -> Party:
        return Party(
            organisation="Acme",
            fingerprint=digit * 64,
            lawful_basis="consent",
            contact="Ann",
            data_protection_officer="Dan",
        )

    duties = Responsibilities(
        access_control="each", encryption="each", breach_notification="each", data_subject_requests="each"
    )
    return Agreement(
        title="Test",
        nonce="0" * 64,
        purpose="campaign",
        valid_from=TODAY,
        valid_until=TODAY,
        governing_law="Germany",
        onward_transfer="none",
        international_transfer="none",
        liabilities="none",
        parties=Parties(proposer=party("1"), partner=party("2")),
        responsibilities=duties,
        matching=Matching.model_validate(
            {
                "identifiers": ("email", "phone"),
                "profile": PROFILE.name,
                "profile_digest": PROFILE.rules_digest().hex(),
                **(matching or {}),
            }
        ),
        consent=ConsentRule.model_validate({"purpose": "sharing", "max_age_days": 100, **consent}),
        security=Security(measures="locks", breach_contact="Bea"),
    )


def source(path: Path, *rows: str) -> ContactTable:
    path.write_text("\n".join([HEADINGS, *rows]), encoding="utf-8")
    return read_source(define_source("crm", str(path), {}))


def ok(contact_id: str, email: str = "", phone: str = "") -> str:
    return f"{contact_id},{email},{phone},sharing,2026-05-01,2026-05-01,false"


def no(contact_id: str, email: str) -> str:
    return f"{contact_id},{email},,news,2026-05-01,2026-05-01,false"


NAMES: dict[bytes, str] = {}
"""Whose item is whose, as far as these tests have seen."""


def itemise(identifiers: Sequence[str]) -> Rows:
    items = items_for(bytes(32), identifiers)
    NAMES.update(zip((item.tobytes() for item in items), identifiers, strict=True))
    return items


def select(table: ContactTable, rules: Agreement, country: str | None = "DE") -> Participants:
    return select_participants(table, rules, PROFILE, TODAY, country, itemise)


def identifiers(chosen: Participants) -> list[str]:
    found = [NAMES[item.tobytes()] for item in chosen.items]
    for kind, span in chosen.spans.items():
        assert len(span)
        assert {name.partition(":")[0] for name in found[span.start : span.stop]} == {kind}
        ascending = [item.tobytes() for item in chosen.items[span.start : span.stop]]
        assert ascending == sorted(ascending)
    assert sum(map(len, chosen.spans.values())) == len(found)
    return found


def owners(chosen: Participants) -> dict[str, list[str]]:
    """Identifier -> contact ids, from the arrays."""
    bounds = chosen.owner_offsets
    return {
        identifier: [chosen.contact_ids[int(k)] for k in chosen.owner_indices[bounds[i] : bounds[i + 1]]]
        for i, identifier in enumerate(identifiers(chosen))
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts.csv"


REASONS = [
    ("news,,,true", "suppressed"),
    ("news,2000-01-01,,", "no_consent"),
    (",2026-05-01,2026-05-01,", "no_consent"),
    ("Sharing,2026-05-01,2026-05-01,", "no_consent"),
    ("sharing,,,", "consent_undated"),
    ("sharing,2026-02-20,,", "consent_expired"),
    ("sharing,2026-06-02,,", "consent_in_future"),
    ("sharing,2026-02-21,,", "not_notified"),
    ("sharing,2026-06-01,2026-06-02,", "not_notified"),
    ("sharing,2026-06-01,2026-03-31,", "notice_too_old"),
    ("news;sharing,2026-06-01,2026-04-01,", None),
]


@pytest.mark.parametrize(("columns", "reason"), REASONS)
def test_a_contact_is_left_out_for_the_first_reason_that_applies(
    file: Path, columns: str, reason: str | None
) -> None:
    rules = agreement(notice_since=date(2026, 4, 1))
    table = source(file, f"c1,a@x.de,,{columns}")
    chosen = select(table, rules)
    assert chosen.excluded == ({} if reason is None else {reason: 1})
    assert chosen.contact_ids.to_list() == ([] if reason else ["c1"])
    assert still_eligible(table, rules, TODAY) == (set() if reason else {"c1"})


def test_notice_counts_only_where_the_agreement_requires_it(file: Path) -> None:
    table = source(file, "c1,a@x.de,,sharing,2026-05-01,,")
    assert select(table, agreement(notice_required=False)).contact_ids.to_list() == ["c1"]
    assert select(table, agreement()).excluded == {"not_notified": 1}


def test_a_contact_without_a_usable_identifier_is_left_out_but_stays_permitted(file: Path) -> None:
    table = source(file, ok("c1"), ok("c2", "nobody"), ok("c3", "a@x.de"))
    chosen = select(table, agreement())
    assert chosen.contact_ids.to_list() == ["c3"]
    assert chosen.excluded == {"no_identifier": 2}
    assert still_eligible(table, agreement(), TODAY) == {"c1", "c2", "c3"}


def test_only_the_agreed_types_of_identifier_enter(file: Path) -> None:
    table = source(file, ok("c1", "a@x.de", "030 901820"), ok("c2", "", "030 901821"))
    by_email = select(table, agreement({"identifiers": ("email",)}))
    assert owners(by_email) == {"email:a@x.de": ["c1"]}
    assert by_email.excluded == {"no_identifier": 1}
    assert owners(select(table, agreement({"identifiers": ("phone",)}))) == {
        "phone:+4930901820": ["c1"],
        "phone:+4930901821": ["c2"],
    }


def test_the_default_country_decides_what_a_national_number_is(file: Path) -> None:
    table = source(file, ok("c1", "", "06 12345678"))
    assert identifiers(select(table, agreement(), "IT")) == ["phone:+390612345678"]
    assert identifiers(select(table, agreement(), None)) == []


def test_an_identifier_written_twice_by_one_contact_is_one_and_not_shared(file: Path) -> None:
    table = source(file, ok("c1", "J.ane+x@gmail.com;jane@gmail.com;JANE@GMAIL.COM"))
    chosen = select(table, agreement())
    assert owners(chosen) == {"email:jane@gmail.com": ["c1"]}
    assert chosen.withheld_identifiers == {}


def test_a_shared_identifier_stays_out_and_the_others_enter(file: Path) -> None:
    table = source(file, ok("c1", "info@x.de;a@x.de"), ok("c2", "INFO@x.de;b@x.de"), ok("c3", "info@x.de"))
    chosen = select(table, agreement())
    assert owners(chosen) == {"email:a@x.de": ["c1"], "email:b@x.de": ["c2"]}
    assert chosen.withheld_identifiers == {"shared": 1}
    assert chosen.excluded == {"only_shared_identifiers": 1}


def test_an_identifier_shared_with_somebody_ineligible_is_shared(file: Path) -> None:
    table = source(file, ok("c1", "info@x.de;a@x.de"), no("c2", "info@x.de"))
    chosen = select(table, agreement())
    assert owners(chosen) == {"email:a@x.de": ["c1"]}
    assert chosen.withheld_identifiers == {"shared": 1}


@pytest.mark.parametrize(
    "fault", ["c2,info@x.de,,sharing,soon,,", "c2,info@x.de,,,,,maybe", ",info@x.de,,,,,"]
)
@pytest.mark.parametrize("shared", ["exclude", "include"])
def test_an_identifier_on_a_rejected_row_counts_as_held(file: Path, fault: str, shared: str) -> None:
    table = source(file, ok("c1", "info@x.de;a@x.de"), fault)
    assert owners(select(table, agreement({"shared_identifiers": shared}))) == {"email:a@x.de": ["c1"]}


def test_an_identifier_that_only_ineligible_contacts_share_is_not_counted_as_withheld(file: Path) -> None:
    table = source(file, ok("c1", "a@x.de"), no("c2", "info@x.de"), no("c3", "info@x.de"))
    assert select(table, agreement()).withheld_identifiers == {}


def test_where_the_agreement_includes_shared_ones_all_holders_must_be_eligible(file: Path) -> None:
    table = source(
        file,
        ok("c1", "two@x.de;three@x.de"),
        ok("c2", "two@x.de"),
        ok("c3", "three@x.de"),
        no("c4", "three@x.de"),
    )
    chosen = select(table, agreement({"shared_identifiers": "include"}))
    assert owners(chosen) == {"email:two@x.de": ["c1", "c2"]}
    assert chosen.withheld_identifiers == {"shared_with_ineligible": 1}
    assert chosen.contact_ids.to_list() == ["c1", "c2"]
    assert chosen.excluded == {"no_consent": 1, "only_shared_identifiers": 1}


@pytest.mark.parametrize("shared", ["exclude", "include"])
def test_an_empty_source_gives_empty_arrays(file: Path, shared: str) -> None:
    chosen = select(source(file), agreement({"shared_identifiers": shared}))
    assert (chosen.contact_ids.to_list(), chosen.items.shape, chosen.excluded) == ([], (0, 32), {})
    assert chosen.owner_offsets.tolist() == [0]
    assert chosen.owner_indices.tolist() == []
    assert [chosen.owner_offsets.dtype.name, chosen.owner_indices.dtype.name] == ["int64", "int32"]


Person = tuple[list[int], bool, bool]
PEOPLE = st.lists(
    st.tuples(st.lists(st.integers(0, 12), max_size=4), st.booleans(), st.booleans()), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(people=PEOPLE, include=st.booleans())
def test_selection_equals_a_plain_reckoning(
    tmp_path_factory: pytest.TempPathFactory, people: list[Person], include: bool
) -> None:
    rows = []
    for number, (held, consents, dated) in enumerate(people):
        when = (TODAY - timedelta(days=5)).isoformat() if dated else "undated"
        purpose = "sharing" if consents else ""
        rows.append(f"c{number},{';'.join(f'p{n}@x.de' for n in held)},,{purpose},{when},2026-05-01,")
    table = source(tmp_path_factory.mktemp("csv") / "contacts.csv", *rows)
    chosen = select(table, agreement({"shared_identifiers": "include" if include else "exclude"}))

    holders: dict[str, list[int]] = defaultdict(list)
    for number, (held, _, _) in enumerate(people):
        for n in set(held):
            holders[f"email:p{n}@x.de"].append(number)
    permitted = {number for number, (_, consents, dated) in enumerate(people) if consents and dated}
    enters = {
        identifier: [f"c{number}" for number in who]
        for identifier, who in holders.items()
        if permitted.issuperset(who) and (include or len(who) == 1)
    }
    assert owners(chosen) == enters
    assert sorted(identifiers(chosen)) == sorted(enters)
    assert set(chosen.contact_ids) == {contact for who in enters.values() for contact in who}
    assert len(table.frame) == len(chosen.contact_ids) + sum(Counter(chosen.excluded).values())


@settings(max_examples=40, deadline=None)
@given(
    people=PEOPLE, include=st.booleans(), cuts=st.lists(st.integers(0, 12), max_size=3), tied=st.booleans()
)
def test_batches_make_no_difference(
    tmp_path_factory: pytest.TempPathFactory, people: list[Person], include: bool, cuts: list[int], tied: bool
) -> None:
    """Nor does it, where items have their first eight bytes in common."""

    def alike(identifiers: Sequence[str]) -> Rows:
        items = itemise(identifiers).copy()
        items[:, : 8 if tied else 0] = 7
        return items

    rows = [
        f"c{number},{';'.join(f'p{n}@x.de' for n in held)},,{'sharing' if consents else ''},2026-05-01,2026-05-01,"
        + ("" if usable else "maybe")
        for number, (held, consents, usable) in enumerate(people)
    ]
    path = tmp_path_factory.mktemp("csv") / "contacts.csv"
    whole = Selection(agreement().consent, TODAY, include_shared=include, itemise=alike)
    parts = Selection(agreement().consent, TODAY, include_shared=include, itemise=alike)
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for selection, pieces in ((whole, [rows]), (parts, [rows[a:b] for a, b in pairwise(bounds)])):
        for piece in pieces:
            table = source(path, *piece)
            selection.add(table, collect_identifiers(table, ("email", "phone"), PROFILE, None))
    one, other = whole.participants(), parts.participants()
    assert one.items.tolist() == other.items.tolist()
    assert len(np.unique(one.items, axis=0)) == len(one.items)
    assert one.contact_ids.to_list() == other.contact_ids.to_list()
    assert one.owner_offsets.tolist() == other.owner_offsets.tolist()
    assert one.owner_indices.tolist() == other.owner_indices.tolist()
    assert (one.excluded, one.withheld_identifiers) == (other.excluded, other.withheld_identifiers)
    if not tied:
        table = source(path, *rows)
        rule = "include" if include else "exclude"
        assert owners(select(table, agreement({"shared_identifiers": rule}))) == owners(other)


EVIDENCE = f"{HEADINGS},consent_expires_at,consent_withdrawn_at,consent_basis,consent_method,consent_evidence"
BY_EVIDENCE = [
    ("sharing,2026-05-01,2026-05-01,,,,,,", None),
    ("sharing,2026-05-01,2026-05-01,,2026-06-01,,consent,web form,T-17", None),
    ("sharing,2026-05-01,2026-05-01,,2026-05-31,,,,", "consent_lapsed"),
    ("sharing,2026-05-01,2026-05-01,,,2026-05-01,,,", "consent_withdrawn"),
    ("sharing,2026-05-01,2026-05-01,,,2027-01-01,,,", "consent_withdrawn"),
    ("sharing,,2026-05-01,,,2020-01-01,,,", "consent_withdrawn"),
    ("sharing,2026-05-02,2026-05-02,,,2026-05-01,,,", None),
    ("sharing@2026-05-01,,2026-05-01,,,,,,", None),
    ("sharing@2026-05-01,2010-01-01,2026-05-01,,,,,,", None),
    ("sharing@2010-01-01,2026-05-01,2026-05-01,,,,,,", "consent_expired"),
    ("sharing@2010-01-01; sharing@2026-05-01;news,,2026-05-01,,,,,,", None),
    ("sharing@2026-05-01/2026-06-01,,2026-05-01,,2026-01-01,,,,", None),
    ("sharing@2026-05-01/2026-05-31,,2026-05-01,,,,,,", "consent_lapsed"),
    ("sharing@2026-05-01!2026-05-20,,2026-05-01,,,,,,", "consent_withdrawn"),
    ("sharing@2026-05-01/2027-05-01!2026-05-20;news@2026-05-30,,2026-05-01,,,,,,", "consent_withdrawn"),
    ("sharing@2025-01-01!2025-02-01;sharing@2026-05-01,,2026-05-01,,,,,,", None),
    ("sharing@2026-05-01,,2026-05-01,,,2026-05-02,,,", "consent_withdrawn"),
    ("sharing@2026-05-03,,2026-05-03,,,2026-05-02,,,", None),
    ("news@2026-05-01,,2026-05-01,,,,,,", "no_consent"),
    ("sharing-more@2026-05-01,,2026-05-01,,,,,,", "no_consent"),
]


@pytest.mark.parametrize(("columns", "reason"), BY_EVIDENCE)
def test_evidence_of_a_consent_decides_with_its_own_dates(
    file: Path, columns: str, reason: str | None
) -> None:
    file.write_text(f"{EVIDENCE}\nc1,a@x.de,,{columns}\nc2,b@x.de,,{BY_EVIDENCE[0][0]}")
    table = read_source(define_source("crm", str(file), {}))
    assert select(table, agreement()).excluded == ({} if reason is None else {reason: 1})


@pytest.mark.parametrize(
    "consent",
    ["sharing@2026-02-30", "sharing@", "sharing@2026-05-01/", "sharing@2026-05-01!x", "a@b@2026-05-01"],
)
def test_a_grant_with_a_date_that_is_none_takes_its_row_out(file: Path, consent: str) -> None:
    table = source(file, f"c1,a@x.de,,{consent},2026-05-01,2026-05-01,", ok("c2", "b@x.de"))
    assert [(fault.row, fault.column, fault.reason.value) for fault in table.rejected] == [
        (2, "consent", "not_a_date")
    ]
    assert select(table, agreement()).contact_ids.to_list() == ["c2"]


def test_what_the_source_says_of_a_consent_is_counted_for_those_who_take_part(file: Path) -> None:
    rows = [
        f"c{n},p{n}@x.de,,{purpose},2026-05-01,2026-05-01,,,,{basis},,{proof}"
        for n, (purpose, basis, proof) in enumerate(
            [
                ("sharing", "consent", "T-1"),
                ("sharing", "consent", "T-2"),
                ("sharing", "", ""),
                ("news", "x", ""),
            ]
        )
    ]
    file.write_text("\n".join([EVIDENCE, *rows]))
    definition = define_source("crm", str(file), {})
    rule = ParticipationRule(agreement().consent)
    found = check_source(definition, PROFILE, TODAY, rule)
    assert found.evidence == {
        "consent_basis": {"consent": 2, "": 1},
        "consent_method": {"": 3},
        "consent_evidence": {"given": 2, "": 1},
    }
