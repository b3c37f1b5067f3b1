"""Acts that need two operators: each signs the same facts, and only both together count (DESIGN §8).

    signed = co_sign(tx, keys, "terminate", digest, {"reason": reason}, now)   # in the caller's transaction
    signed.require("mutuals agreement terminate A-7Q3K2M9X")                   # after it: 9, waiting for the other

A signature counts while its operator is there, entitled and as an admin appointed them, for exactly these facts under
the policy in force, and never twice for one operator. A service operator is no pair of eyes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import SignedAct, sign_act, verify_act
from mutuals.identity.appointment import appointed_operator
from mutuals.identity.operators import AUTHORISE_ROLES, READ_ROLES, SIGN_ROLES, OperatorKeys, require_role
from mutuals.models.policy import FourEyesAct
from mutuals.policy.current import operators_required, policy_in_force
from mutuals.store.rows import ApprovalRow, OperatorRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

POLICY_ROLES = frozenset({"admin", "privacy_officer"})
"""Who may approve a version of the policy."""

EYES: dict[FourEyesAct, frozenset[str]] = {
    "sign": SIGN_ROLES,
    "reveal": AUTHORISE_ROLES - {"service"},
    "exchange": AUTHORISE_ROLES - {"service"},
    "export": AUTHORISE_ROLES - {"service"},
    "terminate": SIGN_ROLES,
    "policy": POLICY_ROLES,
}
"""In which roles an operator is one of the two; of an export, the one who does not take the records out."""


@dataclass(frozen=True)
class CoSigned:
    """Whose signatures under an act count by now (oldest first), and how many it needs; ``own`` is the newest."""

    act: FourEyesAct
    operators: tuple[str, ...]
    needed: int
    own: SignedAct

    @property
    def complete(self) -> bool:
        """True where the act may be carried out."""
        return len(self.operators) >= self.needed

    def require(self, command: str) -> None:
        """Raise MutualsError (NOT_AUTHORISED_YET) unless complete; ``command`` is what the second operator runs."""
        if not self.complete:
            raise waiting(self.act, self.operators, command)


def co_sign(
    tx: Transaction,
    keys: OperatorKeys,
    act: FourEyesAct,
    subject: str,
    facts: Mapping[str, Any],
    now: datetime,
) -> CoSigned:
    """Sign ``act`` on ``subject`` as one of those it needs. Raises MutualsError (NOT_ENTITLED) for a wrong role.

    ``facts`` are JSON values and the same for every operator; the policy in force is added to them.
    """
    require_role(keys, EYES[act], f"sign as one of the operators whom {_WORDS[act]} needs")
    needed = operators_required(tx, act)
    full = {**facts, "policy": policy_in_force(tx)}
    signed = sign_act(keys, act, subject, full, now)
    tx.approvals.put(ApprovalRow(act, subject, keys.name, signed.body, signed.signature, now))
    return CoSigned(act, signers(tx, act, subject, facts), needed, signed)


def signers(tx: Transaction, act: FourEyesAct, subject: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The operators whose signatures under ``act`` on ``subject`` with these ``facts`` count now, oldest first."""
    wanted = canonical_json({**facts, "policy": policy_in_force(tx)})
    names: list[str] = []
    for row in tx.approvals.of(act, subject):
        operator = appointed_operator(tx, row.operator)
        if operator is None or operator.disabled_at is not None or not EYES[act].intersection(operator.roles):
            continue
        try:
            signed = verify_act(row.body, row.signature, operator.signing_public)
        except ValueError:  # an edited row is no signature
            continue
        about = (signed.act, signed.subject, signed.operator)
        if about == (act, subject, operator.name) and canonical_json(signed.facts) == wanted:
            names.append(operator.name)
    return tuple(dict.fromkeys(names))


def waiting(act: FourEyesAct, operators: Iterable[str], command: str) -> MutualsError:
    """The refusal of an act that a second operator has not signed yet."""
    names = " and ".join(operators)
    return MutualsError(
        ErrorCode.NOT_AUTHORISED_YET,
        f"The policy asks for four eyes: {_WORDS[act]} needs two operators"
        + (f", and only {names} has signed." if names else ", and none has signed."),
        hint=f"A second operator ({_roles(act)}) must run: {command} --operator NAME",
    )


def unsatisfiable(operators: Iterable[OperatorRow], acts: Iterable[FourEyesAct]) -> list[FourEyesAct]:
    """Those of ``acts`` for which there are no two operators: four eyes there would forbid the act altogether."""
    active = [row for row in operators if row.disabled_at is None]
    return [act for act in acts if not _enough(active, act)]


def _enough(active: list[OperatorRow], act: FourEyesAct) -> bool:
    eligible = [row for row in active if EYES[act].intersection(row.roles)]
    if act != "export":
        return len(eligible) >= 2
    readers = {row.name for row in active if READ_ROLES.intersection(row.roles)}
    return any(readers - {row.name} for row in eligible)


def _roles(act: FourEyesAct) -> str:
    return " or ".join(role.replace("_", " ") for role in sorted(EYES[act]))


_WORDS: dict[FourEyesAct, str] = {
    "sign": "signing an agreement",
    "reveal": "a reveal",
    "exchange": "an exchange",
    "export": "an export",
    "terminate": "ending an agreement",
    "policy": "a new version of the policy",
}
