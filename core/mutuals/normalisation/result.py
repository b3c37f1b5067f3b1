"""What normalisation gives back: the values it accepted, and why it refused the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique

import polars as pl


@unique
class Reason(StrEnum):
    """Why a value is no identifier: a closed list, safe to show and to log."""

    EMPTY = "empty"
    NOT_VALID = "not_valid"
    RESERVED_DOMAIN = "reserved_domain"
    NOT_A_NUMBER = "not_a_number"
    NO_COUNTRY_CODE = "no_country_code"
    UNKNOWN_COUNTRY_CODE = "unknown_country_code"
    HAS_EXTENSION = "has_extension"
    WRONG_LENGTH = "wrong_length"


@dataclass(frozen=True)
class Normalised:
    """Two string series as long as the input: ``values`` is null exactly where ``reasons`` is not."""

    values: pl.Series
    reasons: pl.Series


Outcome = tuple[str | None, Reason | None]


def for_each_distinct(raw: pl.Series, normalise: Callable[[str], Outcome]) -> Normalised:
    """Apply ``normalise`` once to each distinct non-null string of ``raw``; a null is refused as empty."""
    distinct = raw.drop_nulls().unique().to_list()
    outcomes = [normalise(value) for value in distinct]
    lookup = pl.DataFrame(
        {"raw": distinct, "value": [o[0] for o in outcomes], "reason": [o[1] for o in outcomes]},
        schema={"raw": pl.String, "value": pl.String, "reason": pl.String},
    )
    joined = pl.DataFrame({"raw": raw.cast(pl.String)}).join(
        lookup, on="raw", how="left", maintain_order="left"
    )
    missing = pl.col("raw").is_null()
    joined = joined.with_columns(
        pl.when(missing).then(pl.lit(Reason.EMPTY.value)).otherwise("reason").alias("reason")
    )
    return Normalised(joined["value"], joined["reason"])
