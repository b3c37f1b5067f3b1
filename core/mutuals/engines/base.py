"""What the match needs of an engine: a commutative cipher over items (DESIGN §6, docs/adr/0005).

    reblind(a, blind(b, items)) == reblind(b, blind(a, items))      for any two keys and any items

Items and points travel as contiguous bytes, one after the other, so that a million of them is one object.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

ITEM_SIZE = 32
"""Bytes of an item."""


class Operation(StrEnum):
    """The two things an engine does with a key."""

    BLIND = "blind"
    REBLIND = "reblind"


class Engine(Protocol):
    """A commutative cipher, order-preserving, without state between calls; may be used from several processes."""

    @property
    def name(self) -> str:
        """The name an agreement uses."""

    @property
    def point_size(self) -> int:
        """Bytes of a point."""

    @property
    def backend(self) -> str | None:
        """What computes the curve arithmetic, where this engine leaves a choice."""

    def generate_key(self) -> bytes:
        """A fresh secret key from the system's randomness."""

    def blind(self, key: bytes, items: bytes) -> bytes:
        """The points of ``items`` (n × 32 bytes) under ``key``: n × ``point_size`` bytes in the same order."""

    def reblind(self, key: bytes, points: bytes) -> bytes:
        """The partner's ``points`` (n × ``point_size`` bytes), which passed ``check_points``, raised to ``key``.

        Raises PartnerFault (BAD_MESSAGE) where a point is none.
        """

    def check_points(self, points: bytes) -> None:
        """Refuse whatever can be refused without curve arithmetic: every point must be in its one canonical form.

        ``points`` is n × ``point_size`` bytes. Raises PartnerFault (BAD_MESSAGE).
        """
