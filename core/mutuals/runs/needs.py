"""What a match will need of memory and disk, by the sizes that both sides announce.

The figures are those of docs/adr/0014 (memory) and of what ``mutuals.runs.journal``, ``.spill`` and ``.spool`` write.
"""

from __future__ import annotations

from collections.abc import Callable

from mutuals.runs.spill import SPILL_ABOVE_BYTES

_MEMORY_AN_ITEM = 68
_SPILLED_MEMORY_AN_ITEM = 48
_JOURNAL_AN_OWN_ITEM = 80
_JOURNAL_AN_ITEM_OF_THEIRS = 48
_KEPT_AN_OWN_ITEM = 36
_POINT = 33

MakeRoom = Callable[[int, int], None]
"""Told how many items are ours and how many the partner's; raises MutualsError (BUSY, NO_ROOM) where they have no room.
What is asked later holds in place of what was asked before.
"""


def boundless(own: int, theirs: int) -> None:
    """A MakeRoom that never refuses."""


def memory_needed(own: int, theirs: int) -> int:
    """Bytes of memory that a match of these many items holds at its peak: 136 for one on each side."""
    return sum(
        items * (_SPILLED_MEMORY_AN_ITEM if _spilled(items) else _MEMORY_AN_ITEM) for items in (own, theirs)
    )


def spool_needed(own: int, theirs: int) -> int:
    """Bytes of disk that such a match takes at its peak: the journal and, at its end, what the reveal needs beside it;
    of a long list also the points.
    """
    journal = _JOURNAL_AN_OWN_ITEM * own + _JOURNAL_AN_ITEM_OF_THEIRS * theirs
    points = sum(_POINT * items for items in (own, theirs) if _spilled(items))
    return journal + _KEPT_AN_OWN_ITEM * own + points


def _spilled(items: int) -> bool:
    return items * _POINT > SPILL_ABOVE_BYTES
