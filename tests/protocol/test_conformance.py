"""Others' vectors, Project Wycheproof's and CCTV's, against what ours does with the same inputs.

Where our answer is another one than a vector's, a reason stands here by the vector's flags: there is no other list of
exceptions. How strict we are with Ed25519: a public key must be canonical and not of small order, since under such a
key one signature fits many messages. Of a signature, S must be below the order and R canonical, and the equation is
checked without multiplying by the cofactor (RFC 8032, 5.1.7), as OpenSSL does it. A key or an R that merely *has* a
part of small order is taken: no list can name those, and a signature under one still binds its message.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mutuals.crypto.hpke import generate_keypair, usable
from mutuals.crypto.signing import BadKey, BadSignature, VerifyKey
from mutuals.models.run import Role
from mutuals.protocol.sealing import RecordKeys

VECTORS = Path(__file__).parent.parent / "vectors"

STRICTER = {
    "SmallOrderPublicKey": "a key of small order is no key",
    "low_order_A": "a key of small order is no key",
    "non_canonical_A": "a key has one encoding",
}
AS_OPENSSL = {
    "MixedOrderPublicKey": "a part of small order in a key does no harm, and no list names them all",
    "low_order_component_R": "likewise in R",
}


def cases(name: str) -> list[Any]:
    found: list[Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))["cases"]
    return found


def verdict(key: str, message: bytes, signature: str) -> str:
    """What ours says of an Ed25519 signature."""
    try:
        VerifyKey(bytes.fromhex(key)).verify(message, bytes.fromhex(signature))
    except BadKey:
        return "no key"
    except BadSignature:
        return "does not fit"
    return "fits"


def test_ed25519_agrees_with_wycheproof_but_for_keys_of_small_order() -> None:
    for case in cases("wycheproof/ed25519.json"):
        found = verdict(case["key"], bytes.fromhex(case["message"]), case["signature"])
        if case["result"] == "acceptable":
            (flag,) = case["flags"]
            assert found == ("no key" if flag in STRICTER else "fits"), case
            assert flag in STRICTER or flag in AS_OPENSSL
        else:
            assert found == ("fits" if case["result"] == "valid" else "does not fit"), case


def test_every_edge_of_ed25519_has_its_named_answer() -> None:
    seen = set()
    for case in cases("cctv/ed25519.json"):
        flags = set(case["flags"])
        if flags & STRICTER.keys():
            expected = "no key"
        elif flags & {"non_canonical_R", "low_order_residue"}:
            expected = "does not fit"  # RFC 8032, 5.1.7: R is decoded strictly, and nothing is cleared of its cofactor
        else:
            assert flags & AS_OPENSSL.keys()
            expected = "fits"
        assert verdict(case["key"], case["msg"].encode(), case["sig"]) == expected, case
        seen |= flags
    assert seen == {
        f"{what}_{which}" for what in ("low_order", "low_order_component", "non_canonical") for which in "AR"
    } | {"low_order_residue", "reencoded_k"}


def test_ecdsa_agrees_with_wycheproof() -> None:
    """Certificates alone are signed by it; the library verifies them (``mutuals.crypto.tls``)."""
    for case in cases("wycheproof/ecdsa_p256_sha256.json"):
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(case["key"]))
        try:
            key.verify(
                bytes.fromhex(case["signature"]), bytes.fromhex(case["message"]), ec.ECDSA(hashes.SHA256())
            )
            fits = True
        except InvalidSignature:
            fits = False
        assert fits == (case["result"] == "valid"), case


def test_aes_gcm_agrees_with_wycheproof() -> None:
    for case in cases("wycheproof/aes_256_gcm.json"):
        cipher = AESGCM(bytes.fromhex(case["key"]))
        nonce, associated = bytes.fromhex(case["nonce"]), bytes.fromhex(case["associated"])
        plaintext, ciphertext = bytes.fromhex(case["plaintext"]), bytes.fromhex(case["ciphertext"])
        if case["result"] == "valid":
            assert cipher.encrypt(nonce, plaintext, associated) == ciphertext
            assert cipher.decrypt(nonce, ciphertext, associated) == plaintext
        else:
            with pytest.raises(InvalidTag):
                cipher.decrypt(nonce, ciphertext, associated)


def test_keys_are_derived_as_wycheproof_derives_them() -> None:
    """Ours derives 32 bytes without a salt, the first block of any longer output (RFC 5869, 2.3)."""
    for case in cases("wycheproof/hkdf_sha256.json"):
        keys = RecordKeys(bytes(32), Role.INITIATOR, bytes.fromhex(case["secret"]))
        assert case["salt"] == ""
        assert case["size"] >= 32
        assert keys._derive(bytes.fromhex(case["info"])).hex() == case["key"][:64], case


def test_ml_kem_agrees_with_wycheproof() -> None:
    """Also where a ciphertext was changed: another secret, and no error (FIPS 203, 6.3)."""
    for case in cases("wycheproof/mlkem768_decapsulation.json"):
        try:
            key = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(case["seed"]))
            secret = key.decapsulate(bytes.fromhex(case["ciphertext"])).hex()
        except ValueError:
            assert case["result"] == "invalid", case
        else:
            assert (secret, case["result"]) == (case["secret"], "valid"), case


def test_nothing_is_sealed_to_a_key_that_wycheproof_refuses() -> None:
    share = generate_keypair().public[-32:]
    for case in cases("wycheproof/mlkem768_keys.json"):
        assert usable(bytes.fromhex(case["key"]) + share) == (case["result"] == "valid"), case
