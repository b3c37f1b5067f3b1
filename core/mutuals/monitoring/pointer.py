"""Whether to point somebody who does something else at ``mutuals status``: the overdue things that are quickly found.

No document is verified and no source read, so that every command can ask; ``status`` itself finds more.
"""

from __future__ import annotations

from datetime import datetime

from mutuals.models.run import RunState
from mutuals.monitoring.duties import open_breaches
from mutuals.monitoring.peer_rules import UNDELIVERED_OVERDUE
from mutuals.monitoring.rule import GRACE
from mutuals.obligations.certificates_due import overdue_certificates
from mutuals.obligations.revocation import overdue_revocations
from mutuals.runs.log_faults import open_faults
from mutuals.store.database import Transaction


def something_is_overdue(tx: Transaction, now: datetime) -> bool:
    """Whether a deletion, certificate, acknowledgement, document, breach, broken run or log is overdue at ``now``."""
    runs = tx.runs.list()
    if open_faults(tx) or any(run.state is RunState.HALF_REVEALED for run in runs):
        return True
    pending = tx.outbox.pending()
    if pending and pending[0].created_at + UNDELIVERED_OVERDUE < now:
        return True
    if any(
        first + GRACE <= now for run in runs for _, _, first in tx.received.deadlines(run.run_id)
    ) or overdue_revocations(tx, now):
        return True
    left = [
        hours
        for breach in open_breaches(tx, now)
        for hours in (breach.hours_left, breach.partner_hours_left)
        if hours is not None
    ]
    return any(hours < 0 for hours in left) or bool(overdue_certificates(tx, now))
