"""What the rules about agreements share: how a finding is made, and the time that a deadline is given."""

from __future__ import annotations

from datetime import datetime, timedelta
from shlex import quote

from mutuals.monitoring.facts import AgreementStatus, Finding, Urgency

GRACE = timedelta(days=1)
"""Deletions and endings are due by the day; the server and `mutuals retention` need not run every minute."""


def finding(
    status: AgreementStatus,
    rule: str,
    urgency: Urgency,
    what: str,
    means: str,
    do: str,
    command: str | None = None,
    due: datetime | None = None,
) -> Finding:
    """A finding about the agreement of ``status``."""
    return Finding(rule, urgency, what, means, do, command, status.id, status.partner, due)


def sync(status: AgreementStatus) -> str:
    """The command that exchanges documents with its partner."""
    return f"mutuals sync {quote(status.partner)}"
