"""TOML that people wrote: read in bounded time, and what is wrong with it in the words of somebody new to it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MOST_PARTS = 100
"""So many names may stand in one key, ``a.b.c``: tomllib takes a time with the square of their number."""

_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_.-]){_PART}(?:\.[ \t]*+{_PART}){{{MOST_PARTS}}}")
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
_WORDS = (
    (r"Illegal character '\\[nr]", "a text in quotation marks is not closed on its line"),
    (r"Illegal character", "there is a control character, such as a tab inside a text or comment"),
    (r"Unterminated string|Expected \"'", "a text in quotation marks is not closed"),
    (r"Unescaped|Invalid hex|Escaped char", 'a backslash in a text must be written twice: "\\\\"'),
    (r"Cannot overwrite a value|Duplicate inline table key", "a key stands there a second time"),
    (r"Cannot declare|Cannot redefine|Cannot mutate", "a section stands there a second time"),
    (r"Expected '='", "a key is not followed by ="),
    (r"Expected '\]+'", "the name of a section is not closed with ]"),
    (
        r"Unclosed array|Unclosed inline",
        "a list or table is not closed, or a comma is missing, here or above",
    ),
    (r"Expected newline|Unexpected character", "something follows where the line should end"),
    (
        r"Invalid value",
        "what follows = is neither text in quotation marks nor a number, date, true, false or list",
    ),
    (
        r"Invalid initial character for a key|Invalid statement",
        "the line is neither key = value nor [section]",
    ),
    (r"Invalid date", "there is no such date"),
)


def toml_values(text: str) -> dict[str, Any]:
    """What ``text`` says. Raises tomllib.TOMLDecodeError, for which ``toml_fault`` has words.

    Raises ValueError where a number is too long or a key has more than MOST_PARTS parts, and RecursionError where a
    value is nested too deep.
    """
    if _LONG_KEY.search(text):
        raise ValueError("a key of too many parts")
    return tomllib.loads(text)


def toml_fault(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Where in ``text`` and what, as in ``line 7: a key stands there a second time``; never what stands there."""
    reason = str(error)
    place = _PLACE.search(reason)
    line = place[1] if place and place[1] else len(text.rstrip().splitlines())
    what = next((words for pattern, words in _WORDS if re.match(pattern, reason)), "that is not TOML")
    return f"line {line}: {what}"
