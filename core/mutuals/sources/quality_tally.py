"""The identifiers of a whole source, counted from what was found in its batches (``quality_identifiers``).

    tally = IdentifierTally("email", get_profile("uid2-v1"))
    tally.add(examined.kinds["email"], contacts_before)
    tally.figures()

Of a value nothing is kept but a hash of 8 bytes for each way in which profiles write it, and its contact: enough to
count which are the same. Two different ones of ten million are taken for one with a chance of 1 in 400,000.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mutuals.normalisation import Profile, get_profile
from mutuals.sources.quality_identifiers import (
    BASE,
    REJECTED,
    WRITTEN,
    Hashes,
    Holders,
    KindExamined,
    variant_of,
)
from mutuals.sources.quality_rows import Refusal, Refusals


@dataclass(frozen=True)
class IdentifierFigures:
    """Of the ``written`` values of usable rows, ``usable`` were accepted, which are ``distinct`` identifiers.

    Of these, ``shared`` are held by several contacts, ``sharing`` together, or also by a row that cannot be used.
    Of addresses, ``respelt`` are there in several spellings, and ``capitals`` values are in capitals only.
    """

    written: int
    usable: int
    distinct: int
    shared: int
    sharing: int
    respelt: int
    capitals: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class ProfileFigures:
    """What a profile makes of the values of usable rows, held against BASE.

    ``more`` are accepted here and refused there, ``fewer`` the other way round; ``changed`` are accepted by both and
    written otherwise. ``alike`` identifiers that are different there are taken as ``becoming`` here.
    """

    usable: int
    distinct: int
    more: int
    fewer: int
    changed: int
    alike: int
    becoming: int


class IdentifierTally:
    """Gathers what was found of one type of identifier."""

    def __init__(self, kind: str, profile: Profile) -> None:
        self.kind = kind
        self._chosen = variant_of(kind, profile)
        self._base = variant_of(kind, get_profile(BASE))
        self._hashes: list[Hashes] = []
        self._holders: list[Holders] = []
        self._others: dict[str, list[tuple[npt.NDArray[np.int64], Hashes]]] = {}
        self._length = 0
        self._written = 0
        self._refusals = Refusals()
        self.codes: Counter[int] = Counter()
        self.odd: Counter[tuple[str, str]] = Counter()

    def add(self, found: KindExamined, before: int) -> None:
        """What was found in the next batch; ``before`` it there were so many contacts."""
        self._hashes.append(found.hashes)
        self._holders.append(
            np.where(found.holders == REJECTED, REJECTED, found.holders + before).astype(np.int32)
        )
        for name, (places, hashes) in found.others.items():
            self._others.setdefault(name, []).append((places.astype(np.int64) + self._length, hashes))
        self._length += len(found.hashes)
        self._written += found.written
        for reason, (count, rows) in found.refused.items():
            self._refusals.add(self.kind, reason, count, rows)
        self.codes.update(found.codes)
        self.odd.update(found.odd)

    def figures(self) -> IdentifierFigures:
        """Under the chosen profile."""
        values, holders = self._variant(self._chosen), self._all_holders()
        own = (values != 0) & (holders != REJECTED)
        usable, distinct = _counted(values[own])
        shared, sharing = _shared(values, holders)
        respelt = _alike(values[own], self._variant(WRITTEN)[own])[1] if self.kind == "email" else 0
        return IdentifierFigures(
            written=self._written,
            usable=usable,
            distinct=distinct,
            shared=shared,
            sharing=sharing,
            respelt=respelt,
            capitals=self.odd["capitals", ""],
            refused=self._refusals.found(),
        )

    def under(self, profile: Profile) -> ProfileFigures:
        """Under another profile."""
        own = self._all_holders() != REJECTED
        values = self._variant(variant_of(self.kind, profile))[own]
        base = self._variant(self._base)[own]
        usable, distinct = _counted(values)
        both = (values != 0) & (base != 0)
        alike, becoming = _alike(values[both], base[both])
        return ProfileFigures(
            usable=usable,
            distinct=distinct,
            more=int(np.count_nonzero((values != 0) & (base == 0))),
            fewer=int(np.count_nonzero((values == 0) & (base != 0))),
            changed=int(np.count_nonzero(both & (values != base))),
            alike=alike,
            becoming=becoming,
        )

    def _all_holders(self) -> Holders:
        self._holders = [np.concatenate([np.empty(0, np.int32), *self._holders])]
        return self._holders[0]

    def _variant(self, name: str) -> Hashes:
        self._hashes = [np.concatenate([np.empty(0, np.uint64), *self._hashes])]
        if name == self._base:
            return self._hashes[0]
        values = self._hashes[0].copy()
        for places, hashes in self._others.get(name, ()):
            values[places] = hashes
        return values


def _counted(values: Hashes) -> tuple[int, int]:
    """How many are accepted, and how many different ones."""
    accepted = np.sort(values[values != 0])
    return len(accepted), _distinct(accepted)


def _distinct(ordered: npt.NDArray[np.uint64]) -> int:
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(ordered))


def _shared(values: Hashes, holders: Holders) -> tuple[int, int]:
    """How many identifiers of usable rows have several holders, and how many contacts hold those."""
    there = values != 0
    order, starts, sizes = _grouped(values[there])
    if not len(order):
        return 0, 0
    held = holders[there][order]
    several = np.minimum.reduceat(held, starts) != np.maximum.reduceat(held, starts)
    contacts = held[np.repeat(several, sizes)]
    marked = np.zeros(int(held.max()) + 1, dtype=np.bool_)
    marked[contacts[contacts != REJECTED]] = True
    return int(np.count_nonzero(several)), int(np.count_nonzero(marked))


def _alike(values: Hashes, others: Hashes) -> tuple[int, int]:
    """How many different ``others`` stand beside values that have several of them, and how many such values."""
    if np.array_equal(values, others):
        return 0, 0
    order, starts, sizes = _grouped(values)
    beside = others[order]
    several = np.minimum.reduceat(beside, starts) != np.maximum.reduceat(beside, starts)
    among = np.repeat(several, sizes)
    first, second = values[order][among], beside[among]
    pairs = np.lexsort((second, first))
    first, second = first[pairs], second[pairs]
    again = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
    return len(pairs) - int(np.count_nonzero(again)), int(np.count_nonzero(several))


def _grouped(
    values: Hashes,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """An order in which equal values stand together, where each group of them begins in it, and their sizes."""
    order = np.argsort(values)
    ordered = values[order]
    first = np.ones(len(order), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return order, starts, np.diff(np.append(starts, len(order)))
