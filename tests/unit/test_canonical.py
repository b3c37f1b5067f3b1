"""The short way of writing flat objects gives the bytes of the library, or leaves them to it."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mutuals.canonical import canonical_json, parse_canonical

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLAT = st.dictionaries(st.text(max_size=8), st.one_of(st.text(), NUMBERS, st.booleans()), max_size=5)


@given(FLAT)
def test_flat_objects_are_written_as_by_the_library(value: dict[str, Any]) -> None:
    data = canonical_json(value)
    assert data == rfc8785.dumps(value)
    assert parse_canonical(data) == value


@pytest.mark.parametrize("data", [b'{"a":1,"a":1}', b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":"\\u0041"}', b"[]"])
def test_another_form_of_the_same_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_canonical(data)


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"a": 2**53}, {"a": float("nan")}])
def test_what_has_no_canonical_form_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical_json(value)
