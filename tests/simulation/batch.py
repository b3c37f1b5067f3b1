"""Seeds in a worker process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lifecycle.batch import rarely_collecting

from simulation.play import Found, simulate


@dataclass
class Total:
    """What seeds came to."""

    seeds: int = 0
    steps: int = 0
    records: int = 0
    documents: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def count(self, found: Found) -> None:
        """Count a seed in."""
        self.steps += found.steps
        self.records += found.records
        self.documents += found.documents
        self.faults.update(found.faults)
        self.ends.update(found.ends)
        self.said.update(found.said)

    def add(self, other: Total) -> None:
        """Count another process's in."""
        for name in ("seeds", "steps", "records", "documents"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("faults", "ends", "said"):
            getattr(self, name).update(getattr(other, name))
        self.failures += other.failures


def run_batch(seeds: Iterable[int]) -> Total:
    """What these seeds came to; a failure is its text, and the others are played all the same."""
    total = Total()
    with rarely_collecting():
        for seed in seeds:
            total.seeds += 1
            try:
                total.count(simulate(seed))
            except Exception as error:  # a violation, or the product failing in a way that it should not
                total.failures.append(
                    f"{error}" if isinstance(error, AssertionError) else f"Seed {seed}: {error!r}"
                )
    return total
