"""Certificates that rotate: over real TLS, both ways, with what is refused during it and after it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import grpc
import pytest
from support.companies import QUICK, Company, MakeCompany, set_up

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import SigningKey
from mutuals.crypto.tls import issue_certificate
from mutuals.documents import sign_document, take_document
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.cards import issue_card, parse_card, tls_pin
from mutuals.identity.initialise import renew_card
from mutuals.peer import Peer
from mutuals.protocol.messages import Document, Receipt
from mutuals.rotation import (
    CARD,
    LONGEST_OVERLAP,
    SETTLED_AFTER,
    Has,
    Rotation,
    keep_rotation,
    renew,
    rotation,
)
from mutuals.transport import credentials
from mutuals.transport.connection import PartnerConnection
from mutuals.transport.credentials import PartnerTrust, channel_credentials, own_pairs, server_name
from mutuals.transport.options import channel_options
from mutuals.transport.sync import sync_partner
from mutuals.transport.wire import MATCH, PING, Ping
from mutuals_server.housekeeping import Housekeeping
from mutuals_server.log import ServerLog

WEEK = timedelta(days=7)
OVER = WEEK + timedelta(seconds=10)
Pair = tuple[Company, Company]


def test_a_server_shows_each_caller_the_certificate_of_the_card_it_has(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as before:
        before.ping()
        assert renew(acme.peer, overlap=WEEK).card.serial == 2
        before.ping()
        with beta.call(acme) as old:
            old.ping()
            assert sync_partner(beta.peer, old).received == 1
        assert beta.partner(acme).serial == 2
        with beta.call(acme) as new:
            assert new.ping().pong.your_card == 1
        with beta.call(acme) as new:
            new.ping()
        before.ping()
        assert standing(acme) == ["yes"]


def test_a_caller_shows_each_partner_the_certificate_that_it_knows(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as before:
        before.ping()
        renew(beta.peer, overlap=WEEK)
        assert standing(beta) == ["not yet"]
        with beta.call(acme) as connection:
            assert shown(connection) == tls_pin(beta.peer.card.card.tls_certificate)
            assert sync_partner(beta.peer, connection).delivered == 1
            beta.clock.now += SETTLED_AFTER
            connection.renew()
            assert shown(connection) != tls_pin(beta.peer.card.card.tls_certificate)
            connection.ping()
        before.ping()
        beta.clock.now += OVER
        acme.clock.now += OVER
        assert refusal(before).code is ErrorCode.PEER_IDENTITY
        with beta.call(acme) as connection:
            connection.ping()


def test_after_the_overlap_the_old_key_is_gone_and_opens_nothing(pair: Pair) -> None:
    acme, beta = pair
    key = beta.peer.tls_key.decode()
    stolen = own_pairs(beta.peer)[0]
    renew(beta.peer, overlap=WEEK)
    kept = beta.peer.home.earlier_tls
    assert key in json.loads(kept.read_text())["pairs"][0]["key"]
    assert kept.stat().st_mode & 0o777 == 0o600
    with acme.serving(), beta.call(acme) as connection:
        sync_partner(beta.peer, connection)
        with thief(beta, acme, stolen) as channel:
            ping(channel)
            for company in pair:
                company.clock.now += OVER
            assert code_of(channel) is grpc.StatusCode.PERMISSION_DENIED
        with thief(beta, acme, stolen) as channel:
            assert code_of(channel) in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE)
    assert keep_rotation(beta.peer).destroyed
    assert not kept.exists()
    keep_rotation(acme.peer)
    assert acme.partner(beta).previous_certificate is None
    with beta.peer.store.transaction() as tx:
        assert [entry.event for entry in tx.log.entries(None)][-2:] == ["card.renewed", "card.retired"]


def test_a_stolen_key_opens_nothing_from_the_moment_the_partner_knows(pair: Pair) -> None:
    acme, beta = pair
    stolen = own_pairs(beta.peer)[0]
    with acme.serving(), thief(beta, acme, stolen) as channel:
        call: Any = channel.stream_stream(MATCH.path)
        stream = call(iter_never(), timeout=QUICK.idle)
        ping(channel)
        renew(beta.peer, overlap=WEEK, stolen=True)
        ping(channel)
        with beta.call(acme) as connection:
            assert sync_partner(beta.peer, connection).delivered == 1
            connection.ping()
        assert code_of(channel) is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.RpcError) as ended:  # housekeeping has looked since the card came
            next(stream)
        assert ended.value.code() is grpc.StatusCode.CANCELLED
    assert keep_rotation(beta.peer).destroyed
    assert not beta.peer.home.earlier_tls.exists()


def test_a_card_imported_by_hand_during_a_rotation_is_found_out(pair: Pair) -> None:
    acme, beta = pair
    renew(beta.peer, overlap=WEEK)
    with Peer.open(beta.peer.home.root, beta.clock) as renewed:
        acme.knows(Company(renewed, beta.clock))
    with acme.serving(), beta.call(acme) as connection:
        assert sync_partner(beta.peer, connection).delivered == 1
    assert standing(beta) == ["yes"]


def test_a_renewal_during_a_rotation_keeps_the_certificate_that_is_being_introduced(pair: Pair) -> None:
    acme, beta = pair
    first = renew(beta.peer, overlap=WEEK)
    second = renew(beta.peer, overlap=WEEK)
    assert (second.card.serial, second.card.tls_certificate) == (3, first.card.tls_certificate)
    with acme.serving(), beta.call(acme) as connection:
        assert sync_partner(beta.peer, connection).delivered == 2
        connection.ping()
    assert acme.partner(beta).previous_certificate == beta.peer.card.card.tls_certificate
    third = renew(beta.peer, overlap=WEEK, stolen=True)
    assert third.card.tls_certificate != second.card.tls_certificate
    with Peer.open(beta.peer.home.root, beta.clock) as renewed:
        assert [one.serial for one in renewed.earlier] == [1, 3]


def test_a_renewal_cut_short_leaves_the_old_identity(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _, beta = pair

    def cut(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mutuals.identity.initialise.card_bytes", cut)
    with pytest.raises(MutualsError, match="cannot be written"):
        renew(beta.peer, overlap=WEEK)
    monkeypatch.undo()
    assert beta.peer.home.earlier_tls.exists()
    with Peer.open(beta.peer.home.root, beta.clock) as after:
        assert (after.card, after.tls_key, after.earlier) == (beta.peer.card, beta.peer.tls_key, ())
    assert keep_rotation(beta.peer).due is None
    assert renew(beta.peer, overlap=WEEK).card.serial == 2


def test_documents_that_a_renewal_cut_short_left_out_are_made_up_for(pair: Pair) -> None:
    _, beta = pair
    renew(beta.peer, overlap=WEEK)
    with beta.peer.store.transaction() as tx:
        told = [row.body for row in tx.outbox.pending()]
    keep_rotation(beta.peer)
    with beta.peer.store.transaction() as tx:
        assert [row.body for row in tx.outbox.pending()] == told
        tx.outbox._table.delete()
    keep_rotation(beta.peer)
    with beta.peer.store.transaction() as tx:
        assert [row.body for row in tx.outbox.pending()] == told


def test_the_server_renews_by_itself_before_the_certificate_ends(pair: Pair) -> None:
    acme, _ = pair
    log = ServerLog(acme.clock, acme.peer.home.log / "server.log", stderr=False)
    housekeeping = Housekeeping(acme.peer, log)
    assert housekeeping._keep_certificate() is None
    acme.clock.now += timedelta(days=366)  # of 396
    due = housekeeping._keep_certificate()
    assert due == pytest.approx(WEEK.total_seconds(), abs=1)
    assert [line["event"] for line in acme.log_lines()] == ["card_renewed"]
    assert standing(acme) == ["not yet"]
    housekeeping._keep_certificate()
    assert len(acme.log_lines()) == 1, "and once only"
    acme.clock.now += OVER
    housekeeping._keep_certificate()
    assert [line["event"] for line in acme.log_lines()][1:] == ["card_retired"]


# What a partner may send


def test_a_card_of_a_partner_is_taken_once_and_an_old_one_never(pair: Pair) -> None:
    acme, beta = pair
    documents = []
    for _ in range(2):
        renew(beta.peer, overlap=WEEK)
        beta.clock.now += timedelta(seconds=1)
    with beta.peer.store.transaction() as tx:
        documents = [Document(row.kind, row.body, row.signature) for row in tx.outbox.pending()]
    assert taken(acme, beta, documents[1]).accepted
    assert taken(acme, beta, documents[1]).accepted
    assert taken(acme, beta, documents[0]).reason == "PEER_IDENTITY"
    assert acme.partner(beta).serial == 3


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Acme, and Beta, whose card is to be taken; for all attacks together, since none may change anything."""
    root = tmp_path_factory.mktemp("attacks")
    acme, beta, carl = (set_up(root / name[:4], name) for name in ("Acme Ltd", "Beta SA", "Carl GmbH"))
    acme.knows(beta)
    acme.knows(carl)
    return acme, beta


def attacks(acme: Company, beta: Company) -> dict[str, tuple[Any, str]]:
    """Bodies by name, each with the reason of its refusal; made from one that would be taken."""
    peer = beta.peer
    until = (beta.clock() + WEEK).strftime("%Y-%m-%dT%H:%M:%SZ")

    def body(key: SigningKey = peer.signing_key, **changes: Any) -> dict[str, Any]:
        card = peer.card.card.model_copy(update={"serial": 2} | changes)
        signature = key.sign(frame(Context.CARD, canonical_json(card))).hex()
        sent = {"card": card.model_dump(mode="json"), "signature": signature}
        return sent | {"to": acme.peer.fingerprint.hex(), "until": until}

    other = SigningKey.generate()
    forger = issue_card(peer.config, other, peer.log_key.public, peer.tls_certificate, 2, beta.clock())
    good = body()
    return {
        "nothing": ({}, "BAD_MESSAGE"),
        "not canonical": (b" " + canonical_json(good), "BAD_MESSAGE"),
        "no JSON": (b"\x00" * 100, "BAD_MESSAGE"),
        "nested": (b"[" * 100_000, "BAD_MESSAGE"),
        "a key too many": (good | {"more": 1}, "BAD_MESSAGE"),
        "for somebody else": (good | {"to": "0" * 64}, "BAD_MESSAGE"),
        "until no time": (good | {"until": "soon"}, "BAD_MESSAGE"),
        "until a local time": (good | {"until": until[:-1]}, "BAD_MESSAGE"),
        "serial too large": (good | {"card": good["card"] | {"serial": 2**40}}, "BAD_MESSAGE"),
        "changed after signing": (good | {"card": good["card"] | {"serial": 3}}, "PEER_IDENTITY"),
        "another signing key": (good | forger.model_dump(mode="json"), "PEER_IDENTITY"),
        "signed by another key": (body(key=other), "PEER_IDENTITY"),
        "the same serial, something else": (body(serial=1, introduction="hello"), "PEER_IDENTITY"),
        "another log key": (body(log_key=other.public.raw.hex()), "PEER_IDENTITY"),
        "another name": (body(organisation="Beta Bank"), "PEER_IDENTITY"),
        "another partner's name": (body(organisation="Carl GmbH"), "PEER_IDENTITY"),
        "our certificate": (body(tls_certificate=acme.peer.card.card.tls_certificate), "PEER_IDENTITY"),
        "a card as the other end has it": (good | acme.peer.card.model_dump(mode="json"), "PEER_IDENTITY"),
        "an endpoint that is none": (body(endpoint="http://beta"), "PEER_IDENTITY"),
        "invisible characters": (body(introduction="a\u202eb"), "PEER_IDENTITY"),
    }


NAMES = [
    "nothing", "not canonical", "no JSON", "nested", "a key too many", "for somebody else", "until no time",
    "until a local time", "serial too large", "changed after signing", "another signing key",
    "signed by another key", "the same serial, something else", "another log key", "another name",
    "another partner's name", "our certificate", "a card as the other end has it", "an endpoint that is none",
    "invisible characters",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_crafted_card_is_refused(companies: Pair, name: str) -> None:
    acme, beta = companies
    found = attacks(acme, beta)
    assert list(found) == NAMES
    body, reason = found[name]
    data = body if isinstance(body, bytes) else canonical_json(body)
    signature = beta.peer.signing_key.sign(frame(Context.DOCUMENT, CARD, data))
    before = acme.partner(beta)
    receipt = taken(acme, beta, Document(CARD, data, signature))
    assert (receipt.accepted, receipt.reason) == (False, reason)
    assert acme.partner(beta) == before


def test_an_overlap_without_end_is_cut(pair: Pair) -> None:
    acme, beta = pair
    renew(beta.peer, overlap=WEEK)
    with beta.peer.store.transaction() as tx:
        body = parse_canonical(tx.outbox.pending()[0].body)
    assert taken(
        acme, beta, sign_document(beta.peer, CARD, body | {"until": "9999-12-31T23:59:59Z"})
    ).accepted
    assert acme.partner(beta).previous_until == acme.clock() + LONGEST_OVERLAP


def test_a_thief_of_the_old_key_cannot_lock_the_partner_out_with_it(pair: Pair, company: MakeCompany) -> None:
    """A card of the thief's own with the partner's old TLS key would make the two hard to tell apart."""
    acme, beta = pair
    carl = company("Carl GmbH")
    old = beta.peer.tls_key
    renew(beta.peer, overlap=WEEK)
    with acme.serving(), beta.call(acme) as connection:
        sync_partner(beta.peer, connection)
    certificate = issue_certificate(old, carl.peer.fingerprint, carl.clock())
    carl.peer.card = issue_card(
        carl.peer.config, carl.peer.signing_key, carl.peer.log_key.public, certificate, 1, carl.clock()
    )
    with pytest.raises(MutualsError, match="TLS key of Beta SA"):
        acme.knows(carl)


def test_a_plain_renewal_keeps_no_earlier_key(pair: Pair) -> None:
    _, beta = pair
    peer = beta.peer
    signed = renew_card(
        peer.home, peer.config, signing_key=peer.signing_key, previous=peer.card, now=beta.clock()
    )
    assert parse_card(peer.home.card.read_bytes()) == signed
    assert not peer.home.earlier_tls.exists()


def standing(company: Company) -> list[str]:
    """Which partners have the present card."""
    with Peer.open(company.peer.home.root, company.clock) as fresh, fresh.store.transaction() as tx:
        found = rotation(tx, fresh)
    assert isinstance(found, Rotation)
    assert found.arrived == sum(has is Has.YES for _, has in found.partners)
    return [has.value for _, has in found.partners]


def shown(connection: PartnerConnection) -> bytes:
    """The pin of the certificate that this side shows."""
    pair = connection._line._pair
    assert pair is not None
    return tls_pin(pair.certificate.decode())


def taken(receiver: Company, sender: Company, document: Document) -> Receipt:
    """What the receiver answers."""
    return take_document(receiver.peer, receiver.partner(sender), document)


def thief(owner: Company, server: Company, pair: Any) -> grpc.Channel:
    """A channel of somebody who has a key of the owner's."""
    card = server.peer.card.card
    return grpc.secure_channel(
        server.endpoint,
        channel_credentials(owner.peer, card, pair),
        channel_options(server_name(card), local=True),
    )


def ping(channel: grpc.Channel) -> None:
    call: Any = channel.unary_unary(PING.path)
    call(PING.request.encode(Ping()), timeout=QUICK.unary)


def code_of(channel: grpc.Channel) -> grpc.StatusCode:
    """The status of a call that must fail."""
    with pytest.raises(grpc.RpcError) as failed:
        ping(channel)
    code: grpc.StatusCode = failed.value.code()
    return code


def refusal(connection: PartnerConnection) -> MutualsError:
    with pytest.raises(MutualsError) as refused:
        connection.ping()
    return refused.value


def iter_never() -> Any:
    """Requests that never come."""
    threading.Event().wait(QUICK.idle)
    yield b""


# The server's look at its partners


def test_a_look_that_takes_long_holds_nobody_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, beta = pair
    trust = PartnerTrust(acme.peer)
    trust.load()
    free, looking = threading.Event(), threading.Event()
    honest = PartnerTrust._roots

    def slowly(self: PartnerTrust) -> bytes:
        looking.set()
        assert free.wait(30)
        return honest(self)

    monkeypatch.setattr(PartnerTrust, "_roots", slowly)
    monkeypatch.setattr(credentials, "PATIENCE_SECONDS", 0)
    acme.forgets(beta)
    trust._looked_at -= credentials.REFRESH_SECONDS
    assert trust.fetch() is None, "gave up waiting"
    assert looking.wait(30)
    assert trust.fetch() is None, "waits for nobody"
    under_way = trust._looking
    assert under_way is not None
    free.set()
    assert under_way.wait(30)
    assert trust.fetch() is not None
    assert trust.fetch() is None, "the server has it"


def test_a_look_that_fails_leaves_what_was(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, _ = pair
    trust = PartnerTrust(acme.peer)
    trust.load()

    def broken(_: PartnerTrust) -> bytes:
        raise MutualsError(ErrorCode.LOCAL, "The store is broken.")

    monkeypatch.setattr(PartnerTrust, "_roots", broken)
    trust.look_again()
    assert trust.fetch() is None
    monkeypatch.undo()
    trust.look_again()
    acme.forgets(pair[1])
    assert trust.fetch() is not None
