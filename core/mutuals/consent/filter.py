"""Marking withdrawn contacts in a list that was just read, before anybody looks at who may take part.

Costs nothing while nobody has withdrawn. Otherwise every id and identifier is hashed once for each scope in use: about
2 µs each, next to what it takes to normalise them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from mutuals.consent.suppressions import (
    KEY_CHECK,
    PROFILE,
    WIDER,
    Suppressor,
    first_version,
    scope_bytes,
    suppressor_for,
)
from mutuals.normalisation import Profile, Spread
from mutuals.peer import Peer
from mutuals.sources.check import IDENTIFIER_TYPES
from mutuals.sources.contacts import WITHDRAWN, ContactTable
from mutuals.sources.identifiers import collect_identifiers


def collect_spellings(table: ContactTable, default_country: str | None, spread: Spread = map) -> pl.DataFrame:
    """As ``collect_identifiers``, with every form under which an identifier may have been withdrawn."""
    collected = collect_identifiers(table, IDENTIFIER_TYPES, PROFILE, default_country, spread)
    return pl.concat([collected, collect_identifiers(table, ("email",), WIDER, default_country, spread)])


@dataclass(frozen=True)
class Withdrawals:
    """Who was withdrawn from one agreement or from all, as it was when this was opened; for a list in batches."""

    suppressor: Suppressor | None
    hashes: dict[bytes, frozenset[bytes]] = field(default_factory=dict, repr=False)
    """By scope, as it is hashed."""

    def mark(
        self,
        table: ContactTable,
        default_country: str | None,
        collected: pl.DataFrame | None = None,
        spread: Spread = map,
    ) -> ContactTable:
        """``table`` with the withdrawn contacts marked; see ``mark_withdrawn``.

        ``collected`` is what ``collect_identifiers`` gave for it, of all types and by a profile of which
        ``normalises_alike`` is true; where it is not given, that is done here.
        """
        if self.suppressor is None:
            return table
        if collected is None:
            collected = collect_spellings(table, default_country, spread)
        held = collected.filter(pl.col("contact").is_not_null() & pl.col("value").is_not_null())
        withdrawn = np.zeros(len(table.frame), dtype=np.bool_)
        for scope, wanted in self.hashes.items():
            withdrawn |= self._found(scope, "contact", table.frame["contact_id"], wanted)
            for kind in IDENTIFIER_TYPES:
                own = held.filter(type=kind)
                found = self._found(scope, kind, own["value"], wanted)
                withdrawn[own["contact"].to_numpy()[found]] = True
        return replace(table, frame=table.frame.with_columns(pl.Series(WITHDRAWN, withdrawn)))

    def normalises_alike(self, profile: Profile) -> bool:
        """True where ``profile`` gives the very identifiers that are looked up here, so that one pass does for both."""
        return profile.rules == PROFILE.rules

    def _found(
        self, scope: bytes, kind: str, values: pl.Series, wanted: frozenset[bytes]
    ) -> npt.NDArray[np.bool_]:
        if self.suppressor is None or not wanted:
            return np.zeros(len(values), dtype=np.bool_)
        hashes = self.suppressor.hashes(scope, kind, values.to_list())
        return np.fromiter((value in wanted for value in hashes), np.bool_, len(hashes))


def open_withdrawals(peer: Peer, agreement: str | None) -> Withdrawals:
    """Who was withdrawn from this agreement (digest), or from all of them.

    Raises MutualsError (LOCAL) where the key is gone.
    """
    with peer.store.transaction() as tx:  # not held while hashing
        rows = tx.suppressions.list()
        wanted = {None, first_version(tx, agreement)}
    if not rows:
        return Withdrawals(None)
    suppressor = suppressor_for(peer, rows)
    scopes: dict[bytes, set[bytes]] = {}
    for row in rows:
        if row.agreement in wanted and row.reason != KEY_CHECK:
            scopes.setdefault(scope_bytes(row.agreement), set()).add(row.hash)
    return Withdrawals(suppressor, {scope: frozenset(hashes) for scope, hashes in scopes.items()})


def mark_withdrawn(
    peer: Peer, table: ContactTable, default_country: str | None, agreement: str | None
) -> ContactTable:
    """``table`` with the contacts marked that were withdrawn from this agreement (digest), or from all of them.

    A contact is withdrawn if its id is, or any identifier it holds, of whatever type. Raises MutualsError (LOCAL)
    where the key is gone, USAGE for an unknown country.
    """
    return open_withdrawals(peer, agreement).mark(table, default_country)
