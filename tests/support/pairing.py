"""Two companies with a home each, partners of one another under an active agreement: all but the network.

    with paired(tmp_path, {Side.PROPOSER: rows, Side.PARTNER: rows}) as pair:
        run = pair.match()

The proposer starts runs, the partner answers. Documents are carried by hand; streams are ``support.streams``.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mutuals.documents import receipt_bytes, take_document
from mutuals.engines.workers import InlinePool, Pool
from mutuals.identity.cards import card_bytes
from mutuals.identity.home import Config, Home, Kdf
from mutuals.identity.initialise import FirstOperator, init_home
from mutuals.identity.limits import LimitSettings
from mutuals.identity.operators import OperatorKeys, unlock
from mutuals.identity.partners import add_partner, review_card
from mutuals.models.agreement import Agreement, Side
from mutuals.models.run import Run
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.protocol.messages import Document
from mutuals.runs.mandates import grant_standing_mandate
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.reveal import initiate_reveal, respond_reveal
from mutuals.sources.definition import define_source
from mutuals.store.rows import PartnerRow, SourceRow
from support.assessed import accept, propose
from support.streams import MemoryStream, stream_pair

PASSPHRASE = b"correct horse battery"
PURPOSE = "joint-marketing"
HEADER = (
    "contact_id",
    "email",
    "phone",
    "consent",
    "consent_at",
    "notified_at",
    "suppressed",
    "city",
    "score",
)

UNHURRIED = LimitSettings(
    calls_per_minute_per_partner=100_000, matches_per_minute_per_partner=100_000, free_disk_mb=0
)
"""Limits for homes that call more often than people do, on disks of any size."""

Row = Mapping[str, str]


class TestClock:
    """A clock that tests set; it starts at noon so that moving it by minutes does not change the day."""

    __test__ = False

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Company:
    """One company: its peer, unlocked operator, clock and contact file."""

    peer: Peer
    keys: OperatorKeys
    clock: TestClock
    path: Path

    def write(self, rows: Sequence[Row]) -> None:
        """Replace the contact list."""
        write_contacts(self.path, rows)

    def partner(self) -> PartnerRow:
        """The row of the other company."""
        with self.peer.store.transaction() as tx:
            (row,) = tx.partners.list()
        return row

    def run(self, run_id: str) -> Run:
        """A run as this side's store has it."""
        with self.peer.store.transaction() as tx:
            found = tx.runs.get(run_id)
        assert found is not None
        return found


def contact(contact_id: str, email: str = "", phone: str = "", **changes: str) -> dict[str, str]:
    """A row whose contact may take part unless ``changes`` say otherwise."""
    today = datetime.now(UTC).date()
    return {
        "contact_id": contact_id,
        "email": email,
        "phone": phone,
        "consent": PURPOSE,
        "consent_at": str(today - timedelta(days=30)),
        "notified_at": str(today - timedelta(days=20)),
        "suppressed": "false",
        "city": "Bremen",
        "score": "7",
        **changes,
    }


def write_contacts(path: Path, rows: Sequence[Row]) -> None:
    """A native CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, HEADER)
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Pair:
    """Both companies and their agreement; ``sides[PROPOSER]`` starts runs."""

    sides: dict[Side, Company]
    digest: str
    pool: Pool = field(default_factory=InlinePool)

    @property
    def left(self) -> Company:
        """The proposer."""
        return self.sides[Side.PROPOSER]

    @property
    def right(self) -> Company:
        """The partner."""
        return self.sides[Side.PARTNER]

    def match(self, **options: Any) -> tuple[Run, Run]:
        """Both sides of a match; raises the initiator's error, or else the responder's."""
        return self.both(
            lambda stream: initiate_match(self.left.peer, self.digest, stream, self.pool, **options),
            lambda stream: respond_match(self.right.peer, self.right.partner(), stream, self.pool),
        )

    def reveal(self, run_id: str) -> tuple[Run, Run]:
        """Both sides of a reveal."""
        return self.both(
            lambda stream: initiate_reveal(self.left.peer, run_id, stream),
            lambda stream: respond_reveal(self.right.peer, self.right.partner(), stream),
        )

    @staticmethod
    def both(left: Callable[[MemoryStream], Any], right: Callable[[MemoryStream], Any]) -> tuple[Any, Any]:
        """Run both ends, each in a thread; the error that came first is raised."""
        streams = stream_pair()
        results: dict[int, Any] = {}
        errors: list[BaseException] = []

        def run(index: int, end: Callable[[MemoryStream], Any]) -> None:
            try:
                results[index] = end(streams[index])
            except BaseException as error:
                errors.append(error)
                streams[index].close()

        threads = [threading.Thread(target=run, args=(i, end)) for i, end in enumerate((left, right))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "a side hangs"
        if errors:
            raise errors[0]
        return results[0], results[1]


def make_company(
    root: Path,
    name: str,
    rows: Sequence[Row],
    clock: TestClock,
    endpoint: str | None = None,
    workers: int | None = 1,
) -> Company:
    """A home with one operator and one source called ``crm``; ``workers`` None is one for each core."""
    config = Config(
        organisation=name,
        endpoint=endpoint,
        listen=endpoint or "127.0.0.1:8443",
        workers=workers,
        limits=UNHURRIED,
        kdf=Kdf(memory_kib=8, iterations=1),
    )
    init_home(Home(root), config, FirstOperator("anna", "marketing"), PASSPHRASE, clock())
    peer = Peer.open(root, clock)
    path = root / "contacts.csv"
    write_contacts(path, rows)
    with peer.store.transaction() as tx:
        operator = tx.operators.get("anna")
        definition = define_source("crm", str(path), {}, "DE")
        tx.sources.put(SourceRow("crm", definition.model_dump_json(), clock()))
    assert operator is not None
    return Company(peer, unlock(operator, PASSPHRASE), clock, path)


def introduce(one: Company, other: Company) -> None:
    """Make each a partner of the other."""
    for own, theirs in ((one, other), (other, one)):
        with own.peer.store.transaction() as tx:
            review = review_card(tx, card_bytes(theirs.peer.card), own=own.peer.card.card, now=own.clock())
            add_partner(tx, review, own.clock())


def agreement_between(
    one: Company, other: Company, matching: Mapping[str, Any] | None = None, **changes: Any
) -> Agreement:
    """A small agreement; ``one`` proposes and sends ``city``, ``other`` sends ``score``."""
    today = one.clock().date()
    profile = get_profile("uid2-v1")

    def party(side: Company) -> dict[str, str]:
        return {
            "organisation": side.peer.name,
            "fingerprint": side.peer.fingerprint.hex(),
            "lawful_basis": "consent",
            "contact": "ops@company.example",
            "data_protection_officer": "dpo@company.example",
        }

    text = "Each party for its own part."
    values: dict[str, Any] = {
        "title": "Test campaign",
        "nonce": "00" * 32,
        "purpose": text,
        "valid_from": today - timedelta(days=1),
        "valid_until": today + timedelta(days=100),
        "governing_law": "Germany",
        "onward_transfer": text,
        "international_transfer": text,
        "liabilities": text,
        "parties": {"proposer": party(one), "partner": party(other)},
        "responsibilities": dict.fromkeys(
            ("access_control", "encryption", "breach_notification", "data_subject_requests"), text
        ),
        "matching": {
            "identifiers": ("email", "phone"),
            "profile": profile.name,
            "profile_digest": profile.rules_digest().hex(),
            "min_set_size": 1,
            "min_overlap": 1,
            "runs_per_30_days": 1000,
            **(matching or {}),
        },
        "consent": {"purpose": PURPOSE},
        "security": {"measures": text, "breach_contact": "security@company.example"},
        "proposer_sends": ({"name": "city", "departments": ("marketing",)},),
        "partner_sends": ({"name": "score", "type": "integer", "departments": ("marketing",)},),
        **changes,
    }
    return Agreement.model_validate(values)


def deliver(sender: Company, receiver: Company) -> None:
    """Carry everything in one outbox to the other company; every document must be accepted."""
    with sender.peer.store.transaction() as tx:
        pending = tx.outbox.pending(receiver.peer.fingerprint.hex())
    for row in pending:
        receipt = take_document(
            receiver.peer, receiver.partner(), Document(row.kind, row.body, row.signature)
        )
        assert receipt.accepted, receipt.reason
        with sender.peer.store.transaction() as tx:
            tx.outbox.delivered(row.document_id, receipt_bytes(receipt), sender.clock())


@contextmanager
def paired(
    root: Path,
    rows: Mapping[Side, Sequence[Row]],
    *,
    matching: Mapping[str, Any] | None = None,
    endpoint: str | None = None,
    **changes: Any,
) -> Iterator[Pair]:
    """Two companies under an active agreement; ``changes`` are to the agreement, ``endpoint`` is the partner's."""
    clock = TestClock()
    left = make_company(root / "left", "Left Ltd", rows[Side.PROPOSER], clock)
    right = make_company(root / "right", "Right SA", rows[Side.PARTNER], clock, endpoint)
    introduce(left, right)
    digest = propose(left.peer, agreement_between(left, right, matching, **changes), "crm", {}, left.keys)
    deliver(left, right)
    accept(right.peer, digest, "crm", {}, right.keys)
    deliver(right, left)
    for side in (left, right):
        grant_standing_mandate(side.peer, digest, side.keys)
    try:
        yield Pair({Side.PROPOSER: left, Side.PARTNER: right}, digest)
    finally:
        left.peer.close()
        right.peer.close()
