"""The rules of the normalisation profiles, as data.

The code in ``email`` and ``phone`` reads them, and a profile's digest is made from them: a rule cannot change
without the digest changing. A published profile never changes; a new rule makes a new name (``uid2-v2``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

# White space, and the invisible marks that copying from a web page or an address book leaves around a value.
TRIMMED = (
    "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060\u2066\u2067\u2068\u2069"
    "\u3000\ufeff"
)


@dataclass(frozen=True)
class EmailRules:
    """How an e-mail address is normalised.

    Of ``alias_domains`` the dots and the ``+tag`` of the local part are dropped, since they all name one
    mailbox. ``special_use_domains`` (``.local``, ``.test``, …) name a different mailbox in every company, so
    they are refused. ``max_length`` is in characters (RFC 5321). ``inner_white_space`` are the trimmed characters
    where they stand inside a value.
    """

    alias_domains: tuple[str, ...] = ()
    case: Literal["lower"] = "lower"
    unicode_form: Literal["NFC"] = "NFC"
    domain: Literal["IDNA 2008 A-labels, UTS 46 mapping, non-transitional"] = (
        "IDNA 2008 A-labels, UTS 46 mapping, non-transitional"
    )
    special_use_domains: Literal["refuse"] = "refuse"
    quoted_local_part: Literal["refuse"] = "refuse"
    max_length: int = 254
    inner_white_space: Literal["keep", "remove"] = "keep"


@dataclass(frozen=True)
class PhoneRules:
    """How a phone number is normalised, always to E.164, with or without its ``+``.

    ``international`` numbers carry their country code, behind ``+`` or an international prefix such as
    ``00``; they must be ``possible`` (length) or ``valid`` (assigned range). ``national`` numbers are read
    under the default country, which is a guess until the number turns out to be valid there. An extension has
    no place in E.164, and without it colleagues behind one switchboard would look like one person.
    """

    international: Literal["possible", "valid"]
    national: Literal["valid"] = "valid"
    extension: Literal["refuse"] = "refuse"
    form: Literal["E.164 with +", "E.164 without +"] = "E.164 with +"
    max_digits: int = 15


@dataclass(frozen=True)
class Rules:
    """All rules of one profile. ``trimmed`` lists the characters removed from both ends of a value."""

    name: str
    email: EmailRules
    phone: PhoneRules
    trimmed: str = TRIMMED

    def as_json(self) -> dict[str, Any]:
        """The rules as JSON values, for the digest.

        A rule that is younger than the first profiles is left out where it says what they always did: the digest
        of a published profile never changes.
        """
        rules = asdict(self)
        for part, name, always in _YOUNGER:
            if rules[part][name] == always:
                del rules[part][name]
        return rules


_YOUNGER = (("email", "inner_white_space", "keep"),)


UID2_V1 = Rules(
    name="uid2-v1",
    email=EmailRules(alias_domains=("gmail.com",)),
    phone=PhoneRules(international="possible"),
)

STRICT_V1 = Rules(
    name="strict-v1",
    email=EmailRules(),
    phone=PhoneRules(international="valid"),
)

# Google, “Format user data” (Customer Match, Data Manager API): white space goes wherever it stands; of gmail.com and
# googlemail.com the dots, and the tag. The two domains stay two.
GOOGLE_V1 = Rules(
    name="google-v1",
    email=EmailRules(alias_domains=("gmail.com", "googlemail.com"), inner_white_space="remove"),
    phone=PhoneRules(international="possible"),
)

# Meta, “Customer information parameters” (Conversions API): trimmed and in lower case, no rule for Gmail; numbers as
# digits with their country code, no symbols and no leading zeros.
META_V1 = Rules(
    name="meta-v1",
    email=EmailRules(),
    phone=PhoneRules(international="possible", form="E.164 without +"),
)
