"""The bound sources as they are now: how many contacts consent still covers, and for how many it soon will not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mutuals.errors import MutualsError
from mutuals.models.agreement import ConsentRule
from mutuals.monitoring.facts import ConsentFacts

if TYPE_CHECKING:
    from mutuals.sources import ContactTable

SOON_DAYS = 30
"""How far ahead consents that become too old are counted."""


def look_at_sources(
    definitions: Mapping[str, str | MutualsError],
    wanted: Mapping[str, tuple[str, ConsentRule]],
    today: date,
) -> dict[str, ConsentFacts]:
    """For each agreement (digest → source name and rule) what its source holds today.

    ``definitions`` are the JSON definitions by source name, or why one cannot be relied on. Each source is read once.
    Only consent, notice and the source's own suppression column are looked at: identifiers, which take long to
    normalise, are not.
    """
    from mutuals.sources import SourceDefinition, read_source  # polars is slow to load

    tables: dict[str, ContactTable | str] = {}
    facts = {}
    for digest, (name, rule) in wanted.items():
        if name not in tables:
            try:
                known = definitions[name]
                if isinstance(known, MutualsError):
                    raise known
                tables[name] = read_source(SourceDefinition.model_validate_json(known), fields=())
            except MutualsError as error:
                tables[name] = error.message
            except (KeyError, ValidationError):
                tables[name] = f"Source {name} was removed."
        table = tables[name]
        facts[digest] = (
            ConsentFacts(name, problem=table) if isinstance(table, str) else _count(name, table, rule, today)
        )
    return facts


def _count(name: str, table: ContactTable, rule: ConsentRule, today: date) -> ConsentFacts:
    from mutuals.sources.eligibility import Exclusion, consent_exclusions

    reasons = Counter(consent_exclusions(table.frame, rule, today).drop_nulls().to_list())
    later = consent_exclusions(table.frame, rule, today + timedelta(days=SOON_DAYS)).drop_nulls().to_list()
    expired = Exclusion.CONSENT_EXPIRED.value
    return ConsentFacts(
        source=name,
        contacts=table.frame.height,
        allowed=table.frame.height - sum(reasons.values()),
        excluded=dict(sorted(reasons.items())),
        expiring=max(0, later.count(expired) - reasons[expired]),
        within_days=SOON_DAYS,
    )
