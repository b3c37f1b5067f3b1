"""On which line of a TOML file each key stands, which ``tomllib`` does not tell.

lines = key_lines(text)            # of a text that tomllib has read
lines["matching.min_set_size"]     # 41; list entries and blocks count from one: "proposer_sends[2].name"
line_of(lines, "matching.engine")  # where it is missing, the line of what it is missing from
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = " \t"


def key_lines(text: str) -> dict[str, int]:
    """The line, from 1, of every key, section and list entry in ``text``, by its place as ``key_path`` writes it.

    Of what is not TOML it finds some of them, or none; it never raises.
    """
    try:
        return _Scanner(text).scan()
    except (IndexError, ValueError, RecursionError):
        return {}


def line_of(lines: dict[str, int], key: str) -> int | None:
    """The line of ``key``, or of the nearest section or entry around it that has one."""
    while key:
        if key in lines:
            return lines[key]
        key = key[: key.rindex("[")] if key.endswith("]") else key.rpartition(".")[0]
    return None


class _Scanner:
    """Walks over the text once. ``at`` is the position of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n") + "\n"
        self._at = 0
        self._breaks = [place for place, character in enumerate(self._text) if character == "\n"]
        self._lines: dict[str, int] = {}
        self._blocks: dict[str, int] = {}

    def scan(self) -> dict[str, int]:
        section = ""
        while self._skip(_SPACE + "\n"):
            line = self._line()
            if self._peek() == "[":
                section = self._header(line)
            else:
                self._pair(section)
        return self._lines

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def _skip(self, characters: str) -> bool:
        """Go past white space and comments; whether something follows."""
        while self._at < len(self._text):
            if self._peek() == "#" and "\n" in characters:
                self._at = self._text.index("\n", self._at)
            elif self._peek() in characters:
                self._at += 1
            else:
                return True
        return False

    def _header(self, line: int) -> str:
        """``[a.b]`` or ``[[a]]``; the place of what follows."""
        block = self._text.startswith("[[", self._at)
        self._at += 2 if block else 1
        *parents, last = self._key()
        place = self._in_block(parents)
        place = f"{place}.{last}" if place else last
        if block:
            self._blocks[place] = self._blocks.get(place, 0) + 1
            place = f"{place}[{self._blocks[place]}]"
        self._lines.setdefault(place, line)
        self._at = self._text.index("]", self._at) + (2 if block else 1)
        return place

    def _in_block(self, names: list[str]) -> str:
        """The place of a parent section: below a block, its latest entry."""
        place = ""
        for name in names:
            place = f"{place}.{name}" if place else name
            if place in self._blocks:
                place = f"{place}[{self._blocks[place]}]"
        return place

    def _pair(self, section: str) -> None:
        """``key = value``; dotted keys stand for each table on their way."""
        line = self._line()
        place = section
        for name in self._key():
            place = f"{place}.{name}" if place else name
            self._lines.setdefault(place, line)
        self._at += 1  # the =
        self._value(place)

    def _key(self) -> list[str]:
        """A dotted key, up to what follows it."""
        names = []
        while True:
            self._skip(_SPACE)
            if self._peek() in "\"'":
                names.append(self._quoted())
            else:
                found = _BARE.match(self._text, self._at)
                if found is None:
                    raise ValueError("no key")
                names.append(found[0])
                self._at = found.end()
            self._skip(_SPACE)
            if self._peek() != ".":
                return names
            self._at += 1

    def _value(self, place: str) -> None:
        self._skip(_SPACE)
        opening = self._peek()
        if opening in "\"'":
            self._string()
        elif opening == "[":
            self._list(place)
        elif opening == "{":
            self._table(place)
        else:
            while self._peek() not in ",]}#\n":
                self._at += 1

    def _list(self, place: str) -> None:
        self._at += 1
        number = 0
        while self._skip(_SPACE + "\n,"):
            if self._peek() == "]":
                self._at += 1
                return
            number += 1
            entry = f"{place}[{number}]"
            self._lines.setdefault(entry, self._line())
            self._value(entry)

    def _table(self, place: str) -> None:
        self._at += 1
        while self._skip(_SPACE + "\n,"):
            if self._peek() == "}":
                self._at += 1
                return
            self._pair(place)

    def _quoted(self) -> str:
        start = self._at
        self._string()
        written = self._text[start : self._at]
        if written[0] == "'":
            return written[1:-1]
        try:
            return str(json.loads(written))
        except ValueError:
            return written[1:-1]

    def _string(self) -> None:
        """Go past a string of any of TOML's four kinds."""
        quote = self._peek()
        closing = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(closing)
        while not self._text.startswith(closing, self._at):
            self._at += 2 if self._peek() == "\\" and quote == '"' else 1
            if self._at >= len(self._text):
                raise ValueError("a text without an end")
        self._at += len(closing)
        while len(closing) == 3 and self._peek() == quote:  # up to two more quotes belong to the text
            self._at += 1
