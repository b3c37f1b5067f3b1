"""The overlap of a run, as this side may use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """Own contacts by rank: ``pairs[rank]`` lists the ids of the own contacts that hold the shared item of that rank.

    Ranks run from 0 to ``count - 1`` in the order both sides agree on (docs/protocol.md, step 19). More than one id
    appears only where the agreement includes identifiers that several contacts share.
    """

    pairs: tuple[tuple[str, ...], ...]

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    def ranks_by_contact(self) -> dict[str, tuple[int, ...]]:
        """Every own contact of the overlap with its ranks, ascending; contacts in order of their lowest rank."""
        ranks: dict[str, list[int]] = {}
        for rank, contacts in enumerate(self.pairs):
            for contact in contacts:
                ranks.setdefault(contact, []).append(rank)
        return {contact: tuple(found) for contact, found in ranks.items()}
