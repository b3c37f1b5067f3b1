"""From the bound source to the items that enter a match: read, check eligibility, normalise, hash, order.

Nothing of it is kept: the source is read again for the reveal and for the exchange, so that what changed in between
counts.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from mutuals.agreement.active import ActiveAgreement, utc_date
from mutuals.consent import open_withdrawals
from mutuals.consent.decision import require_decision
from mutuals.engines.workers import Pool, WorkerPool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Matching
from mutuals.normalisation import Spread, get_profile
from mutuals.peer import Peer
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy
from mutuals.protocol.items import RandomBytes, Rows, items_for, random_order, row_keys
from mutuals.protocol.padding import padded_size
from mutuals.runs.ports import Progress, Silent
from mutuals.sources.check import IDENTIFIER_TYPES
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.identifiers import collect_identifiers
from mutuals.sources.participants import Participants, Selection
from mutuals.sources.readers import open_source, read_source

STAGE_READ = "reading contacts"


@dataclass(frozen=True)
class OwnSet:
    """This side's eligible contacts under one agreement, and their items."""

    participants: Participants

    @property
    def items(self) -> Rows:
        """Shape (n, 32); see ``Participants.items``."""
        return self.participants.items

    def owners(self, items: Rows) -> list[tuple[str, ...]]:
        """The contact ids that hold each of ``items`` (shape (m, 32)).

        Raises MutualsError (STALE) where one of them is no longer in this set.
        """
        rows = self.rows_of(items)
        offsets = self.participants.owner_offsets
        starts, sizes = offsets[rows], offsets[rows + 1] - offsets[rows]
        ends = np.cumsum(sizes)
        places = np.arange(sizes.sum()) + np.repeat(starts - (ends - sizes), sizes)
        ids = self.participants.contact_ids.gather(self.participants.owner_indices[places]).to_list()
        return [
            tuple(sorted(ids[end - size : end]))
            for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
        ]

    def require(self, items: Rows) -> None:
        """Raise MutualsError (STALE) unless every one of ``items`` is still in this set (DESIGN §6, step 14)."""
        self.rows_of(items)

    def rows_of(self, items: Rows) -> npt.NDArray[np.int64]:
        """The row in this set of each of ``items``. Raises MutualsError (STALE) where one is not in it."""
        rows = np.full(len(items), -1, dtype=np.int64)
        wanted = row_keys(items)
        for span in self.participants.spans.values():
            own = row_keys(self.items[span.start : span.stop])
            found = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
            same = own[found] == wanted
            rows[same] = found[same] + span.start
        if (rows < 0).any():
            raise MutualsError(
                ErrorCode.STALE,
                "Since the count, a contact of this run was withdrawn, suppressed or changed in the source.",
                hint="Start a new match.",
            )
        return rows


@dataclass(frozen=True)
class OrderedItems:
    """Items as they are sent: shape (n, 32) in a fresh random order, padding at the positions ``dummies``."""

    items: Rows
    dummies: npt.NDArray[np.uint32]


def read_own_set(
    peer: Peer, active: ActiveAgreement, progress: Progress | None = None, spread: Spread = map
) -> OwnSet:
    """Who takes part at this moment, and as which items. ``spread`` distributes normalisation over cores.

    Raises MutualsError: INPUT_QUALITY where the source is missing or unusable, PROFILE_MISMATCH where this
    installation no longer has the agreed rules of normalisation, LOCAL where nobody can say who withdrew.
    """
    progress = progress or Silent()
    definition = bound_source(peer, active)
    matching = active.agreement.matching
    profile = get_profile(matching.profile)
    if profile.rules_digest().hex() != matching.profile_digest:
        raise MutualsError(
            ErrorCode.PROFILE_MISMATCH,
            f"The rules of profile {profile.name} are not those that agreement {active.agreement_id} names.",
            hint="Install the release that both sides had when they signed, or amend the agreement.",
        )
    with peer.store.transaction() as tx:
        agreement = carried_out(current_policy(tx), active.agreement)
    withdrawals = open_withdrawals(peer, active.digest)
    both = withdrawals.suppressor is not None and withdrawals.normalises_alike(profile)
    types = IDENTIFIER_TYPES if both else matching.identifiers
    selection = Selection(
        agreement.consent,
        utc_date(peer.clock()),
        include_shared=matching.shared_identifiers == "include",
        itemise=partial(items_for, bytes.fromhex(active.digest)),
    )
    source = open_source(definition, fields=())
    country = definition.default_country
    for number, batch in enumerate(source):
        if not number:
            progress.stage(STAGE_READ, source.expected_rows())
        collected = collect_identifiers(batch, types, profile, country, spread)
        marked = withdrawals.mark(batch, country, collected if both else None, spread)
        selection.add(marked, collected.filter(pl.col("type").is_in(matching.identifiers)))
        progress.advance(len(batch.frame) + len(batch.rejected_identifiers))
    return OwnSet(selection.participants())


def spread_over(pool: Pool) -> Spread:
    """How normalisation is distributed: over the worker processes of this machine, or not at all.

    A cluster's workers would see addresses and numbers as they were typed, where a match shows them hashes.
    """
    return pool.map if isinstance(pool, WorkerPool) else map


def bound_source(peer: Peer, active: ActiveAgreement) -> SourceDefinition:
    """The source bound to the agreement.

    Raises MutualsError (INPUT_QUALITY) where there is none, or no decision stands on what of it grants consent.
    """
    definition = None
    with peer.store.transaction() as tx:
        row = tx.sources.get(active.source) if active.source else None
        if row is not None:
            definition = SourceDefinition.model_validate_json(row.definition)
            require_decision(tx, definition)
    if definition is None:
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            f"No source is bound to agreement {active.agreement_id}, or it was removed.",
            hint="Add it again under the same name: mutuals source add",
        )
    return definition


def read_bound_source(
    peer: Peer,
    active: ActiveAgreement,
    fields: Collection[str] | None = None,
    contacts: pl.Series | None = None,
) -> tuple[SourceDefinition, ContactTable]:
    """The source bound to the agreement, freshly read, withdrawn contacts marked.

    ``fields`` are the headings of the further columns wanted, ``contacts`` (String) the ids of those wanted; None is
    all. Raises MutualsError: INPUT_QUALITY, LOCAL where nobody can say who withdrew.
    """
    definition = bound_source(peer, active)
    withdrawals = open_withdrawals(peer, active.digest)
    table = read_source(definition, fields, contacts)
    return definition, withdrawals.mark(table, definition.default_country)


def order_items(own: OwnSet, matching: Matching, randbytes: RandomBytes = os.urandom) -> OrderedItems:
    """A fresh random order of the items, with padding mixed in where agreed (DESIGN §6, “Size padding”)."""
    true_size = len(own.items)
    size = padded_size(true_size, matching.max_set_size) if matching.pad_sizes else true_size
    order = random_order(size, randbytes)
    dummies = np.flatnonzero(order >= true_size).astype(np.uint32)
    if not len(dummies):
        return OrderedItems(own.items[order], dummies)
    order[dummies] = 0
    items = own.items[order] if true_size else np.empty((size, 32), np.uint8)
    items[dummies] = np.frombuffer(randbytes(32 * len(dummies)), dtype=np.uint8).reshape(-1, 32)
    return OrderedItems(items, dummies)
