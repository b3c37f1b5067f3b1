"""How a card, a partner and a fingerprint look to a person, and as JSON.

Everything on a card was written by a stranger: it is shown as plain text, never as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from mutuals.models.card import Card, SignedCard
    from mutuals.store.rows import PartnerRow

_PER_LINE = 4


def words_block(words: Sequence[str]) -> Table:
    """The words of a fingerprint, numbered, four to a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=0)
    for _ in range(_PER_LINE):
        grid.add_column(justify="right", style="dim")
        grid.add_column(style="bold", min_width=9)
    for start in range(0, len(words), _PER_LINE):
        row = [""]
        for number, word in enumerate(words[start : start + _PER_LINE], start=start + 1):
            row += [str(number), word]
        grid.add_row(*row)
    return grid


def card_block(card: Card) -> Table:
    """What a card says, name by name."""
    from mutuals.crypto.tls import valid_until

    people = "\n".join(f"{person.name}, {person.role}, {person.email}" for person in card.contacts)
    expires = valid_until(card.tls_certificate.encode())
    return facts_block(
        [
            ("Organisation", card.organisation),
            ("Introduction", card.introduction),
            ("Privacy policy", card.privacy_policy),
            ("Data handling", card.data_handling),
            ("Contacts", people),
            ("Endpoint", card.endpoint or "none: they call you"),
            (
                "Card",
                f"number {card.serial}, issued {card.issued_at:%Y-%m-%d}, valid until {expires:%Y-%m-%d}",
            ),
        ]
    )


def facts_block(facts: Sequence[tuple[str, str]]) -> Table:
    """Names and values in two columns; an empty value reads as not given."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=0)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row("", name, Text(value) if value else Text("not given", style="dim italic"))
    return grid


def card_facts(signed: SignedCard) -> dict[str, Any]:
    """A card as JSON: what it says, and the fingerprint in both forms; not the certificate."""
    from mutuals.crypto.tls import valid_until
    from mutuals.identity.cards import fingerprint_of
    from mutuals.identity.words import fingerprint_words

    card = signed.card
    fingerprint = fingerprint_of(card)
    return {
        "organisation": card.organisation,
        "fingerprint": fingerprint.hex(),
        "words": list(fingerprint_words(fingerprint)),
        "endpoint": card.endpoint,
        "serial": card.serial,
        "issued_at": card.issued_at.isoformat(),
        "valid_until": valid_until(card.tls_certificate.encode()).isoformat(),
        "introduction": card.introduction,
        "privacy_policy": card.privacy_policy,
        "data_handling": card.data_handling,
        "contacts": [person.model_dump() for person in card.contacts],
    }


def partner_facts(row: PartnerRow) -> dict[str, Any]:
    """A partner as JSON: the card it is known by, and since when."""
    from mutuals.identity.cards import parse_card

    removed = row.removed_at.isoformat() if row.removed_at else None
    return {
        **card_facts(parse_card(row.signed_card)),
        "added_at": row.added_at.isoformat(),
        "removed_at": removed,
    }
