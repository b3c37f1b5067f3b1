"""HPKE opened by hand (RFC 9180 §4 to §5, base mode), so that the suite is known and not just the library's.

KEM 0x647a (MLKEM768-X25519, “X-Wing”), KDF 0x0001 (HKDF-SHA256), AEAD 0x0002 (AES-256-GCM).
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SUITE = b"HPKE" + bytes.fromhex("647a00010002")
X_WING = rb"\.//^" + b"\\"


def public_of(private: bytes) -> bytes:
    """ML-KEM-768 encapsulation key ‖ X25519 public key, of ML-KEM seed (64 bytes) ‖ X25519 key."""
    mlkem, x25519 = _keys(private)
    return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def open_by_hand(private: bytes, info: bytes, sealed: bytes) -> bytes:
    """What ``sealed`` = ML-KEM ciphertext (1,088) ‖ X25519 share (32) ‖ ciphertext and tag holds."""
    mlkem, x25519 = _keys(private)
    encapsulated, share, ciphertext = sealed[:1088], sealed[1088:1120], sealed[1120:]
    own_share = x25519.public_key().public_bytes_raw()
    secrets = mlkem.decapsulate(encapsulated) + x25519.exchange(X25519PublicKey.from_public_bytes(share))
    shared = hashlib.sha3_256(secrets + share + own_share + X_WING).digest()
    context = b"\x00" + _extract(b"", b"psk_id_hash", b"") + _extract(b"", b"info_hash", info)
    secret = _extract(shared, b"secret", b"")
    key, nonce = _expand(secret, b"key", context, 32), _expand(secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def _keys(private: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    return MLKEM768PrivateKey.from_seed_bytes(private[:64]), X25519PrivateKey.from_private_bytes(private[64:])


def _extract(salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE + label + material, "sha256")


def _expand(secret: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labelled = size.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + info
    return hmac.digest(secret, labelled + b"\x01", "sha256")[:size]  # one block is enough for a key
