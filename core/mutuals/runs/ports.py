"""How a run talks to its partner and to its operator, without knowing what carries the messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Outgoing_contra = TypeVar("Outgoing_contra", contravariant=True)
Incoming_co = TypeVar("Incoming_co", covariant=True)

Cancelled = Callable[[], bool]
"""True once nobody waits for the result any more; work stops within a second."""


def never() -> bool:
    """A Cancelled that nobody pulls."""
    return False


class MessageStream(Protocol[Outgoing_contra, Incoming_co]):
    """A two-way stream of protocol messages; one thread may send while another receives."""

    def send(self, message: Outgoing_contra) -> None:
        """Hand over one message; blocks while the partner is behind.

        Raises MutualsError (UNREACHABLE, CANCELLED) once the stream is down, PartnerRefused where the partner
        ended it with an error code.
        """

    def receive(self) -> Incoming_co:
        """The partner's next message; blocks until it is there.

        Raises as ``send`` does, and PartnerFault (BAD_MESSAGE) where the partner ended the stream early or sent
        something malformed.
        """


class Progress(Protocol):
    """Told what a run is doing."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins; ``total`` is its number of items, 0 where it has no measure."""

    def advance(self, items: int) -> None:
        """``items`` more of the present stage are done."""


class Silent:
    """A Progress that tells nobody."""

    def stage(self, name: str, total: int) -> None:
        """Nothing."""

    def advance(self, items: int) -> None:
        """Nothing."""
