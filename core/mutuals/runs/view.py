"""Looking at received records without taking them out: some of them, on a screen, signed and logged.

viewed = view_records(peer, run_id, keys, most=10)
"""

from __future__ import annotations

from mutuals.identity.acts import sign_act
from mutuals.identity.operators import OperatorKeys
from mutuals.peer import Peer
from mutuals.policy.current import policy_in_force
from mutuals.runs.export import ReceivedRecords, open_received
from mutuals.runs.lifecycle import log_run

VIEWED = "records.view"


def view_records(peer: Peer, run_id: str, keys: OperatorKeys, *, most: int) -> ReceivedRecords:
    """What run ``run_id`` received, opened for an operator to look at the first ``most`` rows.

    Each field is asked of the agreement and of the policy's rule on viewing. The log has a signed entry before anything
    is returned. Raises MutualsError as ``open_received`` does.
    """
    received = open_received(peer, run_id, keys, reading="view")
    names = [item.name for item in received.fields]
    rows = min(most, len(received.rows))
    now = peer.clock()
    with peer.store.transaction() as tx:
        facts = {"rows": rows, "fields": names, "policy": policy_in_force(tx)}
        signed = sign_act(keys, VIEWED, received.run.run_id, facts, now)
        log_run(
            tx,
            received.run,
            "viewed",
            now,
            operator=keys.name,
            rows=rows,
            fields=names,
            **signed.evidence(),
        )
    return received
