"""The accountability key: what was sent to whom stays answerable, for those who must answer (DESIGN §8).

The public half lies in the home, so that the server can write the ledger; the private half exists only
wrapped (HPKE) for each operator in an accountable role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.crypto.hpke import open_sealed, seal
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.operators import ACCOUNTABILITY_ROLES, OperatorKeys
from mutuals.store.rows import OperatorRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

SUBJECT = "accountability"


def wrap_accountability(tx: Transaction, row: OperatorRow, public: bytes, private: bytes) -> bool:
    """Keep a copy of the private half (96 bytes) for ``row`` if its roles ask for one; whether they did."""
    if not ACCOUNTABILITY_ROLES.intersection(row.roles):
        return False
    tx.keys.put_wrapped(SUBJECT, row.name, seal(row.wrapping_public, _info(public, row.name), private))
    return True


def open_accountability(tx: Transaction, keys: OperatorKeys, public: bytes) -> bytes:
    """The private half (96 bytes), for an unlocked operator. Raises MutualsError (NOT_ENTITLED)."""
    blob = tx.keys.wrapped(SUBJECT, keys.name)
    if blob is None:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {keys.name} holds no copy of the accountability key.",
            hint="An admin, privacy officer or auditor can open the ledger.",
        )
    try:
        return open_sealed(keys.wrapping_private, _info(public, keys.name), blob)
    except ValueError as error:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED, f"Operator {keys.name}'s copy of the accountability key does not open."
        ) from error


def _info(public: bytes, operator: str) -> bytes:
    return frame(Context.WRAP, SUBJECT, public, operator)
