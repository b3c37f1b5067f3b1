"""What a peer remembers of a source: where it is and how to read it, never what is in it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Slug
from mutuals.normalisation.phone import checked_country
from mutuals.sources.mapping import SourceMapping

StandardColumn = Literal[
    "contact_id",
    "email",
    "phone",
    "consent",
    "consent_at",
    "notified_at",
    "suppressed",
    "consent_expires_at",
    "consent_withdrawn_at",
    "consent_basis",
    "consent_method",
    "consent_notice_version",
    "consent_evidence",
]
STANDARD_COLUMNS: tuple[StandardColumn, ...] = (
    "contact_id",
    "email",
    "phone",
    "consent",
    "consent_at",
    "notified_at",
    "suppressed",
    "consent_expires_at",
    "consent_withdrawn_at",
    "consent_basis",
    "consent_method",
    "consent_notice_version",
    "consent_evidence",
)


Delimiter = Literal[",", ";", "\t"]
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be", "cp1252"]


class SourceDefinition(BaseModel):
    """A named source. ``path`` is absolute; ``columns`` maps a standard column to its heading in the file,
    where the two differ; ``default_country`` (ISO 3166, such as ``DE``) is for phone numbers without a
    country code.

    ``format`` is "native", or what kind of table it is: then ``mapping`` says what its columns mean or, where it is
    None, they are those of the native format. What was found out about the file when it was added stays as it is:
    ``delimiter`` and ``encoding`` of a CSV file, the ``sheet`` of a workbook. For format "sql", ``path`` is the
    database's URL, without a password, and either ``table`` or ``query`` (the text of a SELECT) says what to read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    path: str = Field(min_length=1)
    format: str = "native"
    columns: dict[StandardColumn, str] = Field(default_factory=dict)
    default_country: str | None = None
    mapping: SourceMapping | None = None
    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"
    sheet: str | None = None
    table: str | None = None
    query: str | None = None

    def heading(self, column: StandardColumn) -> str:
        """The heading under which the file keeps ``column``."""
        return self.columns.get(column, column)


def define_source(
    name: str,
    path: str,
    columns: dict[str, str],
    default_country: str | None = None,
    source_format: str = "native",
) -> SourceDefinition:
    """A definition from what a person typed. Raises MutualsError (USAGE) saying which part is wrong."""
    for column in columns:
        if column not in STANDARD_COLUMNS:
            raise MutualsError(
                ErrorCode.USAGE,
                f"“{column}” is not a column that a source maps.",
                hint=f"A source maps {', '.join(STANDARD_COLUMNS)}. The fields of an agreement are mapped where you "
                "sign it: mutuals agreement propose (or accept) … --map FIELD=HEADING",
            )
    stripped = {column: heading.strip() for column, heading in columns.items()}
    _refuse_double_use(stripped)
    country = checked_country(default_country)
    try:
        return SourceDefinition.model_validate(
            {
                "name": name,
                "path": path,
                "format": source_format,
                "columns": stripped,
                "default_country": country,
            }
        )
    except ValidationError as error:
        part = error.errors()[0]["loc"][0]
        if part == "name":
            raise MutualsError(
                ErrorCode.USAGE,
                f"“{name}” cannot be the name of a source.",
                hint="Use lower-case letters, digits, - and _, beginning with a letter; at most 63.",
            ) from None
        raise MutualsError(ErrorCode.USAGE, f"The {part} of the source is not valid.") from None


def _refuse_double_use(columns: dict[str, str]) -> None:
    taken: dict[str, str] = {}
    for column in STANDARD_COLUMNS:
        heading = columns.get(column, column)
        if not heading:
            raise MutualsError(ErrorCode.USAGE, f"The heading mapped to {column} is empty.")
        if heading in taken and (column in columns or taken[heading] in columns):
            raise MutualsError(
                ErrorCode.USAGE,
                f"The heading “{heading}” would serve both {taken[heading]} and {column}.",
                hint="Map each standard column to a heading of its own.",
            )
        taken[heading] = column
