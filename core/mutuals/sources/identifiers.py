"""The identifiers of a source's contacts, normalised, with what was refused and why."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from mutuals.normalisation import Normalised, Profile, Spread
from mutuals.sources.contacts import ContactTable

SCHEMA: dict[str, pl.DataType] = {
    "row": pl.UInt32(),
    "contact": pl.Int32(),
    "type": pl.String(),
    "value": pl.String(),
    "reason": pl.String(),
}


def collect_identifiers(
    table: ContactTable,
    types: Iterable[str],
    profile: Profile,
    default_country: str | None,
    spread: Spread = map,
) -> pl.DataFrame:
    """Every address and number of the source, in the order of the rows, one a line.

    Columns (SCHEMA): ``row``; ``contact``, the position in ``table.frame``, null for a rejected row; ``type``
    (email or phone); ``value`` as normalised, or null and the ``reason`` it was refused for. ``spread``
    distributes the work over cores. Raises MutualsError (USAGE) for an unknown country.
    """
    parts = [pl.DataFrame(schema=SCHEMA)]
    for kind in types:
        written = written_identifiers(table, kind)
        outcome = _normalised(written["raw"], kind, profile, default_country, spread)
        parts.append(
            written.select(
                "row",
                "contact",
                pl.lit(kind).alias("type"),
                outcome.values.alias("value"),
                outcome.reasons.alias("reason"),
            )
        )
    return pl.concat(parts)


def written_identifiers(table: ContactTable, kind: str) -> pl.DataFrame:
    """As ``collect_identifiers``, of one type and as written: columns ``row``, ``contact`` and ``raw``."""
    holders = pl.concat(
        [
            table.frame.select("row", pl.int_range(pl.len(), dtype=pl.Int32).alias("contact"), kind),
            table.rejected_identifiers.select("row", pl.lit(None, pl.Int32).alias("contact"), kind),
        ]
    )
    return holders.select("row", "contact", raw=kind).explode("raw").drop_nulls("raw")


def _normalised(
    raw: pl.Series, kind: str, profile: Profile, default_country: str | None, spread: Spread
) -> Normalised:
    if kind == "email":
        return profile.examine_emails(raw, spread)
    return profile.examine_phones(raw, default_country, spread)
