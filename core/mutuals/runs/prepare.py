"""From the bound source to the items that enter a match: read, check eligibility, normalise, hash, order.

Nothing of it is kept: the source is read again for the reveal and for the exchange, so that what changed in between
counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mutuals.agreement.active import ActiveAgreement, utc_date
from mutuals.consent import mark_withdrawn
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Matching
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy
from mutuals.protocol.items import RandomBytes, Rows, items_for, random_order, row_keys
from mutuals.protocol.padding import padded_size
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.participants import Participants, select_participants
from mutuals.sources.readers import read_source

STAGE_READ = "reading contacts"


@dataclass(frozen=True)
class OwnSet:
    """This side's eligible contacts under one agreement, and their items.

    ``items`` has shape (n, 32), row i being the item of ``participants.identifiers[i]``.
    """

    participants: Participants
    items: Rows

    def owners(self, items: Rows) -> list[tuple[str, ...]]:
        """The contact ids that hold each of ``items`` (shape (m, 32)).

        Raises MutualsError (STALE) where one of them is no longer in this set.
        """
        rows = self.rows_of(items)
        offsets, indices = self.participants.owner_offsets, self.participants.owner_indices
        ids = self.participants.contact_ids
        return [
            tuple(sorted(ids[index] for index in indices[offsets[row] : offsets[row + 1]])) for row in rows
        ]

    def require(self, items: Rows) -> None:
        """Raise MutualsError (STALE) unless every one of ``items`` is still in this set (DESIGN §6, step 14)."""
        self.rows_of(items)

    def rows_of(self, items: Rows) -> npt.NDArray[np.int64]:
        """The row in this set of each of ``items``. Raises MutualsError (STALE) where one is not in it."""
        if not len(items):
            return np.empty(0, dtype=np.int64)
        own = row_keys(self.items)
        order = np.argsort(own)
        found = np.searchsorted(own, row_keys(items), sorter=order)
        inside = found < len(own)
        rows = order[np.where(inside, found, 0)] if len(own) else np.zeros(len(items), dtype=np.int64)
        if not inside.all() or not np.array_equal(self.items[rows], items):
            raise MutualsError(
                ErrorCode.STALE,
                "Since the count, a contact of this run was withdrawn, suppressed or changed in the source.",
                hint="Start a new match.",
            )
        return rows.astype(np.int64)


@dataclass(frozen=True)
class OrderedItems:
    """Items as they are sent: shape (n, 32) in a fresh random order, padding at the positions ``dummies``."""

    items: Rows
    dummies: npt.NDArray[np.uint32]


def read_own_set(peer: Peer, active: ActiveAgreement) -> OwnSet:
    """Who takes part at this moment, and as which items.

    Raises MutualsError: INPUT_QUALITY where the source is missing or unusable, PROFILE_MISMATCH where this
    installation no longer has the agreed rules of normalisation.
    """
    definition, table = read_bound_source(peer, active)
    profile = get_profile(active.agreement.matching.profile)
    if profile.rules_digest().hex() != active.agreement.matching.profile_digest:
        raise MutualsError(
            ErrorCode.PROFILE_MISMATCH,
            f"The rules of profile {profile.name} are not those that agreement {active.agreement_id} names.",
            hint="Install the release that both sides had when they signed, or amend the agreement.",
        )
    with peer.store.transaction() as tx:
        agreement = carried_out(current_policy(tx), active.agreement)
    participants = select_participants(
        table, agreement, profile, utc_date(peer.clock()), definition.default_country
    )
    return OwnSet(participants, items_for(bytes.fromhex(active.digest), participants.identifiers))


def read_bound_source(peer: Peer, active: ActiveAgreement) -> tuple[SourceDefinition, ContactTable]:
    """The source bound to the agreement, freshly read, withdrawn contacts marked.

    Raises MutualsError: INPUT_QUALITY, LOCAL where nobody can say who withdrew.
    """
    with peer.store.transaction() as tx:  # not held while reading, which may take minutes
        row = tx.sources.get(active.source) if active.source else None
    if row is None:
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            f"No source is bound to agreement {active.agreement_id}, or it was removed.",
            hint="Add it again under the same name: mutuals source add",
        )
    definition = SourceDefinition.model_validate_json(row.definition)
    table = read_source(definition)
    return definition, mark_withdrawn(peer, table, definition.default_country, active.digest)


def order_items(own: OwnSet, matching: Matching, randbytes: RandomBytes = os.urandom) -> OrderedItems:
    """A fresh random order of the items, with padding mixed in where agreed (DESIGN §6, “Size padding”)."""
    true_size = len(own.items)
    size = padded_size(true_size, matching.max_set_size) if matching.pad_sizes else true_size
    padding = np.frombuffer(randbytes(32 * (size - true_size)), dtype=np.uint8).reshape(-1, 32)
    order = random_order(size, randbytes)
    return OrderedItems(
        items=np.concatenate([own.items, padding])[order],
        dummies=np.flatnonzero(order >= true_size).astype(np.uint32),
    )
