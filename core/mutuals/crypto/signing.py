"""Ed25519 signatures over framed strings (RFC 8032; ``mutuals.framing``)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mutuals.framing import Context, digest

_P = 2**255 - 19
# y-coordinates of the eight points of small order, and their non-canonical encodings (y + p below 2^255).
_ORDER_8_Y = (
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
)
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _P, _P + 1, *_ORDER_8_Y})


class BadSignature(ValueError):
    """The signature is not this key's over these bytes."""


class BadKey(ValueError):
    """No public key to trust; the text is one clause a person can read."""


class VerifyKey:
    """An Ed25519 public key of 32 raw bytes that is canonical and not of small order.

    Raises ``BadKey`` otherwise: under a small-order key one signature fits many messages (CCTV Ed25519).
    """

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise BadKey("an Ed25519 public key has 32 bytes")
        y = int.from_bytes(raw, "little") & (2**255 - 1)
        if y in _SMALL_ORDER_Y:
            raise BadKey("the Ed25519 public key is of small order")
        if y >= _P:
            raise BadKey("the Ed25519 public key is not canonical")
        self.raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the framed key; 32 bytes. What a peer or operator is known by."""
        return digest(Context.FINGERPRINT, self.raw)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check ``signature`` (64 bytes) over ``message``, which starts with its context. Raises BadSignature."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise BadSignature("the signature does not fit") from error


class SigningKey:
    """An Ed25519 private key. ``sign`` takes a framed message, never free text."""

    def __init__(self, raw: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key from the system's randomness."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def raw(self) -> bytes:
        """The 32-byte seed, for storage."""
        return self._key.private_bytes_raw()

    def pem(self) -> bytes:
        """Unencrypted PKCS#8 PEM, for a file that only its owner can read."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Read what ``pem`` wrote. Raises ValueError where it is no Ed25519 key."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except Exception as error:  # a damaged file: the library raises several kinds, and not only its own
            raise ValueError("not a private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 private key")
        return cls(key.private_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64-byte signature over ``message``, which must start with its context (``mutuals.framing.frame``)."""
        return self._key.sign(message)
