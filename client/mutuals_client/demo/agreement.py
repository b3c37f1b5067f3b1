"""The agreement that the demo's two companies sign: the form a person fills in, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from mutuals_client.demo.companies import LEFT, RIGHT, Profile
from mutuals_client.demo.consent import MAX_AGE_DAYS, PURPOSE

# What each side sends, by field: type, category, transformation, days until it is destroyed.
_SENT: Mapping[str, tuple[tuple[str, str, str, str, int], ...]] = {
    LEFT.slug: (
        ("segment", "text", "sales_history", "none", 90),
        ("lifetime_value", "decimal", "sales_history", "band:0,50,200,1000", 30),
        ("last_purchase", "date", "sales_history", "month", 90),
        ("newsletter", "boolean", "contact", "none", 90),
    ),
    RIGHT.slug: (
        ("loyalty_tier", "text", "sales_history", "none", 90),
        ("bike_type", "text", "sales_history", "none", 90),
        ("last_service", "date", "sales_history", "month", 30),
    ),
}


def sent_fields(profile: Profile) -> tuple[str, ...]:
    """The names of the fields that this company sends."""
    return tuple(name for name, *_ in _SENT[profile.slug])


def smallest_list(contacts: int) -> int:
    """The fewest identifiers that may be matched, for lists of ``contacts`` rows."""
    return max(10, min(1000, contacts // 5))


def agreement_toml(today: date, contacts: int) -> str:
    """The filled-in form, proposed by the left company; its thresholds fit lists of ``contacts`` rows."""
    return f"""\
title = "Joint spring campaign for cycling hikers"
purpose = "Write to customers of both companies about a joint tour programme, and to nobody else."
prohibited_uses = ["Contacting customers of one company only", "Selling or licensing what was received"]
valid_from = {today}
valid_until = {today + timedelta(days=180)}
governing_law = "Germany; courts of Lübeck"
onward_transfer = "None."
international_transfer = "What was received stays within the European Economic Area."
liabilities = "Each party is liable for its own breach of this agreement and of the law."

[parties.proposer]
{_party(LEFT)}
[parties.partner]
{_party(RIGHT)}
[responsibilities]
access_control = "Each party for its own operators and systems."
encryption = "Each party; records are encrypted between the peers and at rest."
breach_notification = "The party where the breach happened."
data_subject_requests = "The party that a person asks."

[matching]
identifiers = ["email", "phone"]
profile = "uid2-v1"
engine = "x25519"
min_set_size = {smallest_list(contacts)}
max_set_size = {max(1000, contacts * 4)}
min_overlap = {max(3, min(25, contacts // 100))}
items_per_30_days = {max(1000, contacts * 16)}

[consent]
purpose = "{PURPOSE}"
max_age_days = {MAX_AGE_DAYS}
notice_required = true

[permission]
reveal = "authorisation"
exchange = "authorisation"

[termination]
notice_days = 0
certificate_within_days = 14

[security]
measures = "Disk encryption, personal accounts, two-factor sign-in."
breach_notification_hours = 24
breach_contact = "{RIGHT.contact_email}"

{"".join(_field("proposer_sends", *field) for field in _SENT[LEFT.slug])}
{"".join(_field("partner_sends", *field) for field in _SENT[RIGHT.slug])}"""


def _party(profile: Profile) -> str:
    return f"""\
organisation = "{profile.organisation}"
role = "independent controller"
lawful_basis = "consent, GDPR Art. 6(1)(a)"
contact = "{profile.contact_name}, {profile.contact_email}"
data_protection_officer = "{profile.contact_name}, {profile.contact_email}"
"""


def _field(table: str, name: str, kind: str, category: str, transform: str, days: int) -> str:
    return f"""\
[[{table}]]
name = "{name}"
type = "{kind}"
category = "{category}"
transform = "{transform}"
retention_days = {days}
departments = ["marketing"]

"""


def agreed_form(name: str, value: str) -> Any:
    """How a value must arrive, worked out here by hand from the agreement above and not by the product."""
    if not value:
        return ""
    if name == "lifetime_value":
        bounds = [0, 50, 200, 1000]
        at_least = [bound for bound in bounds if float(value) >= bound]
        following = bounds[len(at_least) :]
        return f"{at_least[-1]}-{following[0] - 1}" if following else f">={bounds[-1]}"
    return value[:7] if name.startswith("last_") else value
