"""What a machine watches of a peer: a few numbers out of the store, cheap enough to be read every few seconds.

    readings = read_peer(peer)

One short transaction with a handful of aggregates; nothing is verified, no source is read and nothing is changed.
``peer_status`` says more, for people.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from mutuals.agreement.chain import LIVING
from mutuals.agreement.document import parse_agreement
from mutuals.crypto.tls import BadCertificate, valid_until
from mutuals.errors import MutualsError
from mutuals.identity.cards import parse_card
from mutuals.models.run import Role, RunState
from mutuals.peer import Peer
from mutuals.runs.guards import BUDGET_PERIOD
from mutuals.store.rows import AgreementRow, BudgetUsage


@dataclass(frozen=True)
class PartnerReadings:
    """One partner: ``documents`` wait for it, the oldest since ``waiting_since``; ``used`` is what was charged to it in
    30 days, and ``allowed`` the least that a living agreement with it allows, or nothing where there is none.

    ``valid_until`` is that of its certificate, or nothing where its card cannot be read.
    """

    name: str
    documents: int
    waiting_since: datetime | None
    used: BudgetUsage
    allowed: BudgetUsage | None
    valid_until: datetime | None


@dataclass(frozen=True)
class Readings:
    """A peer at one moment: ``runs`` counts by partner (name), own role and state.

    ``valid_until`` is that of the own certificate, ``records_due`` when the first received record has or had to go;
    ``disk_free`` are the free bytes where the home is.
    """

    at: datetime
    partners: tuple[PartnerReadings, ...]
    runs: dict[tuple[str, Role, RunState], int] = field(repr=False)
    valid_until: datetime
    records_due: datetime | None
    disk_free: int


def read_peer(peer: Peer) -> Readings:
    """Read them. Raises MutualsError where the store or the own card cannot be read."""
    now = peer.clock()
    with peer.store.transaction() as tx:
        partners = tx.partners.list()
        waiting = tx.outbox.waiting()
        used = tx.budgets.usages(now - BUDGET_PERIOD)
        tally = tx.runs.tally()
        records_due = tx.received.earliest()
        agreements = tx.agreements.list()
    names = {partner.fingerprint: partner.name for partner in partners}
    found = []
    for partner in partners:
        documents, since = waiting.get(partner.fingerprint, (0, None))
        found.append(
            PartnerReadings(
                partner.name,
                documents,
                since,
                used.get(partner.fingerprint, BudgetUsage(0, 0)),
                _allowed(row for row in agreements if row.partner == partner.fingerprint),
                _valid_until(partner.signed_card),
            )
        )
    own = valid_until(parse_card(peer.home.card.read_bytes()).card.tls_certificate.encode())
    return Readings(
        at=now,
        partners=tuple(found),
        runs={
            (names[partner], role, state): count
            for (partner, role, state), count in tally.items()
            if partner in names
        },
        valid_until=own,
        records_due=records_due,
        disk_free=shutil.disk_usage(peer.home.root).free,
    )


def _allowed(rows: Iterable[AgreementRow]) -> BudgetUsage | None:
    """A budget is the partner's, and each agreement asks whether it allows one more run: the least of them counts."""
    budgets = []
    for row in rows:
        if row.state not in LIVING:
            continue
        try:
            matching = parse_agreement(row.document).matching
        except ValueError:  # damaged, which `mutuals status` says
            continue
        budgets.append((matching.runs_per_30_days, matching.items_per_30_days))
    if not budgets:
        return None
    return BudgetUsage(min(runs for runs, _ in budgets), min(items for _, items in budgets))


@lru_cache(maxsize=1024)
def _valid_until(signed_card: bytes) -> datetime | None:
    try:
        return valid_until(parse_card(signed_card).card.tls_certificate.encode())
    except (MutualsError, BadCertificate):
        return None
