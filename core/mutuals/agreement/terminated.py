"""By whom, when and why an agreement was terminated, from its log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mutuals.agreement.chain import chain_of

if TYPE_CHECKING:
    from mutuals.store.database import Transaction
    from mutuals.store.rows import AgreementRow, LogRow


def termination_of(tx: Transaction, row: AgreementRow) -> str | None:
    """A sentence on the termination of the agreement to which ``row`` belongs, or nothing where there was none.

    Where both sides terminated it, the one with the earlier end, which is the one that counts.
    """
    found: list[tuple[str, str]] = []
    for version in chain_of(tx, row.digest):
        for entry in tx.log.entries(version.digest):
            if entry.event == "agreement.terminated":
                found.append(_told(entry.body, _operators(entry), entry))
            elif entry.event == "agreement.termination-received":
                found.append(_told(_document(entry), _partner(tx, row), entry))
    return min(found, key=lambda one: one[0], default=("", None))[1]


def _told(facts: dict[str, Any], by: str, entry: LogRow) -> tuple[str, str]:
    ends = str(facts.get("ends_at"))
    cause = ", for a cause" if facts.get("cause") is True else ""
    effect = ends.replace("T", " ")[:16]
    return ends, (
        f"by {by} on {entry.at:%Y-%m-%d %H:%M} UTC{cause}, with effect from {effect} UTC: {facts.get('reason')}"
    )


def _operators(entry: LogRow) -> str:
    """One, or the two whom the policy asks for."""
    names = entry.body.get("operators")
    return " and ".join(map(str, names)) if isinstance(names, list) and names else "an operator"


def _document(entry: LogRow) -> dict[str, Any]:
    """What the partner sent, as it was checked when it came."""
    try:
        document = json.loads(str(entry.body.get("document")))
    except ValueError:  # the log was edited, which its own check says
        return {}
    return document if isinstance(document, dict) else {}


def _partner(tx: Transaction, row: AgreementRow) -> str:
    partner = tx.partners.get(row.partner)
    return partner.name if partner is not None else "the partner"
