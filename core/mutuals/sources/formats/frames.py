"""Rows that come as polars frames, as the sheets that the interpretation of columns reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from mutuals.sources.sheet import Sheet

ROWS_AT_ONCE = 50_000


def text_of(column: pl.Series) -> pl.Series:
    """``column`` as a person would write it: days and times as ISO 8601, whole numbers without a point, null empty."""
    kind = column.dtype
    if kind == pl.String:
        return column.fill_null("")
    if isinstance(kind, pl.List | pl.Array):
        inner = column.cast(pl.List(pl.String))
        return inner.list.join(";").fill_null("")
    if kind.is_float():
        whole = column.cast(pl.Int64, strict=False)
        exact = (whole.cast(kind) == column).fill_null(value=False)
        written = pl.when(exact).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
        return pl.select(written).to_series().fill_null("")
    if kind == pl.Datetime:
        return column.dt.to_string("%Y-%m-%d %H:%M:%S").fill_null("")
    if kind == pl.Binary or kind.is_nested():
        return pl.Series(column.name, [""] * len(column), dtype=pl.String)
    return column.cast(pl.String).fill_null("")


def sheet_of(frame: pl.DataFrame, columns: Sequence[int], first_row: int) -> Sheet:
    """The rows of ``frame``, whose columns are those of ``columns`` in that order, the first being row ``first_row``.

    Rows without content in any of them are left out.
    """
    cells = pl.DataFrame(
        {str(column): text_of(frame.to_series(place)) for place, column in enumerate(columns)}
    )
    rows = pl.Series("row", np.arange(first_row, first_row + len(frame), dtype=np.uint32))
    filled = cells.select(pl.any_horizontal(pl.all() != "")).to_series()
    return Sheet(cells, rows) if filled.all() else Sheet(cells.filter(filled), rows.filter(filled))


def sheets_of(frames: Iterator[pl.DataFrame], columns: Sequence[int], first_row: int) -> Iterator[Sheet]:
    """All of ``frames``, at least one sheet; see ``sheet_of``."""
    row = first_row
    for frame in frames:
        yield sheet_of(frame, columns, row)
        row += len(frame)
    empty = pl.DataFrame(
        {str(column): [] for column in columns}, schema_overrides={str(c): pl.String for c in columns}
    )
    yield Sheet(empty, pl.Series("row", [], dtype=pl.UInt32))
