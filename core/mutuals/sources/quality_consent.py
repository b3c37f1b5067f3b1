"""What a source says of consent, counted: who grants what, since when, and what stands against it.

Whatever is empty or unknown counts as no.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

import polars as pl

from mutuals.models.agreement import ConsentRule
from mutuals.sources.contacts import WITHDRAWN, ContactTable
from mutuals.sources.eligibility import consent_exclusions, grant_days

MOST_PURPOSES = 20
ANY_AGE_DAYS = 3650
"""The oldest consent that an agreement can allow."""
AGE_BANDS = (
    ("under 6 months", 183),
    ("6 to 12 months", 365),
    ("1 to 2 years", 730),
    ("2 to 3 years", 1095),
    ("over 3 years", None),
)
"""Names of the bands, and the day of age at which the next one begins."""
_SLUG = "^[a-z][a-z0-9_-]{0,62}$"  # as a purpose is written in an agreement


@dataclass(frozen=True)
class PurposeFigures:
    """``contacts`` grant ``purpose``; ``against`` counts those who take no part all the same, by Exclusion.

    How old a consent may be and whether notice is a condition is for an agreement to say; neither is applied here.
    Of those who remain, ``notified`` were told about the sharing, and ``ages`` has the age of their consent by band.
    """

    purpose: str
    contacts: int
    against: dict[str, int]
    notified: int
    ages: dict[str, int]

    @property
    def remaining(self) -> int:
        """Those against whom nothing stands."""
        return self.contacts - sum(self.against.values())


@dataclass(frozen=True)
class ConsentFigures:
    """Of ``contacts``, ``objecting`` said no and ``withdrawn`` were taken out with ``mutuals revoke``; ``silent`` grant
    no purpose, which counts as no. ``unnamed`` grant something that can be no purpose of an agreement; ``further``
    purposes were found beyond the first MOST_PURPOSES.
    """

    contacts: int
    objecting: int
    withdrawn: int
    silent: int
    purposes: tuple[PurposeFigures, ...]
    unnamed: int
    further: int


class ConsentTally:
    """Gathers consent from batches of whatever size."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._contacts = self._objecting = self._withdrawn = self._silent = self._unnamed = 0
        self._granting: Counter[str] = Counter()
        self._further: set[int] = set()
        self._against: dict[str, Counter[str]] = {}
        self._notified: Counter[str] = Counter()
        self._ages: dict[str, Counter[str]] = {}

    def add(self, batch: ContactTable) -> None:
        """The next contacts."""
        frame = batch.frame
        self._contacts += len(frame)
        self._objecting += int(frame["suppressed"].sum())
        if WITHDRAWN in frame.columns:
            self._withdrawn += int(frame[WITHDRAWN].sum())
        self._silent += int((frame["consent"].list.len() == 0).sum())
        granted = frame.select("row", purpose="consent").explode("purpose").drop_nulls()
        named = granted["purpose"].str.contains(_SLUG)
        self._unnamed += granted.filter(~named)["row"].n_unique()
        for purpose in granted.filter(named)["purpose"].unique(maintain_order=True):
            if purpose in self._granting or len(self._granting) < MOST_PURPOSES:
                self._add_purpose(purpose, frame)
            else:
                self._further.add(hash(purpose))

    def _add_purpose(self, purpose: str, frame: pl.DataFrame) -> None:
        granting = frame.filter(pl.col("consent").list.contains(purpose))
        rule = ConsentRule(purpose=purpose, max_age_days=ANY_AGE_DAYS, notice_required=False)
        reasons = consent_exclusions(granting, rule, self._today)
        self._granting[purpose] += len(granting)
        self._against.setdefault(purpose, Counter()).update(
            dict(reasons.drop_nulls().value_counts().iter_rows())
        )
        standing = granting.filter(reasons.is_null())
        self._notified[purpose] += int((standing["notified_at"] <= self._today).sum())
        since, _, _ = grant_days(standing, purpose)
        age = (pl.lit(self._today) - since).dt.total_days()
        band = pl.lit(AGE_BANDS[-1][0])
        for name, end in reversed(AGE_BANDS[:-1]):
            band = pl.when(age < end).then(pl.lit(name)).otherwise(band)
        bands = standing.select(band=band)["band"].value_counts()
        self._ages.setdefault(purpose, Counter()).update(dict(bands.iter_rows()))

    def figures(self) -> ConsentFigures:
        """What was counted, the most frequent purposes first."""
        ordered = sorted(self._granting.items(), key=lambda item: (-item[1], item[0]))
        return ConsentFigures(
            contacts=self._contacts,
            objecting=self._objecting,
            withdrawn=self._withdrawn,
            silent=self._silent,
            purposes=tuple(
                PurposeFigures(
                    purpose=purpose,
                    contacts=count,
                    against=_ordered(self._against[purpose]),
                    notified=self._notified[purpose],
                    ages={
                        name: self._ages[purpose][name] for name, _ in AGE_BANDS if self._ages[purpose][name]
                    },
                )
                for purpose, count in ordered
            ),
            unnamed=self._unnamed,
            further=len(self._further),
        )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
