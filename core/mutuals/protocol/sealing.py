"""Sealing records so that the partner's operators can open them and nobody else can (DESIGN §7).

    keys = RecordKeys(sid, Role.INITIATOR, new_secret())
    ciphertext = keys.seal(rank=4, retention_days=90, plaintext=b'{"plan":"pro"}')
    assert keys.open(4, 90, ciphertext) == b'{"plan":"pro"}'

Per run and direction there is one secret, sealed once with HPKE to the receiving key that the partner made
for this run. From it every record and retention class gets a key of its own, so that one of them can be
deleted, or be handed on, without opening another. docs/adr/0009-sealed-records.md has the reasons.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mutuals.crypto import hpke
from mutuals.framing import Context, digest, frame
from mutuals.models.run import Role

SECRET_BYTES = 32
SEALED_SECRET_BYTES = 1168
"""ML-KEM-768 and X25519 shares (1,120 bytes), the secret, the tag."""
TAG_BYTES = 16

# A nonce must not repeat under one key. Every key here encrypts once: it is bound to run, direction, rank and
# class, a secret seals each of these at most once, and what was sealed is stored before it leaves and re-sent
# as it is.
_NONCE = bytes(12)

_RANK_AND_CLASS = struct.Struct(">IQIQ")
"""Two integers as ``frame`` writes them."""


def new_secret() -> bytes:
    """A fresh secret of 32 bytes for one run and direction. Never seal a second set of records with it."""
    return os.urandom(SECRET_BYTES)


def seal_secret(receiving_key: bytes, sid: bytes, direction: Role, secret: bytes) -> bytes:
    """The secret, sealed to the partner's run receiving key (1,216 bytes); ``direction``: sender's role."""
    return hpke.seal(receiving_key, frame(Context.EXCHANGE_SECRET, sid, direction.value), secret)


def open_secret(private: bytes, sid: bytes, direction: Role, sealed: bytes) -> bytes:
    """The secret (32 bytes) that the partner sealed to our run receiving key. Raises ValueError."""
    secret = hpke.open_sealed(private, frame(Context.EXCHANGE_SECRET, sid, direction.value), sealed)
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"an exchange secret has {SECRET_BYTES} bytes")
    return secret


@dataclass(frozen=True)
class RecordKeys:
    """All keys of one run and direction (the sender's role), derived from its secret (RFC 5869)."""

    sid: bytes
    direction: Role
    secret: bytes = field(repr=False)

    def seal(self, rank: int, retention_days: int, plaintext: bytes) -> bytes:
        """One record's fields of one retention class, encrypted: as long as ``plaintext`` and 16 bytes."""
        cipher = AESGCM(self._record_key(rank, retention_days))
        return cipher.encrypt(_NONCE, plaintext, self._associated(rank, retention_days))

    def open(self, rank: int, retention_days: int, ciphertext: bytes) -> bytes:
        """What ``seal`` encrypted for this rank and class. Raises ValueError where it is something else."""
        cipher = AESGCM(self._record_key(rank, retention_days))
        try:
            return cipher.decrypt(_NONCE, ciphertext, self._associated(rank, retention_days))
        except InvalidTag as error:
            raise ValueError("the record does not open under its key") from error

    def plaintext_digest(self, number: int, plaintexts: Iterable[bytes]) -> bytes:
        """Digest over the records of envelope ``number`` before sealing; 32 bytes.

        Salted from the secret: to anyone else the digest of a guessable record would be as good as the
        record.
        """
        salt = self._derive(frame(Context.ENVELOPE_SALT, number))
        return digest(Context.ENVELOPE_PLAINTEXT, salt, plaintexts)

    def _record_key(self, rank: int, retention_days: int) -> bytes:
        return self._derive(self._key_prefix + _RANK_AND_CLASS.pack(8, rank, 8, retention_days))

    def _associated(self, rank: int, retention_days: int) -> bytes:
        return self._associated_prefix + _RANK_AND_CLASS.pack(8, rank, 8, retention_days)

    @cached_property
    def _key_prefix(self) -> bytes:
        """``frame(RECORD_KEY, sid, direction, rank, class)`` up to the rank; likewise for the associated data."""
        return frame(Context.RECORD_KEY, self.sid, self.direction.value)

    @cached_property
    def _associated_prefix(self) -> bytes:
        return frame(Context.RECORD, self.sid, self.direction.value)

    @cached_property
    def _extracted(self) -> hmac.HMAC:
        """HMAC under the key that RFC 5869, 2.2 extracts from the secret without a salt: once for all records."""
        return hmac.new(hmac.digest(bytes(32), self.secret, "sha256"), digestmod=hashlib.sha256)

    def _derive(self, info: bytes) -> bytes:
        """The only block that 32 bytes take of what RFC 5869, 2.3 expands."""
        block = self._extracted.copy()
        block.update(info + b"\x01")
        return block.digest()
