"""Words for what is found in a source, wherever it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mutuals.sources.check import Refusal

REASONS = {
    "empty": "empty",
    "not_a_date": "not a date written as YYYY-MM-DD",
    "not_true_or_false": "neither true nor false",
    "repeated": "the id of another row, too",
    "not_valid": "not valid",
    "reserved_domain": "a domain that exists only inside a network, such as .local",
    "not_a_number": "not a phone number",
    "no_country_code": "no country code",
    "unknown_country_code": "an unknown country code",
    "has_extension": "an extension, so not one person's own number",
    "wrong_length": "too short or too long",
    "suppressed": "suppressed",
    "withdrawn": "withdrawn with mutuals revoke",
    "no_consent": "consent to this purpose not given",
    "consent_withdrawn": "consent withdrawn, says the source",
    "consent_undated": "consent without a date",
    "consent_expired": "consent too old",
    "consent_lapsed": "consent past its own last day",
    "consent_in_future": "consent dated in the future",
    "not_notified": "not notified",
    "notice_too_old": "notified before the date agreed",
    "no_identifier": "no usable identifier",
    "only_shared_identifiers": "only identifiers shared with other contacts",
    "shared": "held by several contacts",
    "shared_with_ineligible": "held also by a contact who may not take part",
}


def count_of(number: int, noun: str) -> str:
    """“1 contact”, “1,200 contacts”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def row_numbers(refusal: Refusal) -> str:
    """“2, 3, …”."""
    shown = ", ".join(str(row) for row in refusal.rows)
    return f"{shown}, …" if refusal.count > len(refusal.rows) else shown


def printable(text: str) -> str:
    """A cell's text without what could steer a terminal, cut to 60 characters."""
    shown = "".join(character if character.isprintable() else "�" for character in text)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
