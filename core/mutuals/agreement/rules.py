"""What an agreement must fulfil beyond what its model checks, so that it can be carried out as written."""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.models.agreement import Agreement

MAX_TERM_DAYS = 3660
LAST_YEAR = 9000  # so that counting days from it stays within the calendar


def broken_rules(agreement: Agreement) -> Iterator[tuple[str, str]]:
    """Key and sentence of each rule that ``agreement`` breaks; nothing for a sound one."""
    matching = agreement.matching
    term = agreement.valid_until - agreement.valid_from
    if term.days > MAX_TERM_DAYS or agreement.valid_until.year > LAST_YEAR:
        yield "valid_until", "is more than ten years after valid_from"
    if matching.min_overlap > matching.max_set_size:
        yield "matching.min_overlap", "is larger than max_set_size, so no match could ever succeed"
    if matching.items_per_30_days < matching.min_set_size:
        yield "matching.items_per_30_days", "is smaller than min_set_size, so no match could ever begin"
