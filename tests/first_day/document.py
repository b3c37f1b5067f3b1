"""The script of the day as docs/first-day.md, the same on every machine and every day.

What differs by nature stands in the document as an example does: days are counted from one fixed day, ids, words,
digests and the names of previews are replaced in the order in which they come, and so are port, folder and machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import date

from first_day.people import Scene
from first_day.story import Told

DAY = date(2026, 3, 2)
PORT = 18443
LONG = 40
"""More lines than this are folded away, to be opened with a click."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_WORDS = (
    *("amber", "bridge", "candle", "delta", "engine", "forest", "garden", "harbor", "island", "jacket"),
    *("kitten", "ladder", "meadow", "needle", "orange", "pencil", "quarry", "rabbit", "silver", "tunnel"),
    *("umbrella", "velvet", "window", "yellow"),
)
_WORD_ROWS = re.compile(r"^(?:(?: +\d+ {2}[a-z]+){4} *(?:\n|\Z)){3}", re.MULTILINE)
_SAMPLES = re.compile(r"^( {2}Field +Record 1 +Record 2 +Record 3)\n {2}(\w+) .*$", re.MULTILINE)
_SPOKEN = re.compile(r"(?<=^Fingerprint: )(?:[a-z]+ ?){12}$", re.MULTILINE)
_MACHINE = (
    (r"mutuals \S+ under Python \S+ on .+", "mutuals 0.1.0 under Python 3.13.1 on Linux x86_64."),
    (r"X25519 is computed by (?:.|\n)+?(?=\n(?:ok|warn|FAIL) )", "X25519 is computed by crypto_mb, the fastest."),
    (r"\d+ worker process(?:es)? for \d+ usable cores?\.", "8 worker processes for 8 usable cores."),
    (r"(?<=backend  )\w+$", "crypto_mb"),
    (r"\(sqlite, schema \w+\)", "(sqlite, schema 0002)"),
    (r"(?<= in )\d+(?= ms,)", "24"),
    (r"(?<=-v1 )[0-9a-f]{8}", "1f2e3d4c"),
    (r"(?<=without blanks )\[.+\]", "[user]"),
    (r"\b\d\d:\d\d UTC", "09:30 UTC"),
)  # fmt: skip

_INTRODUCTION = """\
# A first day

Anna works in marketing at Acme Ltd, Ben in sales at Globex SA. Anna's company can be called, Ben's cannot. Each has an
export of 1,300 contacts from the CRM: Anna `hubspot.csv`, Ben `salesforce.csv`. Neither has seen mutuals before; all
they know is the beginning of [Your first pairing](../README.md#your-first-pairing).

This is what stood on their screens. It is no story: `tests/first_day` plays it with two homes, a server and two
terminals, on every `make test`. **Each command is taken from what was printed before on that person's screen**, or is
what the partner's screen says to ask for. What they bring themselves is what no software can know: names, answers,
passphrases, the names of their files, and what the agreement shall say. Only what differs each time (ids, words, days,
the machine) is replaced here by examples.

Where you meet something else, ask `mutuals doctor` and `mutuals status`; every refusal says what to type, too.
"""


def document(told: Told) -> str:
    """The whole page, as Markdown."""
    stable = Stable(told)
    return "\n".join([_INTRODUCTION, *(_scene(scene, stable) for scene in told.script)]).rstrip() + "\n"


def _scene(scene: Scene, stable: Stable) -> str:
    if not scene.who:
        return f"{scene.text}\n"
    text = "\n".join(line.rstrip() for line in stable(scene.text).strip("\n").split("\n"))
    if not scene.line:
        return f"{text.partition(chr(10))[0]}\n\n```toml\n{text.partition(chr(10))[2]}\n```\n"
    line = f"{scene.who}$ {stable(scene.line)}"
    if text.count("\n") < LONG:
        return _block(line, text)
    return f"<details><summary><code>{line}</code></summary>\n\n{_block(line, text)}\n</details>\n"


def _block(line: str, text: str) -> str:
    return "```text\n" + f"{line}\n{text}".rstrip() + "\n```\n"


class Stable:
    """Replaces what differs from one day to the next, each thing by the same example throughout."""

    def __init__(self, told: Told) -> None:
        self._shift = DAY - told.today
        self._plain = {**told.folders, str(told.port): str(PORT)}
        self._known: dict[str, str] = {}
        self._count: dict[str, int] = {}
        self._spoken_before: list[tuple[str, ...]] = []

    def __call__(self, text: str) -> str:
        """``text`` as it would have been with the examples."""
        for old, new in self._plain.items():
            text = text.replace(old, new)
        for pattern, example in _MACHINE:
            text = re.sub(pattern, example, text, flags=re.MULTILINE)
        text = _WORD_ROWS.sub(lambda rows: self._rows(rows[0]), text)
        text = _SAMPLES.sub(_samples, text)
        text = _SPOKEN.sub(lambda row: self._spoken(row[0]), text)
        text = re.sub(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{16}(?=…)", self._named("digest", _digest), text)
        text = re.sub(r"\b[0-9a-f]{4}(?:-[0-9a-f]{4}){3}\b", self._named("preview", _preview), text)
        text = re.sub(r"\b[AR]-[0-9A-Z]{8}\b", self._named("id", _short_id), text)
        return re.sub(r"(?<!as )\b20\d\d-\d\d-\d\d\b", self._day, text)

    def _named(self, kind: str, example: Callable[[int, str], str]) -> Callable[[re.Match[str]], str]:
        def replace(found: re.Match[str]) -> str:
            thing = found[0]
            whole = next((known for known in self._known if known.startswith(thing)), thing)
            if whole not in self._known:
                self._count[kind] = self._count.get(kind, 0) + 1
                self._known[whole] = example(self._count[kind], whole)
            return self._known[whole][: len(thing)]

        return replace

    def _day(self, found: re.Match[str]) -> str:
        return (date.fromisoformat(found[0]) + self._shift).isoformat()

    def _rows(self, rows: str) -> str:
        number, word = iter(re.findall(r"\d+", rows)), iter(self._words(re.findall(r"[a-z]+", rows)))
        lines = (
            "".join(f"{next(number):>3}  {next(word):<8}  " for _ in range(4)).rstrip() for _ in range(3)
        )
        return "\n".join(lines) + "\n" * rows.endswith("\n")

    def _spoken(self, row: str) -> str:
        return " ".join(self._words(row.split()))

    def _words(self, words: list[str]) -> tuple[str, ...]:
        """The twelve words that stand for those of a fingerprint; one word may occur in it twice, or in two of them."""
        if tuple(words) not in self._spoken_before:
            self._spoken_before.append(tuple(words))
        first = 12 * self._spoken_before.index(tuple(words)) % len(_WORDS)
        return _WORDS[first : first + 12]


def _samples(found: re.Match[str]) -> str:
    """Three records, which are drawn anew in each run."""
    field = found[2]
    width = max(len(field), len("Field"))
    cells = ("Customer", "Lead", "Customer") if "stage" in field else ("Web", "Referral", "Web")
    heads = (f"Record {number}" for number in (1, 2, 3))
    rows = (("Field", *heads), (field, *cells))
    return "\n".join(
        f"  {row[0]:<{width}}  {'  '.join(f'{cell:<8}' for cell in row[1:])}".rstrip() for row in rows
    )


def _digest(number: int, _: str) -> str:
    return hashlib.sha256(f"example {number}".encode()).hexdigest()


def _preview(number: int, _: str) -> str:
    return "-".join(re.findall("....", _digest(number, "preview")[:16]))


def _short_id(number: int, whole: str) -> str:
    return whole[:2] + "".join(_ALPHABET[(7 * number + 11 * place) % 32] for place in range(8))
