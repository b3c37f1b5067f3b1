"""JSON, changed value by value and kept in canonical form mostly, since nothing else gets past the first check."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from fuzz.mutate_bytes import mutate_bytes, span

NUMBERS = (
    0,
    1,
    -1,
    2,
    255,
    2**31 - 1,
    2**31,
    2**32,
    2**53 - 1,
    2**53,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**400,
)
FRACTIONS = (0.5, -0.0, 1e21, 1e-7, 1.0, 1e308, 5e-324)
TEXTS = (
    "",
    " ",
    "\0",
    "a\nb",
    "\x1b[31m",
    "\u202eabc",
    "\u200b",
    "\ud800",
    "\U0010ffff",
    "\u00e9",
    "e\u0301",
    "\ufeff",
    "\u2028",
    "null",
    "none",
    "0",
    "-1",
    "A-00000000",
    "R-00000000",
    "B-00000000",
    "2026-02-30",
    "2026-06-01",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-06-01T12:00:00",
    "2026-06-01T12:00:00.5+00:00",
    "24:00",
    "round:0",
    "round:-1",
    "round:99999999999999999999",
    "band:1,1,0",
    "band:" + ",".join(map(str, range(200))),
    "first_letter",
    "00" * 32,
    "ff" * 32,
    "FF" * 32,
    "00" * 64,
    "proposer",
    "partner",
    "mutuals/v1/card",
    "jane@example.com",
    "../../etc/passwd",
    "'; DROP TABLE runs; --",
    "{}",
    "[]",
    "<blank>",
    "x25519",
    "a" * 63,
    "a" * 5000,
    "\u00e9" * 300_000,
)
_DEEP = 200
_NUMBER = re.compile(rb"(?<=[:,\[])-?[0-9][0-9.eE+-]*")
_WORDS = (
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"1E2",
    b"00",
    b"1.",
    b"0x10",
    b"1" * 5000,
    b"null",
    b"true",
    b"/**/1",
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"[[[[[[[[]]]]]]]]",
)


def mutate_json(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """``data``, which is JSON, after some changes; one in eight is changed as text or bytes."""
    if chance.random() < 0.06:
        return mutate_bytes(chance, data, others)
    value = change(chance, json.loads(data), [json.loads(one) for one in others[:8]])
    return write(chance, value, indent=data.startswith(b"{\n"))


def write(chance: random.Random, value: Any, indent: bool = False) -> bytes:
    """``value`` as JSON: in the one order and without spaces, unless it is ``indent``ed; now and then otherwise."""
    odd = chance.random()
    text = json.dumps(
        value,
        ensure_ascii=odd < 0.03,
        sort_keys=not indent and odd < 0.97,
        separators=None if indent or odd > 0.985 else (",", ":"),
        indent=2 if indent else None,
    )
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.04:
        data = _rewrite(chance, data)
    return data


def change(chance: random.Random, value: Any, others: Sequence[Any] = ()) -> Any:
    """``value`` after one to four changes; what was given stays as it is."""
    for _ in range(1 + min(int(chance.expovariate(1.2)), 3)):
        value = _change_once(chance, value, others)
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value inside of ``value`` stands."""
    found = [path]
    if isinstance(value, dict):
        for key, member in value.items():
            found += places(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            found += places(member, (*path, index))
    return found


def at(value: Any, path: Sequence[Any]) -> Any:
    """What stands there."""
    for part in path:
        value = value[part]
    return value


def put(value: Any, path: Sequence[Any], new: Any) -> Any:
    """``value`` with something else at a place."""
    if not path:
        return new
    changed = copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


def _change_once(chance: random.Random, value: Any, others: Sequence[Any]) -> Any:
    everywhere = places(value)
    path = chance.choice(everywhere)
    here = at(value, path)
    if isinstance(here, dict) and (here or not path) and chance.random() < 0.9:
        return put(value, path, _change_object(chance, here))
    if isinstance(here, list) and chance.random() < 0.8:
        return put(value, path, _change_list(chance, here, value))
    if isinstance(here, str) and chance.random() < 0.6:
        return put(value, path, _change_text(chance, here))
    if isinstance(here, int | float) and not isinstance(here, bool) and chance.random() < 0.7:
        return put(value, path, chance.choice((*NUMBERS, *FRACTIONS, here + 1, here - 1, -here)))
    if others and chance.random() < 0.2:
        other = chance.choice(others)
        return put(value, path, at(other, chance.choice(places(other))))
    return put(value, path, _anything(chance, value))


def _change_object(chance: random.Random, here: dict[str, Any]) -> dict[str, Any]:
    changed = dict(here)
    keys = list(changed)
    match chance.randrange(5):
        case 0 | 1 if keys:
            del changed[chance.choice(keys)]
        case 2 if keys:
            changed[_key(chance, keys)] = changed.pop(chance.choice(keys))
        case 3 if len(keys) > 1:
            one, other = chance.sample(keys, 2)
            changed[one], changed[other] = changed[other], changed[one]
        case _:
            changed[_key(chance, keys)] = _anything(chance, here)
    return changed


def _key(chance: random.Random, keys: list[str]) -> str:
    key = chance.choice(keys) if keys else "a"
    return chance.choice(
        (key + "s", key.upper(), key[:-1], "extra", "", "__class__", chance.choice(TEXTS[:40]))
    )


def _change_list(chance: random.Random, here: list[Any], whole: Any) -> list[Any]:
    changed = list(here)
    match chance.randrange(6):
        case 0 if changed:
            del changed[chance.randrange(len(changed))]
        case 1 if changed:
            changed.insert(0, chance.choice(changed))
        case 2 if changed:
            changed = changed * chance.choice((2, 3, 21, 101, 1001) if len(changed) < 20 else (2,))
        case 3:
            chance.shuffle(changed)
        case 4:
            changed = []
        case _:
            changed.insert(chance.randint(0, len(changed)), _anything(chance, whole))
    return changed


def _change_text(chance: random.Random, text: str) -> str:
    start, end = span(chance, len(text), 8)
    match chance.randrange(6):
        case 0:
            return text[:start] + text[end:]
        case 1:
            return text[:start] + chance.choice(TEXTS[:13]) + text[start:]
        case 2:
            return text[:start] + text[start:end] * 2 + text[end:]
        case 3 if text:
            at_ = chance.randrange(len(text))
            letter = chr((ord(text[at_]) ^ (1 << chance.randrange(7))) or 1)
            return text[:at_] + letter + text[at_ + 1 :]
        case 4:
            return text.swapcase() if chance.random() < 0.5 else text * 2
    return chance.choice(TEXTS if chance.random() < 0.1 else TEXTS[:-2])


def _anything(chance: random.Random, whole: Any) -> Any:
    match chance.randrange(9):
        case 0:
            return None
        case 1:
            return chance.random() < 0.5
        case 2 | 3:
            return chance.choice((*NUMBERS, *FRACTIONS))
        case 4:
            return at(whole, chance.choice(places(whole)))
        case 5:
            return chance.choice(([], {}, [[]], [{}], {"": {}}, [None], {"a": []}))
        case 6 if chance.random() < 0.1:
            return _deep(chance)
    return chance.choice(TEXTS[:-1])


def _deep(chance: random.Random) -> Any:
    value: Any = 1
    for _ in range(chance.choice((10, _DEEP))):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def _rewrite(chance: random.Random, data: bytes) -> bytes:
    """As text: numbers that no library would write, a key twice, something around it, another encoding."""
    numbers = list(_NUMBER.finditer(data))
    rewrites: list[Callable[[], bytes]] = [
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data + chance.choice((b" ", b"\n", b"\0", b"}", data)),
        lambda: data.decode("utf-8", "replace").encode(chance.choice(("utf-16", "utf-32", "utf-16-be"))),
        lambda: data.replace(b'":', b'":1,"a":1,"a":', 1),
        lambda: chance.choice(_WORDS),
    ]
    if numbers:
        found = chance.choice(numbers)
        rewrites += [lambda: data[: found.start()] + chance.choice(_WORDS) + data[found.end() :]] * 3
    return chance.choice(rewrites)()
