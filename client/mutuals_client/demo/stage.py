"""What the chapters of the demo share: the two companies, the data with its truth, how to tell, and how to check."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.demo.companies import Profile
from mutuals_client.demo.company import Company
from mutuals_client.demo.data import DemoCompany, DemoData

WIDTH = 100
"""Lines are no longer than this, and no longer than the terminal's."""
_HANG = 2

Tell = Callable[..., None]
A = TypeVar("A")
B = TypeVar("B")


@dataclass
class Stage:
    """One telling under way. ``say`` prints lines of rich markup; ``numbers`` is what ``--json`` gives.

    ``agreement`` and ``run`` are the ids of the one agreement and the one run, once there are.
    """

    folder: Path
    data: DemoData
    left: Company
    right: Company
    today: date
    say: Tell
    numbers: dict[str, Any] = field(default_factory=dict)
    agreement: str = ""
    run: str = ""

    @property
    def sides(self) -> tuple[tuple[Company, DemoCompany], tuple[Company, DemoCompany]]:
        """Both companies, each with its list."""
        return (self.left, self.data.left), (self.right, self.data.right)

    def card(self, profile: Profile) -> Path:
        """Where the company's card lies, for the other one."""
        return self.folder / f"{profile.slug}.card.json"

    def chapter(self, title: str) -> None:
        """Begin one."""
        self.say("", f"[bold]{title}[/]")

    def tell(self, *sentences: str, indent: int = 0) -> None:
        """Say each of ``sentences`` (rich markup) on lines of its own, ``indent`` columns in, the first one hanging."""
        columns = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH)
        inner = columns - indent - _HANG
        for sentence in sentences:
            for number, line in enumerate(Text.from_markup(sentence).wrap(Console(width=columns), inner)):
                line.rstrip()
                line.pad_left(indent + (_HANG if number else 0))
                self.say(line)

    def check(self, name: str, holds: bool, sentence: str = "") -> None:
        """Note that something was checked. Raises MutualsError (INTERNAL) where it does not hold."""
        self.numbers.setdefault("checks", {})[name] = holds
        if not holds:
            self.numbers["sound"] = False
            raise MutualsError(
                ErrorCode.INTERNAL,
                f"The demo's result is not the truth: {name.replace('_', ' ')}. {sentence}".strip(),
                hint="Please report this.",
            )


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Do both at the same time, as two companies would; what was returned, or what the first that failed raised."""
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        return one.result(), other.result()


def plain(text: object) -> str:
    """Text that a command printed, without its being taken for markup."""
    return escape(str(text))


def listed(counts: dict[str, int], most: int | None = None) -> str:
    """Counts by reason, in a line; with ``most`` the largest so many, and the others together."""
    ranked = sorted(counts.items(), key=lambda item: -item[1]) if most else list(counts.items())
    shown = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in ranked[:most]]
    others = sum(count for _, count in ranked[len(shown) :])
    return ", ".join([*shown, *([f"{others:,} for other reasons"] if others else [])])
