"""Drives a ``RevealSession`` over a stream, and calls the hooks at the moments that matter (DESIGN §6, 13 to 19)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Role
from mutuals.protocol.messages import Approve, Positions, RevealMessage
from mutuals.protocol.reveal import AboutToReveal, Approved, Paired, Revealed, RevealSession, Send
from mutuals.runs.ports import Cancelled, MessageStream, Progress

STAGE_REVEAL = "revealing"

PositionArray = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class RevealHooks:
    """What the caller does in between; whatever a hook raises ends the reveal.

    ``recheck``: step 14, the guards of the match once more. It is called while no position of either side has left:
    at the responder before its Approve, at the initiator after both.
    ``before_positions``: store that own positions may have left.
    ``leaving``: now they leave, message by message. After the first, a failure leaves the run half revealed.
    ``check_pairs``: step 17, gets the own positions by rank (uint32) before they are confirmed.
    """

    recheck: Callable[[], None]
    before_positions: Callable[[], None]
    check_pairs: Callable[[PositionArray], None]
    leaving: Callable[[], None]


def drive_reveal(
    session: RevealSession,
    stream: MessageStream[RevealMessage, RevealMessage],
    progress: Progress,
    cancelled: Cancelled,
    hooks: RevealHooks,
    *,
    approved: Approve | None = None,
) -> PositionArray:
    """Run ``session`` to its end; the positions in the own list by rank (uint32), confirmed by both sides.

    The responder hands in the Approve it has already read as ``approved``. Raises what session, stream and hooks
    raise, and MutualsError (CANCELLED) where ``cancelled()`` is true before the next step.
    """
    progress.stage(STAGE_REVEAL, session.outcome.count)
    events = deque(session.start() if session.role is Role.INITIATOR else [])
    incoming = approved
    while True:
        if cancelled():
            raise MutualsError(ErrorCode.CANCELLED, "The reveal was cancelled.")
        if not events:
            message = incoming if incoming is not None else stream.receive()
            incoming = None
            events.extend(session.receive(message))
            continue
        event = events.popleft()
        match event:
            case Send(message):
                if isinstance(message, Positions):
                    hooks.leaving()
                stream.send(message)
            case Approved():
                hooks.recheck()
                events.extend(session.approve())
            case AboutToReveal():
                if session.role is Role.INITIATOR:
                    hooks.recheck()
                hooks.before_positions()
                events.extend(session.release())
            case Paired(positions):
                hooks.check_pairs(positions)
                events.extend(session.confirm())
            case Revealed(positions):
                progress.advance(session.outcome.count)
                return positions
