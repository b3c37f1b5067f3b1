"""Two peers that know each other, each with a source, and agreements between them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mutuals.agreement.draft import parse_draft
from mutuals.agreement.template import DraftOptions, draft_toml
from mutuals.documents import receipt_bytes, take_document
from mutuals.identity.cards import card_bytes, fingerprint_of
from mutuals.identity.operators import OperatorKeys, unlock
from mutuals.identity.partners import add_partner, review_card
from mutuals.models.agreement import Agreement
from mutuals.models.card import Card
from mutuals.peer import Peer
from mutuals.protocol.messages import Document, Receipt
from mutuals.sources import SourceDefinition
from mutuals.store.database import Transaction
from mutuals.store.rows import PartnerRow, SourceRow
from support.homes import NOW, PASSPHRASE, make_peer

CONTACTS = (
    "contact_id,email,phone,consent,consent_at,notified_at,suppressed,city,last_purchase,Lifetime value\n"
    "1,jane@example.com,,joint-marketing,2026-01-01,2026-01-02,false,Berlin,2026-02-03,120.50\n"
)
FIELD_MAP = {"lifetime_value": "Lifetime value"}
BLANKS = {
    "<say why you match, and what each side will do with the result>": "A joint campaign in spring.",
    "<for example: consent, GDPR Art. 6(1)(a)>": "Consent, GDPR Art. 6(1)(a)",
    "<name, role and address of the person in charge>": "Ann Example, privacy@example.com",
    "<name and address of the data-protection officer>": "Dee Officer, dpo@example.com",
    "<for example: the law of Germany, courts of Berlin>": "The law of Germany, courts of Berlin",
    "<who to call after a breach, at any hour>": "+49 30 901820",
    "<the purpose in your consent column, for example joint-marketing>": "joint-marketing",
}


@dataclass
class Company:
    """A peer, its unlocked operator, and a clock that tests may turn."""

    peer: Peer
    keys: OperatorKeys
    time: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def card(self) -> Card:
        """The own card."""
        return self.peer.card.card

    def later(self, **by: int) -> None:
        """Turn this company's clock."""
        self.time[0] += timedelta(**by)

    @contextmanager
    def tx(self) -> Iterator[Transaction]:
        """A transaction on its store."""
        with self.peer.store.transaction() as tx:
            yield tx

    def partner(self) -> PartnerRow:
        """Its only partner."""
        with self.tx() as tx:
            return tx.partners.list()[0]

    def outgoing(self) -> list[Document]:
        """What waits in its outbox."""
        with self.tx() as tx:
            return [Document(row.kind, row.body, row.signature) for row in tx.outbox.pending()]


@dataclass
class Pair:
    """The two companies of most tests."""

    acme: Company
    globex: Company

    def deliver(self) -> list[Receipt]:
        """Hand over, in order, everything that waits on either side; the receipts."""
        receipts = []
        for sender, receiver in ((self.acme, self.globex), (self.globex, self.acme)):
            for document in sender.outgoing():
                receipt = take_document(receiver.peer, receiver.partner(), document)
                receipts.append(receipt)
                with sender.tx() as tx:
                    tx.outbox.delivered(receipt.document.hex(), receipt_bytes(receipt), sender.peer.clock())
        return receipts


def make_homes(root: Path) -> tuple[Path, Path]:
    """Homes of Acme and Globex, each with the other as partner and a source ``crm``."""
    homes = make_peer(root / "acme"), make_peer(root / "globex", "Globex GmbH")
    contacts = root / "contacts.csv"
    contacts.write_text(CONTACTS)
    peers = [Peer.open(home, clock=lambda: NOW) for home in homes]
    for peer, other in zip(peers, reversed(peers), strict=True):
        with peer.store.transaction() as tx:
            review = review_card(tx, card_bytes(other.card), own=peer.card.card, now=NOW)
            add_partner(tx, review, NOW)
            definition = SourceDefinition(name="crm", path=str(contacts))
            tx.sources.put(SourceRow("crm", definition.model_dump_json(), NOW))
    for peer in peers:
        peer.close()
    return homes


@contextmanager
def open_copy(homes: tuple[Path, Path], where: Path) -> Iterator[Pair]:
    """The two companies in copies of their homes, open, their clocks at NOW."""
    acme, globex = (_open(Path(shutil.copytree(home, where / home.name))) for home in homes)
    with acme.peer, globex.peer:
        yield Pair(acme, globex)


def _open(home: Path) -> Company:
    time = [NOW]
    peer = Peer.open(home, clock=lambda: time[0])
    with peer.store.transaction() as tx:
        row = tx.operators.list()[0]
    return Company(peer, unlock(row, PASSPHRASE), time)


def filled_draft(own: Card, partner: Card, **options: Any) -> str:
    """A draft with every blank filled in."""
    text = draft_toml(own, partner, DraftOptions(today=NOW.date(), **options))
    for blank, value in BLANKS.items():
        text = text.replace(blank, value)
    return text


def make_agreement(own: Card, partner: Card, **options: Any) -> Agreement:
    """The agreement of that draft."""
    return parse_draft(filled_draft(own, partner, **options), own, partner)


def plain_card(number: int, **changes: Any) -> Card:
    """A card good enough to draft with, without a home behind it."""
    from mutuals.crypto.signing import SigningKey

    key = SigningKey(bytes([number]) * 32)
    values = {
        "organisation": f"Company {number} Ltd",
        "signing_key": key.public.raw.hex(),
        "log_key": SigningKey(bytes([number + 100]) * 32).public.raw.hex(),
        "tls_certificate": "",
        "serial": 1,
        "issued_at": NOW,
        **changes,
    }
    card = Card.model_validate(values)
    assert fingerprint_of(card) == key.public.fingerprint
    return card
