"""What people write about a breach, before it is signed, kept for good, and sent: plain text that names no contact."""

from __future__ import annotations

import re

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.text import deceptive_character
from mutuals.models.breach import MAX_TEXT, BreachFacts

_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
_NUMBER = re.compile(r"\+[0-9][0-9 ()./-]{5,}[0-9]|(?<![0-9A-Za-z])[0-9]{9,}(?![0-9A-Za-z])")


def names_somebody(text: str) -> bool:
    """Whether ``text`` holds what looks like an e-mail address or a telephone number.

    It stands in the log, which is never changed, and on the partner's side: a guard against a slip, not against
    intent.
    """
    return bool(_ADDRESS.search(text) or _NUMBER.search(text))


def plain_text(text: str, option: str, *, needed: bool = True) -> str:
    """``text`` as it may be signed, its ends stripped. Raises MutualsError (USAGE), which never repeats it."""
    text = text.strip()
    if len(text) > MAX_TEXT or (needed and not text) or deceptive_character(text, lines=True):
        raise MutualsError(ErrorCode.USAGE, f"{option} takes plain text of at most {MAX_TEXT:,} characters.")
    if names_somebody(text):
        raise MutualsError(
            ErrorCode.USAGE,
            f"The text of {option} holds an e-mail address or a telephone number; it would stay in the log for good.",
            hint="Say what happened without naming anybody; who is affected: mutuals breach affected ID --out FILE",
        )
    return text


def plain_line(text: str, option: str) -> str:
    """``text`` as one line of at most 200 characters. Raises MutualsError (USAGE)."""
    text = text.strip()
    if not 0 < len(text) <= 200 or deceptive_character(text):
        raise MutualsError(ErrorCode.USAGE, f"{option} takes one line of at most 200 characters.")
    return text


def unusable_text(facts: BreachFacts, *texts: str) -> str | None:
    """What is wrong with the texts of a partner's report, as the end of a sentence, or nothing."""
    paragraphs = (facts.what, facts.consequences, facts.measures, *texts)
    lines = (facts.contact, *facts.data_categories, *facts.person_categories)
    if any(deceptive_character(text, lines=True) for text in paragraphs) or any(
        deceptive_character(text) for text in lines
    ):
        return "holds a control or invisible character"
    if any(names_somebody(text) for text in paragraphs):
        return "holds an e-mail address or a telephone number"
    return None
