"""The versions of one agreement: each amendment names the digest it replaces, and every version is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.models.agreement import AgreementState
from mutuals.store.rows import AgreementRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

BOUND = frozenset(
    {
        AgreementState.ACTIVE,
        AgreementState.SUSPENDED,
        AgreementState.SUPERSEDED,
        AgreementState.ENDED,
        AgreementState.CLOSED,
    }
)
"""States of a version that both sides have signed and that bound them at some time."""

LIVING = frozenset({AgreementState.ACTIVE, AgreementState.SUSPENDED})
"""States of the newest version while the agreement has not ended."""


def chain_of(tx: Transaction, digest: str) -> list[AgreementRow]:
    """All versions of the agreement to which ``digest`` belongs, oldest first; empty for an unknown digest.

    A version that binds has at most one successor that binds. A proposed or rejected amendment stands at the end of
    its own chain, and in nobody else's.
    """
    rows = {row.digest: row for row in tx.agreements.list()}
    row = rows.get(digest)
    chain: list[AgreementRow] = []
    while row is not None and row not in chain:
        chain.insert(0, row)
        row = rows.get(row.replaces) if row.replaces else None
    successors = {other.replaces: other for other in rows.values() if other.replaces and other.state in BOUND}
    while chain and (later := successors.get(chain[-1].digest)) is not None and later not in chain:
        chain.append(later)
    return chain


def newest_of(chain: list[AgreementRow]) -> AgreementRow:
    """The version of a chain that counts now: the last one that binds, or the last where none ever did."""
    return next((row for row in reversed(chain) if row.state in BOUND), chain[-1])


def current_of(tx: Transaction, row: AgreementRow) -> AgreementRow:
    """The version that counts now of the agreement to which ``row`` belongs, also where ``row`` never came to bind."""
    while row.state not in BOUND and row.replaces is not None:
        replaced = tx.agreements.get(row.replaces)
        if replaced is None or replaced.partner != row.partner:
            break
        row = replaced
    return newest_of(chain_of(tx, row.digest))


def family_of(tx: Transaction, digest: str) -> list[AgreementRow]:
    """The versions of the agreement, and the amendments of them that never came to bind, oldest first."""
    chain = {row.digest for row in chain_of(tx, digest)}
    return [row for row in tx.agreements.list() if row.digest in chain or row.replaces in chain]
