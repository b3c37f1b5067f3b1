"""Rows to fill a store with, and what other processes do to it in the tests of concurrency."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Role, Run, RunState
from mutuals.store.database import Store, Transaction
from mutuals.store.rows import (
    AgreementRow,
    AuthorisationRow,
    IncomingRow,
    OperatorRow,
    OutboxRow,
    OutgoingRow,
    PartnerRow,
    ReceivedRow,
)

NOW = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)


def digest(name: str) -> bytes:
    """32 bytes that belong to ``name``."""
    return hashlib.sha256(name.encode()).digest()


def hexed(name: str) -> str:
    """A fingerprint or digest, in hex, that belongs to ``name``."""
    return digest(name).hex()


def partner(name: str = "Globex") -> PartnerRow:
    """A partner."""
    return PartnerRow(hexed(name), name, b'{"card":1}', 1, digest("pin of " + name), NOW)


def operator(name: str = "ada") -> OperatorRow:
    """An operator with two roles."""
    return OperatorRow(name, ("admin", "steward"), "marketing", b"s" * 32, b"w" * 1216, b"sealed", NOW)


def agreement(name: str = "Spring", partner_name: str = "Globex") -> AgreementRow:
    """A proposed agreement with that partner, bound to nothing yet."""
    return AgreementRow(
        digest=hexed(name),
        agreement_id="A-" + hexed(name)[:8].upper(),
        title=name,
        partner=hexed(partner_name),
        own_side=Side.PARTNER,
        state=AgreementState.PROPOSED,
        document=b'{"title":"x"}',
        source=None,
        mapping={},
        created_at=NOW,
        updated_at=NOW,
    )


def run(name: str = "R-1", agreement_name: str = "Spring", partner_name: str = "Globex") -> Run:
    """A run that is matching."""
    return Run(
        run_id=name,
        sid=digest(name),
        agreement=hexed(agreement_name),
        partner=hexed(partner_name),
        role=Role.INITIATOR,
        engine="openmined",
        state=RunState.MATCHING,
        own_size=1000,
        partner_size=2**40,
        opened_at=NOW,
        own_receiving_key=b"o" * 1216,
        partner_receiving_key=b"p" * 1216,
        spool_key=b"k" * 32,
    )


def authorisation(name: str = "one", **changes: datetime) -> AuthorisationRow:
    """A permission to reveal run R-1, for a day."""
    times = {"created_at": NOW, "expires_at": NOW + DAY} | changes
    return AuthorisationRow(name, "reveal", "R-1", "ada", b"statement", b"signature", None, **times)


def letter(name: str, partner_name: str = "Globex") -> OutboxRow:
    """A document for that partner."""
    return OutboxRow(hexed(name), hexed(partner_name), "proposal", name.encode(), b"signature", NOW)


def outgoing(number: int) -> OutgoingRow:
    """An envelope of run R-1, as sent."""
    return OutgoingRow("R-1", number, b"header", b"signature", b"records", digest(f"envelope {number}"))


def incoming(number: int) -> IncomingRow:
    """An envelope of run R-1, as received."""
    return IncomingRow("R-1", number, b"header", b"signature", digest(f"envelope {number}"), b"ack", NOW)


def record(rank: int, retention_days: int = 90, ciphertext: bytes = b"ciphertext") -> ReceivedRow:
    """A sealed record of run R-1."""
    return ReceivedRow("R-1", rank, (rank + 1, rank + 5), retention_days, ciphertext, NOW, NOW + 90 * DAY)


def furnish(tx: Transaction, *names: str) -> None:
    """One partner, operator and agreement, and the runs with these ids."""
    tx.partners.put(partner())
    tx.operators.put(operator())
    tx.agreements.put(agreement())
    for name in names:
        tx.runs.add(run(name))


class _Undo(Exception):
    pass


@contextmanager
def undone(store: Store) -> Iterator[Transaction]:
    """A transaction that is rolled back at the end: what one example did, the next does not see."""
    with suppress(_Undo), store.transaction() as tx:
        yield tx
        raise _Undo


def open_and_close(url: str) -> None:
    """Open the store and close it again."""
    Store.open(url).close()


def charge_within(url: str, allowed: int, worker: int, tries: int) -> int:
    """Charge up to ``tries`` runs of 10 items while the partner has under ``allowed``; how many went through."""
    store = Store.open(url)
    charged = 0
    for attempt in range(tries):
        with store.transaction() as tx:
            if tx.budgets.usage(hexed("Globex"), NOW - 30 * DAY).runs < allowed:
                tx.budgets.charge(hexed("Globex"), hexed("Spring"), digest(f"{worker}/{attempt}"), 10, NOW)
                tx.log.append(None, "charged", {"worker": worker}, NOW)
                charged += 1
    store.close()
    return charged
