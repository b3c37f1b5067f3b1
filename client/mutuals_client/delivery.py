"""Trying to deliver what waits for a partner, as the last step of commands that sign something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.rows import PartnerRow
    from mutuals.transport.sync import SyncResult

_TEMPORARY = frozenset({ErrorCode.UNREACHABLE, ErrorCode.BUSY, ErrorCode.CANCELLED})


def try_sync(peer: Peer, partner: PartnerRow) -> str:
    """Exchange documents with ``partner`` if it can be reached now; one sentence on how that went.

    What could not be delivered stays in the outbox, so nothing is raised for a partner that is down, cannot be
    called, or refuses the connection.
    """
    from mutuals.transport.connection import connect
    from mutuals.transport.sync import sync_partner

    try:
        with connect(peer, partner) as connection:
            done = sync_partner(peer, connection)
    except MutualsError as error:
        waiting = _waiting(peer, partner)
        if error.code in _TEMPORARY:
            reason = "cannot be reached now" if can_be_called(partner) else "has no endpoint and has to call"
            return f"{partner.name} {reason}; {waiting} in the outbox."
        return f"{error.message} {waiting.capitalize()} in the outbox."
    about_logs = "".join(f" {sentence}" for sentence in log_problems(partner, done))
    if waiting := _waiting(peer, partner, none=""):
        return f"{partner.name} could not take everything; {waiting} in the outbox.{about_logs}"
    refused = f", and refused {documents(done.refused)}" if done.refused else ""
    return f"Delivered to {partner.name}{refused}.{about_logs}"


def log_problems(partner: PartnerRow, done: SyncResult) -> list[str]:
    """What is wrong with the logs that the two sides share, a sentence each."""
    problems = [fault.sentence(partner.name) for fault in done.faults]
    if done.refused_logs and not any(fault.own for fault in done.faults):
        problems.append(
            f"{partner.name} does not accept a log of this peer until an operator of theirs clears it; talk to them."
        )
    return problems


def can_be_called(partner: PartnerRow) -> bool:
    """Whether the partner's card has an endpoint."""
    from mutuals.identity.partners import partner_card

    return partner_card(partner).endpoint is not None


def documents(count: int) -> str:
    """So many documents, in words."""
    return counted(count, "document")


def _waiting(peer: Peer, partner: PartnerRow, none: str = "nothing waits") -> str:
    with peer.store.transaction() as tx:
        count = len(tx.outbox.pending(partner.fingerprint))
    if not count:
        return none
    return f"{documents(count)} {'waits' if count == 1 else 'wait'}"
