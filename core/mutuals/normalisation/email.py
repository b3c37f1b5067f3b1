"""E-mail addresses: a vectorised path for the common ones, `email-validator` for the rest.

The fast path takes only addresses on which both paths agree by inspection: ASCII, an unquoted local part, a
domain of plain labels that is not reserved. Everything else, valid or not, is decided by the slow path.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import TYPE_CHECKING

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from mutuals.normalisation.result import Normalised, Outcome, Reason, Spread, for_each_distinct, in_pieces
from mutuals.normalisation.rules import EmailRules

if TYPE_CHECKING:
    import polars as pl

# The local part is RFC 5322's dot-atom. A label with a hyphen in third and fourth place may be Punycode, so a
# double hyphen anywhere goes to the slow path, as does a top-level domain that is not all letters.
_ATOM = r"[A-Za-z0-9_!#$%&'*+\-/=?^`{|}~]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
PLAIN_ADDRESS = rf"^{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}$"
_DOUBLE_HYPHEN_IN_DOMAIN = r"@.*--"
_RESERVED = r"(?i)[@.](?:" + "|".join(re.escape(name) for name in SPECIAL_USE_DOMAIN_NAMES) + r")$"
_RESERVED_PATTERN = re.compile(_RESERVED)

# Longer than any valid address can be before Unicode composition; keeps a hostile cell from costing time.
_HOPELESS = 1000


def normalise_emails(raw: pl.Series, rules: EmailRules, trimmed: str, spread: Spread = map) -> Normalised:
    """Normalise a string series of addresses, each as somebody typed it; many uncommon ones are distributed by
    ``spread``.
    """
    return in_pieces(raw, lambda piece: _normalised(piece, rules, trimmed, spread))


def _normalised(raw: pl.Series, rules: EmailRules, trimmed: str, spread: Spread) -> Normalised:
    import polars as pl

    text = pl.col("text")
    written = raw.str.strip_chars(trimmed)
    if rules.inner_white_space == "remove":
        written = written.str.replace_many([*trimmed], [""] * len(trimmed))
    frame = pl.DataFrame({"text": written}).select(
        text,
        plain=text.str.contains(PLAIN_ADDRESS)
        & (text.str.len_chars() <= rules.max_length)
        & ~text.str.contains(_DOUBLE_HYPHEN_IN_DOMAIN)
        & ~text.str.contains(_RESERVED),
    )
    plain = pl.col("plain").fill_null(value=False)
    rest = for_each_distinct(
        frame.select(pl.when(~plain).then(text)).to_series(), partial(validated_email, rules=rules), spread
    )
    frame = frame.select(
        value=pl.when(plain).then(text.str.to_lowercase()).otherwise(rest.values),
        reason=pl.when(plain).then(None).otherwise(rest.reasons),
    )
    return _without_aliases(frame, rules)


def validated_email(text: str, rules: EmailRules) -> Outcome:
    """The slow path for one trimmed address: syntax and IDNA by `email-validator`, without any look-up."""
    if not text:
        return None, Reason.EMPTY
    if len(text) > _HOPELESS:
        return None, Reason.NOT_VALID
    try:
        address = validate_email(
            text,
            allow_smtputf8=True,
            allow_empty_local=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=False,
            check_deliverability=False,
            test_environment=False,
            globally_deliverable=True,
        )
    except EmailNotValidError:
        return None, Reason.RESERVED_DOMAIN if _RESERVED_PATTERN.search(text) else Reason.NOT_VALID
    # The library keeps the local part's case. Lowercasing can undo the composition, so compose again.
    local = unicodedata.normalize(rules.unicode_form, address.local_part.lower())
    return f"{local}@{address.ascii_domain}", None


def _without_aliases(frame: pl.DataFrame, rules: EmailRules) -> Normalised:
    import polars as pl

    if not rules.alias_domains:
        return Normalised(frame["value"], frame["reason"])
    parts = pl.col("value").str.splitn("@", 2)
    local, domain = parts.struct.field("field_0"), parts.struct.field("field_1")
    # A local part that is nothing but dots and a tag names no mailbox.
    mailbox = local.str.replace(r"\+.*$", "").str.replace_all(".", "", literal=True)
    aliased = domain.is_in(list(rules.alias_domains)).fill_null(value=False)
    frame = frame.with_columns(aliased=aliased, mailbox=mailbox, domain=domain)
    nobody = pl.col("aliased") & (pl.col("mailbox") == "")
    frame = frame.select(
        value=pl.when(nobody)
        .then(None)
        .when("aliased")
        .then(pl.concat_str("mailbox", pl.lit("@"), "domain"))
        .otherwise("value"),
        reason=pl.when(nobody).then(pl.lit(Reason.NOT_VALID.value)).otherwise("reason"),
    )
    return Normalised(frame["value"], frame["reason"])
