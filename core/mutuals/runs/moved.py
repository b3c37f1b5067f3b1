"""What an exchange has moved so far, by the log: also of a run that is over, or broke off."""

from __future__ import annotations

from dataclasses import dataclass

from mutuals.models.run import Run
from mutuals.peer import Peer


@dataclass(frozen=True)
class ExchangeSummary:
    """What an exchange moved. Contacts are each side's own: of ours that we sent, of the partner's that we
    received.

    ``withheld`` counts own contacts of the overlap by reason, ``pairs_received`` the pairs that have a
    record. ``preview`` is the short name of the preview that was sealed for sending, nothing before that.
    """

    contacts_sent: int
    records_sent: int
    withheld: dict[str, int]
    fields_sent: tuple[str, ...]
    contacts_received: int
    records_received: int
    pairs_received: int
    preview: str | None = None


def exchange_summary(peer: Peer, run: Run) -> ExchangeSummary:
    """What the exchange of ``run`` has moved so far, from the log."""
    facts: dict[str, dict[str, object]] = {}
    with peer.store.transaction() as tx:
        for entry in tx.log.entries(run.agreement):
            if entry.body.get("run") == run.run_id:
                facts[entry.event] = entry.body
    sent = facts.get("run.exchange_prepared", {})
    received = facts.get("run.exchanged", {})
    withheld, fields, preview = sent.get("withheld"), sent.get("fields"), sent.get("preview")
    return ExchangeSummary(
        contacts_sent=_number(sent, "contacts"),
        records_sent=_number(sent, "records"),
        withheld=dict(withheld) if isinstance(withheld, dict) else {},
        fields_sent=tuple(fields) if isinstance(fields, list) else (),
        contacts_received=_number(received, "contacts_received"),
        records_received=_number(received, "records_received"),
        pairs_received=_number(received, "pairs_received"),
        preview=preview if isinstance(preview, str) else None,
    )


def _number(facts: dict[str, object], name: str) -> int:
    value = facts.get(name, 0)
    return value if isinstance(value, int) else 0
