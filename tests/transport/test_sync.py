"""Documents reach the partner over whichever side can call, once, whatever breaks in between."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from support.companies import Company

import mutuals.documents
import mutuals.transport.sync as sync_module
from mutuals.documents import (
    enqueue,
    make_receipt,
    parse_receipt,
    sign_document,
    verify_receipt,
)
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.partners import partner_key
from mutuals.protocol.messages import Document
from mutuals.store.outbox import Outbox
from mutuals.store.rows import OutboxRow
from mutuals.transport.connection import PartnerConnection
from mutuals.transport.sync import answer_sync, sync_partner
from mutuals.transport.wire import SyncMessage
from mutuals_client.delivery import try_sync

Pair = tuple[Company, Company]

taken: list[tuple[str, bytes]] = []


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of document that is only noted; and one that the receiver refuses."""
    taken.clear()

    def note(_tx: Any, peer: Any, _partner: Any, body: bytes) -> None:
        taken.append((peer.name, body))

    def refuse(_tx: Any, _peer: Any, _partner: Any, _body: bytes) -> None:
        raise PartnerFault(ErrorCode.AGREEMENT_UNKNOWN, "Never heard of it.")

    handlers = {**mutuals.documents.HANDLERS, "letter": note, "nonsense": refuse}
    monkeypatch.setattr(mutuals.documents, "HANDLERS", handlers)


def write(sender: Company, receiver: Company, count: int, kind: str = "letter", size: int = 1) -> None:
    """Put documents into the sender's outbox."""
    for number in range(count):
        document = sign_document(sender.peer, kind, {"number": number, "padding": "x" * size})
        with sender.peer.store.transaction() as tx:
            enqueue(tx, sender.peer, receiver.peer.fingerprint.hex(), document)


def waiting(sender: Company) -> list[OutboxRow]:
    with sender.peer.store.transaction() as tx:
        return tx.outbox.pending()


def test_one_call_delivers_both_ways_though_only_one_side_can_be_called(pair: Pair) -> None:
    acme, beta = pair
    write(acme, beta, 3)
    write(beta, acme, 2)
    with acme.serving(), beta.call(acme) as connection:
        done = sync_partner(beta.peer, connection)
    assert (done.delivered, done.refused, done.received) == (2, 0, 3)
    assert waiting(acme) == waiting(beta) == []
    assert sorted(name for name, _ in taken) == ["Acme Ltd"] * 2 + ["Beta SA"] * 3


def test_documents_arrive_in_the_order_they_were_signed(pair: Pair) -> None:
    acme, beta = pair
    write(acme, beta, 40)
    write(beta, acme, 40)
    sent = {"Beta SA": [row.body for row in waiting(acme)], "Acme Ltd": [row.body for row in waiting(beta)]}
    with acme.serving(), beta.call(acme) as connection:
        sync_partner(beta.peer, connection)
    for name, bodies in sent.items():
        assert [body for receiver, body in taken if receiver == name] == bodies


def test_many_large_documents_go_in_messages_of_bounded_size(pair: Pair) -> None:
    acme, beta = pair
    write(acme, beta, 8, size=300_000)
    write(beta, acme, 8, size=300_000)
    with acme.serving(), beta.call(acme) as connection:
        done = sync_partner(beta.peer, connection)
    assert (done.delivered, done.received) == (8, 8)


def test_receipts_are_kept_and_show_the_partners_signature(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta = pair
    write(beta, acme, 1)
    (row,) = waiting(beta)
    kept: list[bytes] = []
    real = Outbox.delivered

    def keep(outbox: Outbox, document_id: str, receipt: bytes, at: datetime) -> None:
        kept.append(receipt)
        real(outbox, document_id, receipt, at)

    monkeypatch.setattr(Outbox, "delivered", keep)
    with acme.serving(), beta.call(acme) as connection:
        sync_partner(beta.peer, connection)
    receipt = parse_receipt(kept[0])
    verify_receipt(partner_key(beta.partner(acme)), receipt)
    assert receipt.accepted
    assert receipt.document.hex() == row.document_id


def test_a_refused_document_is_delivered_and_counted(pair: Pair) -> None:
    acme, beta = pair
    write(beta, acme, 1, kind="nonsense")
    with acme.serving(), beta.call(acme) as connection:
        done = sync_partner(beta.peer, connection)
    assert (done.delivered, done.refused) == (1, 1)
    assert waiting(beta) == []


def test_a_document_of_an_unknown_kind_stays_in_the_outbox_and_holds_up_no_other(pair: Pair) -> None:
    acme, beta = pair
    write(beta, acme, 1, kind="novelty")
    write(beta, acme, 1)
    with acme.serving(), beta.call(acme) as connection:
        done = sync_partner(beta.peer, connection)
    assert (done.delivered, done.refused) == (1, 0)
    assert len(waiting(beta)) == 1


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_broken_call_loses_nothing_and_doubles_nothing(pair: Pair, lost: str) -> None:
    acme, beta = pair
    write(acme, beta, 2)
    write(beta, acme, 2)
    with acme.serving():
        with beta.call(acme) as connection:
            breaking(connection, lost)
            with pytest.raises(MutualsError):
                sync_partner(beta.peer, connection)
        with beta.call(acme) as connection:
            sync_partner(beta.peer, connection)
    assert waiting(acme) == waiting(beta) == []
    assert len(taken) == len(set(taken)) == 4


def breaking(connection: PartnerConnection, lost: str) -> None:
    """The first call breaks, before or after it reached the partner."""
    real = connection.sync

    def broken(message: SyncMessage) -> SyncMessage:
        if lost == "answer":
            real(message)
        raise MutualsError(ErrorCode.UNREACHABLE, "The line broke.")

    connection.sync = broken  # type: ignore[method-assign]


def test_a_document_that_cannot_be_taken_now_holds_up_no_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta = pair
    write(acme, beta, 3)
    write(beta, acme, 3)
    bad = {waiting(acme)[0].body, waiting(beta)[0].body}
    real = sync_module.take_document

    def fail(peer: Any, partner: Any, document: Document) -> Any:
        if document.body in bad:
            raise MutualsError(ErrorCode.LOCAL, "The disk is full.")
        return real(peer, partner, document)

    monkeypatch.setattr(sync_module, "take_document", fail)
    with acme.serving(), beta.call(acme) as connection:
        done = sync_partner(beta.peer, connection)
        assert (done.delivered, done.received, done.problems) == (2, 2, ("The disk is full.",))
        bad.clear()
        done = sync_partner(beta.peer, connection)
    assert (done.delivered, done.received, done.problems) == (1, 1, ())
    assert [line["event"] for line in acme.log_lines() if line["event"] != "call"] == ["document_failed"] * 1


def test_a_receipt_somebody_else_signed_delivers_nothing(pair: Pair) -> None:
    acme, beta = pair
    write(acme, beta, 1)
    (row,) = waiting(acme)
    forged = make_receipt(acme.peer.signing_key, bytes.fromhex(row.document_id), accepted=True)
    with pytest.raises(PartnerFault):
        answer_sync(acme.peer, acme.partner(beta), SyncMessage((), (forged,)), lambda error: None)
    assert len(waiting(acme)) == 1


def test_a_receipt_for_nothing_we_sent_is_ignored(pair: Pair) -> None:
    acme, beta = pair
    stray = make_receipt(beta.peer.signing_key, bytes(32), accepted=True)
    answer = answer_sync(acme.peer, acme.partner(beta), SyncMessage((), (stray,)), lambda error: None)
    assert answer == SyncMessage()


def test_documents_for_others_are_not_handed_over(pair: Pair, company: Any) -> None:
    acme, beta = pair
    carl = company("Carl GmbH", reachable=False)
    acme.knows(carl)
    write(acme, carl, 1)
    with acme.serving(), beta.call(acme) as connection:
        assert sync_partner(beta.peer, connection).received == 0
    assert len(waiting(acme)) == 1


def test_trying_to_deliver_tells_how_it_went(pair: Pair) -> None:
    acme, beta = pair
    write(beta, acme, 1)
    assert "1 document waits" in try_sync(beta.peer, beta.partner(acme))
    with acme.serving():
        assert try_sync(beta.peer, beta.partner(acme)) == "Delivered to Acme Ltd."
    write(acme, beta, 2)
    told = try_sync(acme.peer, acme.partner(beta))
    assert "has no endpoint" in told
    assert "2 documents wait" in told
