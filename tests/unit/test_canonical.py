"""The quick way to canonical JSON comes to what the library comes to, byte for byte and refusal for refusal."""

from __future__ import annotations

import json
from typing import Any

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from mutuals.canonical import canonical_json, parse_canonical

TEXT = st.text(max_size=8) | st.text('ab\x00\x1f\x7f"\\/\n\ud83dé\ue000😀', max_size=4)
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**53 - 1, 2**53, -(2**53)]) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT
KEYS = TEXT | st.integers(0, 3) | st.booleans()


def _values(keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=5,
    )


OBJECTS = st.dictionaries(KEYS, _values(KEYS) | st.tuples(LEAVES), max_size=5)


def _or_refused(make: Any, value: Any) -> Any:
    try:
        return make(value)
    except (ValueError, TypeError, RecursionError) as error:
        return type(error)


@example({"a": 1.0, "b": -0.0, "c": 1e21})
@example({"\ue000": 1, "😀": 2, "a": 3})
@example({1: "one", "1": "another"})
@given(OBJECTS)
def test_writing(value: dict[Any, Any]) -> None:
    assert _or_refused(canonical_json, value) == _or_refused(rfc8785.dumps, value)


def _parsed(data: bytes) -> Any:
    value = json.loads(data)
    if not isinstance(value, dict) or rfc8785.dumps(value) != data:
        raise ValueError
    return value


@example(b'{"a":1.0}')
@example(b'{"a":1,"a":1}')
@example(b'{"a":-0}')
@example(b'{"a":NaN}')
@example(b'{"a":"\\u0061"}')
@example(b'{"a":"\\ud83d"}')
@example(b'{"a":9007199254740993}')
@example(b'{"b":1,"a":2}')
@example('{"a":1}'.encode("utf-16-le"))
@given(
    st.builds(
        lambda value, spaced, ascii_only: json.dumps(
            value, ensure_ascii=ascii_only, separators=None if spaced else (",", ":"), sort_keys=not spaced
        ).encode(errors="replace"),
        st.dictionaries(TEXT, _values(TEXT), max_size=4),
        st.booleans(),
        st.booleans(),
    )
)
def test_reading(data: bytes) -> None:
    try:
        expected = _parsed(data)
    except (ValueError, RecursionError):
        assert issubclass(_or_refused(parse_canonical, data), ValueError)
        return
    assert json.dumps(parse_canonical(data)) == json.dumps(expected)
