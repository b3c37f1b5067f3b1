"""The two invented companies: who they are, and what their CRM knows about a customer besides how to reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

FieldMaker = Callable[[Random, date], str]


@dataclass(frozen=True)
class Profile:
    """A company; ``short`` is how people call it.

    ``fields`` maps the name a field has in the agreement to its heading in the company's own list. ``columns`` makes
    the value of each further column, by heading, from a source of randomness and today's date; some are not in
    ``fields`` and must never leave the house. ``countries`` says where its customers live.
    """

    slug: str
    short: str
    organisation: str
    introduction: str
    privacy_policy: str
    data_handling: str
    contact_name: str
    contact_role: str
    contact_email: str
    operator: str
    default_country: str
    countries: Mapping[str, int]
    fields: Mapping[str, str]
    columns: Mapping[str, FieldMaker]
    id_format: str


def _one_of(*values: str) -> FieldMaker:
    return lambda random, _today: random.choice(values)


def _amount(random: Random, _today: date) -> str:
    return f"{random.lognormvariate(5.0, 1.1):.2f}"


def _recent(days: int) -> FieldMaker:
    return lambda random, today: (today - timedelta(days=random.randrange(1, days))).isoformat()


def _sometimes_empty(make: FieldMaker, share: float) -> FieldMaker:
    return lambda random, today: "" if random.random() < share else make(random, today)


def _birthday(random: Random, _today: date) -> str:
    return (date(1940, 1, 1) + timedelta(days=random.randrange(0, 23_000))).isoformat()


def _count(random: Random, _today: date) -> str:
    return str(random.randrange(0, 25))


LEFT = Profile(
    slug="nordwind",
    short="Nordwind",
    organisation="Nordwind Outdoor GmbH",
    introduction="Tents, boots and rain jackets, from a shop in Lübeck and by post since 1987.",
    privacy_policy="Every customer is told at registration which partners may be matched with, and can object.",
    data_handling="Customer data is kept on our own machines in Germany, encrypted, and read by marketing alone.",
    contact_name="Wiebke Tannhöfer",
    contact_role="Data protection officer",
    contact_email="datenschutz@nordwind.example",
    operator="wiebke",
    default_country="DE",
    countries={"DE": 38, "FR": 20, "GB": 20, "US": 12, "SE": 4, "AU": 6},
    fields={
        "segment": "segment",
        "lifetime_value": "lifetime_value",
        "last_purchase": "last_purchase",
        "newsletter": "newsletter",
    },
    columns={
        "segment": _one_of("hiking", "climbing", "trail running", "family camping", "winter"),
        "lifetime_value": _sometimes_empty(_amount, 0.04),
        "last_purchase": _sometimes_empty(_recent(1_200), 0.08),
        "newsletter": _one_of("true", "false"),
        "shoe_size": _sometimes_empty(_one_of("37", "38,5", "40", "42", "43,5", "46"), 0.4),
        "credit_limit": _amount,
    },
    id_format="NW-{:07d}",
)

RIGHT = Profile(
    slug="velo-verde",
    short="Vélo Verde",
    organisation="Vélo Verde SAS",
    introduction="City bikes and cargo bikes, built and repaired in Lyon, Nantes and Strasbourg.",
    privacy_policy="Members choose in their account whether partners may be told that they are members.",
    data_handling="Member data stays in our own data centre in Lyon; the workshop sees names and bikes only.",
    contact_name="Maëlle Peyrebrune",
    contact_role="Déléguée à la protection des données",
    contact_email="dpo@velo-verde.example",
    operator="maelle",
    default_country="FR",
    countries={"FR": 45, "GB": 20, "US": 12, "DE": 15, "SE": 3, "AU": 5},
    # The headings are the company's own: accepting the agreement maps them onto the agreed names.
    fields={"loyalty_tier": "Loyalty tier", "bike_type": "Bike type", "last_service": "Last service"},
    columns={
        "Loyalty tier": _one_of("seed", "leaf", "branch", "tree"),
        "Bike type": _one_of("city", "cargo", "e-bike", "gravel", "child's, 20\""),
        "Last service": _sometimes_empty(_recent(900), 0.15),
        "Visits": _count,
        "Birthday": _sometimes_empty(_birthday, 0.3),
    },
    id_format="{:06d}-VV",
)
