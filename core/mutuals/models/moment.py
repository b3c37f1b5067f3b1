"""Moments in what partners sign: with a zone, and inside of the calendar in every zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def within_calendar(moment: datetime) -> datetime:
    """``moment``, if UTC has it, too. Raises ValueError.

    9999-12-31T23:59:59-23:59 is a sound text of RFC 3339, and OverflowError for whoever converts it.
    """
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 of UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(within_calendar)]
