"""Addresses and numbers that are well formed and yet hardly a contact's own: counted by what is odd about them.

What is counted here is suggested to be looked at, never corrected.
"""

from __future__ import annotations

import re

import polars as pl

MISTYPED = {
    "gmial.com": "gmail.com",
    "gmai.com": "gmail.com",
    "gamil.com": "gmail.com",
    "gmal.com": "gmail.com",
    "gmil.com": "gmail.com",
    "gnail.com": "gmail.com",
    "gmaill.com": "gmail.com",
    "gmail.co": "gmail.com",
    "gmail.con": "gmail.com",
    "gmail.cm": "gmail.com",
    "googlemail.con": "googlemail.com",
    "goglemail.com": "googlemail.com",
    "hotmial.com": "hotmail.com",
    "hotmai.com": "hotmail.com",
    "hotmal.com": "hotmail.com",
    "hotmil.com": "hotmail.com",
    "hotmail.con": "hotmail.com",
    "hotmail.co": "hotmail.com",
    "outlok.com": "outlook.com",
    "outloook.com": "outlook.com",
    "outlook.con": "outlook.com",
    "yaho.com": "yahoo.com",
    "yahooo.com": "yahoo.com",
    "yhoo.com": "yahoo.com",
    "yahoo.con": "yahoo.com",
    "iclod.com": "icloud.com",
    "icloud.con": "icloud.com",
    "gmx.ed": "gmx.de",
    "gmx.dde": "gmx.de",
    "gxm.de": "gmx.de",
    "web.ed": "web.de",
    "wbe.de": "web.de",
    "t-onlien.de": "t-online.de",
    "t-online.ed": "t-online.de",
    "tonline.de": "t-online.de",
    "freenet.ed": "freenet.de",
    "orage.fr": "orange.fr",
    "wanado.fr": "wanadoo.fr",
    "hotmail.fe": "hotmail.fr",
    "libero.ti": "libero.it",
}
"""Domains of great providers as they are often mistyped, and what was meant."""
PLACEHOLDERS = (
    *("test", "tests", "testing", "test1", "tester", "demo", "sample", "dummy", "fake"),
    *("noreply", "no-reply", "no_reply", "no.reply", "donotreply", "do-not-reply"),
    *("none", "na", "n.a", "nomail", "no-mail", "noemail", "no-email", "keine", "unknown", "unbekannt"),
    *("asdf", "qwerty", "xxx", "abc", "aaa", "foo", "bar"),
)
"""Local parts of addresses at which nobody reads."""
_ONE_DIGIT = "^(?:" + "|".join(f"{digit}{{7,}}" for digit in range(10)) + ")$"
_COUNTED_UP = r"^0?1234567(?:8(?:90?)?)?$"
_LIKELY_MADE_UP = (
    "^[^0-9]*(?:0?[^0-9]*1[^0-9]*2[^0-9]*3|" + "|".join(f"{d}[^0-9]*{d}[^0-9]*{d}" for d in range(10)) + ")"
)
"""How either begins."""
_MISTYPED_DOMAIN = "@(" + "|".join(re.escape(domain) for domain in MISTYPED) + ")$"
_PLACEHOLDER_PART = r"^(?:" + "|".join(re.escape(part) for part in PLACEHOLDERS) + r")(?:\+[^@]*)?@"
_MISTYPED, _PLACEHOLDER, _CAPITALS = "mistyped", "placeholder", "capitals"


def odd_values(kind: str, own: pl.DataFrame) -> dict[tuple[str, str], int]:
    """How many of ``own`` (columns ``raw``, as written; ``value``, as normalised, or null) are odd, by what is.

    Keys: ("mistyped", the domain as it stands), ("placeholder", ""), ("capitals", "").
    """
    return _odd_emails(own) if kind == "email" else _odd_phones(own)


def _odd_emails(own: pl.DataFrame) -> dict[tuple[str, str], int]:
    raw, value = pl.col("raw"), pl.col("value")
    marked = own.select(
        # Aliases are written out in ``raw`` only, and a mistyped domain is no domain of aliases.
        mistyped=value.str.extract(_MISTYPED_DOMAIN, 1),
        placeholder=value.is_not_null() & raw.str.to_lowercase().str.contains(_PLACEHOLDER_PART),
        capitals=value.is_not_null() & (raw != value) & (raw == raw.str.to_uppercase()),
    )
    domains = marked["mistyped"].drop_nulls().value_counts()
    found = {(_MISTYPED, domain): count for domain, count in domains.iter_rows()}
    found[_PLACEHOLDER, ""] = int(marked["placeholder"].sum())
    found[_CAPITALS, ""] = int(marked["capitals"].sum())
    return {key: count for key, count in found.items() if count}


def _odd_phones(own: pl.DataFrame) -> dict[tuple[str, str], int]:
    likely = own["raw"].filter(own["raw"].str.contains(_LIKELY_MADE_UP))
    digits = likely.str.replace_all("[^0-9]", "")
    count = int((digits.str.contains(_ONE_DIGIT) | digits.str.contains(_COUNTED_UP)).sum())
    return {(_PLACEHOLDER, ""): count} if count else {}
