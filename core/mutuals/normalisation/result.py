"""What normalisation gives back: the values it accepted, and why it refused the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import polars as pl

Given = TypeVar("Given")
Made = TypeVar("Made")


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


class Spread(Protocol):
    """Applies a function of a module to each argument, in order: the built-in ``map``, or what does so on all cores
    (``mutuals.engines.workers``). Arguments and results are small enough to be sent to another process.
    """

    def __call__(self, function: Callable[[Given], Made], arguments: Iterable[Given], /) -> Iterator[Made]:
        """The results, in the order of the arguments."""


_AT_ONCE = 1000
"""Strings in one task: some 25 ms of work."""
PIECE = 200_000
"""Strings worked on together, so that a long column costs no more memory than this: some 100 MB beside the result."""


def in_pieces(raw: pl.Series, normalise: Callable[[pl.Series], Normalised]) -> Normalised:
    """What ``normalise`` gives for a string series of any length, which it gets in pieces of PIECE; at least one."""
    import polars as pl

    text = raw.cast(pl.String)
    done = [normalise(text.slice(start, PIECE)) for start in range(0, max(1, len(text)), PIECE)]
    return Normalised(pl.concat([one.values for one in done]), pl.concat([one.reasons for one in done]))


def for_each_distinct(
    raw: pl.Series, normalise: Callable[[str], Outcome], spread: Spread = map
) -> Normalised:
    """Apply ``normalise`` once to each distinct non-null string of ``raw``; a null is refused as empty.

    Where there is much to do, ``spread`` distributes it; then ``normalise`` must be a function that can be pickled.
    """
    import polars as pl

    distinct = raw.drop_nulls().unique()
    if len(distinct) <= _AT_ONCE:
        spread = map
    parts = (distinct.slice(start, _AT_ONCE).to_list() for start in range(0, len(distinct), _AT_ONCE))
    outcomes = list(chain.from_iterable(spread(partial(_each, normalise), parts)))
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


def _each(normalise: Callable[[str], Outcome], texts: list[str]) -> list[Outcome]:
    return [normalise(text) for text in texts]
