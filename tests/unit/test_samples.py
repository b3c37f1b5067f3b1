"""Masked samples and what a preview says of its fields: the form of what leaves, and of nobody alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.models.agreement import SharedField
from mutuals.runs.preview_id import names_preview, preview_id
from mutuals.runs.record_columns import WrittenColumn, write_column
from mutuals.runs.samples import CROWD, FieldProfile, MaskedValue, draw_samples, profile_field

DIGEST = bytes(range(32))


def column(
    cells: Sequence[str | None], kind: str = "text", transform: str = "none", name: str = "f"
) -> WrittenColumn:
    shared = SharedField.model_validate(
        {"name": name, "type": kind, "transform": transform, "departments": ("marketing",)}
    )
    return write_column(shared, pl.Series(name, cells, dtype=pl.String))


def texts(*columns: WrittenColumn, digest: bytes = DIGEST) -> list[list[str]]:
    return [[value.text for value in sample] for sample in draw_samples(columns, digest)]


@pytest.mark.parametrize(
    ("kind", "transform", "crowd", "shown"),
    [
        ("text", "none", ["Bremen"] * 5, "Bremen"),
        ("text", "none", [f"Bremen {i}" for i in range(5)], "Br••••"),
        ("text", "none", ["Bonn", "Berlin", "Basel", "Böblingen", "Bruchsal"], "B••••"),
        ("text", "none", ["Aachen", "Bonn", "Celle", "Düren", "Essen"], "••••"),
        ("text", "none", ["x@example.com"] * 9, "••••"),
        ("text", "none", ["https://example.com/a"] * 9, "••••"),
        ("text", "none", ["ring 0151/23 45"] * 9, "••••"),
        ("text", "none", ["w" * 41] * 9, "ww••••"),
        ("text", "lower", ["Gold"] * 5, "gold"),
        ("text", "first_letter", ["Anna", "Ali", "Ada", "Ann", "Abel"], "A"),
        ("text", "first_letter", ["Anna", "Bo", "Cem", "Dan", "Eve"], "•"),
        ("date", "none", ["1985-03-12"] * 9, "1985-••-••"),
        ("date", "none", [f"{year}-03-12" for year in range(1980, 1985)], "••••-••-••"),
        ("date", "year", ["1985-03-12"] * 5, "1985"),
        ("date", "year", [f"{year}-03-12" for year in range(1980, 1985)], "••••"),
        ("date", "month", ["1985-03-12"] * 5, "1985-03"),
        ("date", "month", [f"1985-0{month}-12" for month in range(1, 6)], "1985-••"),
        ("integer", "none", ["7"] * 5, "7"),
        ("integer", "none", ["101", "202", "-303", "404", "505"], "3 digits"),
        ("integer", "none", ["1", "20", "300", "4000", "50000"], "digits"),
        ("integer", "none", ["1"] + [str(i) for i in range(2, 6)], "1 digit"),
        ("integer", "none", ["4915123456"] * 9, "10 digits"),
        ("integer", "round:100", ["101", "99", "120", "80", "100"], "100"),
        ("integer", "band:100", ["1", "2", "3", "4", "5"], "<100"),
        ("integer", "band:2,3,4,5", ["1", "2", "3", "4", "5"], "••"),
        ("decimal", "none", ["10.5", "11.25", "12", "-13", "14.1"], "2 digits"),
        ("decimal", "none", ["249.90"] * 5, "249.9"),
        ("boolean", "none", ["yes"] * 5, "yes"),
        ("boolean", "none", ["no"] * 4 + ["yes"] * 4, "••"),
    ],
)
def test_a_sample_shows_only_what_five_have_in_common(
    kind: str, transform: str, crowd: list[str], shown: str
) -> None:
    assert {text for sample in texts(column(crowd, kind, transform)) for text in sample} == {shown}


def test_what_is_shown_side_by_side_fits_five_together() -> None:
    # Each value is common, but only one contact has both.
    city, plan = ["Bonn"] * 5 + ["Köln"] * 5, ["gold"] * 4 + ["blue"] + ["gold"] + ["blue"] * 4
    samples = texts(column(city, name="city"), column(plan, name="plan"))
    assert len(samples) == 3
    for shown in samples:
        assert sum("•" not in text for text in shown) == 1


def test_each_sample_begins_with_another_field() -> None:
    halves = [
        column(["x" if i % 2 == 0 else "y" for i in range(10)], name="a"),
        column(["x" if i < 5 else "y" for i in range(10)], name="b"),
        column(["x" if i in {0, 3, 4, 7, 8} else "y" for i in range(10)], name="c"),
    ]
    shown = [[number for number, text in enumerate(sample) if "•" not in text] for sample in texts(*halves)]
    assert shown == [[0], [1], [2]]


def test_empty_and_unfit_are_said_whoever_it_is() -> None:
    values = draw_samples([column(["", None, "many"], "integer")], DIGEST)
    assert sorted((value.standing, value.text) for (value,) in values) == [
        ("empty", ""),
        ("empty", ""),
        ("withheld", "not_an_integer"),
    ]


@pytest.mark.parametrize("contacts", range(5))
def test_there_are_at_most_three_samples_of_different_contacts(contacts: int) -> None:
    samples = texts(column(["Bonn"] * contacts))
    assert samples == [["••••"]] * min(contacts, 3)
    assert not draw_samples([], DIGEST)


def test_the_same_preview_shows_the_same_samples() -> None:
    columns = [column([f"{place}{i}" for place in ("Bonn", "Köln", "Ulm", "Jena") for i in range(8)])]
    assert texts(*columns) == texts(*columns)
    assert len({json.dumps(texts(*columns, digest=bytes([i]) * 32)) for i in range(20)}) > 1


def test_a_value_is_in_no_representation_of_a_sample() -> None:
    assert "Planted" not in repr(MaskedValue("whole", "Planted"))
    assert "Planted" not in repr(column(["Planted"]))


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="•"), max_size=12)
_KINDS: dict[str, tuple[str, ...]] = {
    "text": ("none", "lower", "first_letter"),
    "integer": ("none", "round:10", "band:10,100"),
    "decimal": ("none",),
    "date": ("none", "year", "month"),
    "boolean": ("none",),
}
_WRITTEN: dict[str, st.SearchStrategy[str]] = {
    "text": _CELL,
    "integer": st.integers(-(10**9), 10**9).map(str),
    "decimal": st.decimals(-(10**6), 10**6, places=2).map(str),
    "date": st.dates().map(str),
    "boolean": st.sampled_from(["true", "false"]),
}


@st.composite
def _columns(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[WrittenColumn]:
    contacts = draw(st.integers(1, 14))
    columns = []
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(sorted(_KINDS)))
        pool = draw(st.lists(_WRITTEN[kind], min_size=1, max_size=4))
        cells = draw(st.lists(st.sampled_from(pool), min_size=contacts, max_size=contacts))
        columns.append(column(cells, kind, draw(st.sampled_from(_KINDS[kind])), f"f{number}"))
    return columns


@settings(max_examples=60, deadline=None)
@given(_columns(), st.binary(min_size=32, max_size=32))
def test_no_sample_holds_a_whole_value_that_fewer_than_five_share(
    columns: list[WrittenColumn], digest: bytes
) -> None:
    for sample in draw_samples(columns, digest):
        fitting = [True] * len(columns[0].members)
        for value, written in zip(sample, columns, strict=True):
            values = [
                None if member is None else str(json.loads(f"{{{member}}}")[written.shared.name])
                for member in written.members.to_list()
            ]
            rare = {
                item for item in values if item is not None and values.count(item) < CROWD and len(item) >= 3
            }
            if value.standing in {"masked", "part"}:
                assert value.text not in rare
                assert not any(item in value.text for item in rare)
            if value.standing == "whole":
                meant = {"yes": "True", "no": "False"}.get(value.text, value.text)
                fitting = [fits and item == meant for fits, item in zip(fitting, values, strict=True)]
            elif value.standing == "part" and "•" in value.text:
                start = value.text.split("•")[0]
                fitting = [
                    fits and item is not None and item.startswith(start)
                    for fits, item in zip(fitting, values, strict=True)
                ]
        shown = any(value.standing in {"whole", "part"} for value in sample)
        assert not shown or sum(fitting) >= CROWD


def test_a_field_says_how_many_are_alone_with_their_value() -> None:
    values = ["a"] * 5 + ["b"] * 4 + ["c", "d", "", "me@example.com"]
    assert profile_field(column(values)) == FieldProfile(distinct=5, alone=3, few=7, identifying=1)
    assert profile_field(column([])) == FieldProfile(0, 0, 0, 0)
    assert profile_field(column(["1234567"] * 5, "integer")).identifying == 0
    # The field's own name is no value.
    assert profile_field(column(["a"] * 5, name="n1234567")).identifying == 0


def test_a_preview_is_named_by_the_beginning_of_its_digest() -> None:
    name = preview_id(DIGEST)
    assert name == "0001-0203-0405-0607"
    for typed in (name, name.replace("-", ""), f" {name.upper()} ", DIGEST.hex()):
        assert names_preview(typed, DIGEST)
        assert names_preview(typed, name)
    for typed in ("", name[:-1], name + "0", "1" + name[1:], bytes(32).hex()):
        assert not names_preview(typed, DIGEST)
        assert not names_preview(typed, name)
