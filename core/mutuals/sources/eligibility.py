"""Who may take part: suppression, consent and notice, by the agreement's consent rule (DESIGN §3, §5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum, unique

import polars as pl

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement, ConsentRule
from mutuals.sources.contacts import DATED_CONSENT, WITHDRAWN, ContactTable
from mutuals.sources.dated_consent import grant_dates


@unique
class Exclusion(StrEnum):
    """Why a contact takes no part, in the order they are tested: a contact is counted under the first that
    applies.

    The last two are not about permission: a contact without a usable identifier, or whose every identifier is
    withheld because others share it, has nothing to be matched by.
    """

    SUPPRESSED = "suppressed"
    WITHDRAWN = "withdrawn"
    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_UNDATED = "consent_undated"
    CONSENT_EXPIRED = "consent_expired"
    CONSENT_LAPSED = "consent_lapsed"
    CONSENT_IN_FUTURE = "consent_in_future"
    NOT_NOTIFIED = "not_notified"
    NOTICE_TOO_OLD = "notice_too_old"
    NO_IDENTIFIER = "no_identifier"
    ONLY_SHARED_IDENTIFIERS = "only_shared_identifiers"


NOTICE_IS_MISSING = frozenset({Exclusion.NOT_NOTIFIED.value, Exclusion.NOTICE_TOO_OLD.value})
"""The reasons that a notice would remove: everything before them in the order has been passed."""


def consent_exclusions(frame: pl.DataFrame, rule: ConsentRule, today: date) -> pl.Series:
    """Why each contact of ``frame`` (ContactTable.frame) may not take part; null where it may."""
    granted_at, last_day, withdrawn = grant_days(frame, rule.purpose)
    notified_at = pl.col("notified_at")
    oldest = today - timedelta(days=rule.max_age_days)
    reason = (
        pl.when(pl.col("suppressed").fill_null(value=True))
        .then(pl.lit(Exclusion.SUPPRESSED.value))
        .when(_optional(frame, WITHDRAWN, pl.Boolean()).fill_null(value=False))
        .then(pl.lit(Exclusion.WITHDRAWN.value))
        .when(~pl.col("consent").list.contains(rule.purpose).fill_null(value=False))
        .then(pl.lit(Exclusion.NO_CONSENT.value))
        .when(withdrawn)
        .then(pl.lit(Exclusion.CONSENT_WITHDRAWN.value))
        .when(granted_at.is_null())
        .then(pl.lit(Exclusion.CONSENT_UNDATED.value))
        .when(granted_at < oldest)
        .then(pl.lit(Exclusion.CONSENT_EXPIRED.value))
        .when(last_day < today)
        .then(pl.lit(Exclusion.CONSENT_LAPSED.value))
        .when(granted_at > today)
        .then(pl.lit(Exclusion.CONSENT_IN_FUTURE.value))
    )
    if rule.notice_required:
        # A notice dated ahead has not been given yet.
        reason = reason.when(notified_at.is_null() | (notified_at > today)).then(
            pl.lit(Exclusion.NOT_NOTIFIED.value)
        )
        if rule.notice_since is not None:
            reason = reason.when(notified_at < rule.notice_since).then(pl.lit(Exclusion.NOTICE_TOO_OLD.value))
    return frame.select(reason.otherwise(None).alias("reason"))["reason"]


def grant_days(frame: pl.DataFrame, purpose: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """When ``purpose`` was granted and the last day it holds (null where not said), and whether it was withdrawn.

    What a grant says of itself comes before the row's columns, except that a withdrawal of the row ends every grant
    that is not younger. One that lies ahead counts already: the contact has said no.
    """
    granted_at = pl.col("consent_at")
    last_day = _optional(frame, "consent_expires_at", pl.Date())
    own_withdrawal = pl.lit(None, dtype=pl.Date())
    if DATED_CONSENT in frame.columns:
        own, own_last, own_withdrawal = grant_dates(pl.col(DATED_CONSENT), purpose)
        granted_at, last_day = pl.coalesce(own, granted_at), pl.coalesce(own_last, last_day)
    withdrawal = _optional(frame, "consent_withdrawn_at", pl.Date())
    withdrawn = withdrawal.is_not_null() & (granted_at.is_null() | (withdrawal >= granted_at))
    return granted_at, last_day, own_withdrawal.is_not_null() | withdrawn


def _optional(frame: pl.DataFrame, column: str, kind: pl.DataType) -> pl.Expr:
    return pl.col(column) if column in frame.columns else pl.lit(None, dtype=kind)


def still_eligible(table: ContactTable, agreement: Agreement, today: date) -> set[str]:
    """The contact ids that suppression, consent and notice allow to take part today."""
    allowed = consent_exclusions(table.frame, agreement.consent, today).is_null()
    return set(table.frame["contact_id"].filter(allowed).to_list())


def field_cells(table: ContactTable, contacts: pl.Series, columns: Mapping[str, str]) -> pl.DataFrame:
    """The agreed fields of some contacts: a row for each of ``contacts`` (ids, String), in their order.

    ``columns`` maps a field's name, which is the column's here, to its heading in the source. Cells are as written;
    those of contacts that the source no longer has are null. Raises MutualsError (INPUT_QUALITY) where a heading is no
    further column of the source.
    """
    for name, heading in columns.items():
        if heading not in table.field_names:
            raise MutualsError(
                ErrorCode.INPUT_QUALITY,
                f"The source has no column “{heading}”, to which the field {name} is bound.",
                hint="Put the column back, or bind the field to another.",
            )
    chosen = [pl.col(heading).alias(name) for name, heading in columns.items()]
    cells = table.frame.select(pl.col("contact_id").alias(_KEY), *chosen)
    return contacts.alias(_KEY).to_frame().join(cells, on=_KEY, how="left", maintain_order="left").drop(_KEY)


_KEY = "mutuals contact"  # no field can be called so
