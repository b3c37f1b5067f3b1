"""The files in ``tests/vectors/`` that state what the protocol's bytes are: what goes in, and what must come out.

    PYTHONPATH=tests python -m support.vectors        # writes them anew

Each file has a ``purpose`` and ``cases``; a case has a ``name``, an ``outcome`` in words, ``inputs`` and ``expected``.
A maker computes ``expected`` from ``inputs`` through the product. Bytes are hex.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Case = tuple[str, str, Json]
"""Name, outcome, inputs."""


@dataclass(frozen=True)
class VectorFile:
    """One file: its name without ending, its purpose, its cases, and what makes a case's outcome."""

    name: str
    purpose: str
    cases: Callable[[], list[Case]]
    make: Callable[[Json], Json]

    def content(self) -> Json:
        """The whole file as the product writes it now."""
        return {
            "purpose": self.purpose,
            "cases": [
                {"name": name, "outcome": outcome, "inputs": inputs, "expected": self.make(inputs)}
                for name, outcome, inputs in self.cases()
            ],
        }


def vector_files() -> list[VectorFile]:
    """All of them."""
    from support.vectors import contexts, engines, exchange, match, papers, wire

    return [*contexts.FILES, *engines.FILES, *match.FILES, *papers.FILES, *exchange.FILES, *wire.FILES]
