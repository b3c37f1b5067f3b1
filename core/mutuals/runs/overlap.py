"""The overlap of a run, as this side may use it: in columns, because it may have millions of pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True, eq=False)
class Overlap:
    """Own contacts by rank: those of ``rank`` are ``contacts[offsets[rank]:offsets[rank + 1]]``.

    ``contacts`` holds ids (String), ``offsets`` (int64) has one more entry than there are ranks. Ranks run from 0 to
    ``count - 1`` in the order both sides agree on (docs/protocol.md, step 19). More than one id for a rank appears only
    where the agreement includes identifiers that several contacts share.
    """

    contacts: pl.Series = field(repr=False)
    offsets: npt.NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, pairs: Iterable[Sequence[str]]) -> Overlap:
        """The overlap whose rank ``i`` is held by the contacts ``pairs[i]``."""
        ids: list[str] = []
        offsets = [0]
        for contacts in pairs:
            ids.extend(contacts)
            offsets.append(len(ids))
        return cls(pl.Series("contact", ids, dtype=pl.String), np.array(offsets, dtype=np.int64))

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.offsets) - 1

    @property
    def people(self) -> int:
        """Number of own contacts."""
        return self.contacts.n_unique()

    @property
    def pairs(self) -> Sequence[tuple[str, ...]]:
        """The ids of the own contacts by rank."""
        ids = self.contacts.to_list()
        return [tuple(ids[start:end]) for start, end in pairwise(self.offsets.tolist())]

    def holders(self) -> pl.DataFrame:
        """Who holds what: ``rank`` (UInt32) and ``contact`` (String), by rank."""
        ranks = np.repeat(np.arange(self.count, dtype=np.uint32), np.diff(self.offsets))
        return pl.DataFrame({"rank": pl.Series(ranks, dtype=pl.UInt32), "contact": self.contacts})

    def to_bytes(self) -> bytes:
        """For the spool, and sealed for the operators who export: the ids, and which ranks have other than one."""
        sizes = np.diff(self.offsets)
        shared = [[rank, int(sizes[rank])] for rank in np.flatnonzero(sizes != 1).tolist()]
        return json.dumps([self.count, shared, self.contacts.to_list()], ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray) -> Overlap:
        """What ``to_bytes`` wrote. Raises ValueError for anything else."""
        try:
            count, shared, ids = json.loads(data)
            sizes = np.ones(count, dtype=np.int64)
            for rank, size in shared:
                sizes[rank] = size
            contacts = pl.Series("contact", ids, dtype=pl.String)
        except (TypeError, IndexError, pl.exceptions.PolarsError) as error:
            raise ValueError("not an overlap") from error
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        if offsets[-1] != len(contacts):
            raise ValueError("not an overlap")
        return cls(contacts, offsets)
