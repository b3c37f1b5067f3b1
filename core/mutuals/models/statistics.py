"""What a run leaves in numbers, for the report on it: counts, durations, volumes; never an identifier or an id."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Act = Literal["match", "reveal", "exchange"]

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Effort(BaseModel):
    """What one act of a run cost this side.

    ``seconds`` by stage, in the order in which the stages began; ``sent`` and ``received`` are bytes of messages,
    without what gRPC and TLS add.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: dict[str, Seconds] = {}
    sent: Count = 0
    received: Count = 0

    def plus(self, other: Effort) -> Effort:
        """Both together, where an act was interrupted and taken up again."""
        seconds = dict(self.seconds)
        for stage, spent in other.seconds.items():
            seconds[stage] = round(seconds.get(stage, 0.0) + spent, 3)
        return Effort(seconds=seconds, sent=self.sent + other.sent, received=self.received + other.received)


class RunStatistics(BaseModel):
    """The own side of a run in numbers.

    ``eligible`` contacts took part, the others are counted in ``excluded`` by reason. ``identifiers`` are those that
    entered the match, by type; ``withheld`` those of eligible contacts that did not, by reason; ``padding`` counts the
    dummies mixed in. Known from the reveal on: ``pairs`` by type of identifier, and ``contacts``, the own contacts of
    the overlap by the types they were found by (``email``, ``email+phone``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    eligible: Count
    excluded: dict[str, Count]
    identifiers: dict[str, Count]
    withheld: dict[str, Count]
    padding: Count = 0
    pairs: dict[str, Count] | None = None
    contacts: dict[str, Count] | None = None
    efforts: dict[Act, Effort] = {}

    def spent(self, act: Act, effort: Effort) -> RunStatistics:
        """With ``effort`` added to what ``act`` cost before."""
        before = self.efforts.get(act, Effort())
        return self.model_copy(update={"efforts": {**self.efforts, act: before.plus(effort)}})
