"""Importing cards: new, renewed and unchanged ones, and those that would replace somebody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.homes import NOW, make_peer, open_peer

from mutuals.canonical import canonical_json
from mutuals.crypto.signing import SigningKey
from mutuals.crypto.tls import generate_tls_key, issue_certificate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.cards import card_bytes, issue_card
from mutuals.identity.home import Config
from mutuals.identity.partners import (
    CardChange,
    PartnerReview,
    add_partner,
    find_partner,
    partner_card,
    remove_partner,
    review_card,
)
from mutuals.models.card import SignedCard
from mutuals.peer import Peer

TLS_KEYS = {serial: generate_tls_key() for serial in range(1, 4)}
GLOBEX = SigningKey(b"\x01" * 32)
OTHER = SigningKey(b"\x02" * 32)


def card(
    key: SigningKey = GLOBEX, serial: int = 1, organisation: str = "Globex GmbH", tls_key: bytes | None = None
) -> bytes:
    certificate = issue_certificate(tls_key or TLS_KEYS[serial], key.public.fingerprint, NOW)
    log_key = SigningKey(bytes(reversed(key.raw()[:-1])) + b"\x0f").public
    return card_bytes(issue_card(Config(organisation=organisation), key, log_key, certificate, serial, NOW))


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with open_peer(make_peer(tmp_path / "acme")) as opened:
        yield opened


def review(peer: Peer, data: bytes) -> PartnerReview:
    with peer.store.transaction() as tx:
        return review_card(tx, data, own=peer.card.card, now=NOW)


def add(peer: Peer, data: bytes) -> PartnerReview:
    with peer.store.transaction() as tx:
        found = review_card(tx, data, own=peer.card.card, now=NOW)
        add_partner(tx, found, NOW)
    return found


def refused(peer: Peer, data: bytes) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        review(peer, data)
    assert caught.value.code is ErrorCode.PEER_IDENTITY
    return caught.value


def test_a_new_card_needs_a_persons_confirmation(peer: Peer) -> None:
    found = review(peer, card())
    assert (found.change, found.needs_confirmation, found.returning) == (CardChange.NEW, True, False)
    assert len(found.words) == 12
    with peer.store.transaction() as tx:
        assert tx.partners.list() == []
        row = add_partner(tx, found, NOW)
        assert tx.partners.by_pin(found.pin) == row
        assert tx.partners.get(GLOBEX.public.fingerprint.hex()) == row
        assert partner_card(row).organisation == "Globex GmbH"
        assert [entry.event for entry in tx.log.entries()][-1] == "partner.added"


def test_a_renewed_card_of_the_same_key_is_taken_without_one(peer: Peer) -> None:
    add(peer, card())
    found = add(peer, card(serial=2, organisation="Globex AG"))
    assert (found.change, found.needs_confirmation) == (CardChange.RENEWAL, False)
    assert found.differences() == (
        ("organisation", "Globex GmbH", "Globex AG"),
        ("TLS certificate", "old one", "new one"),
    )
    with peer.store.transaction() as tx:
        (row,) = tx.partners.list()
    assert (row.name, row.serial, row.pin) == ("Globex AG", 2, found.pin)


def test_the_same_card_again_changes_nothing(peer: Peer) -> None:
    data = card()
    add(peer, data)
    found = add(peer, data)
    assert (found.change, found.needs_confirmation) == (CardChange.UNCHANGED, False)


def test_an_older_card_is_refused(peer: Peer) -> None:
    add(peer, card(serial=2))
    assert "older card of Globex GmbH: number 1, while 2 is known" in refused(peer, card(serial=1)).message


def test_another_card_with_the_same_number_is_refused(peer: Peer) -> None:
    add(peer, card())
    assert "says something else" in refused(peer, card(organisation="Globex AG")).message


@pytest.mark.parametrize("name", ["Globex GmbH", "GLOBEX  gmbh", "Ｇlobex GmbH"])
def test_another_key_under_a_known_partners_name_is_refused(peer: Peer, name: str) -> None:
    add(peer, card())
    error = refused(peer, card(OTHER, organisation=name, tls_key=TLS_KEYS[2]))
    assert "already a partner, under another key" in error.message
    assert error.hint is not None
    assert "partner remove" in error.hint


def test_a_renewal_cannot_take_another_partners_name(peer: Peer) -> None:
    add(peer, card())
    add(peer, card(OTHER, organisation="Initech", tls_key=TLS_KEYS[2]))
    error = refused(peer, card(OTHER, serial=2, organisation="Globex GmbH", tls_key=TLS_KEYS[3]))
    assert "already a partner" in error.message


def test_another_key_with_a_known_partners_tls_key_is_refused(peer: Peer) -> None:
    add(peer, card())
    error = refused(peer, card(OTHER, organisation="Initech", tls_key=TLS_KEYS[1]))
    assert "has the TLS key of Globex GmbH" in error.message


def test_the_own_card_is_refused(peer: Peer) -> None:
    assert "your own card" in refused(peer, peer.home.card.read_bytes()).message
    assert "your own card" in refused(peer, card(OTHER, tls_key=peer.tls_key)).message


def test_a_removed_partner_comes_back_only_with_a_new_confirmation(peer: Peer) -> None:
    cards = {serial: card(serial=serial) for serial in (1, 2, 3)}
    add(peer, cards[2])
    with peer.store.transaction() as tx:
        removed = remove_partner(tx, find_partner(tx, "globex"), NOW)
        assert removed.removed_at == NOW
        assert tx.partners.by_pin(removed.pin) is None
    for serial in (2, 3):
        found = review(peer, cards[serial])
        assert (found.change, found.needs_confirmation, found.returning) == (CardChange.NEW, True, True)
    refused(peer, cards[1])
    add(peer, cards[3])
    with peer.store.transaction() as tx:
        assert find_partner(tx, "globex").removed_at is None


def test_after_removal_a_new_key_can_take_the_name(peer: Peer) -> None:
    add(peer, card())
    with peer.store.transaction() as tx:
        remove_partner(tx, find_partner(tx, "globex"), NOW)
    assert add(peer, card(OTHER)).change is CardChange.NEW


def test_an_expired_card_is_refused(peer: Peer) -> None:
    late = NOW + timedelta(days=400)
    with peer.store.transaction() as tx, pytest.raises(MutualsError, match="expired"):
        review_card(tx, card(), own=peer.card.card, now=late)


def test_a_partner_is_found_by_name_by_the_beginning_of_it_and_by_fingerprint(peer: Peer) -> None:
    add(peer, card(organisation="Globex"))
    add(peer, card(OTHER, organisation="Globex Retail", tls_key=TLS_KEYS[2]))
    hexes = [key.public.fingerprint.hex() for key in (GLOBEX, OTHER)]
    with peer.store.transaction() as tx:
        assert find_partner(tx, "globex").name == "Globex"
        assert find_partner(tx, "globex r").name == "Globex Retail"
        assert find_partner(tx, hexes[1][:4].upper()).name == "Globex Retail"
        assert find_partner(tx, hexes[0]).name == "Globex"
        with pytest.raises(MutualsError, match="could be any of 2 partners: Globex") as caught:
            find_partner(tx, "glob")
        assert caught.value.code is ErrorCode.USAGE
        for name in ("initech", "", hexes[0][:3]):
            with pytest.raises(MutualsError, match="There is no partner"):
                find_partner(tx, name)


def test_a_stored_card_that_was_tampered_with_is_noticed(peer: Peer) -> None:
    add(peer, card())
    swapped = card(OTHER)
    with peer.store.transaction() as tx:
        row = find_partner(tx, "globex")
    with pytest.raises(MutualsError, match="another peer's"):
        partner_card(replace(row, signed_card=swapped))


def test_the_card_is_signed_over_its_context() -> None:
    signed = SignedCard.model_validate_json(card())
    GLOBEX.public.verify(frame(Context.CARD, canonical_json(signed.card)), bytes.fromhex(signed.signature))
