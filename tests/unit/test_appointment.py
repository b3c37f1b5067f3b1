"""Operators whom somebody made in the store what no admin made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.homes import CHEAP, NOW, PASSPHRASE, make_peer, open_peer

from mutuals.audit.stored import verify_store
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.identity.appointment import ADD, appointment_facts, appointment_problems, check_appointed
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.peer import Peer
from mutuals.runs.handover import disable, take_on
from mutuals.store.database import Transaction
from mutuals.store.rows import OperatorRow


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """A peer with the admin anna and the auditor bert."""
    with open_peer(make_peer(tmp_path / "acme")) as opened:
        take_on(opened, _new("bert", "auditor"), _keys(opened, "anna"))
        yield opened


def _new(name: str, role: str) -> OperatorRow:
    return create_operator(name, (role,), "finance", PASSPHRASE, kdf=CHEAP, now=NOW)


def _keys(peer: Peer, name: str) -> OperatorKeys:
    with peer.store.transaction() as tx:
        return unlock(_row(tx, name), PASSPHRASE)


def _row(tx: Transaction, name: str) -> OperatorRow:
    row = tx.operators.get(name)
    assert row is not None
    return row


def test_operators_as_they_were_added_are_right(peer: Peer) -> None:
    with peer.store.transaction() as tx:
        check_appointed(tx, _row(tx, "anna"))
        check_appointed(tx, _row(tx, "bert"))
        assert appointment_problems(tx) == []
        assert all(report.sound for report in verify_store(tx, peer))


@pytest.mark.parametrize(
    "edit",
    [
        {"roles": ("admin", "auditor")},
        {"department": "marketing"},
        {"signing_public": bytes(32)},
        {"wrapping_public": b"\x01" * 96},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_an_edited_operator_is_refused_and_found(peer: Peer, edit: dict[str, Any]) -> None:
    with peer.store.transaction() as tx:
        changed = replace(_row(tx, "bert"), **edit)
        tx.operators.put(changed)
        with pytest.raises(MutualsError, match="what no admin signed") as caught:
            check_appointed(tx, changed)
        assert caught.value.code is ErrorCode.LOCAL
        assert any("operator bert" in line for report in verify_store(tx, peer) for line in report.problems)


def test_nobody_adds_themselves(peer: Peer) -> None:
    """A row without an entry, one with an entry that no admin signed, and a second first operator."""
    carl, bert = _new("carl", "admin"), _keys(peer, "bert")
    with peer.store.transaction() as tx:
        tx.operators.put(carl)
        with pytest.raises(MutualsError, match="what no admin signed"):
            check_appointed(tx, carl)
        for by in ("bert", "anna"):
            signed = sign_act(bert, ADD, "carl", appointment_facts(carl), NOW)
            tx.log.append(None, "operator.added", {"operator": "carl", "by": by, **signed.evidence()}, NOW)
        tx.log.append(None, "peer.initialised", {"operator": "carl", **appointment_facts(carl)}, NOW)
        with pytest.raises(MutualsError, match="what no admin signed"):
            check_appointed(tx, carl)


def test_who_was_disabled_stays_so(peer: Peer) -> None:
    disable(peer, "bert", _keys(peer, "anna"), may_destroy=())
    with peer.store.transaction() as tx:
        assert appointment_problems(tx) == []
        tx.operators.put(replace(_row(tx, "bert"), disabled_at=None))
        assert len(appointment_problems(tx)) == 1
