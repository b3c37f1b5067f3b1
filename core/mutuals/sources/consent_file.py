"""A register of consent beside the contacts, as what it says of each: the grants that stand, with their days."""

from __future__ import annotations

import polars as pl

from mutuals.normalisation import TRIMMED
from mutuals.sources.blocks import input_fault
from mutuals.sources.dates import DatesSeen, is_iso, iso_day, look_at_dates
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.formats import open_table, understand_table
from mutuals.sources.mapping import ConsentFile, DateOrder
from mutuals.sources.sheet import SheetFile

_SLUG = "^[a-z][a-z0-9_-]{0,62}$"  # as a purpose is written in an agreement; any other can be in none


def open_register(path: str) -> SheetFile:
    """Such a file. Raises MutualsError (INPUT_QUALITY) where it cannot be used."""
    return open_table(understand_table(SourceDefinition(name="consent", path=path)))


def register_dates(path: str, heading: str, otherwise: DateOrder | None) -> DateOrder | None:
    """The order in which its days are written: what they show themselves, or else ``otherwise``.

    Raises MutualsError (INPUT_QUALITY) where some are written in one order and some in another, or the file cannot be
    used.
    """
    file = open_register(path)
    if file.headings.count(heading) != 1:
        return otherwise
    seen = DatesSeen()
    for sheet in file.sheets([file.headings.index(heading)]):
        seen += look_at_dates(sheet.cells[str(file.headings.index(heading))])
    if seen.day_first and seen.month_first:
        raise input_fault(
            f"{file.name}: in “{heading}” some days are written day first and others month first.",
            "Write them all as 2026-01-31.",
        )
    return seen.order or otherwise


def read_register(register: ConsentFile) -> pl.DataFrame:
    """Columns ``contact_id``, ``consent`` (dated grants, as in mutuals.sources.dated_consent) and ``consent_evidence``.

    Of several lines on one contact and purpose the latest day counts, on the same day a no. A no without a readable day
    always counts, a yes without one never. Raises MutualsError (INPUT_QUALITY) where the file cannot be used.
    """
    file = open_register(register.path)
    named = {
        "contact_id": register.contact_id,
        "purpose": register.purpose,
        "status": register.status,
        "date": register.date,
        "evidence": register.evidence,
    }
    at = {}
    for name, heading in named.items():
        if heading is not None:
            if file.headings.count(heading) != 1:
                how_many = "no column" if heading not in file.headings else "several columns"
                raise input_fault(
                    f"{file.name} has {how_many} “{heading}”.", "See: mutuals source map NAME --show"
                )
            at[name] = file.headings.index(heading)
    parts = []
    for sheet in file.sheets(sorted(set(at.values()))):
        lines = sheet.cells.select(
            pl.col(str(position)).str.strip_chars(TRIMMED).alias(name) for name, position in at.items()
        )
        parts.append(lines.with_columns(iso_day(lines["date"], register.dates).alias("date")))
    return _standing(pl.concat(parts), [value.strip().lower() for value in register.granted])


def _standing(lines: pl.DataFrame, granted: list[str]) -> pl.DataFrame:
    evidence = pl.col("evidence") if "evidence" in lines.columns else pl.lit("")
    dated = is_iso(lines["date"]) & lines["date"].str.to_date("%Y-%m-%d", strict=False).is_not_null()
    said = lines.with_columns(
        evidence=evidence.str.replace_all("[;\n\r]", " "),
        yes=pl.col("status").str.to_lowercase().is_in(granted),
        dated=dated,
    ).filter(pl.col("purpose").str.contains(_SLUG) & (pl.col("contact_id") != ""))
    refused = said.filter(~pl.col("yes") & ~pl.col("dated")).select("contact_id", "purpose").unique()
    latest = (
        said.filter("dated")
        .sort("date", pl.col("yes"), descending=[True, False], maintain_order=True)
        .unique(["contact_id", "purpose"], keep="first", maintain_order=True)
        .filter("yes")
        .join(refused, on=["contact_id", "purpose"], how="anti")
    )
    grants = latest.sort("contact_id", "purpose").group_by("contact_id", maintain_order=True)
    return grants.agg(
        pl.concat_str("purpose", "date", separator="@").str.join(";").alias("consent"),
        pl.col("evidence")
        .filter(pl.col("evidence") != "")
        .unique(maintain_order=True)
        .str.join("; ")
        .alias("consent_evidence"),
    )
