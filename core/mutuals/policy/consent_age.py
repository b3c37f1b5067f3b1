"""How old a consent may be at this side: what the agreement allows, or less where the own policy does.

    agreement = carried_out(current_policy(tx), active.agreement)
    select_participants(table, agreement, ...)

An agreement says how old a consent both sides take. A policy approved later may take only younger ones; then fewer own
contacts take part, and nothing else changes. A policy never lets an older one take part.
"""

from __future__ import annotations

from mutuals.models.agreement import Agreement, ConsentRule
from mutuals.models.policy import Policy


def own_rule(policy: Policy | None, rule: ConsentRule) -> ConsentRule:
    """The consent rule of an agreement as this side applies it."""
    if policy is None or policy.consent.max_age_days >= rule.max_age_days:
        return rule
    return rule.model_copy(update={"max_age_days": policy.consent.max_age_days})


def carried_out(policy: Policy | None, agreement: Agreement) -> Agreement:
    """The agreement with the consent rule that this side applies: to tell who takes part. It is not what was signed."""
    return agreement.model_copy(update={"consent": own_rule(policy, agreement.consent)})
