"""For which operator something is done, told by name or because there is only one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.rows import OperatorRow


def acting_operator(peer: Peer, name: str | None, how_to_say: str) -> OperatorRow:
    """The operator ``name``, or the only one there is; not unlocked, as an admin added them.

    ``how_to_say`` is the hint where there are several, as a clause: “add --operator NAME”. Raises MutualsError: USAGE,
    NOT_ENTITLED, LOCAL where somebody changed the stored roles, department or keys.
    """
    from mutuals.identity.appointment import check_appointed

    with peer.store.transaction() as tx:
        row = _named(tx.operators.list(), name, how_to_say)
        check_appointed(tx, row)
    return row


def _named(rows: list[OperatorRow], name: str | None, how_to_say: str) -> OperatorRow:
    enabled = [row for row in rows if row.disabled_at is None]
    if name is None:
        if len(enabled) == 1:
            return enabled[0]
        names = ", ".join(row.name for row in enabled)
        raise MutualsError(
            ErrorCode.USAGE,
            f"This peer has {len(enabled)} operators; say which one you are.",
            hint=f"{how_to_say}; there are {names}." if names else None,
        )
    for row in rows:
        if row.name == name:
            if row.disabled_at is not None:
                raise MutualsError(
                    ErrorCode.NOT_ENTITLED, f"Operator {row.name} was disabled on {row.disabled_at:%Y-%m-%d}."
                )
            return row
    raise MutualsError(
        ErrorCode.USAGE, "There is no operator of that name.", hint="See them with: mutuals operator list"
    )
