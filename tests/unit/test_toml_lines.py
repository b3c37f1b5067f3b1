"""Each key of a TOML file is found on the line where it stands."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.agreements import filled_draft, plain_card

from mutuals.agreement.draft import parse_draft
from mutuals.errors import MutualsError
from mutuals.problems import key_path
from mutuals.toml_lines import key_lines, line_of

OWN, PARTNER = plain_card(1), plain_card(2)

AWKWARD = '''\
# a = 1
title = "not # a comment, [nor] a section = 2"   # but this is
"quoted.key" = 'C:\\'
a.b . c = 1
text = """
[no.section]
key = "no key"
she said ""yes\\""" """
next = """"quoted\""""
raw = \'\'\'
x = 1\'\'\'
list = [
  1, # one
  [2, 3],
  { x = 1, "y" = [
    4] },
]
when = 2026-01-01 07:30:00

[one]
x = 1
  [[one.many]]
  y = 1
  [one.many.deep]
  z = 1
[[one.many]]
y = 2
[ "two" . three ]
x = true
'''


def test_awkward_files_are_understood() -> None:
    tomllib.loads(AWKWARD)
    assert key_lines(AWKWARD) == {
        "title": 2,
        "quoted.key": 3,
        "a": 4,
        "a.b": 4,
        "a.b.c": 4,
        "text": 5,
        "next": 9,
        "raw": 10,
        "list": 12,
        "list[1]": 13,
        "list[2]": 14,
        "list[2][1]": 14,
        "list[2][2]": 14,
        "list[3]": 15,
        "list[3].x": 15,
        "list[3].y": 15,
        "list[3].y[1]": 16,
        "when": 18,
        "one": 20,
        "one.x": 21,
        "one.many[1]": 22,
        "one.many[1].y": 23,
        "one.many[1].deep": 24,
        "one.many[1].deep.z": 25,
        "one.many[2]": 26,
        "one.many[2].y": 27,
        "two.three": 28,
        "two.three.x": 29,
    }


def test_every_key_of_a_draft_has_its_line() -> None:
    text = filled_draft(OWN, PARTNER)
    lines, found = text.splitlines(), key_lines(text)

    def leaves(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        if isinstance(value, dict):
            return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
        if isinstance(value, list) and value:
            return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
        return [path]

    places = leaves(tomllib.loads(text), ())
    assert len(places) > 60
    for place in places:
        line = lines[found[key_path(place)] - 1]
        names = [part for part in place if isinstance(part, str)]
        assert names[-1] in line or isinstance(place[-1], int), (place, line)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("min_overlap = 25", "min_overlap = 0", "matching.min_overlap"),
        (
            'retention_days = 90\ndepartments = ["marketing", "sales"]',
            "retention_days = 0",
            "proposer_sends[2].retention_days",
        ),
        ("[matching]", "[matching]\nmin_set_siz = 4 #", "matching.min_set_siz"),
        ("governing_law =", "governing_la =", "governing_la"),
    ],
)
def test_a_problem_is_named_by_line_and_key(before: str, after: str, key: str) -> None:
    text = filled_draft(OWN, PARTNER).replace(before, after, 1)
    changed = next(
        number for number, line in enumerate(text.splitlines(), 1) if line.startswith(after.splitlines()[-1])
    )
    with pytest.raises(MutualsError) as caught:
        parse_draft(text, OWN, PARTNER, file="a.toml")
    assert f"line {changed}: {key}: " in caught.value.message


def test_what_is_missing_is_named_by_the_line_of_its_section() -> None:
    lines = {"matching": 7, "list[2]": 9}
    assert line_of(lines, "matching.engine") == 7
    assert line_of(lines, "list[2].name") == 9
    assert line_of(lines, "list[3].name") is None
    assert line_of(lines, "title") is None


@given(st.text(alphabet="a.=[]{}\"'\\#, \n1é", max_size=60))
def test_it_never_raises(text: str) -> None:
    assert all(0 < line <= text.count("\n") + 1 for line in key_lines(text).values())
