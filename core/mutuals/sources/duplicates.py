"""Several rows with the same contact id: made one contact or left out, as a person chose; never just one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import polars as pl

from mutuals.normalisation import TRIMMED
from mutuals.sources.contact_ids import ContactIds
from mutuals.sources.contacts import DATED_CONSENT, ContactTable, Rejected, RowFault, with_rows
from mutuals.sources.dated_consent import purpose_of
from mutuals.sources.definition import SourceDefinition, StandardColumn
from mutuals.sources.native import ContactBatches
from mutuals.sources.sheet import SheetFile


class MergedBatches:
    """The contacts of ``file``, those in several rows merged, or left out where not ``merge``; see ``OpenSource``.

    Merged, a contact has the identifiers of all its rows and objects where one of them does. It has consented to what
    every row says it has, since the oldest of these days, and was notified if every row says so. What its other columns
    hold is that of the first row that holds something. A contact one of whose rows cannot be used is left out.
    """

    def __init__(
        self, file: SheetFile, definition: SourceDefinition, fields: Collection[str] | None, *, merge: bool
    ) -> None:
        self._batches = ContactBatches(file, definition, fields, unique=False)
        self._file = file
        self._id = file.headings.index("contact_id")
        self._merge = merge

    @property
    def headings(self) -> tuple[str, ...]:
        """See ``OpenSource``."""
        return self._batches.headings

    @property
    def absent(self) -> tuple[StandardColumn, ...]:
        """See ``OpenSource``."""
        return self._batches.absent

    def expected_rows(self) -> int:
        """See ``OpenSource``."""
        return self._batches.expected_rows()

    def __iter__(self) -> Iterator[ContactTable]:
        repeated = self._repeated()
        held = []
        batch = None
        for batch in self._batches:
            several = batch.frame["contact_id"].is_in(repeated["contact_id"].implode())
            if several.any():
                held.append(with_rows(batch, several).frame)
            yield with_rows(batch, ~several)
        if batch is not None and held:
            yield self._settled(batch, held, repeated)

    def _repeated(self) -> pl.DataFrame:
        """Columns ``contact_id`` and ``rows``, the number of its rows, of each that has several."""
        ids = ContactIds()
        for sheet in self._file.sheets([self._id]):
            ids.add(sheet.cells[str(self._id)].str.strip_chars(TRIMMED), sheet.rows)
        return ids.repeated().select("contact_id", rows=pl.col("row").list.len())

    def _settled(self, like: ContactTable, held: list[pl.DataFrame], repeated: pl.DataFrame) -> ContactTable:
        rows = pl.concat(held, how="diagonal").join(repeated, on="contact_id", how="left")
        whole = rows.filter(pl.len().over("contact_id") == pl.col("rows")).drop("rows")
        bad = rows.join(whole, on="row", how="anti") if self._merge else rows
        merged = _merged(whole) if self._merge else whole.clear()
        return replace(
            like,
            frame=merged,
            rejected=tuple(Rejected(row, "contact_id", RowFault.REPEATED) for row in bad["row"]),
            rejected_identifiers=bad.select("row", "email", "phone"),
            merged=tuple(map(tuple, _rows_of(whole))) if self._merge else (),
        )


def _rows_of(whole: pl.DataFrame) -> list[list[int]]:
    return whole.group_by("contact_id", maintain_order=True).agg("row")["row"].to_list()


def _merged(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each contact, the first of its rows."""
    ordered = rows.sort("row")
    made = [
        _one_of(name, kind) for name, kind in ordered.schema.items() if name not in {"contact_id", "consent"}
    ]
    merged = ordered.group_by("contact_id", maintain_order=True).agg(made)
    columns = {"consent": _in_every_row(ordered.select("contact_id", "row", part="consent"))}
    if DATED_CONSENT in ordered.columns:
        columns[DATED_CONSENT] = _oldest_days(ordered.select("contact_id", "row", part=DATED_CONSENT))
        merged = merged.drop(DATED_CONSENT)
    for name, found in columns.items():
        merged = merged.join(found.rename({"part": name}), on="contact_id", how="left", maintain_order="left")
        merged = merged.with_columns(pl.col(name).fill_null([]))
    return merged.select(rows.columns)


def _one_of(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if name in {"email", "phone"}:
        return column.explode().drop_nulls().unique(maintain_order=True)
    if name == "suppressed":
        return column.any()
    if kind == pl.Date:
        return pl.when(column.null_count() == 0).then(column.min())
    if kind == pl.String:
        return column.filter(column.fill_null("") != "").first()
    return column.first()


def _in_every_row(parts: pl.DataFrame) -> pl.DataFrame:
    """``contact_id`` and the list ``part`` of what all of its rows have in theirs."""
    rows = parts.group_by("contact_id").agg(rows=pl.len())
    single = parts.explode("part").drop_nulls().unique()
    common = single.group_by("contact_id", "part").agg(held=pl.len()).join(rows, on="contact_id")
    return common.filter(pl.col("held") == pl.col("rows")).sort("part").group_by("contact_id").agg("part")


def _oldest_days(parts: pl.DataFrame) -> pl.DataFrame:
    """``contact_id`` and the list ``part`` of one dated grant for each purpose that every row dates: the oldest.

    Of several in one row the latest counts, as in mutuals.sources.dated_consent.
    """
    rows = parts.group_by("contact_id").agg(rows=pl.len())
    single = parts.explode("part").drop_nulls().with_columns(purpose=purpose_of(pl.col("part")))
    by_row = single.group_by("contact_id", "row", "purpose").agg(pl.col("part").max())
    common = by_row.group_by("contact_id", "purpose").agg(pl.col("part").min(), held=pl.len())
    kept = common.join(rows, on="contact_id").filter(pl.col("held") == pl.col("rows"))
    return kept.sort("part").group_by("contact_id").agg("part")
