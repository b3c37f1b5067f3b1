"""One side's signed word, for each period that the agreement names, that it used what it received as agreed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mutuals.models.agreement import Slug
from mutuals.models.breach import BreachId
from mutuals.models.card import Hex32
from mutuals.models.moment import Moment

MAX_STATEMENT = 2000


class Attestation(BaseModel):
    """What is attested from ``period_from`` to ``period_until`` (excluded) under the agreement with this digest.

    ``departments`` are those whose people exported something, in ``exports`` exports. ``breaches`` are the own
    breaches that concern the agreement and were known in the period; with any, ``about_breaches`` says something.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mutuals/v1/attestation"] = "mutuals/v1/attestation"
    agreement: Hex32
    period_from: Moment
    period_until: Moment
    used_as_agreed: Literal[True] = True
    departments: tuple[Slug, ...] = Field(default=(), max_length=100)
    exports: int = Field(ge=0, le=2**31)
    breaches: tuple[BreachId, ...] = Field(default=(), max_length=100)
    about_breaches: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_STATEMENT)] = ""
