"""Whether the log says that an agreement is over which the store marks as active: its row was edited by hand.

    why = why_over(tx, chain_of(tx, row.digest), row, now)       # a clause, or nothing

The state in the row is a shortcut. What ends an agreement is in its log, which the partner cosigns: the amendment that
took its place, its end, a termination. A deletion certificate of either side is there only for one that has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.canonical import parse_canonical
from mutuals.store.rows import AgreementRow, LogRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

_SUPERSEDED = "agreement.superseded"
_OVER = {"agreement.ended": "ended", "agreement.closed": "was closed"}
_TERMINATED = "agreement.terminated"
_TERMINATION_RECEIVED = "agreement.termination-received"


def why_over(tx: Transaction, chain: Sequence[AgreementRow], row: AgreementRow, now: datetime) -> str | None:
    """Why the version ``row`` cannot be active at ``now``, by the log of its ``chain`` and the certificates kept."""
    digests = [version.digest for version in chain]
    ends: list[datetime] = []
    for entry in tx.log.kinds(digests, _SUPERSEDED, *_OVER, _TERMINATED, _TERMINATION_RECEIVED):
        if entry.event in _OVER:
            return f"its log says that it {_OVER[entry.event]} on {entry.at:%Y-%m-%d}"
        if entry.event == _SUPERSEDED:
            if entry.agreement == row.digest:
                return f"its log says that a later version took its place on {entry.at:%Y-%m-%d}"
            continue
        end = _end(entry)
        if end is None:
            return "its log holds a termination that cannot be read"
        ends.append(end)
    if ends and min(ends) <= now:
        return f"its log says that it was terminated with effect from {min(ends):%Y-%m-%d %H:%M} UTC"
    if any(tx.certificates.list(digest) for digest in digests):
        return "there is a certificate that what was received under it was deleted"
    return None


def _end(entry: LogRow) -> datetime | None:
    """When the termination of an entry takes effect: what has passed when it came, at once."""
    try:
        if entry.event == _TERMINATED:
            return datetime.fromisoformat(entry.body["ends_at"])
        document = parse_canonical(str(entry.body["document"]).encode())
        return max(datetime.fromisoformat(document["ends_at"]), entry.at)
    except (KeyError, TypeError, ValueError):
        return None
