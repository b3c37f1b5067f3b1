"""What would be sent: only agreed fields of eligible contacts, once each, and why the others stay."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.parties import agreement

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Role
from mutuals.protocol.exchange import PlainRecord
from mutuals.runs.overlap import Overlap
from mutuals.runs.records import OutgoingRecords, build_records, ineligible, preview_digest
from mutuals.sources.contacts import STANDARD_SCHEMA, ContactTable
from mutuals.sources.mapping import DateOrder

TODAY = date(2026, 5, 1)
DEPARTMENTS = ("marketing",)
FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "city", "retention_days": 90, "departments": DEPARTMENTS},
    {
        "name": "score",
        "type": "integer",
        "transform": "band:10",
        "retention_days": 30,
        "departments": DEPARTMENTS,
    },
)
MAPPING = {"city": "City", "score": "Lead score"}


def contact_table(contacts: dict[str, dict[str, Any]]) -> ContactTable:
    """A table by contact id; a contact may take part unless its columns say otherwise."""
    rows = [
        {
            "row": number,
            "contact_id": contact,
            "email": [],
            "phone": [],
            "consent": ["sharing"],
            "consent_at": TODAY - timedelta(days=10),
            "notified_at": TODAY - timedelta(days=5),
            "suppressed": False,
            "City": "Bremen",
            "Lead score": "12",
            "Secret": "never sent",
            **columns,
        }
        for number, (contact, columns) in enumerate(contacts.items(), 2)
    ]
    schema = {**STANDARD_SCHEMA, **dict.fromkeys(("City", "Lead score", "Secret"), pl.String())}
    return ContactTable(pl.DataFrame(rows, schema=schema), (), ("City", "Lead score", "Secret"))


def build(
    pairs: list[tuple[str, ...]], contacts: dict[str, dict[str, Any]], side: Side = Side.PROPOSER
) -> OutgoingRecords:
    return build_records(
        agreement(proposer_sends=FIELDS),
        side,
        Overlap.of(pairs),
        contact_table(contacts),
        mapping=MAPPING,
        today=TODAY,
    )


def contents(outgoing: OutgoingRecords) -> list[tuple[int, tuple[int, ...], int, Any]]:
    return [(r.rank, r.also, r.retention_days, json.loads(r.plaintext)) for r in outgoing.records]


def fields_sent(outgoing: OutgoingRecords) -> dict[str, tuple[str, ...]]:
    names = [item.shared.name for item in outgoing.fields]
    return {
        contact: tuple(name for name, digit in zip(names, fields, strict=True) if digit == "1")
        for contact, fields in outgoing.sent.select("contact", "fields").iter_rows()
    }


def test_one_record_for_each_contact_and_class_at_its_lowest_rank() -> None:
    outgoing = build([("a",), ("b",), ("a",)], {"a": {}, "b": {"City": "Kiel", "Lead score": "3"}, "c": {}})
    assert contents(outgoing) == [
        (0, (2,), 30, {"score": ">=10"}),
        (0, (2,), 90, {"city": "Bremen"}),
        (1, (), 30, {"score": "<10"}),
        (1, (), 90, {"city": "Kiel"}),
    ]
    assert fields_sent(outgoing) == {"a": ("city", "score"), "b": ("city", "score")}
    assert outgoing.sent["ranks"].to_list() == [[0, 2], [1]]
    assert outgoing.withheld == {}


def test_a_field_of_days_is_read_in_the_order_of_the_export() -> None:
    fields = [{"name": "city", "type": "date", "departments": DEPARTMENTS}]
    table = contact_table(
        {"a": {"City": "31/03/2026 14:02"}, "b": {"City": "4.3.2026"}, "c": {"City": "03/31/2026"}}
    )

    def sent(dates: DateOrder | None) -> list[Any]:
        built = build_records(
            agreement(proposer_sends=fields),
            Side.PROPOSER,
            Overlap.of([("a",), ("b",), ("c",)]),
            replace(table, dates=dates),
            mapping={"city": "City"},
            today=TODAY,
        )
        assert sum(built.fields[0].withheld.values()) == 3 - built.fields[0].values
        return [json.loads(record.plaintext).get("city") for record in built.records]

    assert sent("day-first") == ["2026-03-31", "2026-03-04", None]
    assert sent("month-first") == [None, "2026-04-03", "2026-03-31"]
    assert sent(None) == [None, None, None]


def test_columns_that_were_not_agreed_are_nowhere() -> None:
    assert b"never sent" not in b"".join(r.plaintext for r in build([("a",)], {"a": {}}).records)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"consent": []}, "no_consent"),
        ({"suppressed": True}, "suppressed"),
        ({"consent_at": TODAY - timedelta(days=800)}, "consent_expired"),
        ({"notified_at": None}, "not_notified"),
    ],
)
def test_a_contact_no_longer_eligible_is_withheld_with_its_reason(
    change: dict[str, Any], reason: str
) -> None:
    outgoing = build([("a",), ("b",)], {"a": change, "b": {}})
    assert {record.rank for record in outgoing.records} == {1}
    assert outgoing.withheld == {reason: 1}
    assert set(outgoing.sent["contact"]) == {"b"}


def test_a_contact_that_left_the_source_is_withheld() -> None:
    assert build([("a",), ("b",)], {"b": {}}).withheld == {"no_longer_in_source": 1}


def test_a_value_that_does_not_fit_is_withheld_and_an_empty_one_left_out() -> None:
    contacts = {"a": {"Lead score": "high"}, "b": {"City": "  "}, "c": {"City": None, "Lead score": None}}
    outgoing = build([("a",), ("b",), ("c",)], contacts)
    assert contents(outgoing) == [
        (0, (), 30, {}),
        (0, (), 90, {"city": "Bremen"}),
        (1, (), 30, {"score": ">=10"}),
        (1, (), 90, {}),
        (2, (), 30, {}),
        (2, (), 90, {}),
    ]
    city, score = outgoing.fields
    assert (city.values, city.empty, city.withheld) == (1, 2, {})
    assert (score.values, score.empty, score.withheld) == (1, 1, {"not_an_integer": 1})
    assert fields_sent(outgoing) == {"a": ("city",), "b": ("score",), "c": ()}


def test_a_side_that_sends_nothing_needs_nothing() -> None:
    outgoing = build([("a",)], {}, Side.PARTNER)
    assert (outgoing.records, outgoing.withheld, outgoing.fields) == ((), {}, ())


def test_a_missing_column_is_an_input_fault() -> None:
    with pytest.raises(MutualsError) as caught:
        build_records(
            agreement(proposer_sends=FIELDS),
            Side.PROPOSER,
            Overlap.of([("a",)]),
            contact_table({"a": {}}),
            mapping={"city": "Town", "score": "Lead score"},
            today=TODAY,
        )
    assert caught.value.code is ErrorCode.INPUT_QUALITY


def test_a_shared_rank_goes_to_the_first_contact_and_only_if_all_may_be_sent() -> None:
    outgoing = build([("b", "a"), ("b",), ("c", "d"), ("c",), ("e", "f")], {c: {} for c in "abcef"})
    assert {(r.rank, r.also) for r in outgoing.records} == {(0, ()), (1, ()), (3, ()), (4, ())}
    assert set(outgoing.sent["contact"]) == {"a", "b", "c", "e"}
    assert outgoing.withheld == {"no_longer_in_source": 1, "sent_under_another_contact": 1}


def test_a_contact_whose_only_rank_is_shared_with_an_ineligible_one_is_withheld() -> None:
    outgoing = build([("a", "b")], {"a": {}, "b": {"consent": []}})
    assert not outgoing.records
    assert outgoing.withheld == {"no_consent": 1, "shared_with_ineligible": 1}


OVERLAPS = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3, unique=True).map(tuple), max_size=15
)


@settings(max_examples=60, deadline=None)
@given(OVERLAPS, st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")))
def test_any_overlap_gives_disjoint_ascending_records_of_eligible_contacts(
    pairs: list[tuple[str, ...]], gone: set[str], withdrawn: set[str]
) -> None:
    contacts = {c: {"consent": [] if c in withdrawn else ["sharing"]} for c in "abcdefgh" if c not in gone}
    outgoing = build(pairs, contacts)
    order = [(record.rank, record.retention_days) for record in outgoing.records]
    assert order == sorted(set(order))
    named: dict[int, int] = {}
    for record in outgoing.records:
        assert list(record.also) == sorted(record.also)
        for rank in (record.rank, *record.also):
            assert named.setdefault(rank, record.rank) == record.rank
            assert not set(pairs[rank]) & (gone | withdrawn)
    assert set(outgoing.sent["contact"]) <= contacts.keys() - withdrawn
    everyone = {contact for pair in pairs for contact in pair}
    assert len(outgoing.sent) + sum(outgoing.withheld.values()) == len(everyone)
    usable = {rank for rank, pair in enumerate(pairs) if not set(pair) & (gone | withdrawn)}
    assert named.keys() == usable
    table = contact_table(contacts)
    rule = agreement(proposer_sends=FIELDS)
    assert ineligible(table, rule, Overlap.of(pairs), TODAY) == everyone & (gone | withdrawn)


def test_the_preview_digest_stands_for_exactly_these_records() -> None:
    key, sid = b"\x01" * 32, b"\x02" * 32
    records = [PlainRecord(0, (1,), 90, b"{}"), PlainRecord(2, (), 90, b'{"city":"Kiel"}')]
    base = preview_digest(key, sid, Role.INITIATOR, records)
    assert base == preview_digest(key, sid, Role.INITIATOR, list(records))
    others = [
        preview_digest(b"\x03" * 32, sid, Role.INITIATOR, records),
        preview_digest(key, b"\x03" * 32, Role.INITIATOR, records),
        preview_digest(key, sid, Role.RESPONDER, records),
        preview_digest(key, sid, Role.INITIATOR, records[:1]),
        preview_digest(key, sid, Role.INITIATOR, [PlainRecord(0, (), 90, b"{}"), records[1]]),
        preview_digest(key, sid, Role.INITIATOR, [PlainRecord(0, (1,), 30, b"{}"), records[1]]),
        preview_digest(key, sid, Role.INITIATOR, [records[0], PlainRecord(2, (), 90, b'{"city":"Bonn"}')]),
    ]
    assert len({base, *others}) == len(others) + 1


_RECORDS = st.lists(
    st.builds(
        PlainRecord,
        st.integers(0, 3),
        st.lists(st.integers(0, 3), max_size=2).map(tuple),
        st.integers(1, 3),
        st.binary(max_size=9),
    ),
    max_size=3,
)


@settings(max_examples=100, deadline=None)
@given(_RECORDS, _RECORDS)
def test_two_previews_have_one_digest_only_if_they_send_the_same(
    one: list[PlainRecord], other: list[PlainRecord]
) -> None:
    digests = [
        preview_digest(b"\x01" * 32, b"\x02" * 32, Role.INITIATOR, records) for records in (one, other)
    ]
    assert (digests[0] == digests[1]) is (one == other)


_HELD = st.fixed_dictionaries(
    {"City": st.sampled_from(["Bonn", "Ulm", ""]), "Lead score": st.sampled_from(["1", "50", "many"])}
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(_HELD, min_size=3, max_size=3),
    st.lists(_HELD, min_size=3, max_size=3),
    st.permutations(range(3)),
)
def test_the_digest_follows_the_values_and_not_the_order_of_the_source(
    before: list[dict[str, str]], after: list[dict[str, str]], order: list[int]
) -> None:
    def digest(rows: list[dict[str, str]], order: list[int]) -> tuple[bytes, list[PlainRecord]]:
        records = build([("C0",), ("C1",), ("C2",)], {f"C{i}": rows[i] for i in order}).records
        return preview_digest(b"\x01" * 32, b"\x02" * 32, Role.INITIATOR, records), list(records)

    (first, sent), (second, sent_then) = digest(before, [0, 1, 2]), digest(after, order)
    assert (first == second) is (sent == sent_then)
    assert digest(before, order)[0] == first
