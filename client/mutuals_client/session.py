"""Who is working with the peer: which operator a command acts for, and unlocking that operator's keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import SETTINGS, asks_for_passphrase, notify, passphrase

if TYPE_CHECKING:
    from mutuals.identity.operators import OperatorKeys
    from mutuals.peer import Peer
    from mutuals.store.rows import OperatorRow

_TRIES = 3


def unlock_operator(peer: Peer, *, roles: Iterable[str] | None = None, act: str = "do this") -> OperatorKeys:
    """The unlocked keys of the operator this command acts for.

    That is ``--operator`` (``MUTUALS_OPERATOR``) or else the only one there is. Where ``roles`` is given the
    operator must have one of them, which is checked before the passphrase is asked for; ``act`` completes
    “may not …”. A person at a terminal has three tries, so that a slip does not cost what they just read. Raises
    USAGE where it is not clear who acts, NOT_ENTITLED for a wrong role or passphrase. What the operator was not told
    yet is told now, once (``tx.notifications``), and where something is overdue, where to look.
    """
    from mutuals.identity.operators import require_role

    row = acting_operator(peer)
    if roles is not None:
        require_role(row, roles, act)
    keys = _unlock(row)
    _tell_notifications(peer, keys)
    return keys


def require_acting(peer: Peer, roles: Iterable[str], act: str) -> None:
    """Refuse whom ``unlock_operator`` would refuse for a role, before anything is shown or asked.

    Raises MutualsError: USAGE where it is not clear who acts, NOT_ENTITLED.
    """
    from mutuals.identity.operators import require_role

    require_role(acting_operator(peer), roles, act)


def _unlock(row: OperatorRow) -> OperatorKeys:
    from mutuals.identity.operators import unlock

    for _ in range(_TRIES - 1 if asks_for_passphrase(row.name) else 0):
        try:
            return unlock(row, passphrase(row.name))
        except MutualsError as error:
            if error.code is not ErrorCode.NOT_ENTITLED:
                raise
            click.echo(error.message, err=True)
    return unlock(row, passphrase(row.name))


def _tell_notifications(peer: Peer, keys: OperatorKeys) -> None:
    from mutuals.monitoring.pointer import something_is_overdue

    with peer.store.transaction() as tx:
        unread = tx.notifications.unread(keys.name, keys.roles)
        if unread:
            tx.notifications.read(keys.name, unread[-1].position)
        overdue = something_is_overdue(tx, peer.clock())
    for row in unread:
        notify(row.text, agreement=row.agreement, at=row.at.isoformat())
    if overdue:
        notify("Something is overdue; see what: mutuals status", agreement=None, at=peer.clock().isoformat())


def acting_operator(peer: Peer) -> OperatorRow:
    """The operator this command acts for, not unlocked, as an admin added them.

    Raises MutualsError: USAGE, NOT_ENTITLED, LOCAL where somebody changed the stored roles, department or keys.
    """
    from mutuals_client import acting

    return acting.acting_operator(peer, SETTINGS.operator, "Add --operator NAME or set MUTUALS_OPERATOR")
