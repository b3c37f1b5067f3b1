"""What a source says of the consent of those who take part, in the columns that decide nothing."""

from __future__ import annotations

import polars as pl

from mutuals.sources.contacts import ContactTable
from mutuals.sources.participants import Participants

EVIDENCE_TEXTS = ("consent_basis", "consent_method", "consent_notice_version", "consent_evidence")
"""Of the last, a reference for each contact, only whether it is given is counted."""
EVIDENCE_SHOWN = 10
SHOWN_FROM = 2
"""What fewer contacts hold may be about one person, and is counted under OTHERS."""
OTHERS = "(others)"


class EvidenceTally:
    """Gathers these columns; texts that repeat cost a number each."""

    def __init__(self) -> None:
        self._parts: dict[str, list[pl.DataFrame]] = {}

    def add(self, batch: ContactTable) -> None:
        """The next contacts."""
        for column in EVIDENCE_TEXTS:
            if column in batch.frame.columns:
                said = pl.col(column).fill_null("")
                if column == "consent_evidence":
                    said = pl.when(said == "").then(pl.lit("")).otherwise(pl.lit("given"))
                part = batch.frame.select("contact_id", value=said.cast(pl.Categorical))
                self._parts.setdefault(column, []).append(part)

    def of(self, participants: Participants) -> dict[str, dict[str, int]]:
        """By column, how many of them have which value, most frequent first; columns that the source has."""
        wanted = pl.DataFrame({"contact_id": participants.contact_ids})
        return {column: _counted(pl.concat(parts), wanted) for column, parts in self._parts.items()}


def _counted(said: pl.DataFrame, wanted: pl.DataFrame) -> dict[str, int]:
    values = said.join(wanted, on="contact_id", how="semi")["value"].cast(pl.String).to_frame("value")
    counts = values.group_by("value").len().sort("len", "value", descending=[True, False])
    known = pl.col("value").is_in(["", "given"]) | (pl.col("len") >= SHOWN_FROM)
    shown = dict(counts.filter(known).head(EVIDENCE_SHOWN).iter_rows())
    rest = int(counts["len"].sum()) - sum(shown.values())
    return shown | ({OTHERS: rest} if rest else {})
