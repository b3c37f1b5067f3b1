"""Two people who know nothing of mutuals but what their terminals show, and what the README said first."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path

from first_day.terminal import Answers, Server, Shown, Terminal

_PROPOSED = re.compile(r"^ {2}(mutuals .+)$", re.MULTILINE)
_IN_A_SENTENCE = re.compile(r": (mutuals [a-z].*?)(?:[.;]? *$|[.;] | \()", re.MULTILINE)
_TO_TELL = re.compile(r"^.*\b(?:ask|they)\b.*: (mutuals [a-z].*?)\.?$", re.MULTILINE | re.IGNORECASE)
_OPTION = re.compile(r"(--map \S+='[^']+')")


class Stuck(AssertionError):
    """Nothing that was printed says how to go on."""


@dataclass(frozen=True)
class Scene:
    """A command line somebody typed, and what it showed; or what they did besides, where ``line`` is empty."""

    who: str
    line: str
    text: str
    code: int = 0


@dataclass
class Person:
    """Someone at a terminal, who types what was printed there before."""

    name: str
    terminal: Terminal
    script: list[Scene]
    known: list[str] = field(default_factory=list)
    shown: str = ""

    def reads(self, *command_lines: str) -> None:
        """Command lines from elsewhere: the README, or the partner on the telephone."""
        self.known += command_lines

    def hears(self, other: Person) -> None:
        """What the partner's terminal says that this side has to type."""
        self.reads(*_TO_TELL.findall(other.shown))

    def types(
        self, start: str, answers: Answers = (), *, code: int = 0, more: str = "", **supplied: str
    ) -> Shown:
        """The command line that was printed last and begins with ``start``, and the answers.

        ``supplied`` is what stands in the place of a word in capitals, such as FILE; ``more`` is an option that was
        printed. Raises Stuck where no such line was printed, or where it does not end with ``code``.
        """
        line = next((known for known in reversed(self.known) if known.startswith(f"mutuals {start}")), None)
        if line is None:
            raise Stuck(
                f"{self.name} was never told to run mutuals {start}; the last words were:\n{self.shown}"
            )
        for placeholder, value in supplied.items():
            if placeholder not in line:
                raise Stuck(f"“{line}” does not ask for {placeholder}")
            line = line.replace(placeholder, value)
        if blank := re.search(r"\b[A-Z]{4,}\b", re.sub(r"'[^']*'|[AR]-\w{8}", "", line)):
            raise Stuck(f"“{line}” leaves {blank[0]} open")
        line = f"{line} {more}".strip()
        shown = self.terminal.run(line, answers)
        self._saw(line, shown)
        if shown.code != code:
            raise Stuck(f"“{line}” ended with {shown.code}:\n{shown.text}")
        return shown

    def option(self) -> str:
        """The option that the last output proposed."""
        found = _OPTION.search(self.shown)
        if found is None:
            raise Stuck(f"No option was proposed:\n{self.shown}")
        return found[1]

    def serves(self) -> Server:
        """Start the server as was printed, and leave it running."""
        line = next(known for known in reversed(self.known) if known.startswith("mutuals serve"))
        server = Server(self.terminal, line)
        self._saw(line, Shown(server.await_word("stops it."), 0))
        return server

    def edits(self, file: str, changes: list[tuple[str, str]], *, what: str) -> None:
        """Replace pieces of a file in an editor; what was written shows in the transcript."""
        path = self.terminal.folder / file
        before = text = path.read_text(encoding="utf-8")
        for old, new in changes:
            if old not in text:
                raise Stuck(f"{file} does not hold {old}")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        diff = difflib.ndiff(before.splitlines(), text.splitlines())
        told = "\n".join(line[2:] for line in diff if line.startswith("+ "))
        self.script.append(Scene(self.name, "", f"{what}\n{told}\n"))

    def hands(self, file: str, other: Person) -> None:
        """Give a file to the partner, by whatever way."""
        (other.terminal.folder / Path(file).name).write_bytes((self.terminal.folder / file).read_bytes())

    def _saw(self, line: str, shown: Shown) -> None:
        self.script.append(Scene(self.name, line, shown.text, shown.code))
        self.shown = shown.text
        self.reads(*_IN_A_SENTENCE.findall(shown.text), *_PROPOSED.findall(shown.text))
