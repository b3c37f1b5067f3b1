"""HPKE (RFC 9180) with ML-KEM-768 + X25519, HKDF-SHA256 and AES-256-GCM, on raw keys.

pair = generate_keypair()
sealed = seal(pair.public, frame(Context.WRAP, "anna"), secret)
assert open_sealed(pair.private, frame(Context.WRAP, "anna"), sealed) == secret
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

MLKEM_PUBLIC_BYTES = 1184
MLKEM_SEED_BYTES = 64
PUBLIC_BYTES = MLKEM_PUBLIC_BYTES + 32
PRIVATE_BYTES = MLKEM_SEED_BYTES + 32

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True)
class KeyPair:
    """Raw hybrid keys: ``private`` is ML-KEM seed ‖ X25519 (96 bytes), ``public`` likewise (1,216 bytes)."""

    private: bytes = field(repr=False)
    public: bytes = field(repr=False)


def generate_keypair() -> KeyPair:
    """A fresh key pair from the system's randomness."""
    mlkem = MLKEM768PrivateKey.generate()
    x25519 = X25519PrivateKey.generate()
    return KeyPair(
        private=mlkem.private_bytes_raw() + x25519.private_bytes_raw(),
        public=mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw(),
    )


def seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Encrypt ``plaintext`` to ``public`` (1,216 bytes), bound to ``info``. Raises ValueError for a bad key."""
    if len(public) != PUBLIC_BYTES:
        raise ValueError(f"an HPKE public key has {PUBLIC_BYTES} bytes")
    key = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_BYTES:]),
    )
    return _SUITE.encrypt(plaintext, key, info)


def usable(public: bytes) -> bool:
    """Whether anything can be sealed to ``public``: right size, ML-KEM canonical, X25519 not of small order."""
    try:
        seal(public, b"", b"")
    except ValueError:
        return False
    return True


def open_sealed(private: bytes, info: bytes, sealed: bytes) -> bytes:
    """Decrypt what ``seal`` made for ``private`` (96 bytes) under the same ``info``. Raises ValueError."""
    if len(private) != PRIVATE_BYTES:
        raise ValueError(f"an HPKE private key has {PRIVATE_BYTES} bytes")
    key = MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(private[:MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(private[MLKEM_SEED_BYTES:]),
    )
    try:
        return _SUITE.decrypt(sealed, key, info)
    except InvalidTag as error:
        raise ValueError("the sealed bytes do not open under this key") from error
