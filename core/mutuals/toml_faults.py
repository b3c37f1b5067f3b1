"""What is wrong with a file that is not TOML, in the words of somebody who does not know TOML's."""

from __future__ import annotations

import re
import tomllib

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


def toml_fault(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Where in ``text`` and what, as in ``line 7: a key stands there a second time``; never what stands there."""
    reason = str(error)
    place = _PLACE.search(reason)
    line = place[1] if place and place[1] else len(text.rstrip().splitlines())
    what = next((words for pattern, words in _WORDS if re.match(pattern, reason)), "that is not TOML")
    return f"line {line}: {what}"
