from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutuals.framing import Context, digest
from mutuals.protocol.items import (
    Rows,
    all_distinct,
    as_rows,
    ascending_order,
    items_for,
    random_order,
    row_keys,
)
from mutuals.protocol.padding import padded_size
from mutuals.protocol.points import MemoryPoints, distinct_points

AGREEMENT = b"\xaa" * 32


def points(rows: Rows) -> MemoryPoints:
    made = MemoryPoints(len(rows), rows.shape[1])
    made.put(0, rows.tobytes())
    return made


def test_an_item_is_the_framed_digest_of_agreement_and_identifier() -> None:
    identifiers = ["email:jane@example.com", "phone:+14155550100", "email:jürgen@example.com"]
    items = items_for(AGREEMENT, identifiers)
    assert items.shape == (3, 32)
    assert [row.tobytes() for row in items] == [digest(Context.ITEM, AGREEMENT, one) for one in identifiers]


def test_no_identifiers_make_no_items() -> None:
    assert items_for(AGREEMENT, []).shape == (0, 32)


def test_items_of_two_agreements_have_nothing_in_common() -> None:
    identifiers = [f"email:user{number}@example.com" for number in range(50)]
    assert all_distinct(
        np.concatenate([items_for(agreement, identifiers) for agreement in (AGREEMENT, b"\xab" * 32)])
    )


@given(st.integers(0, 300))
def test_an_order_holds_every_position_once(count: int) -> None:
    assert sorted(random_order(count).tolist()) == list(range(count))


def test_an_order_follows_the_randomness_it_is_given() -> None:
    keys = np.array([3, 1, 2], np.uint64).tobytes()
    assert random_order(3, lambda size: keys[:size]).tolist() == [1, 2, 0]


def test_orders_differ_from_run_to_run() -> None:
    assert not np.array_equal(random_order(100), random_order(100))


@pytest.mark.parametrize("width", [3, 8, 16, 33])
def test_rows_alike_but_for_a_byte_are_told_apart_wherever_it_is(width: int) -> None:
    """A partner may choose its points so that what is compared first is the same in all of them."""
    rows = np.zeros((2 * width, width), np.uint8)
    rows[np.arange(width), np.arange(width)] = 1
    rows[width + np.arange(width), np.arange(width)] = 2
    assert all_distinct(rows)
    assert distinct_points(points(rows[:width]), points(rows[width:]))
    assert not all_distinct(np.concatenate([rows, rows[-1:]]))
    assert not distinct_points(points(rows), points(rows[3:4]))


@given(st.lists(st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(16), bytes(15) + b"\x01"])))
def test_an_ascending_order_is_that_of_the_bytes(texts: list[bytes]) -> None:
    order = ascending_order(as_rows(b"".join(texts), 16))
    assert [texts[place] for place in order] == sorted(texts)


def test_rows_are_compared_byte_by_byte_even_where_they_end_in_zeros() -> None:
    rows = as_rows(b"a\x00\x00a\x00\x01a\x01\x00\x00\x00\x00", 3)
    assert all_distinct(rows)
    assert np.argsort(row_keys(rows)).tolist() == [3, 0, 1, 2]


def test_a_row_in_two_lists_is_found() -> None:
    one, two = as_rows(os.urandom(320), 32), as_rows(os.urandom(320), 32)
    assert distinct_points(points(one), points(two))
    assert not distinct_points(points(one), points(np.concatenate([two, one[3:4]])))


@given(st.integers(0, 20_000_000))
def test_padding_is_at_most_a_quarter_and_hides_the_size_within_its_rung(size: int) -> None:
    padded = padded_size(size)
    assert size <= padded <= size * 5 // 4
    assert padded_size(padded) == padded


def test_sizes_of_one_rung_look_the_same() -> None:
    assert len({padded_size(size) for size in range(10_000, 100_000)}) < 13


def test_padding_stays_within_the_agreed_maximum() -> None:
    assert padded_size(980, 1000) == 1000
    assert padded_size(1200, 1000) == 1200


def test_a_negative_size_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        padded_size(-1)
