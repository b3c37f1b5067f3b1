"""Operators: keys under a passphrase, roles, and the accountability key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.homes import CHEAP, NOW, PASSPHRASE, make_peer, open_peer

from mutuals.crypto.hpke import generate_keypair, open_sealed, seal
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.accountability import open_accountability, wrap_accountability
from mutuals.identity.home import Kdf
from mutuals.identity.operators import (
    FIRST_OPERATOR_ROLES,
    ROLES,
    create_operator,
    disable_operator,
    entitled_to_read,
    require_role,
    unlock,
)
from mutuals.store.rows import OperatorRow

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "operator.json").read_text(encoding="utf-8"))


def operator(
    name: str = "anna",
    roles: tuple[str, ...] = ("steward",),
    department: str = "marketing",
    words: bytes = PASSPHRASE,
) -> OperatorRow:
    return create_operator(name, roles, department, words, kdf=CHEAP, now=NOW)


def test_the_passphrase_opens_both_keys() -> None:
    row = operator()
    keys = unlock(row, PASSPHRASE)
    message = frame(Context.AUTHORISATION, "x")
    assert keys.signing.public.raw == row.signing_public
    keys.signing.public.verify(message, keys.signing.sign(message))
    sealed = seal(row.wrapping_public, b"info", b"secret")
    assert open_sealed(keys.wrapping_private, b"info", sealed) == b"secret"
    assert (keys.name, keys.roles, keys.department) == ("anna", ("steward",), "marketing")


def test_a_wrong_passphrase_opens_nothing() -> None:
    with pytest.raises(MutualsError, match="not the one of operator anna") as caught:
        unlock(operator(), b"wrong horse")
    assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_private_keys_show_up_nowhere() -> None:
    row = operator()
    keys = unlock(row, PASSPHRASE)
    assert keys.wrapping_private not in row.sealed_private
    assert "private" not in repr(keys)
    assert repr(keys.wrapping_private) not in repr(keys)


def test_sealed_keys_cannot_be_moved_to_another_operator() -> None:
    row, other = operator(), operator("bea")
    moved = replace(other, sealed_private=row.sealed_private)
    renamed = replace(row, name="bea")
    for mixed in (moved, renamed, replace(row, wrapping_public=other.wrapping_public)):
        with pytest.raises(MutualsError) as caught:
            unlock(mixed, PASSPHRASE)
        assert caught.value.code is ErrorCode.NOT_ENTITLED


@pytest.mark.parametrize("blob", [b"", b"{}", b'{"kdf":"argon2id"}', b"\x00" * 40])
def test_damaged_keys_are_told_apart_from_a_wrong_passphrase(blob: bytes) -> None:
    with pytest.raises(MutualsError, match="damaged") as caught:
        unlock(replace(operator(), sealed_private=blob), PASSPHRASE)
    assert caught.value.code is ErrorCode.LOCAL


def test_a_disabled_operator_cannot_unlock() -> None:
    with pytest.raises(MutualsError, match="disabled on 2026-05-01") as caught:
        unlock(replace(operator(), disabled_at=NOW), PASSPHRASE)
    assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_the_cost_is_stored_with_the_keys() -> None:
    row = create_operator("a", ("steward",), "x", PASSPHRASE, kdf=Kdf(memory_kib=128, iterations=2), now=NOW)
    blob = json.loads(row.sealed_private)
    assert (blob["kdf"], blob["memory_kib"], blob["iterations"], blob["lanes"]) == ("argon2id", 128, 2, 1)
    assert unlock(row, PASSPHRASE).name == "a"


def test_the_vector_opens() -> None:
    """Keys sealed by the first release open in every later one."""
    row = OperatorRow(
        name=VECTOR["name"],
        roles=("steward",),
        department="marketing",
        signing_public=bytes.fromhex(VECTOR["signing_public"]),
        wrapping_public=bytes.fromhex(VECTOR["wrapping_public"]),
        sealed_private=json.dumps(VECTOR["sealed_private"], separators=(",", ":"), sort_keys=True).encode(),
        created_at=NOW,
    )
    assert unlock(row, VECTOR["passphrase"].encode()).signing.raw().hex() == VECTOR["signing_seed"]


@pytest.mark.parametrize("words", [b"", b"1234567", "äöüäöüä".encode()])
def test_a_short_passphrase_is_refused(words: bytes) -> None:
    with pytest.raises(MutualsError, match="shorter than 8 characters") as caught:
        operator(words=words)
    assert caught.value.hint is not None


@pytest.mark.parametrize("name", ["", "-x", "anna berg", "a/b", "x" * 64, "anna\n", "änna"])
def test_names_that_cannot_be_typed_safely_are_refused(name: str) -> None:
    with pytest.raises(MutualsError, match="operator's name"):
        operator(name)


@pytest.mark.parametrize("department", ["", "Marketing", "two words"])
def test_departments_are_named_as_in_agreements(department: str) -> None:
    with pytest.raises(MutualsError, match="department"):
        operator(department=department)


@pytest.mark.parametrize(
    ("roles", "sentence"),
    [
        ((), "needs a role"),
        (("boss",), "There is no role “boss”"),
        (("service", "analyst"), "no other role"),
    ],
)
def test_roles_that_make_no_sense_are_refused(roles: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(MutualsError, match=sentence) as caught:
        operator(roles=roles)
    assert caught.value.code is ErrorCode.USAGE


def test_only_reading_roles_that_are_not_disabled_may_read() -> None:
    rows = [operator(role, (role,)) for role in ROLES]
    rows.append(replace(operator("gone", ("steward",)), disabled_at=NOW))
    assert {row.name for row in entitled_to_read(rows)} == {"steward", "privacy_officer", "analyst"}


def test_a_missing_role_is_refused_by_name() -> None:
    keys = unlock(operator(roles=("auditor",)), PASSPHRASE)
    require_role(keys, {"auditor"}, "read the log")
    with pytest.raises(
        MutualsError, match="may not start runs: that needs the role steward or analyst"
    ) as caught:
        require_role(keys, {"analyst", "steward"}, "start runs")
    assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_the_first_operator_is_admin_and_holds_the_accountability_key(tmp_path: Path) -> None:
    with open_peer(make_peer(tmp_path / "acme")) as peer, peer.store.transaction() as tx:
        (row,) = tx.operators.list()
        assert row.roles == FIRST_OPERATOR_ROLES
        keys = unlock(row, PASSPHRASE)
        private = open_accountability(tx, keys, peer.accountability_public)
        sealed = seal(peer.accountability_public, b"info", b"ledger")
        assert open_sealed(private, b"info", sealed) == b"ledger"


def test_the_accountability_key_goes_to_those_who_must_answer_only(tmp_path: Path) -> None:
    with open_peer(make_peer(tmp_path / "acme")) as peer, peer.store.transaction() as tx:
        pair = generate_keypair()
        rows = {role: operator(role, (role,)) for role in ROLES}
        for row in rows.values():
            tx.operators.put(row)
        given = {
            role for role, row in rows.items() if wrap_accountability(tx, row, pair.public, pair.private)
        }
        assert given == {"admin", "privacy_officer", "auditor"}
        keys = unlock(rows["steward"], PASSPHRASE)
        with pytest.raises(MutualsError, match="holds no copy"):
            open_accountability(tx, keys, pair.public)


def test_a_copy_wrapped_for_another_key_does_not_open(tmp_path: Path) -> None:
    with open_peer(make_peer(tmp_path / "acme")) as peer, peer.store.transaction() as tx:
        keys = unlock(tx.operators.list()[0], PASSPHRASE)
        with pytest.raises(MutualsError, match="does not open"):
            open_accountability(tx, keys, generate_keypair().public)


def test_the_last_admin_cannot_be_disabled(tmp_path: Path) -> None:
    with open_peer(make_peer(tmp_path / "acme")) as peer, peer.store.transaction() as tx:
        with pytest.raises(MutualsError, match="last admin"):
            disable_operator(tx, "anna", by="anna", now=NOW)
        tx.operators.put(operator("bea", ("admin",)))
        assert disable_operator(tx, "anna", by="bea", now=NOW).disabled_at == NOW
        with pytest.raises(MutualsError, match="disabled already"):
            disable_operator(tx, "anna", by="bea", now=NOW)
        with pytest.raises(MutualsError, match="no operator of that name"):
            disable_operator(tx, "carl", by="bea", now=NOW)
