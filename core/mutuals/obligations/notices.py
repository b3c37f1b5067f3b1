"""Whom to notify before their data is shared, and a draft of what to tell them (GDPR Art. 13 and 14).

    due = contacts_to_notify(peer, agreement, row, source)      # eligible but for the notice
    text = draft_notice(peer, agreement, side, partner_card)    # Markdown, for a person to finish

A draft is not legal advice, and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from mutuals.agreement.active import utc_date
from mutuals.consent import mark_withdrawn
from mutuals.consent.decision import decided_definition
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement, SharedField, Side
from mutuals.models.card import Card
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy
from mutuals.sources import read_source, select_participants
from mutuals.sources.eligibility import NOTICE_IS_MISSING, consent_exclusions
from mutuals.wording import counted

if TYPE_CHECKING:
    from mutuals.models.policy import Policy


@dataclass(frozen=True)
class ToNotify:
    """Own contact ids that only lack the notice, in the source's order, with the reason each is left out for."""

    contacts: tuple[tuple[str, str], ...] = field(repr=False)

    def by_reason(self) -> dict[str, int]:
        """How many lack it for which reason."""
        counts: dict[str, int] = {}
        for _, reason in self.contacts:
            counts[reason] = counts.get(reason, 0) + 1
        return counts


def contacts_to_notify(peer: Peer, agreement: Agreement, digest: str, source: str) -> ToNotify:
    """Who would take part under the agreement (``digest``, hex) if the notice had been given today.

    Raises MutualsError: USAGE where the agreement asks for no notice or there is no such source, INPUT_QUALITY.
    """
    if not agreement.consent.notice_required:
        raise MutualsError(
            ErrorCode.USAGE,
            "This agreement does not make a notice a condition (consent.notice_required = false).",
            hint="The duty to inform of GDPR Art. 13 and 14 may exist all the same.",
        )
    with peer.store.transaction() as tx:
        row = tx.sources.get(source)
        agreement = carried_out(current_policy(tx), agreement)
        definition = None if row is None else decided_definition(tx, row)
    if definition is None:
        raise MutualsError(
            ErrorCode.USAGE, f"There is no source named “{source}”.", hint="See them: mutuals source list"
        )
    table = mark_withdrawn(peer, read_source(definition, fields=()), definition.default_country, digest)
    today = utc_date(peer.clock())
    unnotified = agreement.consent.model_copy(update={"notice_required": False})
    profile = get_profile(agreement.matching.profile)
    would = select_participants(
        table,
        agreement.model_copy(update={"consent": unnotified}),
        profile,
        today,
        definition.default_country,
    )
    reasons = consent_exclusions(table.frame, agreement.consent, today)
    due = (
        table.frame.select("contact_id", reason=reasons)
        .filter(pl.col("reason").is_in(sorted(NOTICE_IS_MISSING)))
        .filter(pl.col("contact_id").is_in(would.contact_ids.implode()))
    )
    return ToNotify(tuple(due.iter_rows()))


def draft_notice(
    own: Card, partner: Card | None, agreement: Agreement, side: Side, policy: Policy | None
) -> str:
    """A notice to the own contacts about this sharing, as Markdown; ``partner`` is the card it is known by, if any.

    What only a person can say stands in angle brackets.
    """
    us, them = agreement.party(side), agreement.party(side.other)
    sent, got = agreement.sends(side), agreement.sends(side.other)
    withdrawal = _sentence(policy.consent.withdrawal if policy else f"Write to {us.contact}")
    parts = [
        f"# We share data about you with {them.organisation}",
        "*A draft from the agreement, both companies' cards and the policy. It is not legal advice: complete what "
        "stands in angle brackets, and have it checked.*",
        f"**Who we are.** {us.organisation}. {own.introduction} Contact: {us.contact}. "
        f"Data protection officer: {us.data_protection_officer}.",
        f"**Who receives it.** {them.organisation}. {partner.introduction if partner else ''} "
        f"Contact: {them.contact}. Data protection officer: {them.data_protection_officer}."
        + (
            f" Vendors that work for the recipient: {', '.join(agreement.vendors)}."
            if agreement.vendors
            else ""
        ),
        f"**Why.** {agreement.purpose}",
        f"**What may not be done with it.** {'; '.join(agreement.prohibited_uses)}."
        if agreement.prohibited_uses
        else "",
        f"**On what basis.** {us.lawful_basis}. You gave your consent to “{agreement.consent.purpose}”.",
        "**How.** Both companies find out which contacts both already have, without showing each other the rest: "
        "your address or number is sent in encrypted form only, and the other company learns that we know you only "
        "if your address or number is on its own list.",
        "**What we send about you, if both companies know you.**\n\n" + _fields(sent),
        f"**What we receive about you from {them.organisation}.**\n\n" + _fields(got),
        f"**How long.** The sharing lasts from {agreement.valid_from} to {agreement.valid_until}. What was "
        "exchanged is deleted after the days above, and all of it when the sharing ends. "
        "<Say how long each company keeps what it takes over into its own systems.>",
        f"**Outside the European Economic Area.** {agreement.international_transfer}",
        f"**Passing on.** {agreement.onward_transfer}",
        f"**Your rights.** You can withdraw your consent at any time (Art. 7(3) GDPR); what was done before stays "
        f"lawful. {withdrawal} "
        "You can object, and ask for access, correction, erasure, restriction and a copy of your data "
        "(Art. 15 to 21 GDPR), from either company. We tell the recipient, which deletes its copy. "
        "You can complain to <the supervisory authority of your country> (Art. 77 GDPR).",
        "**Must you take part?** No. <Say what happens without it: nothing changes for you.> "
        "<Say whether decisions are made automatically, Art. 22 GDPR.>",
        f"**More.** {own.privacy_policy or '<link to your privacy policy>'}",
    ]
    return "\n\n".join(re.sub(" {2,}", " ", part).strip() for part in parts if part) + "\n"


def _fields(fields: tuple[SharedField, ...]) -> str:
    if not fields:
        return "Nothing."
    return "\n".join(
        f"- {item.name.replace('_', ' ')} ({item.category.replace('_', ' ')}{_coarsened(item)}), "
        f"kept {counted(item.retention_days, 'day')}"
        for item in fields
    )


def _sentence(text: str) -> str:
    """``text`` with a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _coarsened(item: SharedField) -> str:
    words = {
        "year": "the year only",
        "month": "the year and month only",
        "first_letter": "the first letter only",
        "round": "rounded",
        "band": "as a range",
    }
    word = words.get(item.transform.partition(":")[0])
    return f", {word}" if word else ""
