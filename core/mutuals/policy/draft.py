"""From the TOML a person wrote to a policy, with every problem named by its key.

policy = parse_policy_toml(text, version=2, file="policy.toml")
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, time
from typing import Any

from pydantic import ValidationError

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.text import deceptive_character
from mutuals.models.policy import Policy
from mutuals.problems import Problem, explain, key_path, report
from mutuals.toml_faults import toml_fault, toml_values

PAGE = "docs/policy.md"
MAX_CHARACTERS = 256 * 1024

BLANK = re.compile(r"^\s*<[^<>]*>\s*$|<[a-z][^<>\n]* [^<>\n]*>")
"""A blank of the template: the whole value in angle brackets, or a few words in them."""

_FILLED_IN = frozenset({("format",), ("version",)})


def parse_policy_toml(text: str, *, version: int, file: str = "policy.toml") -> Policy:
    """The policy that ``text`` (TOML) describes, as the ``version`` it would be approved as.

    ``file`` is how the sentences call it. Raises MutualsError (INPUT_QUALITY) that names each problem by its key, at
    most ten, one a line.
    """
    values = _read(text, file)
    problems = list(_problems_before(values))
    values["version"] = version
    policy = None
    try:
        policy = Policy.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        problems.extend(explain(error, Policy))
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, " holds a value that no policy can have") from error
    if problems or policy is None:
        raise report(file, problems, PAGE, text)
    return policy


def _read(text: str, file: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise _unreadable(file, f" is longer than {MAX_CHARACTERS:,} characters")
    try:
        return toml_values(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(file, f", {toml_fault(error, text)}") from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, " holds a number that is too long, or a value nested too deep") from error


def _problems_before(values: dict[str, Any]) -> Iterator[Problem]:
    """Blanks, keys that are not the person's to write, dates (none belongs here), characters that disguise text."""
    for path, value in _leaves(values):
        if path in _FILLED_IN:
            yield Problem(key_path(path), "is filled in by mutuals; leave it out")
        elif isinstance(value, date | time):
            yield Problem(key_path(path), "is a date, which no key of a policy takes; write text in quotes")
        elif isinstance(value, str):
            character = deceptive_character(value, lines=True)
            if BLANK.search(value):
                yield Problem(key_path(path), "is still a blank; replace the text in angle brackets")
            elif character is not None:
                yield Problem(key_path(path), f"holds the control or invisible character {character}")


def _leaves(values: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value that is no table or list, with its path; iterative, so that depth cannot exhaust the stack."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), values)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(((*path, str(key)), inner) for key, inner in reversed(value.items()))
        elif isinstance(value, list):
            waiting.extend(((*path, index), value[index]) for index in reversed(range(len(value))))
        else:
            yield path, value


def _unreadable(file: str, what: str) -> MutualsError:
    return MutualsError(ErrorCode.INPUT_QUALITY, f"{file}{what}.", hint=f"What each key means: {PAGE}")
