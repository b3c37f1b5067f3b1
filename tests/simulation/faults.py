"""What goes wrong, and where: at every place that touches the network, the store or a file, a seed decides.

A ``Site`` is such a place. ``Weather`` says how often which fault comes, and how many in all: in the end it clears up.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

KINDS: dict[str, tuple[str, ...]] = {
    "send": ("break", "hold", "kill", "clock", "power"),
    "receive": ("break", "kill"),
    "begin": ("fail", "kill"),
    "commit": ("fail", "kill", "power"),
    "committed": ("kill", "power"),
    "write": ("fail", "kill"),
    "writing": ("fail", "kill", "power"),
    "sync": ("fail", "kill", "power"),
    "synced": ("kill", "power"),
    "unlink": ("kill", "fail"),
    "call": ("lost", "answer lost", "twice", "late"),
}
"""Which faults can come where."""

WEIGHTS = {"begin": 0.15, "send": 2.0, "receive": 2.0, "call": 0.6}
"""Where most happens by far, less goes wrong; and more where a run is under way."""

STYLES: tuple[dict[str, float], ...] = (
    {"break": 4, "hold": 2, "lost": 8, "answer lost": 8, "twice": 6, "late": 6},
    {"kill": 4, "power": 1, "break": 1},
    {"fail": 4, "kill": 1},
    {"kill": 2, "fail": 2, "break": 2, "hold": 1, "clock": 1, "power": 1, "answer lost": 4, "late": 4},
    {"power": 4, "kill": 1},
    {},
)
"""How often, in hundredths, each fault comes in one kind of weather; also for one site, as in ``"commit: kill"``."""


@dataclass
class Weather:
    """The faults of one seed; ``calm`` stops them."""

    chance: random.Random
    style: dict[str, float] = field(default_factory=dict)
    factor: float = 1.0
    left: int = 0
    calm: bool = True
    came: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, chance: random.Random) -> Weather:
        """Fair until it is told to begin."""
        style = chance.choice(STYLES)
        return cls(chance, style, chance.choice((0.2, 0.5, 1.0, 1.0, 3.0)), chance.randint(1, 8))

    def again(self, faults: int) -> None:
        """It gets bad once more, for so many faults at most."""
        self.calm, self.left = False, faults

    def at(self, site: str) -> str | None:
        """What goes wrong at this site now, if anything."""
        if self.calm or self.left <= 0:
            return None
        roll = self.chance.random() * 100 / self.factor / WEIGHTS.get(site, 1.0)
        for fault in KINDS[site]:
            roll -= self.style.get(f"{site}: {fault}", self.style.get(fault, 0.0))
            if roll < 0:
                self.left -= 1
                self.came[f"{site}: {fault}"] += 1
                return fault
        return None
