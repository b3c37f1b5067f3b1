"""The reveal, steps 13 to 19 of DESIGN §6, without I/O.

    session = RevealSession(outcome, signing_key=..., partner_key=...)
    events = session.start()                  # the responder: session.receive(approve)
    events = session.receive(message)         # for every message of the partner

    I → R  Approve            R checks its authorisation, then answers
    R → I  Approve
    I → R  Positions          after ``AboutToReveal`` and ``release``
    R → I  Positions          only once I's are complete and sound; after ``AboutToReveal`` and ``release``
    I → R  ConfirmShare       after ``Paired`` and ``confirm``, on both sides
    R → I  ConfirmShare, ConfirmMac
    I → R  ConfirmMac

Three events ask the caller to look before the session goes on, and name the call that lets it:

``Approved`` → ``approve()``: the responder only, before its Approve leaves. Step 14's guards belong here *and* at the
initiator's ``AboutToReveal``, so that a stale run ends before anybody's positions have left.
``AboutToReveal`` → ``release()``: store that positions may have left the house, then let them.
``Paired`` → ``confirm()``: the own positions by rank, before anything is proved about them (threshold, step 17).
``Revealed``: both sides hold the same pairs.

After an exception the session is dead. A run whose positions may have left is never driven again (``confirm``
says why). What the partner may not do raises PartnerFault; calls out of order raise RuntimeError.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.confirm import Confirmation
from mutuals.protocol.items import RandomBytes, row_keys
from mutuals.protocol.messages import Approve, ConfirmMac, ConfirmShare, Positions, RevealMessage
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.transcript import approve_bytes, pair_handles

POSITIONS_PER_MESSAGE = 16_384

PositionArray = npt.NDArray[np.uint32]


class RevealState(StrEnum):
    """Where a session stands; the order differs a little between the roles."""

    IDLE = "idle"
    ASKED = "asked"  # initiator: our Approve is out
    ASKING = "asking"  # responder: the partner's Approve is in; waiting for ``approve``
    HOLDING = "holding"  # waiting for ``release``
    LISTENING = "listening"  # waiting for the partner's positions
    PAIRED = "paired"  # waiting for ``confirm``
    SHARING = "sharing"  # waiting for the partner's share
    PROVING = "proving"  # waiting for the partner's MAC
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Send:
    """Send this message."""

    message: RevealMessage


@dataclass(frozen=True)
class Approved:
    """The partner's side has authorised the reveal; ``signature`` is its proof."""

    signature: bytes


@dataclass(frozen=True)
class AboutToReveal:
    """From the next call on, the partner may learn which of its contacts we hold."""


@dataclass(frozen=True, eq=False)
class Paired:
    """``positions`` (uint32): where the item of each rank stands in the own list; not yet confirmed."""

    positions: PositionArray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Revealed:
    """Confirmed by both sides: ``positions`` (uint32), where the item of each rank stands in the own list."""

    positions: PositionArray = field(repr=False)


RevealEvent = Send | Approved | AboutToReveal | Paired | Revealed


class RevealSession:
    """One side of one reveal. ``randbytes`` is the system's randomness outside of test vectors."""

    def __init__(
        self,
        outcome: MatchOutcome,
        *,
        signing_key: SigningKey,
        partner_key: VerifyKey,
        randbytes: RandomBytes = os.urandom,
    ) -> None:
        self.role = outcome.role
        self.outcome = outcome
        self.state = RevealState.IDLE
        self._signing_key = signing_key
        self._partner_key = partner_key
        self._randbytes = randbytes
        self._received = np.empty(outcome.count, np.uint32)
        self._count = 0
        self._pairs: PositionArray = np.empty(0, np.uint32)
        self._confirmation: Confirmation | None = None

    # --- what the caller does -------------------------------------------------------------------------------------

    def start(self) -> list[RevealEvent]:
        """Step 13 at the initiator, who has authorised the reveal."""
        self._require(RevealState.IDLE, Role.INITIATOR)
        self.state = RevealState.ASKED
        return [self._approve()]

    def receive(self, message: RevealMessage) -> list[RevealEvent]:
        """Take a message of the partner. Raises PartnerFault."""
        if self.state in (RevealState.DONE, RevealState.FAILED):
            raise RuntimeError("the session is over")
        take = _RECEIVES.get((self.role, self.state, type(message)))
        try:
            if take is None:
                raise _fault(f"The partner sent {type(message).__name__} where it was not due.")
            return take(self, message)
        except BaseException:
            self.state = RevealState.FAILED
            raise

    def approve(self) -> list[RevealEvent]:
        """Step 13 at the responder, after ``Approved``: authorised, and step 14's guards hold."""
        self._require(RevealState.ASKING, Role.RESPONDER)
        self.state = RevealState.LISTENING
        return [self._approve()]

    def release(self) -> list[RevealEvent]:
        """Steps 15 and 16, after ``AboutToReveal``: the positions leave."""
        self._require(RevealState.HOLDING)
        ours = self.outcome.partner_positions
        sends: list[RevealEvent] = [
            Send(Positions(start, tuple(ours[start : start + POSITIONS_PER_MESSAGE].tolist())))
            for start in range(0, len(ours), POSITIONS_PER_MESSAGE) or [0]
        ]
        if self.role is Role.INITIATOR:
            self.state = RevealState.LISTENING
            return sends
        return [*sends, *self._paired()]

    def confirm(self) -> list[RevealEvent]:
        """Step 18, after ``Paired``: the threshold holds."""
        self._require(RevealState.PAIRED)
        self.state = RevealState.SHARING
        return [Send(ConfirmShare(self._running().share))] if self.role is Role.INITIATOR else []

    # --- steps 13 to 17 -------------------------------------------------------------------------------------------

    def _approve(self) -> Send:
        signature = self._signing_key.sign(approve_bytes(self.role, self.outcome.th))
        return Send(Approve(self.outcome.sid, signature))

    def _take_approve(self, message: Approve) -> list[RevealEvent]:
        check_approve(message, self.outcome, self._partner_key)
        if self.role is Role.INITIATOR:
            self.state = RevealState.HOLDING
            return [AboutToReveal()]
        self.state = RevealState.ASKING
        return [Approved(message.signature)]

    def _take_positions(self, message: Positions) -> list[RevealEvent]:
        expected, count = self.outcome.count, len(message.positions)
        if message.start != self._count:
            raise _fault(f"The partner sent positions from {message.start:,} where {self._count:,} was due.")
        if not count and expected:
            raise _fault("The partner sent a message without positions.")
        if self._count + count > expected:
            raise _fault(f"The partner sent more positions than the {expected:,} that both sides counted.")
        if any(not 0 <= position < self.outcome.own_size for position in message.positions):
            raise _fault("The partner named a position outside of our list.")
        self._received[self._count : self._count + count] = message.positions
        self._count += count
        if self._count < expected:
            return []
        if len(np.unique(self._received)) != expected:
            raise _fault("The partner named a position twice.")
        if self.role is Role.INITIATOR:
            return self._paired()
        self.state = RevealState.HOLDING
        return [AboutToReveal()]

    def _paired(self) -> list[RevealEvent]:
        """Step 17: a pair's rank is the place of its handle among all handles."""
        outcome = self.outcome
        handles = pair_handles(outcome.sid, row_keys(outcome.items[self._received]))
        order = np.argsort(handles)
        self._pairs = self._received[order]
        self._confirmation = Confirmation(
            self.role,
            outcome.th,
            handles[order].tobytes(),
            outcome.initiator,
            outcome.responder,
            self._randbytes,
        )
        self.state = RevealState.PAIRED
        return [Paired(self._pairs)]

    # --- steps 18 and 19 ------------------------------------------------------------------------------------------

    def _take_share(self, message: ConfirmShare) -> list[RevealEvent]:
        confirmation = self._running()
        confirmation.receive_share(message.share)
        self.state = RevealState.PROVING
        if self.role is Role.INITIATOR:
            return []
        return [Send(ConfirmShare(confirmation.share)), Send(ConfirmMac(confirmation.mac()))]

    def _take_mac(self, message: ConfirmMac) -> list[RevealEvent]:
        confirmation = self._running()
        confirmation.check_mac(message.mac)
        self.state = RevealState.DONE
        mac: list[RevealEvent] = [Send(ConfirmMac(confirmation.mac()))] if self.role is Role.INITIATOR else []
        return [*mac, Revealed(self._pairs)]

    # --- guards ---------------------------------------------------------------------------------------------------

    def _running(self) -> Confirmation:
        if self._confirmation is None:
            raise RuntimeError("there is nothing to confirm yet")
        return self._confirmation

    def _require(self, state: RevealState, role: Role | None = None) -> None:
        if self.state is not state or (role is not None and self.role is not role):
            raise RuntimeError(f"not possible for the {self.role} while {self.state}")


def check_approve(message: Approve, outcome: MatchOutcome, partner_key: VerifyKey) -> None:
    """Step 13: the partner approves the reveal of this run, at this count.

    Raises PartnerFault (RUN_UNKNOWN for another run, BAD_MESSAGE for a signature that does not fit).
    """
    if message.sid != outcome.sid:
        raise PartnerFault(ErrorCode.RUN_UNKNOWN, "The partner approved another run.")
    try:
        partner_key.verify(approve_bytes(outcome.role.other, outcome.th), message.signature)
    except BadSignature as error:
        raise _fault("The partner's approval is not a signature over this run and its count.") from error


def _fault(message: str) -> PartnerFault:
    return PartnerFault(ErrorCode.BAD_MESSAGE, message)


# What may arrive at whom in which state, and what takes it. Anything else is the partner's fault.
_RECEIVES: dict[tuple[Role, RevealState, type], Callable[..., list[RevealEvent]]] = {
    (Role.RESPONDER, RevealState.IDLE, Approve): RevealSession._take_approve,
    (Role.INITIATOR, RevealState.ASKED, Approve): RevealSession._take_approve,
    (Role.INITIATOR, RevealState.LISTENING, Positions): RevealSession._take_positions,
    (Role.RESPONDER, RevealState.LISTENING, Positions): RevealSession._take_positions,
    (Role.INITIATOR, RevealState.SHARING, ConfirmShare): RevealSession._take_share,
    (Role.RESPONDER, RevealState.SHARING, ConfirmShare): RevealSession._take_share,
    (Role.INITIATOR, RevealState.PROVING, ConfirmMac): RevealSession._take_mac,
    (Role.RESPONDER, RevealState.PROVING, ConfirmMac): RevealSession._take_mac,
}
