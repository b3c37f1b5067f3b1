"""Partners, operators, keys, sources, agreements and the two boxes of documents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store.samples import DAY, NOW, agreement, furnish, hexed, letter, operator, partner

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import AgreementState, Side
from mutuals.store.database import Store
from mutuals.store.rows import SourceRow, StatementRow


def test_a_partner_comes_back_as_it_was_put(store: Store) -> None:
    with store.transaction() as tx:
        tx.partners.put(partner())
    with store.transaction() as tx:
        assert tx.partners.get(hexed("Globex")) == partner()
        assert tx.partners.by_pin(partner().pin) == partner()
        assert tx.partners.get(hexed("nobody")) is None


def test_a_renewed_card_replaces_the_old_one_and_its_pin(store: Store) -> None:
    renewed = replace(partner(), serial=2, pin=b"n" * 32)
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.partners.put(renewed)
        assert tx.partners.list() == [renewed]
        assert tx.partners.by_pin(partner().pin) is None


def test_a_removed_partner_is_found_by_fingerprint_only(store: Store) -> None:
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.partners.remove(hexed("Globex"), NOW + DAY)
        tx.partners.remove(hexed("Globex"), NOW + 2 * DAY)
        removed = replace(partner(), removed_at=NOW + DAY)
        assert tx.partners.get(hexed("Globex")) == removed
        assert tx.partners.by_pin(partner().pin) is None
        assert tx.partners.find("Globex") == []
        assert tx.partners.list() == []
        assert tx.partners.list(include_removed=True) == [removed]


def test_a_partner_with_another_partners_tls_key_is_refused(store: Store) -> None:
    with store.transaction() as tx:
        tx.partners.put(partner())
        with pytest.raises(MutualsError, match="Globex") as refused:
            tx.partners.put(replace(partner("Copycat"), pin=partner().pin))
        assert refused.value.code is ErrorCode.PEER_IDENTITY
        assert tx.partners.list() == [partner()]


def test_a_tls_key_is_free_again_once_its_partner_is_removed(store: Store) -> None:
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.partners.remove(hexed("Globex"), NOW)
        tx.partners.put(replace(partner("Globex Europe"), pin=partner().pin))
        assert [row.name for row in tx.partners.list()] == ["Globex Europe"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("globex", ["Globex"]),  # the full name beats the beginning of "Globex Europe"
        ("glob", ["Globex", "Globex Europe"]),
        (" Initech ", ["Initech"]),
        (hexed("Initech")[:10].upper(), ["Initech"]),
        (hexed("Initech"), ["Initech"]),
        ("lobex", []),
        ("%", []),
        ("", []),
    ],
)
def test_partners_are_found_by_name_or_beginning(store: Store, typed: str, found: list[str]) -> None:
    with store.transaction() as tx:
        for name in ("Globex", "Globex Europe", "Initech"):
            tx.partners.put(partner(name))
        assert [row.name for row in tx.partners.find(typed)] == found


def test_an_operator_keeps_roles_and_keys_when_disabled(store: Store) -> None:
    with store.transaction() as tx:
        tx.operators.put(operator("bo"))
        tx.operators.put(operator())
        tx.operators.disable("bo", NOW)
        tx.operators.disable("bo", NOW + DAY)
        assert tx.operators.get("bo") == replace(operator("bo"), disabled_at=NOW)
        assert [row.name for row in tx.operators.list()] == ["ada", "bo"]
        assert tx.operators.get("cy") is None


def test_destroying_a_key_destroys_every_operators_copy_and_no_other_key(store: Store) -> None:
    with store.transaction() as tx:
        tx.operators.put(operator())
        tx.operators.put(operator("bo"))
        for subject, name in [("run:R-1", "ada"), ("run:R-1", "bo"), ("accountability", "ada")]:
            tx.keys.put_wrapped(subject, name, f"{subject} {name}".encode())
        tx.keys.put_wrapped("run:R-1", "ada", b"again")
        assert tx.keys.wrapped("run:R-1", "ada") == b"again"
        assert tx.keys.destroy("run:R-1") == 2
        assert tx.keys.destroy("run:R-1") == 0
        assert tx.keys.wrapped("run:R-1", "bo") is None
        assert tx.keys.wrapped("accountability", "ada") == b"accountability ada"


def test_sources_are_put_replaced_and_removed_by_name(store: Store) -> None:
    with store.transaction() as tx:
        tx.sources.put(SourceRow("crm", "{}", NOW))
        tx.sources.put(SourceRow("crm", '{"path":"ü.csv"}', NOW))
        tx.sources.put(SourceRow("archive", "{}", NOW))
        assert [row.name for row in tx.sources.list()] == ["archive", "crm"]
        assert tx.sources.get("crm") == SourceRow("crm", '{"path":"ü.csv"}', NOW)
        tx.sources.remove("crm")
        tx.sources.remove("crm")
        assert tx.sources.get("crm") is None


def test_an_agreement_is_bound_and_moves_through_its_states(store: Store) -> None:
    bound = replace(
        agreement(),
        state=AgreementState.ENDED,
        source="crm",
        mapping={"city": "Ort"},
        updated_at=NOW + DAY,
        reason="expired",
    )
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.agreements.put(agreement())
        tx.agreements.bind(hexed("Spring"), "crm", {"city": "Ort"})
        tx.agreements.set_state(hexed("Spring"), AgreementState.ENDED, NOW + DAY, "expired")
        assert tx.agreements.get(hexed("Spring")) == bound
        tx.agreements.set_state(hexed("Spring"), AgreementState.CLOSED, NOW + DAY)
        assert tx.agreements.list() == [replace(bound, state=AgreementState.CLOSED, reason=None)]


def test_an_unknown_agreement_cannot_change(store: Store) -> None:
    with store.transaction() as tx:
        with pytest.raises(MutualsError) as unknown:
            tx.agreements.set_state(hexed("Spring"), AgreementState.ENDED, NOW)
        assert unknown.value.code is ErrorCode.AGREEMENT_UNKNOWN
        with pytest.raises(MutualsError):
            tx.agreements.bind(hexed("Spring"), "crm", {})
        assert tx.agreements.get(hexed("Spring")) is None


def test_agreements_are_found_by_id_digest_or_beginning(store: Store) -> None:
    spring, autumn = agreement(), replace(agreement("Autumn"), created_at=NOW + DAY)
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.agreements.put(autumn)
        tx.agreements.put(spring)
        assert tx.agreements.find(spring.agreement_id.lower()) == [spring]
        assert tx.agreements.find(autumn.digest[:12]) == [autumn]
        assert tx.agreements.find("A-") == [spring, autumn]
        assert tx.agreements.find("") == tx.agreements.find("Z") == []


def test_each_side_makes_one_statement(store: Store) -> None:
    ours = StatementRow(hexed("Spring"), Side.PROPOSER, b"body", b"signature")
    theirs = StatementRow(hexed("Spring"), Side.PARTNER, b"body", b"signature")
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.agreements.put(agreement())
        for row in (ours, theirs, ours):
            tx.agreements.add_statement(row)
        with pytest.raises(MutualsError, match="already carries a statement of the proposer"):
            tx.agreements.add_statement(replace(ours, signature=b"other"))
        assert tx.agreements.statements(hexed("Spring")) == [theirs, ours]


def test_documents_wait_in_the_order_they_were_added_until_delivered(store: Store) -> None:
    with store.transaction() as tx:
        tx.partners.put(partner())
        tx.partners.put(partner("Initech"))
        for name in ("first", "second", "first"):
            tx.outbox.enqueue(letter(name))
        tx.outbox.enqueue(letter("other", "Initech"))
        assert tx.outbox.pending(hexed("Globex")) == [letter("first"), letter("second")]
        assert tx.outbox.pending() == [letter("first"), letter("second"), letter("other", "Initech")]
        tx.outbox.delivered(hexed("first"), b"receipt", NOW)
        tx.outbox.delivered(hexed("first"), b"another", NOW + DAY)
        tx.outbox.enqueue(letter("first"))
        assert tx.outbox.pending(hexed("Globex")) == [letter("second")]


def test_a_document_seen_before_gets_the_same_receipt(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx)
        assert tx.inbox.seen(hexed("a")) is None
        tx.inbox.record(hexed("a"), hexed("Globex"), "proposal", b"receipt", NOW)
        tx.inbox.record(hexed("a"), hexed("Globex"), "proposal", b"another", NOW)
        assert tx.inbox.seen(hexed("a")) == b"receipt"
