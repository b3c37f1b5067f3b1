"""Where the policy asks for four eyes, two operators sign an agreement, and two end it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.assessed import propose, sign_off
from support.homes import PASSPHRASE
from support.pairing import Company, Pair, agreement_between, contact
from support.policies import approve
from support.versions import Made, agree, copy_pair, make_pair, row_of, settle, states

from mutuals.agreement.ending import terminate
from mutuals.agreement.lifecycle import withdraw
from mutuals.agreement.signing import waiting_for_second
from mutuals.agreement.statements import Statement
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.appointment import DISABLED, log_appointment
from mutuals.identity.home import Kdf
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.models.agreement import AgreementState, Permission, Side
from mutuals.runs.ending import end_due
from mutuals.runs.signing import accept_agreement, propose_agreement, sign_second

ROWS = {side: [contact("C1", "p1@example.com")] for side in Side}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_pair(tmp_path_factory.mktemp("pair"), ROWS)


@pytest.fixture
def pair(made: Made, tmp_path: Path) -> Iterator[Pair]:
    with copy_pair(made, tmp_path) as pair:
        for company in pair.sides.values():
            operator(company, "bert", "privacy_officer")
            approve(company, four_eyes=("sign", "terminate"))
        yield pair


def operator(company: Company, name: str, role: str) -> OperatorKeys:
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator(name, (role,), "marketing", PASSPHRASE, kdf=kdf, now=company.clock())
    with company.peer.store.transaction() as tx:
        tx.operators.put(row)
        log_appointment(tx, row, company.keys, company.clock())
    return unlock(row, PASSPHRASE)


def bert(company: Company) -> OperatorKeys:
    with company.peer.store.transaction() as tx:
        row = tx.operators.get("bert")
    assert row is not None
    return unlock(row, PASSPHRASE)


def drafted(pair: Pair) -> str:
    """Proposed by the first operator alone."""
    agreement = agreement_between(
        pair.left, pair.right, title="Another", nonce="22" * 32, permission=Permission(reveal="mandate")
    )
    return propose(pair.left.peer, agreement, "crm", {}, pair.left.keys)


def signers(company: Company, digest: str, side: Side) -> list[str]:
    with company.peer.store.transaction() as tx:
        held = {row.side: row.body for row in tx.agreements.statements(digest)}
    return [one.name for one in Statement.model_validate_json(held[side]).operators]


def test_nothing_leaves_before_the_second_operator_has_signed(pair: Pair) -> None:
    digest = drafted(pair)
    row = row_of(pair.left, digest)
    assert row.state is AgreementState.DRAFT
    with pair.left.peer.store.transaction() as tx:
        assert tx.outbox.pending() == []
        assert tx.authorisations.current("mandate", digest, pair.left.clock()) is None
        waiting = waiting_for_second(tx, row)
        told = [item.text for item in tx.notifications.unread("bert", ("privacy_officer",))]
    assert waiting is not None
    assert waiting.exit_code == 9
    assert f"mutuals agreement sign {row.agreement_id}" in (waiting.hint or "")
    assert any("needs a second operator" in text for text in told)
    assert sign_second(pair.left.peer, digest, pair.left.keys).state is AgreementState.DRAFT  # never the same
    with pair.left.peer.store.transaction() as tx:
        again = [item.text for item in tx.notifications.unread("bert", ("privacy_officer",))]
        own = [item.text for item in tx.notifications.unread("anna", ("privacy_officer",))]
    assert again == told, "not asked twice"
    assert not any("needs a second operator" in text for text in own)
    assert sign_second(pair.left.peer, row.agreement_id, bert(pair.left)).state is AgreementState.PROPOSED
    assert signers(pair.left, digest, Side.PROPOSER) == ["anna", "bert"]
    settle(pair)
    assert agree(pair.right, digest).state is AgreementState.PROPOSED
    settle(pair)
    assert states(pair, digest) == ("proposed", "proposed")
    assert sign_second(pair.right.peer, digest, bert(pair.right)).state is AgreementState.ACTIVE
    settle(pair)
    assert states(pair, digest) == ("active", "active")
    assert signers(pair.left, digest, Side.PARTNER) == ["anna", "bert"]
    for company in pair.sides.values():
        with company.peer.store.transaction() as tx:
            assert tx.authorisations.current("mandate", digest, company.clock()) is not None
            assert waiting_for_second(tx, row) is None
    with pytest.raises(MutualsError) as caught:
        sign_second(pair.right.peer, digest, bert(pair.right))
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("gone", ["disabled", "role", "edited", "assessment"])
def test_a_first_signature_counts_only_while_it_would_be_given_again(pair: Pair, gone: str) -> None:
    digest = drafted(pair)
    company = pair.left
    with company.peer.store.transaction() as tx:
        row = tx.operators.get("anna")
        assert row is not None
        (approval,) = tx.approvals.of("agreement.signature", digest)
        if gone == "disabled":
            tx.operators.disable("anna", company.clock())
            tx.log.append(None, DISABLED, {"operator": "anna"}, company.clock())
        elif gone == "edited":
            tx.approvals.void(approval.act, digest, company.clock())
            forged = approval.body.replace(approval.signature[:1].hex().encode(), b"00", 1)
            tx.approvals.put(
                type(approval)(approval.act, digest, "anna", forged, approval.signature, company.clock())
            )
    if gone == "role":
        from dataclasses import replace

        with company.peer.store.transaction() as tx:
            tx.operators.put(replace(row, roles=("analyst",)))
    if gone == "assessment":
        company.clock.now = company.clock.now.replace(hour=13)
        agreement = agreement_between(
            pair.left, pair.right, title="Another", nonce="22" * 32, permission=Permission(reveal="mandate")
        )
        sign_off(company.peer, company.keys, agreement)
    if gone == "role":
        with pytest.raises(MutualsError, match="what no admin signed"):
            sign_second(company.peer, digest, bert(company))
    else:
        assert sign_second(company.peer, digest, bert(company)).state is AgreementState.DRAFT
    with company.peer.store.transaction() as tx:
        assert tx.outbox.pending() == []


def test_who_may_not_sign_is_no_second_pair_of_eyes(pair: Pair) -> None:
    digest = drafted(pair)
    with pytest.raises(MutualsError) as caught:
        sign_second(pair.left.peer, digest, operator(pair.left, "carl", "analyst"))
    assert caught.value.code is ErrorCode.NOT_ENTITLED
    assert row_of(pair.left, digest).state is AgreementState.DRAFT


def test_a_draft_that_was_withdrawn_is_never_sent(pair: Pair) -> None:
    digest = drafted(pair)
    withdraw(pair.left.peer, digest, "No.", pair.left.keys)
    with pair.left.peer.store.transaction() as tx:
        assert tx.outbox.pending() == []
    with pytest.raises(MutualsError):
        sign_second(pair.left.peer, digest, bert(pair.left))
    assert row_of(pair.left, digest).state is AgreementState.REJECTED


def test_the_second_may_also_give_the_whole_command_again(pair: Pair) -> None:
    digest = drafted(pair)
    agreement = agreement_between(
        pair.left, pair.right, title="Another", nonce="22" * 32, permission=Permission(reveal="mandate")
    )
    made = propose_agreement(pair.left.peer, agreement, "crm", {}, bert(pair.left))
    assert (made.digest, made.state) == (digest, AgreementState.PROPOSED)
    settle(pair)
    agree(pair.right, digest)
    assert accept_agreement(pair.right.peer, digest, "crm", {}, bert(pair.right)).state.value == "active"


def test_two_end_an_agreement(pair: Pair) -> None:
    company = pair.left
    with pytest.raises(MutualsError) as caught:
        terminate(company.peer, pair.digest, "Over.", company.keys, cause=True)
    assert caught.value.code is ErrorCode.NOT_AUTHORISED_YET
    assert row_of(company, pair.digest).ends_at is None
    with pytest.raises(MutualsError):
        terminate(company.peer, pair.digest, "For another reason.", bert(company), cause=True)
    terminate(company.peer, pair.digest, "Over.", bert(company), cause=True)
    assert end_due(company.peer) == [pair.digest]
    settle(pair)
    assert states(pair, pair.digest) == ("ended", "ended")
