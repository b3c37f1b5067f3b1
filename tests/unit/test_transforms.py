"""A cell becomes the agreed value or is withheld; what comes out is always what a receiver may see."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mutuals.models.agreement import SharedField
from mutuals.runs.transforms import Column, UnfitValue, bands, check_value, column_of, transform


def shared(type: str = "text", transform: str = "none") -> SharedField:
    return SharedField.model_validate(
        {"name": "field", "type": type, "transform": transform, "departments": ("marketing",)}
    )


ALL = [
    *(shared(kind) for kind in ("text", "integer", "decimal", "date", "boolean")),
    *(shared("text", name) for name in ("lower", "first_letter")),
    *(shared("date", name) for name in ("year", "month")),
    *(shared(kind, name) for kind in ("integer", "decimal") for name in ("round:50", "band:100,500,501")),
]


@pytest.mark.parametrize(
    ("kind", "name", "cell", "value"),
    [
        ("text", "none", "  Müller & Söhne ", "Müller & Söhne"),
        ("text", "lower", "GOLD Plan", "gold plan"),
        ("text", "first_letter", "jane", "J"),
        ("text", "first_letter", "ßharp", "ß"),
        ("integer", "none", "+0042", 42),
        ("integer", "none", "-7", -7),
        ("integer", "none", "-0", 0),
        ("decimal", "none", "012.500", "12.5"),
        ("decimal", "none", "-0.0", "0"),
        ("decimal", "none", "-0.10", "-0.1"),
        ("decimal", "none", "100", "100"),
        (
            "decimal",
            "none",
            "123456789012345678901234567890.123456789",
            "123456789012345678901234567890.123456789",
        ),
        ("date", "none", "2026-05-01", "2026-05-01"),
        ("date", "none", "2026-05-01T23:59:59Z", "2026-05-01"),
        ("date", "year", "2026-05-01", 2026),
        ("date", "month", "2026-05-01 10:00", "2026-05"),
        ("boolean", "none", "Yes", True),
        ("boolean", "none", "0", False),
        ("integer", "round:100", "149", 100),
        ("integer", "round:100", "150", 200),
        ("integer", "round:100", "-150", -200),
        ("decimal", "round:10", "14.99", 10),
        ("integer", "band:100,500", "99", "<100"),
        ("integer", "band:100,500", "100", "100-499"),
        ("integer", "band:100,500", "500", ">=500"),
        ("decimal", "band:100,500", "499.99", "100-499"),
        ("decimal", "band:100,500", "-3.5", "<100"),
    ],
)
def test_a_cell_becomes_the_agreed_value(kind: str, name: str, cell: str, value: object) -> None:
    result = transform(shared(kind, name), cell)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("kind", "name", "cell", "reason"),
    [
        ("integer", "none", "12.0", "not_an_integer"),
        ("integer", "none", "1,200", "not_an_integer"),
        ("integer", "none", "٣", "not_an_integer"),
        ("integer", "none", "9007199254740992", "out_of_range"),
        ("integer", "round:1000", "9" * 29, "out_of_range"),
        ("decimal", "none", "1e5", "not_a_decimal"),
        ("decimal", "none", "12,50", "not_a_decimal"),
        ("decimal", "none", "NaN", "not_a_decimal"),
        ("date", "none", "01.05.2026", "not_a_date"),
        ("date", "year", "2026-02-30", "not_a_date"),
        ("date", "month", "2026", "not_a_date"),
        ("boolean", "none", "maybe", "not_a_boolean"),
        ("text", "first_letter", "4you", "not_a_letter"),
        ("text", "none", "x" * 1001, "too_long"),
        ("text", "none", "ü" * 501, "too_long"),
        ("text", "none", "\x01" * 200, "too_long"),
    ],
)
def test_a_cell_that_does_not_fit_is_withheld_with_its_reason(
    kind: str, name: str, cell: str, reason: str
) -> None:
    with pytest.raises(UnfitValue) as caught:
        transform(shared(kind, name), cell)
    assert caught.value.reason == reason
    assert cell not in str(caught.value)


CELLS = st.one_of(
    st.text(min_size=1, max_size=30),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.dates().map(str),
    st.sampled_from(["true", "NO", "1", "a", "ŉ", "İx", "ΑΣ", "ΐ"]),
)


@given(st.sampled_from(ALL), CELLS)
@example(shared("text", "lower"), "İ")
def test_whatever_is_sent_is_what_the_receiver_expects(field: SharedField, cell: str) -> None:
    try:
        value = transform(field, cell)
    except UnfitValue:
        return
    check_value(field, value)
    match column_of(field):
        case Column.INTEGER:
            assert type(value) is int
        case Column.BOOLEAN:
            assert type(value) is bool
        case _:
            assert type(value) is str


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True).map(sorted),
    st.integers(-10, 2 * 10**6),
)
def test_every_number_has_one_band_and_the_band_holds_it(bounds: list[int], number: int) -> None:
    field = shared("integer", "band:" + ",".join(map(str, bounds)))
    label = transform(field, str(number))
    assert isinstance(label, str)
    if label.startswith("<"):
        assert number < int(label[1:])
    elif label.startswith(">="):
        assert number >= int(label[2:])
    else:
        low, _, high = label.partition("-")
        assert int(low) <= number <= int(high or low)
    assert len(set(bands(field))) == len(bounds) + 1


@given(st.integers(-(2**50), 2**50), st.integers(1, 10**6))
def test_rounding_moves_by_at_most_half_a_step(number: int, step: int) -> None:
    value = transform(shared("integer", f"round:{step}"), str(number))
    assert isinstance(value, int)
    assert value % step == 0
    assert 2 * abs(value - number) <= step


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("text", "none", 5),
        ("text", "none", "x" * 2000),
        ("text", "lower", "Raw"),
        ("text", "first_letter", "Jane"),
        ("integer", "none", True),
        ("integer", "none", "5"),
        ("integer", "none", 5.5),
        ("integer", "none", 2**60),
        ("decimal", "none", "12.50"),
        ("decimal", "none", 12.5),
        ("date", "none", "2026-5-1"),
        ("date", "none", "20260501"),
        ("date", "year", "2026-05-01"),
        ("date", "year", 20260501),
        ("date", "month", "2026-05-01"),
        ("boolean", "none", 1),
        ("integer", "round:50", 120),
        ("integer", "round:50", True),
        ("integer", "band:100,500", 250),
        ("integer", "band:100,500", "100-500"),
        ("integer", "band:100,500", ["<100"]),
        ("text", "none", None),
        ("text", "none", {"name": "x"}),
    ],
)
def test_a_value_that_says_more_than_agreed_is_refused(kind: str, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="not what was agreed"):
        check_value(shared(kind, name), value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("text", "year"),
        ("date", "band:1"),
        ("boolean", "lower"),
        ("text", "round:5"),
        ("integer", "band:5,5"),
    ],
)
def test_a_transformation_that_cannot_work_is_no_agreement(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"transform|ascend"):
        shared(kind, name)
