"""What a match writes down so that it can go on after a broken line or a killed process.

A session is a function of what it was given. So it hands every input that it accepted to its ``Journal``, before
anything that follows from it is sent; ``MatchSession.restore`` takes the same entries and stands where it stood.
Nothing is accepted twice, and nothing that was sent is ever sent in another form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mutuals.protocol.lists import Work
from mutuals.protocol.messages import Blinded, TagCommit, Tags


@dataclass(frozen=True)
class Began:
    """The first entry. ``nonce`` (32 bytes) is the one that will open the own commitment."""

    nonce: bytes = field(repr=False)


@dataclass(frozen=True)
class Computed:
    """The result of a piece of work: the points of own items, or the tags of the partner's points."""

    work: Work
    result: bytes = field(repr=False)


Entry = Began | Computed | Blinded | TagCommit | Tags


class Journal(Protocol):
    """Keeps entries in the order in which they come."""

    def add(self, entry: Entry) -> None:
        """Keep ``entry``; a killed process does not lose it, a power cut may lose the last ones."""

    def settle(self) -> None:
        """Return once what was added survives a power cut."""

    def forget_key(self) -> None:
        """Destroy the engine's key of the run for good. What was added is settled by then."""


class NoJournal:
    """For a match that cannot be taken up again."""

    def add(self, entry: Entry) -> None:
        """Nothing."""

    def settle(self) -> None:
        """Nothing."""

    def forget_key(self) -> None:
        """Nothing."""
