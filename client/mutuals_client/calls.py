"""Calling a partner from a command: outboxes first, then the call itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.rows import PartnerRow
    from mutuals.transport.connection import PartnerConnection
    from mutuals_client.patience import Patience


@contextmanager
def partner_connection(
    peer: Peer, fingerprint: str, *, to_match: str | None = None, patience: Patience | None = None
) -> Iterator[PartnerConnection]:
    """A connection to the partner with this fingerprint (hex), after documents were exchanged both ways.

    Where the caller's part went well, each side then cosigns what that wrote into the other's log; if that does not
    work, the next contact makes up for it.

    ``to_match`` is the agreement whose match this side wants to start; else it carries on a run it has started.
    ``patience`` is how long to wait for a partner that does not answer.

    Raises MutualsError: PEER_IDENTITY where the partner was removed, UNREACHABLE where it has no endpoint or does
    not answer.
    """
    from mutuals.transport.sync import sync_partner

    with peer.store.transaction() as tx:
        partner = tx.partners.get(fingerprint)
    if partner is None or partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            "The partner of this agreement was removed.",
            hint="Add its card again: mutuals partner add FILE",
        )
    if to_match is None:
        otherwise = (
            f"This side started the run, so it has to call. Ask {partner.name} for a card with an endpoint."
        )
    else:
        otherwise = (
            f"Keep “mutuals serve” running, and ask {partner.name} to start it: mutuals match {to_match}"
        )
    connection = _reach(peer, partner, otherwise, patience)
    try:
        yield connection
        with suppress(MutualsError):
            sync_partner(peer, connection)
    finally:
        connection.close()


def _reach(peer: Peer, partner: PartnerRow, otherwise: str, patience: Patience | None) -> PartnerConnection:
    """A connection over which documents were exchanged; until then nothing has begun that cannot be repeated."""
    from mutuals.transport.connection import connect
    from mutuals.transport.sync import sync_partner
    from mutuals_client.delivery import can_be_called

    if patience is not None and not can_be_called(partner):
        patience.end()
    while True:
        connection = connect(peer, partner, otherwise=otherwise)
        try:
            sync_partner(peer, connection)
        except MutualsError as error:
            connection.close()
            if patience is None:
                raise
            patience.pause(error)
        except BaseException:
            connection.close()
            raise
        else:
            return connection
