"""Versions of an agreement between the two companies of ``support.pairing``, signed and carried by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mutuals.agreement.active import verify_stored
from mutuals.documents import receipt_bytes, take_document
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.peer import Peer
from mutuals.protocol.messages import Document, Receipt
from mutuals.runs.signing import accept_agreement
from mutuals.store.rows import AgreementRow
from support.assessed import propose, sign_off
from support.pairing import Company, Pair, Row, TestClock, paired


@dataclass(frozen=True)
class Made:
    """Two companies under an active agreement, their homes closed: to be copied for each test."""

    root: Path
    sides: dict[Side, Company]
    digest: str
    now: datetime


def make_pair(root: Path, rows: Mapping[Side, Sequence[Row]], **changes: Any) -> Made:
    """As ``paired``, once for many tests."""
    with paired(root, rows, **changes) as pair:
        return Made(root, dict(pair.sides), pair.digest, pair.left.clock.now)


@contextmanager
def copy_pair(made: Made, where: Path) -> Iterator[Pair]:
    """The two companies in copies of their homes, open, on one clock."""
    clock = TestClock()
    clock.now = made.now
    if where != made.root:
        shutil.copytree(made.root, where, dirs_exist_ok=True)
    sides = {}
    for side, company in made.sides.items():
        peer = Peer.open(where / company.path.parent.name, clock)
        sides[side] = replace(company, peer=peer, clock=clock)
    try:
        yield Pair(sides, made.digest)
    finally:
        for company in sides.values():
            company.peer.close()


def row_of(company: Company, digest: str) -> AgreementRow:
    """The version as this side's store has it."""
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    assert row is not None
    return row


def state_of(company: Company, digest: str) -> AgreementState:
    """Its state at this side."""
    return row_of(company, digest).state


def states(pair: Pair, digest: str) -> tuple[str, str]:
    """The state of a version at the proposer of the first, and at its partner."""
    return state_of(pair.left, digest).value, state_of(pair.right, digest).value


def next_version(company: Company, digest: str, **changes: Any) -> Agreement:
    """The next version of the agreement ``digest``, as ``company`` would propose it."""
    old = verify_stored(row_of(company, digest))
    values = old.model_dump() | {
        "version": old.version + 1,
        "replaces": digest,
        "nonce": "11" * 32,
        **changes,
    }
    if old.parties.proposer.fingerprint != company.peer.fingerprint.hex():
        values["parties"] = {
            "proposer": values["parties"]["partner"],
            "partner": values["parties"]["proposer"],
        }
        values["proposer_sends"], values["partner_sends"] = values["partner_sends"], values["proposer_sends"]
    return Agreement.model_validate(values)


def amend(company: Company, digest: str, **changes: Any) -> str:
    """Propose the next version; its digest."""
    return propose(company.peer, next_version(company, digest, **changes), "crm", {}, company.keys)


def agree(company: Company, digest: str) -> AgreementRow:
    """Accept what the partner proposed."""
    sign_off(company.peer, company.keys, verify_stored(row_of(company, digest)))
    return accept_agreement(company.peer, digest, "crm", {}, company.keys)


def carry(sender: Company, receiver: Company) -> list[Receipt]:
    """Hand over everything in one outbox, whether it is taken or not; the receipts."""
    with sender.peer.store.transaction() as tx:
        pending = tx.outbox.pending(receiver.peer.fingerprint.hex())
    receipts = []
    for row in pending:
        document = Document(row.kind, row.body, row.signature)
        receipts.append(take_document(receiver.peer, receiver.partner(), document))
        with sender.peer.store.transaction() as tx:
            tx.outbox.delivered(row.document_id, receipt_bytes(receipts[-1]), sender.clock())
    return receipts


def settle(pair: Pair) -> list[Receipt]:
    """Carry everything both ways, as one Sync would."""
    return [*carry(pair.left, pair.right), *carry(pair.right, pair.left), *carry(pair.left, pair.right)]
