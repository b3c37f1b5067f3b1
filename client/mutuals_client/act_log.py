"""What commands and Python programs note of the runs they carry on: ``log/client.log`` in the home.

A line for each attempt, of the same form and under the same run id as in the partner's server log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mutuals.eventlog import EventLog
from mutuals.models.run import Role
from mutuals.runs.acts import Act, act_noted

if TYPE_CHECKING:
    from mutuals.models.run import Run
    from mutuals.models.statistics import Act as Kind
    from mutuals.peer import Peer


@contextmanager
def noted(peer: Peer, kind: Kind, partner: str, run: Run | None) -> Iterator[Act]:
    """Around one attempt at an act that this side starts, from calling the partner (fingerprint) on.

    ``run`` is the one that it carries on, or nothing where it begins one. Nothing waits for a log that cannot be
    written.
    """
    with peer.store.transaction() as tx:
        row = tx.partners.get(partner)
    try:
        log = EventLog(peer.clock, peer.home.client_log)
    except OSError:
        log = EventLog(peer.clock)
    try:
        with act_noted(log, kind, Role.INITIATOR, row.name if row else partner[:12]) as act:
            if run is not None:
                act.began(run)
            yield act
    finally:
        log.close()
