"""What a layout is: one way in which contacts are exported, as far as it can be told from the headings."""

from __future__ import annotations

from dataclasses import dataclass

from mutuals.sources.languages import EMAILS, NO, PHONES, YES
from mutuals.sources.mapping import ObjectionRule


@dataclass(frozen=True)
class Objection:
    """Columns whose heading matches ``heading`` (a regular expression, whole and without case), and their polarity."""

    heading: str
    objects_if: tuple[str, ...] = YES
    allows_if: tuple[str, ...] = NO

    def rule(self, column: str) -> ObjectionRule:
        """The rule for a column that was found. A value that nobody knows objects."""
        return ObjectionRule(column=column, objects_if=self.objects_if, allows_if=self.allows_if)


@dataclass(frozen=True)
class Layout:
    """One way to export contacts.

    ``always`` are headings (exactly as written) one of which every such export has, ``marks`` those that hardly another
    CRM writes, ``known`` further ones. ``ids``, ``emails`` and ``phones`` are regular expressions, whole and without
    case, of ``ids`` the first that is found. ``certainty`` (per cent) is how well such exports are known.
    """

    name: str
    title: str
    marks: frozenset[str]
    known: frozenset[str]
    ids: tuple[str, ...]
    emails: str = EMAILS
    phones: str = PHONES
    objections: tuple[Objection, ...] = ()
    always: frozenset[str] = frozenset()
    may_end_in_notes: bool = False
    certainty: int = 100


def headings_of(*lines: str) -> frozenset[str]:
    """The headings in ``lines``, which commas separate."""
    return frozenset(heading.strip() for line in lines for heading in line.split(","))
