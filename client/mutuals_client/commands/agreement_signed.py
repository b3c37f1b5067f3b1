"""What the commands that sign an agreement or answer a proposal share: which one it is, what to tell afterwards."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_show import agreement_facts
from mutuals_client.console import result, say
from mutuals_client.next_steps import say_next

if TYPE_CHECKING:
    from mutuals.models.agreement import Agreement
    from mutuals.peer import Peer
    from mutuals.store.rows import AgreementRow, PartnerRow


def proposal_of(peer: Peer, reference: str) -> tuple[AgreementRow, Agreement, PartnerRow]:
    """A proposal to this peer that can still be decided on, verified, with who made it."""
    from mutuals.agreement.lifecycle import open_proposal

    with peer.store.transaction() as tx:
        row, agreement = open_proposal(tx, reference)
    return row, agreement, partner_of(peer, row)


def partner_of(peer: Peer, row: AgreementRow) -> PartnerRow:
    """The other party. Raises MutualsError (PEER_IDENTITY) where it was removed."""
    with peer.store.transaction() as tx:
        partner = tx.partners.get(row.partner)
    if partner is None or partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"The other party of {row.agreement_id} was removed.",
            hint="Add its card again: mutuals partner add FILE",
        )
    return partner


class Then(Enum):
    """What follows on a signature."""

    NOTHING = auto()
    ANSWER = auto()  # the partner's
    MATCH = auto()  # by whoever can call


def finish(
    peer: Peer,
    made: AgreementRow,
    partner: PartnerRow,
    what: str,
    following: Then = Then.NOTHING,
    *,
    note: str = "",
) -> None:
    """Try to deliver, and tell how it stands. Raises NOT_AUTHORISED_YET where a second operator has to sign."""
    from rich.text import Text

    from mutuals.agreement.signing import waiting_for_second
    from mutuals_client.delivery import try_sync

    with peer.store.transaction() as tx:
        waiting = waiting_for_second(tx, made)
    if waiting is not None:
        raise waiting
    delivery = try_sync(peer, partner)
    with peer.store.transaction() as tx:
        row = tx.agreements.get(made.digest)
    if row is None:
        raise MutualsError(ErrorCode.INTERNAL, "The agreement is gone from the store.")
    what = what.format(state=row.state.value)
    say(Text(f"Agreement {row.agreement_id} {what} {partner.name}."), Text(delivery))
    if note:
        say(Text(note.format(id=row.agreement_id)))
    _say_what_follows(peer, row, partner, following)
    result(**agreement_facts(row, partner.name), delivery=delivery)


def _say_what_follows(peer: Peer, row: AgreementRow, partner: PartnerRow, following: Then) -> None:
    from rich.text import Text

    from mutuals_client.delivery import can_be_called

    if following is Then.NOTHING:
        return
    calls_us = not can_be_called(partner)
    what = (
        f"mutuals agreement show {row.agreement_id}"
        if following is Then.ANSWER
        else f"mutuals match {row.agreement_id}"
    )
    if following is Then.ANSWER:
        say(Text(f"They fetch it with mutuals sync, and read it with: {what}"))
    elif calls_us:
        say(Text(f"They start the match, since they call you: {what}"))
    if calls_us and peer.card.card.endpoint is not None:
        say_next(("mutuals serve", f"answer {partner.name} when it calls; keep it running"))
    elif following is Then.MATCH:
        say_next((what, "count how many contacts you share; see first what would take part: --dry-run"))
