"""Several purposes in one cell, with dates of their own: ``joint-marketing@2026-01-03/2028-01-02; news@2025-05-01``.

``PURPOSE@GRANTED``, then ``/LAST`` for the last day it holds and ``!WITHDRAWN`` for the day it was withdrawn, each a
day as YYYY-MM-DD. A purpose granted several times counts by its latest grant. What has no such form is a purpose
without dates, to which the row's own columns apply.
"""

from __future__ import annotations

import polars as pl

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_HEAD = "^[a-z][a-z0-9_-]{0,62}@"
_WHOLE = f"{_HEAD}({_DAY})(?:/({_DAY}))?(?:!({_DAY}))?$"
_GROUPS = (1, 2, 3)


def dated(part: pl.Expr) -> pl.Expr:
    """Those parts of a consent cell that carry, or try to carry, dates."""
    return part.filter(part.str.contains(_HEAD))


def purpose_of(part: pl.Expr) -> pl.Expr:
    """The purposes that the parts of a consent cell name."""
    return pl.when(part.str.contains(_HEAD)).then(part.str.extract("^([^@]*)@")).otherwise(part)


def well_dated(grant: pl.Expr) -> pl.Expr:
    """Whether a dated grant is written as documented, with days that exist."""
    wrong = [grant.str.extract(_WHOLE, n).is_not_null() & _day(grant, n).is_null() for n in _GROUPS]
    return grant.str.contains(_WHOLE) & ~pl.any_horizontal(wrong)


def grant_dates(grants: pl.Expr, purpose: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """When ``purpose`` was last granted, its last day, and when it was withdrawn; null where the cell does not say.

    ``grants`` is a list of well-dated grants.
    """
    own = grants.list.eval(pl.element().filter(pl.element().str.starts_with(f"{purpose}@")))
    latest = own.list.sort().list.last()  # days sort as text
    granted, last, withdrawn = (_day(latest, number) for number in _GROUPS)
    return granted, last, withdrawn


def _day(grant: pl.Expr, group: int) -> pl.Expr:
    return grant.str.extract(_WHOLE, group).str.to_date("%Y-%m-%d", strict=False)
