"""A terminal with a person at it: a command line, the questions it asks, the answers, and all that stood there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from first_day.screen import seen

COLUMNS = 100
PATIENCE = 60.0
"""Seconds without a word after which a command is taken to hang."""

Answers = Sequence[tuple[str, str]]
"""What is asked for, a piece of the question, and what is typed; in order."""


@dataclass(frozen=True)
class Shown:
    """What stood on the terminal after the command line, and the exit code."""

    text: str
    code: int


class Unanswered(AssertionError):
    """A question came up that the story has no answer to, or one that it expected did not."""


class Warm:
    """The process that runs command lines (``warm.py``)."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "first_day.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        )

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Terminal:
    """A person's terminal in ``folder``; ``environment`` is what they exported."""

    warm: Warm
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, line: str, answers: Answers = (), *, enter: bool = False) -> Shown:
        """Type ``line`` and the answers; all that the terminal shows until the command ends.

        With ``enter`` whatever is asked after the last answer is answered with Enter.

        Raises Unanswered where a question and an answer are not there for each other.
        """
        words = shlex.split(line)
        out = None
        if ">" in words:
            *words, _, out = words
        assert words[0] == "mutuals", line
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        assert self.warm.process.stdin is not None
        told = {
            "tty": os.ttyname(slave),
            "folder": str(self.folder),
            "environment": self.surroundings(),
            "arguments": words[1:],
            "out": out and str(self.folder / out),
        }
        try:
            self.warm.process.stdin.write(json.dumps(told) + "\n")
            return self._attend(master, line, list(answers), enter=enter)
        finally:
            os.close(master)
            os.close(slave)

    def surroundings(self) -> dict[str, str]:
        """The environment of a command that is typed here."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MUTUALS_", "PYTEST_")) and name not in {"COLUMNS", "LINES", "NO_COLOR"}
        }
        return kept | {"HOME": str(self.folder), "TERM": "xterm", "LANG": "C.UTF-8"} | self.environment

    def _attend(self, master: int, line: str, answers: list[tuple[str, str]], *, enter: bool) -> Shown:
        replies = self.warm.process.stdout
        assert replies is not None
        text, asked_from = "", 0
        while True:
            ready, _, _ = select.select([master, replies], [], [], PATIENCE)
            if master in ready:
                text += os.read(master, 65536).decode(errors="replace")
                if answers and _asks(seen(text[asked_from:]), answers[0][0]):
                    os.write(master, (answers.pop(0)[1] + "\n").encode())
                    asked_from = len(text)
                elif enter and not answers and _asks(seen(text[asked_from:]), ""):
                    os.write(master, b"\n")
                    asked_from = len(text)
                continue
            if not ready:
                raise Unanswered(f"{line}\n{seen(text)}\n... and now it waits")
            code = int(replies.readline())
            if answers:
                raise Unanswered(f"{line}\n{seen(text)}\n... and did not ask: {answers[0][0]}")
            return Shown(seen(text), code)


def _asks(text: str, question: str) -> bool:
    return question in text and text.endswith((": ", "? ", ") "))


class Server:
    """``mutuals serve`` as it is started by hand, in a terminal that stays open."""

    def __init__(self, terminal: Terminal, line: str) -> None:
        words = shlex.split(line)
        assert words[:2] == ["mutuals", "serve"], line
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mutuals_client.main", *words[1:]],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=terminal.folder,
            env=terminal.surroundings(),
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def await_word(self, word: str) -> str:
        """All it has shown once ``word`` is in it."""
        end = time.monotonic() + PATIENCE
        while word not in seen(self.text):
            ready, _, _ = select.select([self._master], [], [], max(end - time.monotonic(), 0))
            if not ready or self.process.poll() is not None:
                raise Unanswered(f"The server did not say “{word}”:\n{seen(self.text)}")
            self.text += os.read(self._master, 65536).decode(errors="replace")
        return seen(self.text)

    def stop(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(2)
        self.process.wait(30)
        os.close(self._master)
