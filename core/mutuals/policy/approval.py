"""Putting a version of the policy in force: signed by an admin or privacy officer, by two where the policy asks.

    outcome = approve_policy(tx, policy, keys, now)
    outcome.version, outcome.in_force

From then on every decision is made by it. Earlier versions stay in the store, and in the log with their signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.identity.appointment import appointed_operators
from mutuals.identity.operators import OperatorKeys, require_role
from mutuals.models.policy import FourEyesAct, Policy
from mutuals.policy.current import APPROVED, current_policy, operators_required
from mutuals.policy.document import policy_bytes, policy_digest
from mutuals.policy.four_eyes import EYES, POLICY_ROLES, co_sign, unsatisfiable
from mutuals.store.rows import PolicyRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction


@dataclass(frozen=True)
class Approval:
    """What an approval came to: ``operators`` have signed this version, of ``needed``."""

    version: int
    digest: str
    operators: tuple[str, ...]
    needed: int

    @property
    def in_force(self) -> bool:
        """True where the version is the policy now; else a second operator must approve the same file."""
        return len(self.operators) >= self.needed


def next_version(tx: Transaction) -> int:
    """The number that the next approved version gets."""
    row = tx.policies.current()
    return 1 if row is None else row.version + 1


def approve_policy(tx: Transaction, policy: Policy, keys: OperatorKeys, now: datetime) -> Approval:
    """Sign ``policy`` as the next version, and put it in force if that completes what the policy in force asks.

    Raises MutualsError: NOT_ENTITLED for the role, USAGE where it is not the next version, changes nothing, or asks
    for four eyes where two operators could never be found.
    """
    require_role(keys, POLICY_ROLES, "approve a policy")
    current = current_policy(tx)
    if policy.version != next_version(tx):
        raise MutualsError(
            ErrorCode.USAGE,
            f"Version {policy.version} is not the next one; another was approved meanwhile.",
            hint="Compare again: mutuals policy approve",
        )
    if current is not None and current.model_copy(update={"version": policy.version}) == policy:
        raise MutualsError(
            ErrorCode.USAGE,
            f"The file says what version {current.version} of the policy says; there is nothing to approve.",
            hint="Edit it first; see what is in force: mutuals policy show",
        )
    refuse_unsatisfiable(tx, policy.four_eyes)
    document = policy_bytes(policy)
    digest = policy_digest(document)
    needed = operators_required(tx, "policy")
    operators: tuple[str, ...] = (keys.name,)
    if needed > 1:
        operators = co_sign(tx, keys, "policy", digest, {"version": policy.version}, now).operators
    previous = tx.policies.current()
    facts = {
        "version": policy.version,
        "replaces": previous.digest if previous else None,
        "operators": list(operators),
    }
    signed = sign_act(keys, APPROVED, digest, facts, now)
    approval = Approval(policy.version, digest, operators, needed)
    event = "policy.approved" if approval.in_force else "policy.signed"
    tx.log.append(None, event, {"version": policy.version, "digest": digest, **signed.evidence()}, now)
    if approval.in_force:
        row = PolicyRow(policy.version, digest, document, keys.name, signed.body, signed.signature, now)
        tx.policies.put(row)
        tx.approvals.void("policy", digest, now)
        tx.notifications.add(
            None,
            f"Version {policy.version} of the policy is in force, approved by {' and '.join(operators)}: "
            "mutuals policy show",
            (),
            now,
            author=keys.name,
        )
    return approval


def refuse_unsatisfiable(tx: Transaction, acts: tuple[FourEyesAct, ...]) -> None:
    """Raise MutualsError (USAGE) where one of ``acts`` would need two operators and there are not two."""
    for act in unsatisfiable(appointed_operators(tx), acts):
        roles = " or ".join(sorted(EYES[act]))
        raise MutualsError(
            ErrorCode.USAGE,
            f"four_eyes: {act} would need two operators in the role {roles}, and there are not two"
            + (" (one of whom may export)." if act == "export" else "."),
            hint=f"Add one first, or leave {act} out: mutuals operator add NAME --role {roles.split()[-1]}",
        )
