"""Text that people write, changed line by line and word by word: TOML, CSV in any encoding, notes, fingerprints."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from fuzz.mutate_bytes import mutate_bytes, span
from fuzz.mutate_json import TEXTS

_VALUES = (
    '""',
    "''",
    '"""',
    "'''a\nb'''",
    '"\\ud800"',
    '"\\q"',
    '"\\u202e"',
    "[]",
    "{}",
    "[[]]",
    "[1, 'a', {a = 1}]",
    "{a = {b = [1]}}",
    "0",
    "-1",
    "1_000",
    "0x1F",
    "1e400",
    "inf",
    "nan",
    "9" * 5000,
    "true",
    "2026-02-30",
    "2026-06-01",
    "9999-12-31",
    "0001-01-01",
    "2026-06-01T12:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "12:00:00",
    "[" * 2000,
    "{a=" * 2000,
    '"<a blank>"',
    '"jane@example.com"',
    '"unix:/tmp/x"',
    '"postgresql://a:b@c/d"',
    '"tcp://[::1]:8786"',
)
_LINES = (
    "",
    "[",
    "]",
    "[a]",
    "[[a]]",
    "[a.b.c]",
    "a.b.c = 1",
    "a." * 3000 + "a = 1",
    "= 1",
    "a =",
    "a",
    "#",
    "# \x07",
    '"" = 1',
    "'a' = 1",
    "[[contacts]]",
    "[matching]",
    "\x00",
    "__proto__ = 1",
)
_CELLS = (
    "",
    " ",
    '"',
    '""',
    '"""',
    'a"b',
    '"a\nb"',
    '"a,b"',
    "a\0b",
    "\ufeff",
    "true",
    "yes",
    "ja",
    "2026-01-31",
    "31.12.2025",
    "12/31/2025",
    "31/12/2025",
    "0000-00-00",
    "+49 30 123456",
    "00",
    "jane@example.com",
    "a@b",
    "@" * 300,
    "=1+1",
    "#N/A",
    "NULL",
    "1,5",
    "1e308",
    "-" * 50,
    "x" * 140_000,
    "\u202e",
    "\U0010ffff",
    "ａ＠ｂ．ｄｅ",
    "xn--" + "a" * 80 + "@xn--p1ai",
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "utf-32")
_WORD = re.compile(r"\w+|[^\w\s]")


def mutate_toml(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """TOML: keys, values, sections and lines; now and then the bytes."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(1 + min(int(chance.expovariate(0.9)), 4)):
        _change_line(chance, lines, others)
    return _bytes(chance, "\n".join(lines), others)


def _change_line(chance: random.Random, lines: list[str], others: Sequence[bytes]) -> None:
    at = chance.randrange(len(lines))
    settings = [number for number, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    if settings and chance.random() < 0.6:
        at = chance.choice(settings)
        key, _, value = lines[at].partition("=")
        match chance.randrange(6):
            case 0 | 1:
                value = " " + chance.choice(_VALUES)
            case 2:
                value = _change_words(chance, value)
            case 3:
                key = _change_words(chance, key)
            case 4:
                value = lines[chance.choice(settings)].partition("=")[2]
            case _:
                value = f' "{chance.choice(TEXTS[:-1])}"'
        lines[at] = f"{key}={value}"
        return
    match chance.randrange(6):
        case 0:
            lines[at : at + chance.choice((1, 1, 5))] = []
            lines[:] = lines or [""]
        case 1:
            lines.insert(chance.randint(0, len(lines)), lines[at])
        case 2:
            lines.insert(at, chance.choice(_LINES))
        case 3:
            lines[at] = _change_words(chance, lines[at])
        case 4:
            other = chance.choice(others).decode("utf-8", "replace").split("\n")
            lines[at:at] = other[slice(*span(chance, len(other), 10))]
        case _:
            lines[at] = lines[at].removeprefix("# ")


def mutate_words(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Any text: its words and signs."""
    text = data.decode("utf-8", "replace")
    for _ in range(1 + min(int(chance.expovariate(0.9)), 4)):
        text = _change_words(chance, text)
    return _bytes(chance, text, others)


def _change_words(chance: random.Random, text: str) -> str:
    words = list(_WORD.finditer(text))
    if not words:
        return text + chance.choice(TEXTS[:40])
    word = chance.choice(words)
    start, end = word.span()
    match chance.randrange(7):
        case 0:
            return text[:start] + text[end:]
        case 1:
            return text[:end] + word[0] + text[end:]
        case 2:
            return text[:start] + chance.choice(words)[0] + text[end:]
        case 3:
            return text[:start] + chance.choice(TEXTS[:-2]) + text[end:]
        case 4:
            return text[:start] + word[0].swapcase() + text[end:]
        case 5:
            return text[:start] + str(chance.choice((0, -1, 2**31, 2**64, "9" * 400))) + text[end:]
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice("\n\t\"'=[]{},;:.+-#\\ \u00a0\u2028\r") + text[at:]


def mutate_csv(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A table as text: cells, rows, columns, what separates them, and how it is encoded."""
    text = _decoded(data)
    sign = max(",;\t", key=text.split("\n", 1)[0].count)
    rows = [line.split(sign) for line in text.split("\n")]
    for _ in range(1 + min(int(chance.expovariate(0.7)), 5)):
        _change_rows(chance, rows)
    sign = chance.choice((sign, sign, sign, sign, ",", ";", "\t", "|"))
    ending = chance.choice(("\n", "\n", "\n", "\r\n", "\r", "\n\n"))
    text = ending.join(sign.join(row) for row in rows)
    encoding = chance.choice(ENCODINGS) if chance.random() < 0.3 else "utf-8"
    written = text.encode(encoding, "replace")
    return mutate_bytes(chance, written, others) if chance.random() < 0.15 else written


def _change_rows(chance: random.Random, rows: list[list[str]]) -> None:
    at = chance.randrange(len(rows))
    row = rows[at]
    column = chance.randrange(len(row)) if row else 0
    match chance.randrange(11):
        case 0 | 1 | 2 if row:
            row[column] = chance.choice(_CELLS if chance.random() < 0.5 else TEXTS[:-2])
        case 3 if row:
            row[column] = _change_words(chance, row[column])
        case 4 if row:
            del row[column]
        case 5:
            row.insert(column, chance.choice(_CELLS))
        case 6:
            rows.insert(chance.randint(0, len(rows)), list(row))
        case 7 if len(rows) > 1:
            del rows[at]
        case 8:
            rows[at:at] = [list(row) for _ in range(chance.choice((1, 3, 50)))]
        case 9:
            for each in rows:
                if column < len(each):
                    each.insert(column, each[column])
        case _ if row:
            row[column] = rows[0][chance.randrange(len(rows[0]))] if rows[0] else ""


def _decoded(data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _bytes(chance: random.Random, text: str, others: Sequence[bytes]) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return mutate_bytes(chance, data, others) if chance.random() < 0.08 else data
