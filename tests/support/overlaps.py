"""An overlap, as tests compare it."""

from __future__ import annotations

from mutuals.runs.overlap import Overlap


def ranks_by_contact(overlap: Overlap) -> dict[str, tuple[int, ...]]:
    """Every own contact with its ranks, ascending."""
    ranks: dict[str, list[int]] = {}
    for rank, contacts in enumerate(overlap.pairs):
        for contact in contacts:
            ranks.setdefault(contact, []).append(rank)
    return {contact: tuple(found) for contact, found in ranks.items()}
