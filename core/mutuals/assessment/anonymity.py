"""k-anonymity of the agreed fields over the own eligible contacts (Sweeney 2002), and minors among them.

Only counts leave this module: no cell, no contact id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from mutuals.models.agreement import SharedField
from mutuals.models.assessment import Anonymity, FieldGroup
from mutuals.runs.record_columns import in_agreed_form
from mutuals.runs.transforms import UnfitValue, Value, transform
from mutuals.sources.mapping import DateOrder

SMALL = 5
"""Groups of fewer contacts than this single persons out; the customary bound of statistical offices."""

ADULT_YEARS = 18

_BIRTH = re.compile(
    r"date[ _-]?of[ _-]?birth|birth[ _-]?(date|day|year)?|birthday|dob|year[ _-]?of[ _-]?birth|yob"
    r"|geburts?[ _-]?(datum|tag|jahr)|geb\.?|date[ _-]?de[ _-]?naissance|n(é|e)e?[ _-]le|fecha[ _-]?de[ _-]?nacimiento"
    r"|data[ _-]?di[ _-]?nascita|age|alter|âge|edad",
    re.IGNORECASE,
)
_ISO = r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:[T ].*)?$"
_EUROPEAN = r"^(\d{1,2})[./](\d{1,2})[./](\d{4})$"


def anonymity(
    frame: pl.DataFrame,
    fields: Sequence[SharedField],
    mapping: Mapping[str, str],
    dates: DateOrder | None = None,
) -> Anonymity | None:
    """How few contacts of ``frame`` (eligible ones, as read) share all values of ``fields`` after transformation.

    ``mapping`` is field to heading, ``dates`` the order in which the source writes days. An empty cell and one that
    does not fit are a value like any other: that a field is missing tells about a contact, too. Nothing where no field
    is sent. Memory is one number a contact and field.
    """
    if not fields:
        return None
    cells = {field.name: in_agreed_form(field, frame[mapping[field.name]], dates) for field in fields}
    coded = pl.DataFrame({field.name: _codes(cells[field.name], field) for field in fields})
    sizes = coded.group_by(pl.all()).len()["len"]
    return Anonymity(
        contacts=len(coded),
        groups=len(sizes),
        smallest=_least(sizes),
        below_5=int(sizes.filter(sizes < SMALL).sum()),
        alone=int((sizes == 1).sum()),
        fields=tuple(_alone(field.name, coded[field.name]) for field in fields),
    )


def _codes(cells: pl.Series, field: SharedField) -> pl.Series:
    """A number for each contact, the same where the field's value is; each distinct cell is transformed once."""
    distinct = cells.unique()
    codes: dict[Value | None, int] = {None: 0}
    # True and 1 are one key of a dictionary, but no field has both.
    numbers = [codes.setdefault(_value(cell, field), len(codes)) for cell in distinct]
    by_cell = pl.DataFrame({"cell": distinct, "code": pl.Series(numbers, dtype=pl.UInt32)})
    joined = pl.DataFrame({"cell": cells}).join(
        by_cell, on="cell", how="left", nulls_equal=True, maintain_order="left"
    )
    return joined["code"]


def _value(cell: str | None, field: SharedField) -> Value | None:
    if cell is None or not cell.strip():
        return None
    try:
        return transform(field, cell)
    except UnfitValue:
        return None


def _alone(name: str, codes: pl.Series) -> FieldGroup:
    sizes = codes.value_counts()["count"]
    return FieldGroup(name=name, values=len(sizes), smallest=_least(sizes))


def _least(sizes: pl.Series) -> int:
    return min(sizes.to_list(), default=0)


def birth_column(headings: Sequence[str]) -> str | None:
    """The first heading that names a date or year of birth, or an age; by the words of a few languages."""
    return next((heading for heading in headings if _BIRTH.fullmatch(heading.strip())), None)


def count_minors(cells: pl.Series, today: date) -> int:
    """How many of ``cells`` (dates, years or ages as written) are surely or possibly of somebody under 18.

    A year alone counts where the person may still be 17; what is neither date, year nor age counts for nobody.
    """
    frame = pl.DataFrame({"cell": cells.str.strip_chars()}).with_columns(
        iso=pl.col("cell").str.extract_groups(_ISO), dmy=pl.col("cell").str.extract_groups(_EUROPEAN)
    )
    number = pl.col("cell").cast(pl.Int32, strict=False)
    year = pl.coalesce(pl.col("iso").struct.field("1"), pl.col("dmy").struct.field("3")).cast(
        pl.Int32, strict=False
    )
    month = pl.coalesce(pl.col("iso").struct.field("2"), pl.col("dmy").struct.field("2")).cast(
        pl.Int32, strict=False
    )
    day = pl.coalesce(pl.col("iso").struct.field("3"), pl.col("dmy").struct.field("1")).cast(
        pl.Int32, strict=False
    )
    # As numbers, so that 31 February and a birthday on 29 February need no calendar.
    born = year * 10_000 + month.fill_null(12) * 100 + day.fill_null(31)
    adult = (today.year - ADULT_YEARS) * 10_000 + today.month * 100 + today.day
    plausible = year.is_between(1850, today.year)
    young = (plausible & (born > adult)) | (number.is_between(0, ADULT_YEARS - 1) & year.is_null())
    return int(frame.select(young.fill_null(value=False).sum()).item())
