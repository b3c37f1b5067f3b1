"""Step 18: both sides prove that they hold the same list of pairs, and a wrong one learns nothing it can work on.

    I → R  share
    R → I  share, then MAC      (R needs I's share for the MAC)
    I → R  MAC                  (only after R's was right)

A digest over the handles would let a cheat that displaced one position search the missing item offline, and one phone
number takes seconds. SPAKE2 (Abdalla-Pointcheval 2005; library ``spake2``) turns the handles into a password: shares
say nothing about it, and a key-confirmation MAC can be tested only against the one password that its receiver put
into its own share. So whoever is first to see a MAC tests one guess, and the initiator's MAC leaves only when the
responder's was right: one online guess for each run. A confirmation is therefore never repeated within a run; the
caller stores that positions are about to leave before they do, and a run found in that state is not driven again.

MACs name the role and cover both shares, so a side's own share or MAC sent back to it proves nothing.
"""

from __future__ import annotations

import hmac
import os

from spake2 import SPAKE2_A, SPAKE2_B

from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.items import RandomBytes
from mutuals.protocol.transcript import confirm_identity, confirm_mac, confirm_password

SHARE_SIZE = 33


class Confirmation:
    """One side of one confirmation. Call ``share``, then ``receive_share``, then ``mac`` and ``check_mac``."""

    def __init__(
        self,
        role: Role,
        th: bytes,
        handles: bytes,
        initiator: bytes,
        responder: bytes,
        randbytes: RandomBytes = os.urandom,
    ) -> None:
        """``handles`` are the sorted handles of the pairs (n × 32 bytes), the parties their fingerprints."""
        self._role = role
        self._th = th
        side = SPAKE2_A if role is Role.INITIATOR else SPAKE2_B
        self._spake = side(
            confirm_password(th, handles),
            idA=confirm_identity(Role.INITIATOR, initiator),
            idB=confirm_identity(Role.RESPONDER, responder),
            entropy_f=randbytes,
        )
        self._shares: dict[Role, bytes] = {role: self._spake.start()}
        self._key: bytes | None = None

    @property
    def share(self) -> bytes:
        """The own SPAKE2 message, 33 bytes."""
        return self._shares[self._role]

    def receive_share(self, share: bytes) -> None:
        """Take the partner's SPAKE2 message. Raises PartnerFault (CONFIRMATION_FAILED) where it is none."""
        if len(share) != SHARE_SIZE:
            raise PartnerFault(
                ErrorCode.CONFIRMATION_FAILED, "The partner's confirmation share has a wrong size."
            )
        try:
            key: bytes = self._spake.finish(share)
        # The library raises its own errors, ValueError, AssertionError and bare Exceptions for what a partner sends.
        except Exception as error:
            raise PartnerFault(
                ErrorCode.CONFIRMATION_FAILED, "The partner's confirmation share is not valid."
            ) from error
        self._shares[self._role.other] = share
        self._key = key

    def mac(self) -> bytes:
        """The own key-confirmation MAC, 32 bytes."""
        return self._mac(self._role)

    def check_mac(self, mac: bytes) -> None:
        """Raise PartnerFault (CONFIRMATION_FAILED) unless ``mac`` shows that the partner holds the same pairs."""
        if not hmac.compare_digest(mac, self._mac(self._role.other)):
            raise PartnerFault(
                ErrorCode.CONFIRMATION_FAILED,
                "The partner's list of pairs is not the same as ours.",
                hint="No record was exchanged. Ask the partner to look at its log, then start a new match.",
            )

    def _mac(self, role: Role) -> bytes:
        if self._key is None:
            raise RuntimeError("the partner's share has not come in")
        shares = self._shares
        return confirm_mac(self._key, role, self._th, shares[Role.INITIATOR], shares[Role.RESPONDER])
