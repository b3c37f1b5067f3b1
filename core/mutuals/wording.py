"""Numbers with their nouns, for sentences that people read."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 run``, ``2 runs``, ``1,000 entries`` (``many`` where it is not ``one`` with an s)."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def log_entries(count: int) -> str:
    """So many entries of a log."""
    return counted(count, "entry", "entries")
