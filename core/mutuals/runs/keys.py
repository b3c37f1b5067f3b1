"""A run's receiving key: made when the run opens, its private half wrapped for those who may read, then forgotten.

From then on the server can store what arrives under it but cannot read it (DESIGN §8). Each wrapped copy is sealed
twice: to the operator by HPKE, and around that under the run's share, which lies outside of the store
(``mutuals.runs.shares``). So a copy of the store opens nothing once the share is destroyed, whoever's passphrase is
known. The outer layer needs no passphrase: copies can be moved to a new share without opening them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mutuals.crypto.hpke import generate_keypair, open_sealed, seal
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.operators import OperatorKeys, entitled_to_read
from mutuals.store.database import Transaction
from mutuals.store.rows import OperatorRow

SHARE_BYTES = 32
_NONCE_BYTES = 12
_PREFIX = "run:"


@dataclass(frozen=True)
class ReceivingKey:
    """The public half (1,216 bytes), and the private half sealed to each operator by name, not yet under a share."""

    public: bytes
    sealed: dict[str, bytes] = field(repr=False)


def new_receiving_key(operators: list[OperatorRow]) -> ReceivingKey:
    """A fresh key pair for one run; of the private half only the sealed copies exist afterwards.

    ``operators`` are those whom an admin appointed (``mutuals.identity.appointment.appointed_operators``).
    Raises MutualsError (NOT_ENTITLED) where no operator may read: what arrived could never be used.
    """
    readers = entitled_to_read(operators)
    if not readers:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            "No operator of this peer may read received records, so a run would be in vain.",
            hint="Add one: mutuals operator add NAME --role steward. Where there should be one: mutuals audit verify",
        )
    pair = generate_keypair()
    sealed = {
        reader.name: seal(reader.wrapping_public, _info(pair.public, reader.name), pair.private)
        for reader in readers
    }
    return ReceivingKey(public=pair.public, sealed=sealed)


def subject(run_id: str) -> str:
    """Under which name a run's wrapped keys lie in the store."""
    return f"{_PREFIX}{run_id}"


def runs_with_keys(tx: Transaction) -> set[str]:
    """The ids of the runs of which the store holds wrapped keys."""
    return {name.removeprefix(_PREFIX) for name in tx.keys.subjects(_PREFIX)}


def new_share() -> bytes:
    """A fresh share: 32 random bytes."""
    return os.urandom(SHARE_BYTES)


def store_receiving_key(tx: Transaction, run_id: str, key: ReceivingKey, share: bytes) -> None:
    """Keep the sealed copies, each under the run's ``share`` (32 bytes), which must be on disk before the commit."""
    for operator, sealed in key.sealed.items():
        tx.keys.put_wrapped(subject(run_id), operator, _wrap(share, run_id, key.public, operator, sealed))


def open_receiving_key(
    tx: Transaction, run_id: str, public: bytes, keys: OperatorKeys, shares: Sequence[bytes]
) -> bytes:
    """The private half (96 bytes), for an unlocked operator; ``shares`` are those that lie in the home for the run.

    Raises MutualsError: RUN_STATE where what the run received was destroyed, NOT_ENTITLED where the operator has no
    copy or it does not open.
    """
    held = tx.keys.blobs(subject(run_id))
    if not held or not shares:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"The key to what run {run_id} received was destroyed; nothing of it can be read any more.",
            hint="It ended, or its records passed their retention: mutuals runs show, mutuals retention --dry-run",
        )
    blob = held.get(keys.name)
    if blob is None:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {keys.name} holds no key to run {run_id}: not entitled when it opened, or taken away since.",
            hint="Those who do: " + ", ".join(sorted(held)),
        )
    try:
        return open_sealed(
            keys.wrapping_private,
            _info(public, keys.name),
            _unwrap(shares, run_id, public, keys.name, blob),
        )
    except (ValueError, InvalidTag) as error:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"The key of operator {keys.name} does not open run {run_id}.",
            hint="See who else may read what was received: mutuals operator list",
        ) from error


def wrap_for_operator(
    tx: Transaction, run_id: str, public: bytes, private: bytes, shares: Sequence[bytes], row: OperatorRow
) -> None:
    """Give ``row`` a copy of the private half (96 bytes), which somebody who has one opened.

    ``shares`` are those in the home for the run. Raises MutualsError (RUN_STATE) where none of them is the run's.
    """
    share = fitting_share(tx, run_id, public, shares)
    if share is None:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"The key to what run {run_id} received was destroyed.",
            hint="mutuals runs show",
        )
    sealed = seal(row.wrapping_public, _info(public, row.name), private)
    tx.keys.put_wrapped(subject(run_id), row.name, _wrap(share, run_id, public, row.name, sealed))


def rewrap(
    tx: Transaction,
    run_id: str,
    public: bytes,
    shares: Sequence[bytes],
    share: bytes,
    readers: Collection[str],
) -> int:
    """Move the copies of ``readers`` (names) from the old ``shares`` to the new ``share`` and destroy all others.

    Nobody's passphrase is needed. Returns how many copies there are now; a copy that none of ``shares`` opens is
    lost already and goes as well.
    """
    moved = 0
    for operator, blob in tx.keys.blobs(subject(run_id)).items():
        try:
            sealed = _unwrap(shares, run_id, public, operator, blob) if operator in readers else None
        except InvalidTag:
            sealed = None
        if sealed is None:
            tx.keys.destroy_copy(subject(run_id), operator)
        else:
            tx.keys.put_wrapped(subject(run_id), operator, _wrap(share, run_id, public, operator, sealed))
            moved += 1
    return moved


def fitting_share(tx: Transaction, run_id: str, public: bytes, shares: Sequence[bytes]) -> bytes | None:
    """Which of ``shares`` the run's wrapped copies are under, or nothing."""
    for operator, blob in tx.keys.blobs(subject(run_id)).items():
        for share in shares:
            try:
                _unwrap((share,), run_id, public, operator, blob)
            except InvalidTag:
                continue
            return share
    return None


def _wrap(share: bytes, run_id: str, public: bytes, operator: str, sealed: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_outer_key(share, run_id)).encrypt(nonce, sealed, _associated(public, operator))


def _unwrap(shares: Sequence[bytes], run_id: str, public: bytes, operator: str, blob: bytes) -> bytes:
    """Raises InvalidTag where none of ``shares`` opens it."""
    for share in shares:
        try:
            return AESGCM(_outer_key(share, run_id)).decrypt(
                blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], _associated(public, operator)
            )
        except (InvalidTag, ValueError):  # ValueError: a damaged row, too short for a nonce
            continue
    raise InvalidTag


def _outer_key(share: bytes, run_id: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=frame(Context.RUN_SHARE, run_id)).derive(share)


def _associated(public: bytes, operator: str) -> bytes:
    return frame(Context.RUN_SHARE, public, operator)


def _info(public: bytes, operator: str) -> bytes:
    return frame(Context.WRAP, "run", public, operator)
