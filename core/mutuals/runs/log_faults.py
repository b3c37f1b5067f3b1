"""Logs that lack what was cosigned: found at a contact (``mutuals.audit.heads``), and in the way until dealt with.

A log only grows. Where one is shown that does not begin with what this side cosigned, or where the partner holds an own
checkpoint that the own log does not contain, somebody put an older copy back, or rewrote history. Nothing is matched,
revealed or exchanged with that partner then, and nothing it sent is read, until an operator clears it with a signature.
Fault and clearing are entries of the log themselves; an entry that clears applies to all faults of its agreement before
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.shortid import short_id

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

FAULT = "log.fault"
CLEARED = "log.fault_cleared"

ROLLED_BACK = "rolled_back"
FORKED = "forked"
OWN_LOG_CHANGED = "own_log_changed"
"""Kinds of fault: the log is shorter; another one; or the peer's own log lacks what the agreement's says of it."""


@dataclass(frozen=True)
class LogFault:
    """A log that lacks what was cosigned.

    ``own`` says whose it is; ``size`` is that of the checkpoint it lacks, ``known`` that checkpoint with its
    signatures; ``shown`` the checkpoint that was shown instead, or empty where none was.
    """

    agreement: str
    partner: str
    own: bool
    kind: str
    size: int
    known: str
    shown: str
    at: datetime

    @property
    def agreement_id(self) -> str:
        """The short name of the agreement."""
        return short_id("A", bytes.fromhex(self.agreement))

    def sentence(self, partner_name: str) -> str:
        """What is wrong, for an operator."""
        if self.kind == OWN_LOG_CHANGED:
            return (
                f"This peer's own log lacks the {self.size} entries that the log of agreement {self.agreement_id} "
                "says it had. It was changed, or cut."
            )
        if self.own:
            return (
                f"This peer's log of agreement {self.agreement_id} lacks what it signed: {partner_name} holds its "
                f"checkpoint of {self.size} entries. An older copy of the store was put back, or the log was changed."
            )
        return (
            f"{partner_name}'s log of agreement {self.agreement_id} does not contain the {self.size} entries that this "
            "side cosigned. An older copy of its store was put back, or its log was changed."
        )

    def hint(self) -> str:
        """What to do about it."""
        if self.own:
            return (
                "Put the newest copy of the home back. Where it is lost, an operator of each side says so: "
                f'mutuals audit clear {self.agreement_id} --reason "..."'
            )
        return (
            f"Ask them why. Both checkpoints are kept: mutuals audit export {self.agreement_id}. To accept the log "
            f'as it is now: mutuals audit clear {self.agreement_id} --reason "..."'
        )


def open_faults(tx: Transaction, partner: str | None = None) -> list[LogFault]:
    """Faults that nobody has cleared, oldest first, of all partners or the one with this fingerprint (hex)."""
    found: dict[str | None, list[LogFault]] = {}
    for row in tx.log.events(FAULT, CLEARED):
        if row.event == CLEARED:
            found.pop(row.agreement, None)
        elif row.agreement is not None:
            found.setdefault(row.agreement, []).append(LogFault(row.agreement, at=row.at, **row.body))
    faults = [fault for several in found.values() for fault in several]
    return [fault for fault in faults if partner in (None, fault.partner)]


def check_logs_accepted(tx: Transaction, partner: str) -> None:
    """Raise LOG_ROLLED_BACK where a log shared with the partner (fingerprint, hex) lacks what was cosigned."""
    for fault in open_faults(tx, partner):
        row = tx.partners.get(partner)
        name = row.name if row is not None else "The partner"
        raise MutualsError(ErrorCode.LOG_ROLLED_BACK, fault.sentence(name), hint=fault.hint())
