"""The dry run over a source, without a console: for the command and for the Python API."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.source_sections import DEFAULT_PROFILE, CheckAsked
from mutuals_client.stored_sources import definition_of, find_source

if TYPE_CHECKING:
    from mutuals.consent.decision import Standing
    from mutuals.peer import Peer
    from mutuals.sources.check import ParticipationRule, SourceCheck


@dataclass(frozen=True)
class Checked:
    """What was asked and found, how it stands with the decision on consent, and when."""

    asked: CheckAsked
    found: SourceCheck
    standing: Standing
    at: datetime

    def facts(self) -> dict[str, Any]:
        """The JSON values documented in docs/sources.md."""
        from mutuals_client.consent_words import standing_facts
        from mutuals_client.source_report import check_facts

        return {**check_facts(self.asked, self.found), "decision": standing_facts(self.standing)}


def check(
    peer: Peer,
    name: str,
    *,
    agreement: str | None = None,
    purpose: str | None = None,
    max_age_days: int | None = None,
    notice: bool | None = None,
    profile: str | None = None,
) -> Checked:
    """Read a source and examine it, on all cores where it is long; see ``mutuals source check``.

    Raises MutualsError: USAGE, INPUT_QUALITY, AGREEMENT_UNKNOWN.
    """
    from mutuals.consent import open_withdrawals
    from mutuals.consent.decision import decided_definition, standing_of
    from mutuals.engines.workers import WorkerPool
    from mutuals.normalisation import get_profile
    from mutuals.sources.check import check_source

    row = find_source(peer, name)
    with peer.store.transaction() as tx:
        definition, standing = decided_definition(tx, row), standing_of(tx, definition_of(row))
    rule: ParticipationRule | None
    agreed_profile, agreement_id, digest, agreed_days = None, None, None, None
    if agreement is not None:
        if (purpose, max_age_days, notice) != (None, None, None):
            raise MutualsError(
                ErrorCode.USAGE,
                "--agreement brings its own consent rule.",
                hint="Leave out --purpose, --max-age-days and --notice, or leave out --agreement.",
            )
        rule, agreed_profile, agreement_id, digest, agreed_days = _agreed_rule(peer, agreement)
    else:
        rule = _supposed_rule(purpose, max_age_days, notice)
    chosen = get_profile(profile or agreed_profile or DEFAULT_PROFILE)
    withdrawals = open_withdrawals(peer, digest)
    now = peer.clock()
    # Workers are started only where a file has more than one block; never a cluster's, which would see what was typed.
    with closing(WorkerPool(peer.workers)) as pool:
        found = check_source(
            definition,
            chosen,
            now.date(),
            rule,
            spread=pool.map,
            mark=lambda batch: withdrawals.mark(batch, definition.default_country, spread=pool.map),
        )
    asked = CheckAsked(definition, chosen.name, rule, agreement_id, agreed_days)
    return Checked(asked, found, standing, now)


def _agreed_rule(peer: Peer, reference: str) -> tuple[ParticipationRule, str, str, str, int]:
    """The rule as this side applies it, profile, id and digest of an agreement in whatever state; and how old a consent
    may be by the agreement alone, in days.
    """
    from mutuals.agreement.active import find_agreement
    from mutuals.agreement.document import parse_agreement
    from mutuals.policy.consent_age import own_rule
    from mutuals.policy.current import current_policy
    from mutuals.sources.check import ParticipationRule

    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        policy = current_policy(tx)
    document = parse_agreement(row.document)
    rule = ParticipationRule(
        consent=own_rule(policy, document.consent),
        identifiers=document.matching.identifiers,
        include_shared=document.matching.shared_identifiers == "include",
    )
    return rule, document.matching.profile, row.agreement_id, row.digest, document.consent.max_age_days


def _supposed_rule(
    purpose: str | None, max_age_days: int | None, notice: bool | None
) -> ParticipationRule | None:
    from pydantic import ValidationError

    from mutuals.models.agreement import ConsentRule
    from mutuals.sources.check import ParticipationRule

    if purpose is None:
        if (max_age_days, notice) != (None, None):
            raise MutualsError(ErrorCode.USAGE, "--max-age-days and --notice need a --purpose.")
        return None
    given = {"max_age_days": max_age_days, "notice_required": notice}
    try:
        consent = ConsentRule.model_validate(
            {"purpose": purpose, **{key: value for key, value in given.items() if value is not None}}
        )
    except ValidationError:
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{purpose}” cannot be a purpose in an agreement.",
            hint="Purposes are lower-case letters, digits, - and _, beginning with a letter.",
        ) from None
    return ParticipationRule(consent)
