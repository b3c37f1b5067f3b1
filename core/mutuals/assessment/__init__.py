"""The risk assessment before a signature: what the own source, the terms and the policy mean for the persons.

    plan = Plan(agreement, Side.PROPOSER, source="crm", mapping={})
    assessment = assess(peer, plan, accepted={"small-groups": "Both sides are bound by contract."})
    sign_assessment(peer, plan, assessment, operator_keys)

What a signed assessment must be for an agreement to be signed is ``mutuals.agreement.assessed``.
"""
