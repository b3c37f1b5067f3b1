"""The policy in force: the version approved last, verified over the stored bytes each time it is asked for.

policy = current_policy(tx)              # nothing where none was ever approved
operators_required(tx, "exchange")       # 1, or 2 where the policy asks for four eyes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import verify_act
from mutuals.identity.appointment import check_appointed
from mutuals.models.policy import FourEyesAct, Policy
from mutuals.policy.document import parse_policy, policy_digest
from mutuals.store.rows import PolicyRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

APPROVED = "policy.approve"
"""The act that an operator signs under a version; its subject is the policy's digest."""


def current_policy(tx: Transaction) -> Policy | None:
    """The policy in force, or nothing. Raises MutualsError (LOCAL) where the store does not hold what was signed."""
    row = tx.policies.current()
    return None if row is None else verify_policy(tx, row)


def policy_in_force(tx: Transaction) -> str | None:
    """The digest (hex) of the policy in force, or nothing; raises as ``current_policy`` does."""
    row = tx.policies.current()
    if row is None:
        return None
    verify_policy(tx, row)
    return row.digest


def verify_policy(tx: Transaction, row: PolicyRow) -> Policy:
    """The policy in ``row``, if it is what the operator named there signed, whom an admin appointed.

    Raises MutualsError (LOCAL).
    """
    signer = tx.operators.get(row.operator)
    if signer is not None:
        check_appointed(tx, signer)
    try:
        policy = parse_policy(row.document)
        act = verify_act(row.body, row.signature, signer.signing_public if signer else None)
    except ValueError as error:
        raise _tampered(row) from error
    signed = (act.act, act.subject, act.operator, policy_digest(row.document), policy.version)
    if signer is None or signed != (APPROVED, row.digest, row.operator, row.digest, row.version):
        raise _tampered(row)
    return policy


def operators_required(tx: Transaction, act: FourEyesAct) -> int:
    """How many operators must sign ``act``: 2 where the policy in force asks for four eyes, else 1."""
    policy = current_policy(tx)
    return 2 if policy is not None and act in policy.four_eyes else 1


def _tampered(row: PolicyRow) -> MutualsError:
    return MutualsError(
        ErrorCode.LOCAL,
        f"Version {row.version} of the policy cannot be used: the stored copy is not what {row.operator} signed.",
        hint="Restore the store from a backup, and find out who changed it.",
    )
