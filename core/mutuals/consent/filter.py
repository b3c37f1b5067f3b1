"""Marking withdrawn contacts in a list that was just read, before anybody looks at who may take part.

Costs nothing while nobody has withdrawn. Otherwise every id and identifier is hashed once for each scope in use: about
2 µs each, next to what it takes to normalise them.
"""

from __future__ import annotations

import polars as pl

from mutuals.consent.suppressions import (
    KEY_CHECK,
    PROFILE,
    Suppressor,
    first_version,
    scope_bytes,
    suppressor_for,
)
from mutuals.peer import Peer
from mutuals.sources.check import IDENTIFIER_TYPES
from mutuals.sources.contacts import WITHDRAWN, ContactTable
from mutuals.sources.identifiers import collect_identifiers


def mark_withdrawn(
    peer: Peer, table: ContactTable, default_country: str | None, agreement: str | None
) -> ContactTable:
    """``table`` with the contacts marked that were withdrawn from this agreement (digest), or from all of them.

    A contact is withdrawn if its id is, or any identifier it holds, of whatever type. Raises MutualsError (LOCAL)
    where the key is gone, USAGE for an unknown country.
    """
    with peer.store.transaction() as tx:  # not held while hashing
        rows = tx.suppressions.list()
        wanted = {None, first_version(tx, agreement)}
    if not rows:
        return table
    suppressor = suppressor_for(peer, rows)
    scopes: dict[str | None, set[bytes]] = {}
    for row in rows:
        if row.agreement in wanted and row.reason != KEY_CHECK:
            scopes.setdefault(row.agreement, set()).add(row.hash)
    hits = _hits(suppressor, table, default_country, scopes)
    marked = table.frame.with_columns(
        pl.int_range(pl.len(), dtype=pl.Int32).is_in(sorted(hits)).alias(WITHDRAWN)
    )
    return ContactTable(marked, table.rejected, table.field_names, table.rejected_identifiers, table.absent)


def _hits(
    suppressor: Suppressor,
    table: ContactTable,
    default_country: str | None,
    scopes: dict[str | None, set[bytes]],
) -> set[int]:
    """The positions in ``table.frame`` of the withdrawn contacts."""
    hits: set[int] = set()
    ids = table.frame["contact_id"].to_list()
    held = collect_identifiers(table, IDENTIFIER_TYPES, PROFILE, default_country)
    held = held.filter(pl.col("contact").is_not_null() & pl.col("value").is_not_null())
    for scope, hashes in scopes.items():
        place = scope_bytes(scope)
        found = suppressor.hashes(place, "contact", ids)
        hits.update(position for position, value in enumerate(found) if value in hashes)
        for kind in IDENTIFIER_TYPES:
            own = held.filter(type=kind)
            values = own["value"].unique().to_list()
            out = [
                value
                for value, code in zip(values, suppressor.hashes(place, kind, values), strict=True)
                if code in hashes
            ]
            hits.update(own.filter(pl.col("value").is_in(out))["contact"].to_list())
    return hits
