"""An agreement and its amendments as one: which versions belong together, and which of them binds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mutuals.models.agreement import AgreementState
from mutuals.store.rows import AgreementRow

_BINDING = (
    AgreementState.ACTIVE,
    AgreementState.SUSPENDED,
    AgreementState.ENDED,
    AgreementState.CLOSED,
)


@dataclass(frozen=True)
class Chain:
    """The versions of one agreement, oldest first; ``head`` is the one that binds, or else the latest."""

    rows: tuple[AgreementRow, ...]

    @property
    def head(self) -> AgreementRow:
        """The version that binds or last bound; a mere proposal only where there is nothing else."""
        for state in _BINDING:
            for row in reversed(self.rows):
                if row.state is state:
                    return row
        return self.rows[-1]

    @property
    def waiting(self) -> tuple[AgreementRow, ...]:
        """The proposals that nobody has answered."""
        return tuple(row for row in self.rows if row.state is AgreementState.PROPOSED)

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all versions."""
        return frozenset(row.digest for row in self.rows)


def chains(rows: Iterable[AgreementRow]) -> list[Chain]:
    """The stored agreements by chain; ``rows`` and what comes back are oldest first.

    A version belongs to the one that it replaces; two proposals that replace the same one are in one chain.
    """
    first: dict[str, str] = {}
    members: dict[str, list[AgreementRow]] = {}
    pending = list(rows)
    known = {row.digest for row in pending}
    while pending:  # a version may have been stored before the one it replaces
        later = []
        for row in pending:
            before = row.replaces
            if before is None or before not in known:
                first[row.digest] = row.digest
            elif before in first:
                first[row.digest] = first[before]
            else:
                later.append(row)
                continue
            members.setdefault(first[row.digest], []).append(row)
        if len(later) == len(pending):  # a circle, which no digest can make: the store was edited
            for row in later:
                members.setdefault(row.digest, []).append(row)
            break
        pending = later
    return [Chain(tuple(members[root])) for root in members]
