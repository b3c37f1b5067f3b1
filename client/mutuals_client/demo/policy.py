"""A company's policy in the demo: what ``mutuals policy init`` proposes, with the blanks filled in by hand."""

from __future__ import annotations

import json
import re

from mutuals_client.demo.companies import Profile

_BLANK = re.compile(r'"<(?P<asks>[^>"]*)>"')
_FIELDS = re.compile(r"^fields = (\[.*\])$", re.MULTILINE)
_ANSWERS = {
    "how consent is asked for": "By a box that nobody ticks but the customer, at registration and in the account.",
    "where the evidence is kept": "In the CRM: purpose, date, and the version of the text that was shown.",
    "how a person withdraws": "By a link in every message, or a call; from that day on nothing is sent or shared.",
    "what this department does": "Looks after customers.",
}


def filled_in(draft: str, profile: Profile, smallest_list: int) -> str:
    """The draft with its blanks filled in, the fields that may be shared in a category that can be, and the least
    number of identifiers that an agreement may ask for.
    """
    person = f"{profile.contact_name}, {profile.contact_email}"

    def answer(blank: re.Match[str]) -> str:
        known = (text for asks, text in _ANSWERS.items() if blank["asks"].startswith(asks))
        return json.dumps(next(known, person), ensure_ascii=False)

    text = _BLANK.sub(answer, draft)
    text = re.sub(r"^min_set_size = \d+$", f"min_set_size = {smallest_list}", text, flags=re.MULTILINE)
    head, *categories = text.split("[[categories]]\n")
    return "[[categories]]\n".join([head, *(_sorted_in(category, profile) for category in categories)])


def _sorted_in(category: str, profile: Profile) -> str:
    """A category with the fields it should have: what the agreement shares is sales history."""
    shared = set(profile.fields.values())

    def fields(found: re.Match[str]) -> str:
        kept = [name for name in json.loads(found[1]) if name not in shared]
        if category.startswith('name = "sales_history"'):
            kept += profile.fields.values()
        return f"fields = {json.dumps(kept, ensure_ascii=False)}"

    return _FIELDS.sub(fields, category)
