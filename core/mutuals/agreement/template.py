"""The commented TOML a person starts from: parties filled in from both cards, blanks in angle brackets.

    text = draft_toml(own_card, partner_card, DraftOptions(today=date.today()))

It parses as it is; ``parse_draft`` refuses it, by key, until each blank is filled in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from mutuals.models.agreement import Matching
from mutuals.models.card import Card, ContactPerson

DEFAULT_ENGINE: str = Matching.model_fields["engine"].default
"""The engine of an agreement that does not ask for another."""

_TERM = timedelta(days=364)
_PRIVACY_WORDS = ("privacy", "data protection", "dpo", "datenschutz")


@dataclass(frozen=True)
class DraftOptions:
    """What the draft starts from: ``today`` is its first day; ``one_way`` as seen by the proposer."""

    today: date
    one_way: Literal["send", "receive"] | None = None
    purpose: str | None = None
    title: str | None = None
    profile: str = "uid2-v1"
    engine: str = DEFAULT_ENGINE
    consent_purpose: str | None = None


def draft_toml(own: Card, partner: Card, options: DraftOptions) -> str:
    """The draft of an agreement that ``own`` proposes to ``partner``."""
    parts = [
        _head(own, partner, options),
        _party("proposer", "you", own),
        _party("partner", "your partner", partner),
        _RESPONSIBILITIES,
        _MATCHING.format(profile=_quote(options.profile), engine=_quote(options.engine)),
        _CONSENT_AND_PERMISSION.format(consent_purpose=_quote(options.consent_purpose or _WHICH_PURPOSE)),
        _SECURITY.format(breach_contact=_quote(_reach(own) or "<who to call after a breach, at any hour>")),
        _TERMINATION,
        _FIELDS_INTRODUCTION,
    ]
    if options.one_way != "receive":
        parts.append(
            _PROPOSER_SENDS.format(sender=_comment(own.organisation), receiver=_comment(partner.organisation))
        )
    if options.one_way != "send":
        parts.append(
            _PARTNER_SENDS.format(sender=_comment(partner.organisation), receiver=_comment(own.organisation))
        )
    return "\n".join(parts)


def _head(own: Card, partner: Card, options: DraftOptions) -> str:
    title = options.title or f"Contact matching between {own.organisation} and {partner.organisation}"
    return _HEAD.format(
        own=_comment(own.organisation),
        partner=_comment(partner.organisation),
        title=_quote(title[:200]),
        purpose=_quote(options.purpose or "<say why you match, and what each side will do with the result>"),
        valid_from=options.today.isoformat(),
        valid_until=(options.today + _TERM).isoformat(),
    )


def _party(side: str, whose: str, card: Card) -> str:
    return _PARTY.format(
        side=side,
        whose=whose,
        organisation=_quote(card.organisation),
        lawful_basis=_quote("<for example: consent, GDPR Art. 6(1)(a)>"),
        contact=_quote(_reach(card) or "<name, role and address of the person in charge>"),
        officer=_quote(_privacy_officer(card) or "<name and address of the data-protection officer>"),
    )


def _reach(card: Card) -> str | None:
    return _person(card.contacts[0]) if card.contacts else None


def _privacy_officer(card: Card) -> str | None:
    for person in card.contacts:
        if any(word in person.role.casefold() for word in _PRIVACY_WORDS):
            return _person(person)
    return None


def _person(person: ContactPerson) -> str:
    return f"{person.name}, {person.role}, {person.email}"[:200]


def _quote(text: str) -> str:
    """A TOML basic string; its escapes are JSON's, save that TOML wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Text fit for a comment: on one line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


_HEAD = """\
# A data-sharing agreement that {own} proposes to {partner}.
#
# Fill in every <blank>, read every line, then:
#     mutuals agreement assess THIS-FILE --source NAME
#     mutuals agreement propose THIS-FILE --with {partner!r} --source NAME
#
# Both sides sign the whole document, and the software refuses what it does not permit. Lines marked (enforced) are
# carried out by the software on both sides; the others are promises between people. docs/agreement.md explains each
# key. This template is not legal advice; have somebody who can give it read the result.

title = {title}
purpose = {purpose}
prohibited_uses = [
  "Identifying or contacting persons outside the purpose above",
  "Selling or licensing what was received",
  "Training general-purpose models with what was received",
]

# The first and the last day in force, both included, by UTC (enforced).
valid_from = {valid_from}
valid_until = {valid_until}

governing_law = "<for example: the law of Germany, courts of Berlin>"
onward_transfer = "What was received is not passed on to anybody, vendors included, without written consent."
international_transfer = "What was received stays within the European Economic Area."
liabilities = "Each party is liable for its own breach of this agreement and of the law named above."

# Who processes what was received for either party, such as a provider of storage; nobody else may.
vendors = []
# Contacts under 18: "excluded", or "included", which no risk assessment lets pass.
minors = "excluded"
# Only where this replaces an agreement: may runs begun under that one "finish", or do they "stop"? (enforced)
runs_of_replaced = "stop"
"""

_PARTY = """\
[parties.{side}]   # {whose}
organisation = {organisation}   # as on the card (enforced)
# "independent controller", "joint controller" or "processor"
role = "independent controller"
lawful_basis = {lawful_basis}
contact = {contact}
data_protection_officer = {officer}
"""

_RESPONSIBILITIES = """\
[responsibilities]   # in sentences; who sees to what
access_control = "Each party for its own operators and systems."
encryption = "Each party; records are encrypted between the peers and at rest."
breach_notification = "The party where the breach happened notifies the other, the authority and the persons."
data_subject_requests = "The party that a person asks answers, and tells the other what it must do."
"""

_MATCHING = """\
[matching]   # all enforced, by both sides
identifiers = ["email", "phone"]   # either or both
profile = {profile}   # how addresses and numbers are normalised: "uid2-v1", "strict-v1", "google-v1" or "meta-v1"
engine = {engine}   # the cipher: "x25519", or "openmined", which costs more and does not run everywhere
# Sizes count identifiers, not contacts. A small set, or a small overlap, would single persons out.
min_set_size = 1000
max_set_size = 1_000_000
min_overlap = 25
# A match is refused where the list changed by fewer identifiers than this since the last one; 0 for no such rule.
min_change_between_runs = 0
# What one partner may try, over all agreements with it; it bounds what a dishonest partner could probe.
runs_per_30_days = 4
items_per_30_days = 4_000_000
pad_sizes = false   # hide the exact size of each list by up to a quarter of padding
# An identifier that several contacts hold, such as info@: "exclude" or "include".
shared_identifiers = "exclude"
reveal_within_days = 14   # a count that is not followed by a reveal in this time is destroyed
"""

_WHICH_PURPOSE = "<the purpose in your consent column, for example joint-marketing>"

_CONSENT_AND_PERMISSION = """\
[consent]   # who takes part at all (enforced)
# Who takes part has granted this purpose: in the source's "consent" column, or by what “mutuals source map” decided.
# Both sides spell it the same.
purpose = {consent_purpose}
max_age_days = 730            # since "consent_at"
notice_required = true        # "notified_at" must be there ...
# notice_since = 2026-01-01   # ... and not before this day

[permission]   # (enforced)
# "authorisation": an operator of each side permits each run's reveal and exchange.
# "mandate": whoever signs this agreement permits them in advance, until it ends.
reveal = "authorisation"
exchange = "authorisation"
"""

_SECURITY = """\
[security]
measures = "Access by named operators only; encryption at rest and in transit; a log that both sides sign."
breach_notification_hours = 24   # 1 to 72; the software keeps the clock
breach_contact = {breach_contact}
attestation_every_days = 90      # how often each side signs that it kept to this; the software asks for it
"""

_TERMINATION = """\
[termination]
notice_days = 30                 # for whoever ends it without a cause; with a cause either may at once (enforced)
certificate_within_days = 14     # then deletion is certified; the software deletes, certifies and chases (enforced)
"""

_FIELDS_INTRODUCTION = """\
# The fields that cross, per direction, for contacts both sides know and whose consent covers it. One block a field;
# nothing else is ever sent (enforced). A direction without a block sends nothing.
#
#   name            as both sides call it: lower case. Where the sender's column is called otherwise, that side says
#                   so when it signs: mutuals agreement propose (or accept) ... --map name=Heading
#   type            "text", "integer", "decimal", "date" or "boolean"
#   category        what kind of data it is, in your own word: contact, sales_history, feedback, ...
#   sensitivity     "normal", "sensitive", or "special" (GDPR Art. 9 and 10), which no risk assessment lets pass
#   transform       what is done before it leaves (enforced): "none"; "year" or "month" of a date; "lower" or
#                   "first_letter" of a text; "round:100" or "band:0,100,500" of a number
#   retention_days  after how many days the recipient's software deletes it (enforced)
#   departments     who at the recipient may use it; it is exported to nobody else (enforced)
"""

_PROPOSER_SENDS = """\
# {sender} sends to {receiver}. These fields are examples: replace them.
[[proposer_sends]]
name = "city"
type = "text"
category = "contact"
sensitivity = "normal"
transform = "none"
retention_days = 90
departments = ["marketing"]

[[proposer_sends]]
name = "last_purchase"
type = "date"
category = "sales_history"
sensitivity = "normal"
transform = "month"
retention_days = 90
departments = ["marketing", "sales"]
"""

_PARTNER_SENDS = """\
# {sender} sends to {receiver}. These fields are examples: replace them.
[[partner_sends]]
name = "city"
type = "text"
category = "contact"
sensitivity = "normal"
transform = "none"
retention_days = 90
departments = ["marketing"]

[[partner_sends]]
name = "lifetime_value"
type = "decimal"
category = "sales_history"
sensitivity = "normal"
transform = "band:0,100,500,2000"
retention_days = 90
departments = ["marketing"]
"""
