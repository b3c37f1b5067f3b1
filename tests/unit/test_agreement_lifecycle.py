"""Two peers propose, accept and reject; documents are handed over by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from support.agreements import FIELD_MAP, Pair, make_agreement, make_homes, open_copy
from support.assessed import accept, propose, sign_off
from support.homes import NOW, PASSPHRASE

from mutuals.agreement import lifecycle
from mutuals.agreement.document import agreement_bytes, agreement_digest, agreement_id
from mutuals.agreement.lifecycle import find_agreement, load_active, reject
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.documents import sign_document, take_document
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.appointment import DISABLED, log_appointment
from mutuals.identity.cards import card_bytes
from mutuals.identity.home import Kdf
from mutuals.identity.initialise import renew_card
from mutuals.identity.operators import create_operator, unlock
from mutuals.identity.partners import add_partner, review_card
from mutuals.models.agreement import Agreement, AgreementState, Permission, Side
from mutuals.runs import signing
from mutuals.runs.mandates import grant_standing_mandate


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_homes(tmp_path_factory.mktemp("homes"))


@pytest.fixture
def pair(homes: tuple[Path, Path], tmp_path: Path) -> Iterator[Pair]:
    with open_copy(homes, tmp_path) as pair:
        yield pair


def propose_one(pair: Pair, **changes: object) -> str:
    agreement = make_agreement(pair.acme.card, pair.globex.card)
    agreement = Agreement.model_validate(agreement.model_dump() | changes)
    return propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)


def states(pair: Pair, digest: str) -> tuple[AgreementState, AgreementState]:
    with pair.acme.tx() as tx:
        own = tx.agreements.get(digest)
    with pair.globex.tx() as tx:
        theirs = tx.agreements.get(digest)
    assert own is not None
    assert theirs is not None
    return own.state, theirs.state


def test_both_sides_hold_the_same_document_and_two_statements(pair: Pair) -> None:
    digest = propose_one(pair)
    assert [receipt.accepted for receipt in pair.deliver()] == [True]
    assert states(pair, digest) == (AgreementState.PROPOSED, AgreementState.PROPOSED)
    accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    assert [receipt.accepted for receipt in pair.deliver()] == [True]
    assert states(pair, digest) == (AgreementState.ACTIVE, AgreementState.ACTIVE)
    held = []
    for company in (pair.acme, pair.globex):
        with company.tx() as tx:
            row = tx.agreements.get(digest)
            assert row is not None
            held.append((row.document, tx.agreements.statements(digest)))
            active = load_active(tx, row.agreement_id, NOW, own=company.peer.fingerprint.hex())
            assert active.digest == digest
            assert active.source == "crm"
    assert held[0] == held[1]
    assert len(held[0][1]) == 2
    assert agreement_digest(held[0][0]) == digest
    assert active.own_side is Side.PARTNER
    assert active.mapping == {"city": "city", "lifetime_value": "Lifetime value"}
    assert active.partner_fingerprint == pair.acme.peer.fingerprint.hex()


def test_everything_may_be_done_twice(pair: Pair) -> None:
    agreement = make_agreement(pair.acme.card, pair.globex.card)
    digest = propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)
    assert propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys) == digest
    documents = pair.acme.outgoing()
    assert len(documents) == 1
    receipts = [take_document(pair.globex.peer, pair.globex.partner(), documents[0]) for _ in range(2)]
    assert receipts[0] == receipts[1]
    for _ in range(2):
        accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    documents = pair.globex.outgoing()
    assert len(documents) == 1
    receipts = [take_document(pair.acme.peer, pair.acme.partner(), documents[0]) for _ in range(2)]
    assert receipts[0].accepted
    assert receipts[0] == receipts[1]
    assert states(pair, digest) == (AgreementState.ACTIVE, AgreementState.ACTIVE)
    with pair.acme.tx() as tx:
        assert [entry.event for entry in tx.log.entries(digest)] == [
            "agreement.proposed",
            "agreement.acceptance-received",
        ]


def test_the_same_is_not_proposed_twice_while_it_stands(pair: Pair) -> None:
    digest = propose_one(pair)
    with pytest.raises(MutualsError) as caught:
        propose_one(pair)
    assert caught.value.code is ErrorCode.USAGE
    assert f"agreement {agreement_id(digest)} is proposed" in caught.value.message
    assert len(pair.acme.outgoing()) == 1
    other = propose_one(pair, title="Another")
    pair.deliver()
    accept(pair.globex.peer, other, "crm", FIELD_MAP, pair.globex.keys)
    reject(pair.globex.peer, digest, "No.", pair.globex.keys)
    pair.deliver()
    with pytest.raises(MutualsError) as caught:
        propose_one(pair, title="Another")
    assert "is active" in caught.value.message
    assert propose_one(pair) != digest  # what was rejected may be proposed anew


def renamed(agreement: Agreement, side: Side, name: str) -> Agreement:
    parties = agreement.parties
    party = agreement.party(side).model_copy(update={"organisation": name})
    return agreement.model_copy(update={"parties": parties.model_copy(update={side.value: party})})


@pytest.mark.parametrize("side", list(Side))
def test_nobody_signs_under_another_name_than_on_its_card(
    pair: Pair, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = renamed(make_agreement(pair.acme.card, pair.globex.card), side, "Evil Corp")
    with pytest.raises(MutualsError) as caught:
        propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)
    assert caught.value.code is ErrorCode.USAGE
    assert f"calls the {side.value} “Evil Corp”" in caught.value.message
    monkeypatch.setattr(lifecycle, "misnamed_party", lambda *_: None)
    propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)
    monkeypatch.undo()
    assert [receipt.accepted for receipt in pair.deliver()] == [False]
    with pair.globex.tx() as tx:
        assert tx.agreements.list() == []


def test_a_card_renewed_under_another_name_stops_the_acceptance_but_not_what_is_signed(pair: Pair) -> None:
    signed, open_still = make_active(pair), propose_one(pair, title="Another")
    pair.deliver()
    acme = pair.acme.peer
    config = acme.config.model_copy(update={"organisation": "Acme Group"})
    card = renew_card(acme.home, config, signing_key=acme.signing_key, previous=acme.card, now=NOW)
    with pair.globex.tx() as tx:
        add_partner(tx, review_card(tx, card_bytes(card), own=pair.globex.card, now=NOW), NOW)
    with pytest.raises(MutualsError) as caught:
        accept(pair.globex.peer, open_still, "crm", FIELD_MAP, pair.globex.keys)
    assert caught.value.code is ErrorCode.PEER_IDENTITY
    assert "calls the proposer “Acme Ltd”, while the card says “Acme Group”" in caught.value.message
    with pair.globex.tx() as tx:
        assert load_active(tx, signed, NOW).digest == signed


def test_rejection_reaches_the_proposer_with_its_reason(pair: Pair) -> None:
    digest = propose_one(pair)
    pair.deliver()
    for _ in range(2):
        reject(pair.globex.peer, digest, "  Retention is too long.\n", pair.globex.keys)
    assert [receipt.accepted for receipt in pair.deliver()] == [True]
    assert states(pair, digest) == (AgreementState.REJECTED, AgreementState.REJECTED)
    with pair.acme.tx() as tx:
        row = find_agreement(tx, digest[:10])
    assert row.reason == "Retention is too long."
    with pytest.raises(MutualsError) as caught:
        accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    assert caught.value.exit_code == 6


def test_not_active_until_both_signed(pair: Pair) -> None:
    digest = propose_one(pair)
    with pair.acme.tx() as tx, pytest.raises(MutualsError) as caught:
        load_active(tx, digest, NOW)
    assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE
    with pair.acme.tx() as tx, pytest.raises(MutualsError) as caught:
        load_active(tx, "A-00000000", NOW)
    assert caught.value.code is ErrorCode.AGREEMENT_UNKNOWN


@pytest.mark.parametrize(
    ("days", "active"), [(-1, False), (0, True), (364, True), (365, False), (5000, False)]
)
def test_dates_are_inclusive(pair: Pair, days: int, active: bool) -> None:
    digest = make_active(pair)
    with pair.acme.tx() as tx:
        if active:
            assert load_active(tx, digest, NOW + timedelta(days=days)).digest == digest
        else:
            with pytest.raises(MutualsError) as caught:
                load_active(tx, digest, NOW + timedelta(days=days))
            assert caught.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE


def make_active(pair: Pair) -> str:
    digest = propose_one(pair)
    pair.deliver()
    accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    pair.deliver()
    return digest


def test_removed_partner_ends_the_use(pair: Pair) -> None:
    digest = make_active(pair)
    partner = pair.acme.partner()
    with pair.acme.tx() as tx:
        tx.partners.remove(partner.fingerprint, NOW)
    with pair.acme.tx() as tx, pytest.raises(MutualsError) as caught:
        load_active(tx, digest, NOW)
    assert "removed" in caught.value.message


def test_agreement_of_another_peer_is_not_ours(pair: Pair) -> None:
    digest = make_active(pair)
    with pair.acme.tx() as tx, pytest.raises(MutualsError) as caught:
        load_active(tx, digest, NOW, own="00" * 32)
    assert "does not match what was signed" in caught.value.message


def test_expired_proposal_cannot_be_made_or_accepted(pair: Pair) -> None:
    with pytest.raises(MutualsError) as caught:
        propose_one(pair, valid_from=date(2025, 1, 1), valid_until=date(2025, 12, 31))
    assert caught.value.exit_code == 6
    digest = propose_one(pair)
    pair.deliver()
    pair.globex.later(days=400)
    with pytest.raises(MutualsError) as caught:
        accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    assert caught.value.exit_code == 6
    assert states(pair, digest)[1] is AgreementState.PROPOSED


def test_field_the_source_lacks_is_refused_on_both_sides(pair: Pair) -> None:
    agreement = make_agreement(pair.acme.card, pair.globex.card)
    lacking = agreement.proposer_sends[0].model_copy(update={"name": "shoe_size"})
    agreement = agreement.model_copy(update={"proposer_sends": (lacking,)})
    with pytest.raises(MutualsError) as caught:
        propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)
    assert caught.value.exit_code == 7
    assert "proposer_sends[1].name: field 'shoe_size'" in caught.value.message
    assert pair.acme.outgoing() == []
    digest = propose_one(pair)
    pair.deliver()
    with pytest.raises(MutualsError) as caught:
        accept(pair.globex.peer, digest, "crm", {}, pair.globex.keys)
    assert caught.value.exit_code == 7
    assert "lifetime_value" in (caught.value.hint or "")
    assert pair.globex.outgoing() == []


def test_unknown_source_and_stray_mapping_are_usage_errors(pair: Pair) -> None:
    agreement = make_agreement(pair.acme.card, pair.globex.card)
    for source, mapping in (("erp", {}), ("crm", {"no_such": "city"})):
        with pytest.raises(MutualsError) as caught:
            propose(pair.acme.peer, agreement, source, mapping, pair.acme.keys)
        assert caught.value.code is ErrorCode.USAGE


def test_profile_with_other_rules_is_refused(pair: Pair) -> None:
    agreement = make_agreement(pair.acme.card, pair.globex.card)
    matching = agreement.matching.model_copy(update={"profile_digest": "00" * 32})
    with pytest.raises(MutualsError) as caught:
        propose(
            pair.acme.peer, agreement.model_copy(update={"matching": matching}), "crm", {}, pair.acme.keys
        )
    assert caught.value.code is ErrorCode.PROFILE_MISMATCH


@pytest.mark.parametrize("role", ["analyst", "auditor", "service"])
def test_only_signatories_sign(pair: Pair, role: str) -> None:
    kdf = Kdf(memory_kib=64, iterations=1)
    row = create_operator("bob", (role,), "sales", PASSPHRASE, kdf=kdf, now=NOW)
    with pair.acme.tx() as tx:
        tx.operators.put(row)
        log_appointment(tx, row, pair.acme.keys, NOW)
    agreement = make_agreement(pair.acme.card, pair.globex.card)
    with pytest.raises(MutualsError) as caught:
        propose(pair.acme.peer, agreement, "crm", {}, unlock(row, PASSPHRASE))
    assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_disabled_operator_cannot_sign_with_keys_held_before(pair: Pair) -> None:
    with pair.acme.tx() as tx:
        tx.operators.disable("anna", NOW)
        tx.log.append(None, DISABLED, {"operator": "anna"}, NOW)
    with pytest.raises(MutualsError) as caught:
        propose_one(pair)
    assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_the_two_sides_cannot_swap_parts(pair: Pair) -> None:
    digest = propose_one(pair)
    pair.deliver()
    for act in (
        lambda: accept(pair.acme.peer, digest, "crm", {}, pair.acme.keys),
        lambda: reject(pair.acme.peer, digest, "No.", pair.acme.keys),
    ):
        with pytest.raises(MutualsError) as caught:
            act()
        assert caught.value.code is ErrorCode.USAGE
    with pytest.raises(MutualsError) as caught:
        propose(pair.acme.peer, make_agreement(pair.globex.card, pair.acme.card), "crm", {}, pair.acme.keys)
    assert caught.value.code is ErrorCode.USAGE


def test_whoever_is_killed_right_after_signing_has_given_the_mandate(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(signing, "_with_mandate", killed)
    changes = {"permission": Permission(reveal="mandate", exchange="mandate")}
    agreement = make_agreement(pair.acme.card, pair.globex.card).model_copy(update=changes)
    sign_off(pair.acme.peer, pair.acme.keys, agreement)
    with pytest.raises(SystemExit):
        signing.propose_agreement(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)
    pair.deliver()
    digest = agreement_digest(agreement_bytes(agreement))
    sign_off(pair.globex.peer, pair.globex.keys, agreement, FIELD_MAP)
    with pytest.raises(SystemExit):
        signing.accept_agreement(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    for company in (pair.acme, pair.globex):
        with company.tx() as tx:
            assert len(tx.authorisations.standing("mandate", digest, NOW)) == 1


def test_mandate_is_granted_by_who_signs(pair: Pair) -> None:
    digest = propose_one(pair, permission=Permission(reveal="mandate", exchange="mandate"))
    pair.deliver()
    accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
    for company in (pair.acme, pair.globex):
        assert grant_standing_mandate(company.peer, digest, company.keys)
        assert not grant_standing_mandate(company.peer, digest, company.keys)
        with company.tx() as tx:
            row = tx.authorisations.current("mandate", digest, NOW)
        assert row is not None
        assert row.operator == "anna"
        assert row.expires_at.date() == date(2027, 5, 1)
        assert parse_canonical(row.statement)["max_runs"] == 13 * 4


def forged(pair: Pair, **changes: object) -> bool:
    """Whether Globex takes Acme's proposal with these keys of its payload replaced."""
    document = pair.acme.outgoing()[0]
    payload = parse_canonical(document.body) | changes
    return take_document(
        pair.globex.peer, pair.globex.partner(), sign_document(pair.acme.peer, "proposal", payload)
    ).accepted


def test_malformed_proposals_are_refused_and_leave_nothing(pair: Pair) -> None:
    digest = propose_one(pair)
    payload = parse_canonical(pair.acme.outgoing()[0].body)
    agreement, statement = payload["agreement"], payload["statement"]
    assert not forged(pair, more=1)
    assert not forged(pair, signature="zz")
    assert not forged(pair, signature="00" * 64)
    assert not forged(pair, agreement={})
    assert not forged(pair, agreement=agreement | {"title": "Other"})
    assert not forged(pair, agreement=agreement | {"title": "Evil \x9b31m"})
    assert not forged(pair, agreement=agreement | {"version": 2})
    assert not forged(pair, statement=statement | {"side": "partner"})
    assert not forged(pair, statement=statement | {"operators": []})
    assert not forged(pair, statement=statement | {"fingerprint": pair.globex.peer.fingerprint.hex()})
    with pair.globex.tx() as tx:
        assert tx.agreements.list() == []
        assert {entry.event for entry in tx.log.entries()} >= {"document.refused"}
    assert pair.deliver()[0].accepted
    assert states(pair, digest) == (AgreementState.PROPOSED, AgreementState.PROPOSED)


def test_proposal_of_or_to_a_third_party_is_refused(pair: Pair, tmp_path: Path) -> None:
    reversed_agreement = make_agreement(pair.globex.card, pair.acme.card)
    propose_one(pair)
    assert not forged(pair, agreement=parse_canonical(agreement_bytes(reversed_agreement)))


def test_answers_to_what_was_never_proposed_are_refused(pair: Pair) -> None:
    digest = propose_one(pair)
    pair.deliver()
    reject(pair.globex.peer, digest, "No.", pair.globex.keys)
    body = parse_canonical(pair.globex.outgoing()[0].body)
    for kind, payload in (
        ("rejection", body | {"digest": "00" * 32}),
        ("rejection", body | {"reason": "Another."}),
        ("rejection", {}),
        ("acceptance", {"digest": digest, "statement": {}, "signature": ""}),
        ("acceptance", {"digest": "", "statement": {}, "signature": ""}),
    ):
        document = sign_document(pair.globex.peer, kind, payload)
        receipt = take_document(pair.acme.peer, pair.acme.partner(), document)
        assert not receipt.accepted
        assert receipt.reason in {"BAD_MESSAGE", "AGREEMENT_UNKNOWN"}
    assert states(pair, digest)[0] is AgreementState.PROPOSED


def test_statement_of_another_agreement_does_not_fit(pair: Pair) -> None:
    first, second = propose_one(pair), propose_one(pair, title="Another")
    pair.deliver()
    accept(pair.globex.peer, first, "crm", FIELD_MAP, pair.globex.keys)
    payload = parse_canonical(pair.globex.outgoing()[0].body)
    document = sign_document(pair.globex.peer, "acceptance", payload | {"digest": second})
    assert not take_document(pair.acme.peer, pair.acme.partner(), document).accepted
    assert states(pair, second)[0] is AgreementState.PROPOSED


def test_canonical_form_of_the_body_is_required(pair: Pair) -> None:
    propose_one(pair)
    document = pair.acme.outgoing()[0]
    assert canonical_json(parse_canonical(document.body)) == document.body
    assert agreement_id("00" * 32) == "A-00000000"
