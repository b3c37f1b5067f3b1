"""A run's receiving key: made when the run opens, its private half wrapped for those who may read, then forgotten.

From then on the server can store what arrives under it but cannot read it (DESIGN §8).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mutuals.crypto.hpke import generate_keypair, open_sealed, seal
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.operators import OperatorKeys, entitled_to_read
from mutuals.store.database import Transaction
from mutuals.store.rows import OperatorRow


@dataclass(frozen=True)
class ReceivingKey:
    """The public half (1,216 bytes), and the private half sealed to each operator by name."""

    public: bytes
    wrapped: dict[str, bytes] = field(repr=False)


def new_receiving_key(operators: list[OperatorRow]) -> ReceivingKey:
    """A fresh key pair for one run; of the private half only the wrapped copies exist afterwards.

    Raises MutualsError (NOT_ENTITLED) where no operator may read: what arrived could never be used.
    """
    readers = entitled_to_read(operators)
    if not readers:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            "No operator of this peer may read received records, so a run would be in vain.",
            hint="Add one: mutuals operator add NAME --role steward",
        )
    pair = generate_keypair()
    wrapped = {
        reader.name: seal(reader.wrapping_public, _info(pair.public, reader.name), pair.private)
        for reader in readers
    }
    return ReceivingKey(public=pair.public, wrapped=wrapped)


def subject(run_id: str) -> str:
    """Under which name a run's wrapped keys lie in the store."""
    return f"run:{run_id}"


def store_receiving_key(tx: Transaction, run_id: str, key: ReceivingKey) -> None:
    """Keep the wrapped copies."""
    for operator, blob in key.wrapped.items():
        tx.keys.put_wrapped(subject(run_id), operator, blob)


def open_receiving_key(tx: Transaction, run_id: str, public: bytes, keys: OperatorKeys) -> bytes:
    """The private half (96 bytes), for an unlocked operator. Raises MutualsError (NOT_ENTITLED)."""
    blob = tx.keys.wrapped(subject(run_id), keys.name)
    if blob is None:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {keys.name} holds no key to run {run_id}: not entitled when it opened, or it was destroyed.",
        )
    try:
        return open_sealed(keys.wrapping_private, _info(public, keys.name), blob)
    except ValueError as error:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED, f"The key of operator {keys.name} does not open run {run_id}."
        ) from error


def _info(public: bytes, operator: str) -> bytes:
    return frame(Context.WRAP, "run", public, operator)
