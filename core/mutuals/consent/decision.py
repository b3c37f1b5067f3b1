"""Who decided what of a source grants consent, verified each time the source is read for others.

    definition = decide(tx, with_decision(definition, decision), keys, now)       # signed, logged and stored
    standing = standing_of(tx, definition)                                        # whether it still holds
    definition = decided_definition(tx, row)                                      # without a decision that does not

A decision counts as long as the mapping is what an operator signed, and it was the last one on that source.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import Act, sign_act, verify_act
from mutuals.identity.appointment import appointed_operator
from mutuals.identity.operators import OperatorKeys, require_current, require_role
from mutuals.sources.consent_decision import (
    decision_digest,
    mapping_of,
    purposes_of,
    unsigned,
    with_decision,
)
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.mapping import ConsentDecision
from mutuals.store.rows import SourceRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

DECIDE_ROLES = frozenset({"steward", "privacy_officer"})
DECIDED = "source.consent"
"""The act that an operator signs, on the source's name; and the entry of the log."""


@unique
class DecisionState(StrEnum):
    """How it stands with the decision on a source's consent."""

    NATIVE = "native"
    """None is needed: the headings of the native format say themselves who consents to what."""
    MISSING = "missing"
    STANDS = "stands"
    BROKEN = "broken"


@dataclass(frozen=True)
class Standing:
    """``sentence`` says it to a person, ``hint`` what to do; ``by`` and ``at`` only of a decision that stands."""

    state: DecisionState
    sentence: str
    hint: str | None = None
    by: str | None = None
    at: datetime | None = None

    @property
    def holds(self) -> bool:
        """Whether what the source says of consent may be relied on."""
        return self.state in {DecisionState.NATIVE, DecisionState.STANDS}


def decide(
    tx: Transaction, definition: SourceDefinition, keys: OperatorKeys, now: datetime
) -> SourceDefinition:
    """Sign the decision in ``definition``, log and store it; what was stored.

    The log gets the digest of the mapping and the purposes, not the values by which consent is told. Raises
    MutualsError: NOT_ENTITLED for the role, USAGE where the source was removed meanwhile.
    """
    require_role(keys, DECIDE_ROLES, "decide what grants consent")
    require_current(tx, keys)
    row = tx.sources.get(definition.name)
    if row is None:
        raise MutualsError(ErrorCode.USAGE, f"Source {definition.name} was removed meanwhile.")
    decision = unsigned(mapping_of(definition).consent or ConsentDecision())
    plain = with_decision(definition, decision)
    at = now.replace(microsecond=0)
    facts = {
        "mapping": decision_digest(plain),
        "purposes": list(purposes_of(decision)),
        "register": decision.file is not None,
    }
    signed = sign_act(keys, DECIDED, definition.name, facts, at)
    body = {"source": definition.name, "by": keys.name, **facts, **signed.evidence()}
    tx.log.append(None, DECIDED, body, at)
    kept = decision.model_copy(
        update={"decided_by": keys.name, "decided_at": at, "act": dict(signed.evidence())}
    )
    stored = with_decision(plain, kept)
    tx.sources.put(SourceRow(row.name, stored.model_dump_json(), row.added_at))
    return stored


def standing_of(tx: Transaction, definition: SourceDefinition) -> Standing:
    """Whether anybody decided what of this source grants consent, and whether that still holds."""
    if definition.mapping is None:
        return Standing(DecisionState.NATIVE, "The source says itself who has consented to what.")
    decision = definition.mapping.consent
    how = f"mutuals source map {definition.name}"
    if decision is None:
        return Standing(
            DecisionState.MISSING,
            "Nobody has consented as far as mutuals knows: no decision was taken.",
            how,
        )
    why = _broken(tx, definition, decision)
    if why is not None:
        sentence = f"Nobody has consented as far as mutuals knows: {why}."
        return Standing(DecisionState.BROKEN, sentence, f"Look at it and decide anew: {how}")
    at = decision.decided_at
    day = f" on {at:%Y-%m-%d}" if at else ""
    sentence = f"{decision.decided_by} decided{day} what grants consent."
    return Standing(DecisionState.STANDS, sentence, by=decision.decided_by, at=at)


def decided_definition(tx: Transaction, row: SourceRow) -> SourceDefinition:
    """The source as it may be read: without a decision that does not stand, so that nobody consents by it."""
    definition = SourceDefinition.model_validate_json(row.definition)
    if definition.mapping is None or standing_of(tx, definition).holds:
        return definition
    return with_decision(definition, None)


def require_decision(tx: Transaction, definition: SourceDefinition) -> None:
    """Refuse a source of which nobody is known to consent. Raises MutualsError (INPUT_QUALITY)."""
    standing = standing_of(tx, definition)
    if not standing.holds:
        raise MutualsError(
            ErrorCode.INPUT_QUALITY, f"Source {definition.name}: {standing.sentence}", hint=standing.hint
        )


def _broken(tx: Transaction, definition: SourceDefinition, decision: ConsentDecision) -> str | None:
    """Why the decision does not stand; nothing where it does."""
    if not decision.act:
        return "what the mapping says of consent is signed by nobody"
    act = _signed(tx, decision)
    if act is None:
        return "the decision is not signed by an operator who may take it"
    digest = decision_digest(definition)
    if act.subject != definition.name:
        return f"the decision was taken on source {act.subject}, not on this one"
    if act.facts.get("mapping") != digest:
        return f"the mapping was changed since {act.operator} decided on {act.at:%Y-%m-%d}"
    if (decision.decided_by, decision.decided_at) != (act.operator, act.at):
        return "the mapping names another operator or day than was signed"
    taken = [entry.body for entry in tx.log.events(DECIDED) if entry.body.get("source") == definition.name]
    if not taken or taken[-1].get("act_signature") != decision.act.get("act_signature"):
        return "another decision was taken after this one" if taken else "the log knows no such decision"
    return None


def _signed(tx: Transaction, decision: ConsentDecision) -> Act | None:
    """The act, if an operator whom an admin gave such a role signed it."""
    signer = appointed_operator(tx, decision.decided_by)
    if signer is None or not DECIDE_ROLES.intersection(signer.roles):
        return None
    try:
        act = verify_act(
            decision.act.get("act", "").encode(),
            bytes.fromhex(decision.act.get("act_signature", "")),
            signer.signing_public,
        )
    except ValueError:
        return None
    return act if (act.act, act.operator) == (DECIDED, signer.name) else None
