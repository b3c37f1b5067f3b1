"""Which contacts take part under an agreement, and the items they enter the match with (DESIGN §6).

    selection = Selection(rule, today, include_shared=False, itemise=partial(items_for, digest))
    for batch in source:
        selection.add(batch, collect_identifiers(batch, types, profile, country))
    participants = selection.participants()

Of an identifier only its item is kept, a hash of 32 bytes: two identifiers that had the same one could not be told
apart in the match either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum, unique

import numpy as np
import numpy.typing as npt
import polars as pl

from mutuals.models.agreement import Agreement, ConsentRule
from mutuals.normalisation import Profile
from mutuals.sources.contacts import ContactTable
from mutuals.sources.eligibility import Exclusion, consent_exclusions
from mutuals.sources.identifiers import collect_identifiers

Itemise = Callable[[Sequence[str]], npt.NDArray[np.uint8]]
"""Gives typed identifiers (``email:jane@example.com``) as rows of 32 bytes, in the same order."""

_ITEM_SIZE = 32
_REASONS = pl.Enum([reason.value for reason in Exclusion])
_NONE = 255
_REJECTED = -1


@unique
class Withheld(StrEnum):
    """Why an identifier that an eligible contact holds stays out of the match."""

    SHARED = "shared"
    SHARED_WITH_INELIGIBLE = "shared_with_ineligible"


@dataclass(frozen=True, eq=False)
class Participants:
    """The contacts that take part and their items.

    ``contact_ids`` (strings) in the source's order. ``items``, shape (n, 32), are distinct; those of one type of
    identifier stand together, ascending, in the rows that ``spans`` gives (types without any are absent). The
    contacts of item ``i`` are ``contact_ids[k]`` for ``k`` in ``owner_indices[owner_offsets[i]: owner_offsets[i + 1]]``
    (i64 offsets, one more than items; i32 indices, ascending). ``excluded`` counts the other contacts by Exclusion,
    ``withheld_identifiers`` the identifiers of eligible contacts that stay out, by Withheld; reasons that do not occur
    are absent.
    """

    contact_ids: pl.Series
    items: npt.NDArray[np.uint8]
    spans: dict[str, range]
    owner_offsets: npt.NDArray[np.int64]
    owner_indices: npt.NDArray[np.int32]
    excluded: dict[str, int]
    withheld_identifiers: dict[str, int]


def plain_items(identifiers: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Items that belong to no agreement (SHA-256), for looking at a source without one."""
    digests = b"".join([hashlib.sha256(identifier.encode()).digest() for identifier in identifiers])
    return np.frombuffer(digests, np.uint8).reshape(-1, _ITEM_SIZE)


def select_participants(
    table: ContactTable,
    agreement: Agreement,
    profile: Profile,
    today: date,
    default_country: str | None,
    itemise: Itemise = plain_items,
) -> Participants:
    """Apply the agreement's consent rule, identifier types and rule on shared identifiers to a source.

    An identifier held by several contacts of the whole source, whatever their consent, is shared. Such stays
    out or, where the agreement includes shared ones, enters only if every holder is eligible. Raises
    MutualsError (USAGE) for an unknown country.
    """
    collected = collect_identifiers(table, agreement.matching.identifiers, profile, default_country)
    include_shared = agreement.matching.shared_identifiers == "include"
    return participants_among(
        table, collected, agreement.consent, today, include_shared=include_shared, itemise=itemise
    )


def participants_among(
    table: ContactTable,
    collected: pl.DataFrame,
    rule: ConsentRule,
    today: date,
    *,
    include_shared: bool,
    itemise: Itemise = plain_items,
) -> Participants:
    """As ``select_participants``, over identifiers that ``collect_identifiers`` has already given."""
    selection = Selection(rule, today, include_shared=include_shared, itemise=itemise)
    selection.add(table, collected)
    return selection.participants()


class Selection:
    """Works out who takes part, of a source that comes in batches (see ``select_participants``)."""

    def __init__(self, rule: ConsentRule, today: date, *, include_shared: bool, itemise: Itemise) -> None:
        self._rule = rule
        self._today = today
        self._include_shared = include_shared
        self._itemise = itemise
        self._contacts = 0
        self._ids: list[pl.Series] = []
        self._reasons: list[npt.NDArray[np.uint8]] = []
        self._held: dict[str, list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]]] = {}

    def add(self, table: ContactTable, collected: pl.DataFrame) -> None:
        """The next contacts, and what ``collect_identifiers`` gave for them."""
        reasons = consent_exclusions(table.frame, self._rule, self._today)
        self._reasons.append(reasons.cast(_REASONS).to_physical().cast(pl.UInt8).fill_null(_NONE).to_numpy())
        self._ids.append(table.frame["contact_id"])
        usable = collected.filter(pl.col("value").is_not_null())
        for kind in usable["type"].unique(maintain_order=True).to_list():
            own = usable.filter(type=kind).select(
                identifier=pl.concat_str(pl.lit(f"{kind}:"), "value"),
                contact=(pl.col("contact") + self._contacts).fill_null(_REJECTED),
            )
            items = self._itemise(own["identifier"].to_list())
            self._held.setdefault(kind, []).append((items, own["contact"].to_numpy()))
        self._contacts += len(table.frame)

    def participants(self) -> Participants:
        """Who takes part, of all that were added. Call it once: it uses up what was gathered."""
        reasons = np.concatenate([np.empty(0, np.uint8), *self._reasons])
        with_identifier = np.zeros(self._contacts, dtype=np.bool_)
        taking_part = np.zeros(self._contacts, dtype=np.bool_)
        kept = []
        out = 0
        for kind in sorted(self._held):
            parts = self._held.pop(kind)
            items = np.concatenate([part[0] for part in parts])
            holders = np.concatenate([part[1] for part in parts])
            del parts
            with_identifier[holders[holders != _REJECTED]] = True
            entering = _entering(items, holders, reasons == _NONE, include_shared=self._include_shared)
            taking_part[entering.holders] = True
            out += entering.withheld
            kept.append((kind, entering))
        reason = Withheld.SHARED_WITH_INELIGIBLE if self._include_shared else Withheld.SHARED
        position = np.cumsum(taking_part, dtype=np.int64) - 1
        spans, start = {}, 0
        for kind, entering in kept:
            if len(entering.items):
                spans[kind] = range(start, start + len(entering.items))
                start += len(entering.items)
        owners = np.concatenate([np.empty(0, np.int32), *(entering.holders for _, entering in kept)])
        return Participants(
            contact_ids=_chosen(self._ids, taking_part),
            items=_joined([entering.items for _, entering in kept]),
            spans=spans,
            owner_offsets=_offsets([entering.sizes for _, entering in kept]),
            owner_indices=position[owners].astype(np.int32),
            excluded=_counted(reasons, with_identifier, taking_part),
            withheld_identifiers={reason.value: out} if out else {},
        )


@dataclass(frozen=True, eq=False)
class _Entering:
    """The items (m, 32) of one type that enter, ascending, how many hold each, and who: contacts, one after the
    other. ``withheld`` counts those of eligible contacts that stay out.
    """

    items: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]
    holders: npt.NDArray[np.int32]
    withheld: int


def _entering(
    items: npt.NDArray[np.uint8],
    holders: npt.NDArray[np.int32],
    eligible: npt.NDArray[np.bool_],
    *,
    include_shared: bool,
) -> _Entering:
    """Of the pairs of item and contact (``_REJECTED`` for one that cannot be used at all), those that enter."""
    order, first = _grouped(items, holders)
    again = ~first
    again[1:] &= holders[order[1:]] == holders[order[:-1]]  # one contact that has it twice
    if again.any():
        order, first = order[~again], first[~again]
    who = holders[order]
    starts = np.flatnonzero(first)
    if not len(starts):
        return _Entering(items[:0], np.empty(0, np.int64), who, 0)
    sizes = np.diff(np.append(starts, len(order)))
    allowed = (who != _REJECTED) & np.append(eligible, False)[who]
    some = np.logical_or.reduceat(allowed, starts)
    enters = np.logical_and.reduceat(allowed, starts) if include_shared else some & (sizes == 1)
    return _Entering(
        items=items[order[starts[enters]]],
        sizes=sizes[enters],
        holders=who[np.repeat(enters, sizes)],
        withheld=int(np.count_nonzero(some & ~enters)),
    )


def _grouped(
    items: npt.NDArray[np.uint8], holders: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The order of the pairs by item and then holder, and which of them, so ordered, begin another item.

    Sorted by the first eight bytes; the few that have these in common are then compared in full.
    """
    words = np.ascontiguousarray(items).view(">u8")
    keys = words[:, 0].astype(np.uint64)
    order = np.argsort(keys)
    keys = keys[order]
    first = np.ones(len(order), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    tied = ~first
    tied[:-1] |= tied[1:]
    places = np.flatnonzero(tied)
    if len(places):
        pairs = order[places]
        of_item = [words[pairs, column].astype(np.uint64) for column in (3, 2, 1)]
        pairs = pairs[np.lexsort((holders[pairs], *of_item, keys[places]))]
        order[places] = pairs
        later = places[~first[places]]
        first[later] = (words[order[later]] != words[order[later - 1]]).any(axis=1)
    return order, first


def _joined(parts: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty((0, _ITEM_SIZE), np.uint8), *parts])


def _offsets(sizes: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(sum(map(len, sizes)) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([np.empty(0, np.int64), *sizes]), out=offsets[1:])
    return offsets


def _chosen(ids: list[pl.Series], chosen: npt.NDArray[np.bool_]) -> pl.Series:
    every = pl.concat([pl.Series("contact_id", [], dtype=pl.String), *ids], rechunk=False)
    return every if chosen.all() else every.filter(pl.Series(chosen))


def _counted(
    reasons: npt.NDArray[np.uint8],
    with_identifier: npt.NDArray[np.bool_],
    taking_part: npt.NDArray[np.bool_],
) -> dict[str, int]:
    """How many contacts take no part, by the first reason that applies."""
    counts = np.bincount(reasons, minlength=_NONE + 1)
    allowed = reasons == _NONE
    by_reason = {reason: int(counts[code]) for code, reason in enumerate(Exclusion)}
    by_reason[Exclusion.NO_IDENTIFIER] = int(np.count_nonzero(allowed & ~with_identifier))
    by_reason[Exclusion.ONLY_SHARED_IDENTIFIERS] = int(
        np.count_nonzero(allowed & with_identifier & ~taking_part)
    )
    return {reason.value: count for reason, count in by_reason.items() if count}
