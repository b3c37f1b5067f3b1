"""Which contacts take part under an agreement, and the identifiers they enter the match with (DESIGN §6)."""

from __future__ import annotations

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


@unique
class Withheld(StrEnum):
    """Why an identifier that an eligible contact holds stays out of the match."""

    SHARED = "shared"
    SHARED_WITH_INELIGIBLE = "shared_with_ineligible"


@dataclass(frozen=True, eq=False)
class Participants:
    """The contacts that take part and their identifiers.

    ``contact_ids`` in the source's order. ``identifiers`` are distinct, typed (``email:jane@example.com``)
    and sorted. The contacts of identifier ``i`` are ``contact_ids[k]`` for ``k`` in
    ``owner_indices[owner_offsets[i]: owner_offsets[i + 1]]`` (i64 offsets, one more than identifiers; i32
    indices, ascending). ``excluded`` counts the other contacts by Exclusion, ``withheld_identifiers`` the
    identifiers of eligible contacts that stay out, by Withheld; reasons that do not occur are absent.
    """

    contact_ids: list[str]
    identifiers: list[str]
    owner_offsets: npt.NDArray[np.int64]
    owner_indices: npt.NDArray[np.int32]
    excluded: dict[str, int]
    withheld_identifiers: dict[str, int]


def select_participants(
    table: ContactTable, agreement: Agreement, profile: Profile, today: date, default_country: str | None
) -> Participants:
    """Apply the agreement's consent rule, identifier types and rule on shared identifiers to a source.

    An identifier held by several contacts of the whole source, whatever their consent, is shared. Such stays
    out or, where the agreement includes shared ones, enters only if every holder is eligible. Raises
    MutualsError (USAGE) for an unknown country.
    """
    collected = collect_identifiers(table, agreement.matching.identifiers, profile, default_country)
    include_shared = agreement.matching.shared_identifiers == "include"
    return participants_among(table, collected, agreement.consent, today, include_shared=include_shared)


def participants_among(
    table: ContactTable, collected: pl.DataFrame, rule: ConsentRule, today: date, *, include_shared: bool
) -> Participants:
    """As ``select_participants``, over identifiers that ``collect_identifiers`` has already given."""
    reasons = consent_exclusions(table.frame, rule, today)
    held = _held(collected, reasons.is_null())
    kept, withheld = _partition(held, include_shared=include_shared)
    taking_part = kept["contact"].unique().sort()
    reasons = _with_unmatchable(reasons, held["contact"].drop_nulls().unique(), taking_part)
    sizes = kept.group_by("identifier", maintain_order=True).len()
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes["len"].to_numpy(), out=offsets[1:])
    return Participants(
        contact_ids=table.frame["contact_id"].gather(taking_part).to_list(),
        identifiers=sizes["identifier"].to_list(),
        owner_offsets=offsets,
        owner_indices=np.searchsorted(taking_part.to_numpy(), kept["contact"].to_numpy()).astype(np.int32),
        excluded=_counted(reasons),
        withheld_identifiers=withheld,
    )


def _counted(reasons: pl.Series) -> dict[str, int]:
    counts = dict(reasons.drop_nulls().value_counts().iter_rows())
    return {reason.value: counts[reason.value] for reason in Exclusion if reason.value in counts}


def _held(collected: pl.DataFrame, allowed: pl.Series) -> pl.DataFrame:
    """Who holds what, each once: row, contact, identifier (typed), eligible."""
    eligible = pl.DataFrame({"eligible": allowed}).with_columns(
        contact=pl.int_range(pl.len(), dtype=pl.Int32)
    )
    return (
        collected.filter(pl.col("value").is_not_null())
        .select("row", "contact", identifier=pl.concat_str("type", pl.lit(":"), "value"))
        .unique(["row", "identifier"])
        .join(eligible, on="contact", how="left")
        .with_columns(pl.col("eligible").fill_null(value=False))
    )


def _partition(held: pl.DataFrame, *, include_shared: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """The (identifier, contact) pairs that enter the match, sorted, and how many identifiers stay out and
    why.
    """
    holders = (
        held.group_by("identifier")
        .agg(several=pl.len() > 1, any=pl.col("eligible").any(), all=pl.col("eligible").all())
        .filter("any")
    )
    enters = pl.col("all") if include_shared else ~pl.col("several")
    reason = Withheld.SHARED_WITH_INELIGIBLE if include_shared else Withheld.SHARED
    kept = held.join(holders.filter(enters), on="identifier", how="semi").select("identifier", "contact")
    out = len(holders.filter(~enters))
    return kept.sort("identifier", "contact"), ({reason.value: out} if out else {})


def _with_unmatchable(reasons: pl.Series, with_identifier: pl.Series, taking_part: pl.Series) -> pl.Series:
    position = pl.int_range(pl.len(), dtype=pl.Int32)
    return (
        pl.DataFrame({"reason": reasons})
        .select(
            pl.when(pl.col("reason").is_not_null())
            .then("reason")
            .when(~position.is_in(with_identifier.implode()))
            .then(pl.lit(Exclusion.NO_IDENTIFIER.value))
            .when(~position.is_in(taking_part.implode()))
            .then(pl.lit(Exclusion.ONLY_SHARED_IDENTIFIERS.value))
            .otherwise(None)
            .alias("reason")
        )
        .to_series()
    )
