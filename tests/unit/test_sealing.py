"""Every record and class under a key of its own; the secret only for the run's receiving key."""

from __future__ import annotations

import pytest

from mutuals.crypto.hpke import generate_keypair
from mutuals.models.run import Role
from mutuals.protocol.sealing import (
    SEALED_SECRET_BYTES,
    TAG_BYTES,
    RecordKeys,
    new_secret,
    open_secret,
    seal_secret,
)

SID = b"\x05" * 32
SECRET = bytes(range(32))
KEYS = RecordKeys(SID, Role.INITIATOR, SECRET)


def test_record_opens_under_its_own_rank_and_class_only() -> None:
    sealed = KEYS.seal(4, 90, b'{"plan":"pro"}')
    assert len(sealed) == len(b'{"plan":"pro"}') + TAG_BYTES
    assert KEYS.open(4, 90, sealed) == b'{"plan":"pro"}'
    for rank, days in ((5, 90), (4, 30)):
        with pytest.raises(ValueError, match="does not open"):
            KEYS.open(rank, days, sealed)


@pytest.mark.parametrize(
    "other",
    [
        RecordKeys(b"\x06" * 32, Role.INITIATOR, SECRET),
        RecordKeys(SID, Role.RESPONDER, SECRET),
        RecordKeys(SID, Role.INITIATOR, bytes(32)),
    ],
)
def test_record_opens_in_its_own_run_direction_and_secret_only(other: RecordKeys) -> None:
    with pytest.raises(ValueError, match="does not open"):
        other.open(4, 90, KEYS.seal(4, 90, b"{}"))


def test_the_same_plaintext_looks_different_at_every_rank_and_class() -> None:
    sealed = {KEYS.seal(rank, days, b'{"plan":"pro"}') for rank in range(50) for days in (30, 90)}
    assert len(sealed) == 100


def test_changed_ciphertext_does_not_open() -> None:
    sealed = KEYS.seal(1, 90, b"{}")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(ValueError, match="does not open"):
            KEYS.open(1, 90, bytes(changed))


def test_secret_opens_with_the_receiving_key_of_its_run_and_direction_only() -> None:
    pair, other = generate_keypair(), generate_keypair()
    sealed = seal_secret(pair.public, SID, Role.INITIATOR, SECRET)
    assert len(sealed) == SEALED_SECRET_BYTES
    assert open_secret(pair.private, SID, Role.INITIATOR, sealed) == SECRET
    for private, sid, direction in (
        (other.private, SID, Role.INITIATOR),
        (pair.private, b"\x06" * 32, Role.INITIATOR),
        (pair.private, SID, Role.RESPONDER),
    ):
        with pytest.raises(ValueError, match="open"):
            open_secret(private, sid, direction, sealed)


def test_secret_of_another_length_is_refused() -> None:
    pair = generate_keypair()
    with pytest.raises(ValueError, match="32 bytes"):
        open_secret(
            pair.private, SID, Role.INITIATOR, seal_secret(pair.public, SID, Role.INITIATOR, b"short")
        )


def test_plaintext_digest_depends_on_secret_number_and_order() -> None:
    records = [b'{"a":1}', b'{"a":2}']
    digests = {
        KEYS.plaintext_digest(0, records),
        KEYS.plaintext_digest(1, records),
        KEYS.plaintext_digest(0, records[::-1]),
        KEYS.plaintext_digest(0, [b"".join(records)]),
        RecordKeys(SID, Role.INITIATOR, bytes(32)).plaintext_digest(0, records),
    }
    assert len(digests) == 5


def test_secrets_are_fresh() -> None:
    assert new_secret() != new_secret()
