"""Addresses and numbers that are well formed and yet hardly a contact's own: counted by what is odd about them.

What is counted here is suggested to be looked at, never corrected.
"""

from __future__ import annotations

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
_MISTYPED, _PLACEHOLDER, _CAPITALS = "mistyped", "placeholder", "capitals"


def odd_values(kind: str, own: pl.DataFrame) -> dict[tuple[str, str], int]:
    """How many of ``own`` (columns ``raw``, as written; ``value``, as normalised, or null) are odd, by what is.

    Keys: ("mistyped", the domain as it stands), ("placeholder", ""), ("capitals", "").
    """
    return _odd_emails(own) if kind == "email" else _odd_phones(own)


def _odd_emails(own: pl.DataFrame) -> dict[tuple[str, str], int]:
    usable = own.filter(pl.col("value").is_not_null()).select("raw", lower=pl.col("raw").str.to_lowercase())
    parts = pl.col("lower").str.splitn("@", 2)
    split = usable.select(
        "raw",
        "lower",
        local=parts.struct.field("field_0").str.replace(r"\+.*$", ""),
        domain=parts.struct.field("field_1"),
    )
    domains = split["domain"].filter(split["domain"].is_in(list(MISTYPED))).value_counts()
    found = {(_MISTYPED, domain): count for domain, count in domains.iter_rows()}
    found[_PLACEHOLDER, ""] = int(split["local"].is_in(list(PLACEHOLDERS)).sum())
    upper = (split["raw"] != split["lower"]) & (split["raw"] == split["raw"].str.to_uppercase())
    found[_CAPITALS, ""] = int(upper.sum())
    return {key: count for key, count in found.items() if count}


def _odd_phones(own: pl.DataFrame) -> dict[tuple[str, str], int]:
    digits = own["raw"].str.replace_all("[^0-9]", "")
    count = int((digits.str.contains(_ONE_DIGIT) | digits.str.contains(_COUNTED_UP)).sum())
    return {(_PLACEHOLDER, ""): count} if count else {}
