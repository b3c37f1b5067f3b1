"""Rotating the TLS certificate without an outage (DESIGN §4, docs/adr/0016-rotation.md).

    signed = renew(peer, overlap=timedelta(days=7))   # the next card, and a document with it for every partner
    kept = keep_rotation(peer)                        # by the clock: what is due of renewing, telling, destroying
    receive_card(tx, peer, partner, body)             # the partner's card came: taken without a person

The signing key alone vouches for a card. Until the overlap is over this peer shows each partner the certificate of the
card that the partner has, and partners that have the new card accept both. Then the one before is destroyed here and
refused there, on old connections, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.tls import valid_until
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.cards import card_bytes
from mutuals.identity.earlier import EarlierPair, destroy_earlier, some_are_over
from mutuals.identity.files import PRIVATE_FILE, lock, make_private_directory
from mutuals.identity.initialise import reissue_card, renew_card
from mutuals.identity.partners import CardChange, add_partner, forget_previous, review_card
from mutuals.models.card import Card, Hex32, SignedCard
from mutuals.models.moment import Moment
from mutuals.peer import Peer
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import OutboxRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

CARD = "card"
SETTLED_AFTER = timedelta(seconds=1)
"""How long after its receipt a card's certificate is first shown to the partner."""

LONGEST_OVERLAP = timedelta(days=30)
"""What a receiver grants at most, whatever the document says; a sender asks for no more."""


class CardDocument(BaseModel):
    """A card for one partner, whose fingerprint is ``to``.

    The certificate of the card before stays good ``until`` then; where that is nothing, it is refused from now on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    card: Card
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
    to: Hex32
    until: Moment | None


class Has(StrEnum):
    """What is known of whether a partner has the present card."""

    YES = "yes"
    NOT_YET = "not yet"
    REFUSED = "refused"


@dataclass(frozen=True)
class Rotation:
    """How a rotation stands: until when the earlier certificates are kept, and which partner has the present card.

    ``stolen``: partners that have it refuse the earlier ones already.
    """

    serial: int
    until: datetime
    stolen: bool
    partners: tuple[tuple[PartnerRow, Has], ...]

    @property
    def arrived(self) -> int:
        """How many partners have the present card."""
        return sum(has is Has.YES for _, has in self.partners)


@dataclass(frozen=True)
class Kept:
    """What ``keep_rotation`` did: the card it made, if one was due, and whether it destroyed earlier TLS keys.

    ``due`` is when the next certificate has had its time, this peer's or a partner's.
    """

    renewed: SignedCard | None = None
    destroyed: bool = False
    due: datetime | None = None


def renew(peer: Peer, *, overlap: timedelta, stolen: bool = False) -> SignedCard:
    """Make the next card, and a document with it for every partner; the card. ``peer`` itself stays as it was opened.

    It has a new TLS key, and the one of before stays good for ``overlap``, unless it was ``stolen``: then it serves
    only to reach those who have not got the card, and whoever has it refuses the key. During a rotation the card has
    the certificate that is being introduced: a third one would leave behind who is slow. Raises MutualsError: USAGE for
    an overlap that is none, BUSY where another process renews just now, LOCAL.
    """
    if not timedelta(0) < overlap <= LONGEST_OVERLAP:
        raise MutualsError(
            ErrorCode.USAGE,
            f"An overlap is longer than nothing and at most {LONGEST_OVERLAP.days} days.",
            hint="Where the TLS key was stolen: mutuals card --renew --now",
        )
    with _alone(peer), Peer.open(peer.home.root, peer.clock) as fresh:
        signed = _renew(fresh, overlap, stolen)
    with Peer.open(peer.home.root, peer.clock) as renewed:
        _tell_partners(renewed)
    return signed


def keep_rotation(peer: Peer) -> Kept:
    """What is due by the clock: renew a card whose certificate ends soon, tell partners, destroy what had its time.

    ``mutuals serve`` and ``mutuals sync`` call it. Another process that renews just now is left to it.
    """
    with Peer.open(peer.home.root, peer.clock) as fresh:
        with fresh.store.transaction() as tx:
            forget_previous(tx, fresh.clock())
        renewed, destroyed = None, False
        if _renewal_is_due(fresh) or _something_is_over(fresh):
            try:
                renewed, destroyed = _keep(fresh)
            except MutualsError as error:
                if error.code is not ErrorCode.BUSY:
                    raise
    with Peer.open(peer.home.root, peer.clock) as fresh:
        _tell_partners(fresh)
        with fresh.store.transaction() as tx:
            theirs = [row.previous_until for row in tx.partners.list() if row.previous_until is not None]
        due = min([*theirs, *(pair.until for pair in fresh.earlier)], default=None)
    return Kept(renewed, destroyed, due)


def rotation(tx: Transaction, peer: Peer) -> Rotation | None:
    """How the rotation of ``peer``, as it was opened, stands; nothing where none is under way."""
    if not peer.earlier:
        return None
    partners = tuple((row, _has(tx, peer, row)) for row in tx.partners.list())
    until = max(pair.until for pair in peer.earlier)
    return Rotation(peer.card.card.serial, until, peer.earlier[-1].stolen, partners)


def knows_certificate(tx: Transaction, peer: Peer, partner: str) -> bool:
    """Whether the partner with this fingerprint (hex) lets the present certificate in, by what it acknowledged.

    Its server may need a moment for that, and takes the one before as well, unless that was stolen.
    """
    stolen = bool(peer.earlier) and peer.earlier[-1].stolen
    latest = peer.clock() - (timedelta(0) if stolen else SETTLED_AFTER)
    return any(
        row.delivered_at is not None
        and row.delivered_at <= latest
        and _accepted(row)
        and _parsed(row.body).card.tls_certificate == peer.card.card.tls_certificate
        for row in tx.outbox.of_kind(CARD, partner)
    )


def receive_card(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Take the card that a partner sent in place of the one known. Raises PartnerFault for one that may not be taken.

    The same signing key, a higher serial (or the very card that is known), our own name on the document, the same
    organisation: another name on a known partner is for a person to look at.
    """
    document = _parsed(body)
    if document.to != peer.fingerprint.hex():
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, f"{partner.name} sent a card that is addressed to somebody else."
        )
    now = peer.clock()
    signed = SignedCard(card=document.card, signature=document.signature)
    try:
        review = review_card(tx, card_bytes(signed), own=peer.card.card, now=now)
    except MutualsError as error:
        raise PartnerFault(
            error.code, f"{partner.name} sent a card that is refused: {error.message}"
        ) from error
    if review.fingerprint != partner.fingerprint or review.change is CardChange.NEW:
        raise PartnerFault(ErrorCode.PEER_IDENTITY, f"{partner.name} sent the card of another peer.")
    if review.previous is not None and review.previous.organisation != document.card.organisation:
        raise PartnerFault(
            ErrorCode.PEER_IDENTITY,
            f"{partner.name} sent a card with another organisation's name; a person has to import it.",
        )
    until = None if document.until is None else min(document.until, now + LONGEST_OVERLAP)
    add_partner(tx, review, now, overlap_until=until)


def _renewal_is_due(peer: Peer) -> bool:
    """Whether the certificate ends soon; where it has ended, partners have to import the next by hand anyway."""
    left = valid_until(peer.tls_certificate) - peer.clock()
    return timedelta(0) < left < timedelta(days=peer.config.renew_days) and not peer.earlier


def _something_is_over(peer: Peer) -> bool:
    """Whether an earlier TLS key had its time."""
    return some_are_over(peer.home, peer.card.card, peer.clock()) or _reach_nobody(peer)


def _reach_nobody(peer: Peer) -> bool:
    """Whether the earlier TLS keys are stolen ones, and no partner needs them to get the card any more."""
    with peer.store.transaction() as tx:
        standing = rotation(tx, peer)
    return standing is not None and standing.stolen and standing.arrived == len(standing.partners)


def _keep(peer: Peer) -> tuple[SignedCard | None, bool]:
    """Destroy what is over and renew if that is due; what ``Kept`` says of both. Raises MutualsError (BUSY, LOCAL)."""
    with _alone(peer), Peer.open(peer.home.root, peer.clock) as fresh:
        now, card = fresh.clock(), fresh.card.card
        destroyed = destroy_earlier(fresh.home, card, now, everything=_reach_nobody(fresh))
        if destroyed:
            with fresh.store.transaction() as tx:
                tx.log.append(None, "card.retired", {"before": card.serial}, now)
        renewed = None
        if _renewal_is_due(fresh):
            renewed = _renew(fresh, timedelta(days=fresh.config.overlap_days), stolen=False)
    return renewed, destroyed


def _renew(fresh: Peer, overlap: timedelta, stolen: bool) -> SignedCard:
    now, card = fresh.clock(), fresh.card
    if fresh.earlier and not stolen:
        signed = reissue_card(fresh.home, fresh.config, signing_key=fresh.signing_key, previous=card, now=now)
    else:
        pair = EarlierPair(
            key=fresh.tls_key.decode(),
            certificate=card.card.tls_certificate,
            serial=card.card.serial,
            until=(now + overlap).astimezone(UTC).replace(microsecond=0),
            stolen=stolen,
        )
        signed = renew_card(
            fresh.home,
            fresh.config,
            signing_key=fresh.signing_key,
            previous=card,
            now=now,
            earlier=(*fresh.earlier, pair),
        )
    with fresh.store.transaction() as tx:
        tx.log.append(None, "card.renewed", {"serial": signed.card.serial, "stolen": stolen}, now)
    return signed


def _tell_partners(peer: Peer) -> None:
    """Put the present card into the outbox for every partner, once; nothing unless a rotation is under way."""
    if not peer.earlier:
        return
    last = peer.earlier[-1]
    with peer.store.transaction() as tx:
        for row in tx.partners.list():
            document = CardDocument(
                card=peer.card.card,
                signature=peer.card.signature,
                to=row.fingerprint,
                until=None if last.stolen else last.until,
            )
            enqueue(tx, peer, row.fingerprint, sign_document(peer, CARD, document.model_dump(mode="json")))


def _has(tx: Transaction, peer: Peer, partner: PartnerRow) -> Has:
    found = Has.NOT_YET
    for row in tx.outbox.of_kind(CARD, partner.fingerprint):
        if row.delivered_at is not None and _parsed(row.body).card == peer.card.card:
            found = Has.YES if _accepted(row) else Has.REFUSED
    return found


def _accepted(row: OutboxRow) -> bool:
    try:
        return parse_canonical(row.receipt or b"")["accepted"] is True
    except (ValueError, KeyError):
        return False


def _parsed(body: bytes) -> CardDocument:
    """The document in ``body``. Raises PartnerFault (BAD_MESSAGE)."""
    try:
        parse_canonical(body)
        document = CardDocument.model_validate_json(body, strict=True)
        if canonical_json(document) != body:
            raise ValueError("not in its one byte form")
    except (ValueError, RecursionError) as error:
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "A card came in a document that cannot be read.") from error
    return document


@contextmanager
def _alone(peer: Peer) -> Iterator[None]:
    """No other process of this home renews meanwhile. Raises MutualsError (BUSY) where one does."""
    make_private_directory(peer.home.locks)
    descriptor = os.open(peer.home.locks / "card", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        if not lock(descriptor):
            raise MutualsError(
                ErrorCode.BUSY,
                "Another process renews the card just now.",
                hint="See how it stands: mutuals card",
            )
        yield
    finally:
        os.close(descriptor)
