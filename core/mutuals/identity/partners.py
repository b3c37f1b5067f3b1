"""Partners: whose card was imported and whose fingerprint a person confirmed (DESIGN §4).

    review = review_card(tx, data, own=own_card, now=now)
    ...a person compares review.words where review.needs_confirmation...
    add_partner(tx, review, now)

A card is *new*, a *renewal* (same key, higher serial) or *unchanged*. Everything else is refused here: an
older serial, another key under a known partner's name or TLS key, another log key, one's own card.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, TypedDict

from mutuals.crypto.signing import VerifyKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.cards import card_bytes, fingerprint_of, parse_card, tls_pin
from mutuals.identity.words import fingerprint_words
from mutuals.models.card import Card, SignedCard
from mutuals.store.rows import PartnerRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

_MIN_FINGERPRINT_PREFIX = 4


class _PreviousColumns(TypedDict):
    previous_certificate: str | None
    previous_pin: bytes | None
    previous_until: datetime | None


class CardChange(StrEnum):
    """What importing a card would do."""

    NEW = "new"
    RENEWAL = "renewal"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class PartnerReview:
    """A checked card and what importing it would change.

    ``fingerprint`` is hex; ``previous`` the card it would replace, if any; ``returning`` is True where the
    partner was removed earlier and is now added again.
    """

    change: CardChange
    card: SignedCard
    fingerprint: str
    pin: bytes
    words: tuple[str, ...]
    previous: Card | None = None
    returning: bool = False

    @property
    def needs_confirmation(self) -> bool:
        """Whether a person must compare the words by voice: for every partner that is not one now."""
        return self.change is CardChange.NEW

    def differences(self) -> tuple[tuple[str, str, str], ...]:
        """What a renewal changes, as (name, before, after); keys and certificate are named, not shown."""
        if self.previous is None:
            return ()
        old, new = self.previous, self.card.card
        changed = [
            (name.replace("_", " "), _shown(getattr(old, name)), _shown(getattr(new, name)))
            for name in (
                "organisation",
                "endpoint",
                "introduction",
                "privacy_policy",
                "data_handling",
                "contacts",
            )
            if getattr(old, name) != getattr(new, name)
        ]
        if old.tls_certificate != new.tls_certificate:
            changed.append(("TLS certificate", "old one", "new one"))
        return tuple(changed)


def review_card(tx: Transaction, data: bytes, *, own: Card, now: datetime) -> PartnerReview:
    """Check the card in ``data`` by itself and against the partners known.

    ``own`` is this peer's card; ``now`` is aware. Raises MutualsError (PEER_IDENTITY).
    """
    signed = parse_card(data, now=now)
    card = signed.card
    fingerprint = fingerprint_of(card)
    pin = tls_pin(card.tls_certificate)
    if fingerprint == fingerprint_of(own) or pin == tls_pin(own.tls_certificate):
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            "This is your own card.",
            hint="Send it to your partner and import theirs.",
        )
    others = [row for row in tx.partners.list() if row.fingerprint != fingerprint.hex()]
    _refuse_impostor(card, pin, others)
    review = PartnerReview(
        change=CardChange.NEW,
        card=signed,
        fingerprint=fingerprint.hex(),
        pin=pin,
        words=fingerprint_words(fingerprint),
    )
    known = tx.partners.get(fingerprint.hex())
    if known is None:
        return review
    return _against_known(review, known)


def add_partner(
    tx: Transaction, review: PartnerReview, now: datetime, *, overlap_until: datetime | None = None
) -> PartnerRow:
    """Store the reviewed card and log it; the row. Only after the confirmation that ``review`` needs.

    Where the card renews one, the certificate of that one stays good until ``overlap_until`` (aware); without, it is
    refused from now on.
    """
    known = tx.partners.get(review.fingerprint)
    keep_date = known is not None and known.removed_at is None
    row = PartnerRow(
        fingerprint=review.fingerprint,
        name=review.card.card.organisation,
        signed_card=card_bytes(review.card),
        serial=review.card.card.serial,
        pin=review.pin,
        added_at=known.added_at if known is not None and keep_date else now,
        removed_at=None,
        **_previous(review, known, overlap_until),
    )
    if review.change is CardChange.UNCHANGED:
        return row
    tx.partners.put(row)
    event = "partner.renewed" if review.change is CardChange.RENEWAL else "partner.added"
    tx.log.append(None, event, {"partner": row.fingerprint, "serial": row.serial}, now)
    return row


def good_certificates(row: PartnerRow, now: datetime) -> tuple[str, ...]:
    """The certificates (PEM) that a partner may show at ``now`` (aware): that of its card, and of the one before.

    Raises PEER_IDENTITY where the stored card was tampered with.
    """
    current = partner_card(row).tls_certificate
    if row.previous_certificate is None or row.previous_until is None or row.previous_until <= now:
        return (current,)
    return current, row.previous_certificate


def forget_previous(tx: Transaction, now: datetime) -> None:
    """Drop the certificates of cards before whose time is over at ``now`` (aware); they are refused already."""
    for row in tx.partners.list(include_removed=True):
        if row.previous_until is not None and row.previous_until <= now:
            tx.partners.put(replace(row, previous_certificate=None, previous_pin=None, previous_until=None))


def remove_partner(tx: Transaction, row: PartnerRow, now: datetime) -> PartnerRow:
    """Stop trusting a partner; the row as it is then. What was agreed and received stays."""
    tx.partners.remove(row.fingerprint, now)
    tx.log.append(None, "partner.removed", {"partner": row.fingerprint}, now)
    return replace(row, removed_at=now)


def find_partner(tx: Transaction, name: str) -> PartnerRow:
    """The partner that ``name`` means: an organisation, the beginning of one, or of a fingerprint.

    A whole name wins over a beginning, of which a fingerprint needs four digits; case does not matter. Raises
    MutualsError (USAGE) where none or several fit.
    """
    rows = tx.partners.list()
    wanted = _folded(name)
    exact = [row for row in rows if wanted in {_folded(row.name), row.fingerprint}]
    if len(exact) == 1:
        return exact[0]
    found = [
        row for row in rows if wanted and (_folded(row.name).startswith(wanted) or _is_prefix(wanted, row))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(f"{row.name} ({row.fingerprint[:8]})" for row in found[:5])
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{_clean(name)}” could be any of {len(found)} partners: {some}.",
            hint="Give more of the name, or of the fingerprint.",
        )
    hint = "See them with: mutuals partner list" if rows else "Import a card first: mutuals partner add FILE"
    raise MutualsError(ErrorCode.USAGE, f"There is no partner “{_clean(name)}”.", hint=hint)


def partner_card(row: PartnerRow) -> Card:
    """The card in a partner's row, checked again. Raises PEER_IDENTITY where it was tampered with."""
    card = _parsed(row.signed_card)
    if fingerprint_of(card).hex() != row.fingerprint:
        raise MutualsError(ErrorCode.PEER_IDENTITY, f"The stored card of {row.name} is another peer's.")
    return card


def partner_key(row: PartnerRow) -> VerifyKey:
    """The signing key on the partner's card, which was checked when it was imported and is checked again."""
    return VerifyKey(bytes.fromhex(partner_card(row).signing_key))


def partner_log_key(row: PartnerRow) -> VerifyKey:
    """The key on the partner's card that signs the heads of its logs, checked like ``partner_key``."""
    return VerifyKey(bytes.fromhex(partner_card(row).log_key))


@lru_cache(maxsize=1024)
def _parsed(signed_card: bytes) -> Card:
    """The checked card in these bytes. Every call of a partner asks for it, and checking takes a millisecond."""
    return parse_card(signed_card).card


def _against_known(review: PartnerReview, known: PartnerRow) -> PartnerReview:
    """The review of a card whose key was seen before."""
    card = review.card.card
    previous = parse_card(known.signed_card)
    if card.log_key != previous.card.log_key:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"This card of {known.name} has another log key than the known one, and a peer keeps its log key.",
            hint="Do not trust it; talk to them: their logs could be rewritten under a new key.",
        )
    if card.serial < known.serial:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"This is an older card of {known.name}: number {card.serial}, while {known.serial} is known.",
            hint="Ask them for their present card.",
        )
    same = previous == review.card
    if card.serial == known.serial and not same:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"This card of {known.name} has the known one's number, {card.serial}, but says something else.",
            hint="Ask them for a fresh one: mutuals card --renew",
        )
    if known.removed_at is not None:
        return replace(review, returning=True)
    change = CardChange.UNCHANGED if same else CardChange.RENEWAL
    return replace(review, change=change, previous=previous.card)


def _previous(
    review: PartnerReview, known: PartnerRow | None, overlap_until: datetime | None
) -> _PreviousColumns:
    """What the row keeps of the card before. A card with the same certificate leaves that as it is."""
    if known is None or review.change is not CardChange.RENEWAL or review.previous is None:
        return _PreviousColumns(previous_certificate=None, previous_pin=None, previous_until=None)
    if review.previous.tls_certificate == review.card.card.tls_certificate:
        return _PreviousColumns(
            previous_certificate=known.previous_certificate,
            previous_pin=known.previous_pin,
            previous_until=known.previous_until,
        )
    if overlap_until is None:
        return _PreviousColumns(previous_certificate=None, previous_pin=None, previous_until=None)
    return _PreviousColumns(
        previous_certificate=review.previous.tls_certificate,
        previous_pin=known.pin,
        previous_until=overlap_until,
    )


def _refuse_impostor(card: Card, pin: bytes, others: list[PartnerRow]) -> None:
    """Refuse a card that takes a known partner's name or TLS key under another signing key."""
    for row in others:
        if pin in (row.pin, row.previous_pin):
            raise MutualsError(
                ErrorCode.PEER_IDENTITY,
                f"This card has the TLS key of {row.name} ({row.fingerprint[:8]}), but another signing key.",
                hint="Do not trust it; talk to them.",
            )
        if _folded(row.name) == _folded(card.organisation):
            raise MutualsError(
                ErrorCode.PEER_IDENTITY,
                f"{row.name} is already a partner, under another key ({row.fingerprint[:8]}) than this.",
                hint=f"If they tell you by voice that they set up a new peer: "
                f"mutuals partner remove {row.fingerprint[:8]}, then add this card.",
            )


def _is_prefix(wanted: str, row: PartnerRow) -> bool:
    return len(wanted) >= _MIN_FINGERPRINT_PREFIX and row.fingerprint.startswith(wanted)


def _folded(name: str) -> str:
    """A name without the differences that people do not see: form, case, spacing."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _clean(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name[:60])


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(f"{person.name}, {person.role}, {person.email}" for person in value) or "none"
    return str(value) if value else "none"
