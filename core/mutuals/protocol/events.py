"""What a match session asks its driver to do, and where the session stands (``mutuals.protocol.match``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mutuals.protocol.lists import Work
from mutuals.protocol.messages import Hello, MatchMessage
from mutuals.protocol.outcome import MatchOutcome


class State(StrEnum):
    """Where a session stands; each state follows the one before."""

    IDLE = "idle"
    OPENED = "opened"  # initiator only: Open is out
    AGREED = "agreed"  # both Hellos are known; waiting for ``proceed``
    BLINDING = "blinding"  # points go both ways
    COMMITTED = "committed"  # our commitment is out, the key is gone
    TAGGED = "tagged"  # both commitments are known, our tags are out
    COUNTED = "counted"  # both tag lists are known, our signature is out
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Send:
    """Send this message."""

    message: MatchMessage


@dataclass(frozen=True)
class SendAll:
    """Send these messages, in order, before any of a later event. Each is made when it is asked for."""

    messages: Iterator[MatchMessage] = field(repr=False)


@dataclass(frozen=True)
class Agreed:
    """Both sides are bound to this run: store it and charge both lists to the budgets, then call ``proceed``.

    ``opened`` and ``accepted`` are the two Hellos as signed; no point has been sent.
    """

    sid: bytes
    own_size: int
    partner_size: int
    partner_receiving_key: bytes
    opened: Hello
    accepted: Hello


@dataclass(frozen=True)
class Finished:
    """The match is over."""

    outcome: MatchOutcome


Event = Send | SendAll | Work | Agreed | Finished
