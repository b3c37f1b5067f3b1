"""Frames of the kind that a program asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["polars", "pandas"]


def require_kind(kind: str) -> None:
    """Refuse (USAGE) a kind that is unknown, or whose packages are missing."""
    if kind not in ("polars", "pandas"):
        raise MutualsError(ErrorCode.USAGE, 'frames is either "polars" or "pandas".')
    missing = [name for name in ("pandas", "pyarrow") if kind == "pandas" and find_spec(name) is None]
    if missing:
        raise MutualsError(
            ErrorCode.USAGE,
            f'frames="pandas" needs {" and ".join(missing)}, which {"is" if len(missing) == 1 else "are"} not '
            "installed.",
            hint="Install what is missing: pip install 'mutuals[pandas]'. Or leave frames out, for polars.",
        )


def as_kind(frame: pl.DataFrame, kind: Kind) -> Any:
    """The frame itself, or as pandas: integers that lack a value become floats there."""
    return frame if kind == "polars" else frame.to_pandas()


def facts_frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, type]) -> pl.DataFrame:
    """A frame of ``columns`` from rows of facts; ``datetime`` is for aware moments, which are in UTC there."""
    import polars as pl

    kinds: dict[type, Any] = {
        str: pl.String,
        int: pl.Int64,
        date: pl.Date,
        datetime: pl.Datetime("us", "UTC"),
    }
    listed = list(rows)
    return pl.DataFrame(
        [pl.Series(name, [row[name] for row in listed], dtype=kinds[kind]) for name, kind in columns.items()]
    )
