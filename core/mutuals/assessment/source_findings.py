"""What the own source says to the terms."""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.assessment.anonymity import SMALL
from mutuals.assessment.findings import Basis, count, found
from mutuals.models.assessment import Finding


def source_findings(basis: Basis) -> Iterator[Finding]:
    """Consent, ages, sizes and groups in the source that is to be bound."""
    volumes, agreement = basis.volumes, basis.agreement
    if volumes is None:
        yield found(
            "no-source",
            "consent.purpose",
            "No source was looked at, so nothing is known of consent, minors and small groups.",
            "Name the source that will take part: mutuals agreement assess FILE-OR-ID --source NAME",
        )
        return
    if not volumes.contacts:
        yield found(
            "empty-source",
            "consent.purpose",
            "The source holds no contacts yet, so nothing is known of consent, minors and small groups.",
            "Assess again when it does.",
        )
        return
    if not volumes.granted:
        yield found(
            "consent-granted-by-nobody",
            "consent.purpose",
            f"None of {count(volumes.contacts, 'contact')} in the source granted the purpose "
            f"“{agreement.consent.purpose}”.",
            "Spell the purpose as in the source's consent column, or ask for that consent first.",
        )
    if volumes.minors:
        one = volumes.minors == 1
        yield found(
            "minors-in-source",
            "minors",
            f"{count(volumes.minors, 'contact')} that would take part {'is' if one else 'are'} under 18, by the column "
            f"“{volumes.birth_column}”.",
            "Suppress them in the source (column suppressed).",
        )
    elif volumes.birth_column is None:
        yield found(
            "ages-unknown",
            "minors",
            "The source has no date of birth, so minors were not looked for.",
            "See to it that the source holds none.",
        )
    if volumes.granted and volumes.identifiers < agreement.matching.min_set_size:
        yield found(
            "set-below-minimum",
            "matching.min_set_size",
            f"{count(volumes.identifiers, 'identifier')} could take part now; a match needs "
            f"{agreement.matching.min_set_size:,}.",
            "Matches are refused until there are more.",
        )
    groups = basis.anonymity
    if groups is not None and groups.below_5:
        yield found(
            "small-groups",
            f"{basis.side}_sends",
            f"{count(groups.below_5, 'contact')} of {groups.contacts:,} share all agreed fields with fewer than "
            f"{SMALL - 1} others; the smallest group has {groups.smallest}, and {groups.alone:,} are alone in theirs. "
            "Whoever has these fields can single them out, or nearly so, also without an address.",
            "Make a field coarser (a wider band, the year only), or leave out the one with the most values.",
        )
