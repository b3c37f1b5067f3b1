"""Whether the store is still what was signed and cosigned: logs put back, operators and policy edited by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mutuals.errors import MutualsError
from mutuals.identity.appointment import appointment_problems
from mutuals.monitoring.facts import Finding, LogFaultFacts, PeerFacts, PolicyFacts, Urgency
from mutuals.policy.current import current_policy
from mutuals.runs.log_faults import open_faults

if TYPE_CHECKING:
    from mutuals.store.database import Transaction


def log_faults(tx: Transaction) -> tuple[LogFaultFacts, ...]:
    """The faults of logs that nobody has cleared, oldest first."""
    found = []
    for fault in open_faults(tx):
        partner = tx.partners.get(fault.partner)
        name = partner.name if partner else fault.partner[:12]
        what = fault.sentence(name)
        found.append(
            LogFaultFacts(fault.agreement_id, name, fault.own, fault.kind, fault.size, fault.at, what)
        )
    return tuple(found)


def changed_operators(tx: Transaction) -> tuple[str, ...]:
    """What is not with the stored operators as an admin signed it, a clause for each."""
    return tuple(appointment_problems(tx))


def policy_facts(tx: Transaction) -> PolicyFacts | None:
    """The policy approved last, and whether it is what was signed."""
    row = tx.policies.current()
    if row is None:
        return None
    try:
        current_policy(tx)
        intact = True
    except MutualsError:
        intact = False
    return PolicyFacts(row.version, row.approved_at, row.operator, intact)


def integrity_findings(facts: PeerFacts) -> Iterator[Finding]:
    """Each stops something until a person has looked, so each is overdue."""
    for fault in facts.log_faults:
        yield Finding(
            "log_fault",
            Urgency.OVERDUE,
            fault.what,
            f"Nothing is matched, exchanged or exported with {fault.partner} until this is cleared.",
            "Put the newest copy of your home back. Where it is lost, an operator of each side clears it."
            if fault.own
            else "Ask the partner why. To accept its log as it is now, an operator clears it.",
            f'mutuals audit clear {fault.agreement} --reason "..."',
            agreement=fault.agreement,
            partner=fault.partner,
        )
    for problem in facts.operators_changed:
        yield Finding(
            "operator_changed",
            Urgency.OVERDUE,
            f"{problem[0].upper()}{problem[1:]}.",
            "Somebody changed the store. No key is wrapped for that operator, and their signatures do not count.",
            "Restore the store from a backup, and find out who changed it.",
            "mutuals audit verify",
        )
    if facts.policy is not None and not facts.policy.intact:
        yield Finding(
            "policy_changed",
            Urgency.OVERDUE,
            f"Version {facts.policy.version} of the policy is not what {facts.policy.operator} signed.",
            "Somebody changed the policy or its signer's row in the store. Nothing is shared or exported by it.",
            "Restore the store from a backup, and find out who changed it.",
            "mutuals audit verify",
        )
