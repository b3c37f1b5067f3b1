"""Going on after a log was found to lack what was cosigned: a person's signed decision, kept in the log itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.audit.tree import tree_of
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.identity.operators import OperatorKeys
from mutuals.runs.log_faults import CLEARED, LogFault, open_faults
from mutuals.shortid import short_id

if TYPE_CHECKING:
    from mutuals.peer import Peer

CLEAR = "log.clear"
CLEAR_ROLES = frozenset({"admin", "privacy_officer"})


def clear_faults(peer: Peer, agreement: str, reason: str, keys: OperatorKeys) -> list[LogFault]:
    """Accept the logs of ``agreement`` (digest) as they are now; the faults that this clears.

    The checkpoints that are void now are no longer held against either log; their text stays in it. Nobody's role is
    checked. Raises MutualsError (USAGE) where nothing is wrong.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        faults = [fault for fault in open_faults(tx) if fault.agreement == agreement]
        if not faults:
            raise MutualsError(
                ErrorCode.USAGE,
                f"The logs of agreement {short_id('A', bytes.fromhex(agreement))} have no fault to clear.",
                hint="Check them: mutuals audit verify",
            )
        facts = {
            "reason": reason,
            "faults": [{"own": fault.own, "kind": fault.kind, "size": fault.size} for fault in faults],
        }
        signed = sign_act(keys, CLEAR, agreement, facts, now)
        tree = tree_of(tx, peer, agreement)
        for row in tx.checkpoints.list(agreement):
            lost = row.size > tree.size or tree.root(row.size) != row.root
            if (row.own and lost) or (not row.own and any(not fault.own for fault in faults)):
                tx.checkpoints.forget(agreement, own=row.own, size=row.size)
        tx.log.append(agreement, CLEARED, {"reason": reason, **signed.evidence()}, now)
    return faults
