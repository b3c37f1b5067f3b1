"""E-mail addresses and phone numbers of invented people, and the many ways somebody types them into a CRM.

Everything here knows the identifier *first* and makes spellings of it afterwards; the product goes the other way.
So the demo's ground truth owes nothing to the code that it is there to check. The rules that a spelling must not
leave are those of the profile ``uid2-v1``: case and surrounding space do not count, dots and a ``+tag`` count except
at gmail.com, a domain has one ASCII form, a phone number is what E.164 says.

Nobody real is called: addresses use names reserved by RFC 2606 (or a gmail.com name with an underscore, which Gmail
does not hand out), phone numbers the ranges that regulators keep for fiction.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

Kind = Literal["email", "phone"]

GMAIL = "gmail.com"


@dataclass(frozen=True)
class Handle:
    """One cell entry: as ``written``, and the typed ``identifier`` it stands for, or nothing where it is no address."""

    kind: Kind
    written: str
    identifier: str | None


@dataclass(frozen=True)
class Email:
    """An address: ``local`` and ``domain`` in the form ``uid2-v1`` gives them, ``shown`` the local part with its dots.

    ``unicode_domain`` is how people write an internationalised ``domain``.
    """

    local: str
    domain: str
    shown: str
    unicode_domain: str | None = None

    @property
    def identifier(self) -> str:
        """For example ``email:lenagrosskopf_7@gmail.com``."""
        return f"email:{self.local}@{self.domain}"


@dataclass(frozen=True)
class Phone:
    """A number: ``country_code`` and national significant ``number``, digits only, in ``country`` (ISO 3166)."""

    country: str
    country_code: str
    number: str

    @property
    def identifier(self) -> str:
        """For example ``phone:+493023125042``."""
        return f"phone:+{self.country_code}{self.number}"


DOMAINS: tuple[tuple[str, str | None], ...] = (
    ("example.com", None),
    ("example.net", None),
    ("example.org", None),
    ("mail.example.com", None),
    ("post.example", None),
    ("nordpost.example", None),
    ("courrier-libre.example", None),
    ("xn--brieftrger-w5a.example", "briefträger.example"),
    ("xn--bote-1pa.example", "boîte.example"),
)


@cache
def plain(text: str) -> str:
    """A name as it looks in an address: ASCII lower case, nothing but letters and dots."""
    folded = text.lower().replace("ß", "ss").replace("ø", "o")
    ascii_text = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    return "".join(letter for letter in ascii_text if letter.isalpha())


class AddressBook:
    """Hands out each e-mail address once."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._taken: dict[str, int] = {}

    def draw(self, given: str, family: str) -> Email:
        """A fresh address for somebody of this name; about a third are at gmail.com."""
        random = self._random
        first, last = plain(given), plain(family)
        if random.random() < 0.35:
            number = self._next(f"{first}{last}@{GMAIL}")
            return Email(f"{first}{last}_{number}", GMAIL, f"{first}.{last}_{number}")
        domain, unicode_domain = random.choice(DOMAINS)
        local = random.choice((f"{first}.{last}", f"{first[0]}.{last}", f"{first}_{last}", f"{last}"))
        number = self._next(f"{local}@{domain}")
        local = local if number == 1 else f"{local}{number}"
        return Email(local, domain, local, unicode_domain)

    def tagged(self, email: Email, tag: str) -> Email:
        """The neighbour of ``email`` with a ``+tag``: another identifier, except at gmail.com."""
        local = f"{email.local}+{tag}"
        return Email(local, email.domain, local, email.unicode_domain)

    def _next(self, name: str) -> int:
        self._taken[name] = self._taken.get(name, 0) + 1
        return self._taken[name]


_GB_BLOCKS = (
    *(f"{area}4960" for area in (113, 114, 116, 117, 118, 121, 131, 141, 151, 161)),
    *("2079460", "1914980", "2890180", "2920180"),
)
_US_AREAS = (
    *(201, 202, 206, 212, 213, 303, 305, 312, 323, 404, 412, 415, 503, 512, 602, 612, 617, 702, 713, 718),
    *(801, 808, 813, 816, 901, 907, 916, 918, 971, 980),
)

# Numbers that are kept for films and books: (country code, leading digits, digits to fill). They count as valid.
FICTIONAL: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {
    "DE": (
        "49",
        (("3023125", 3), ("6990009", 3), ("4066969", 3), ("2214710", 3), ("8999998", 3), ("17139200", 2)),
    ),
    "FR": ("33", (("19900", 4), ("26191", 4), ("35301", 4), ("46571", 4), ("53649", 4))),
    "GB": ("44", tuple((area, 3) for area in _GB_BLOCKS)),
    "US": ("1", tuple((f"{area}55501", 2) for area in _US_AREAS)),
    "SE": ("46", (("3139006", 2), ("8465004", 2))),
    "AU": ("61", tuple((f"{area}{block}", 4) for area in "2378" for block in ("5550", "7010"))),
}


class PhoneBook:
    """Hands out each number once, in an order of its own; a country's fictional numbers can run out."""

    def __init__(self, random: Random) -> None:
        self._numbers: dict[str, Iterator[str]] = {}
        for country, (_, ranges) in FICTIONAL.items():
            numbers = [
                f"{leading}{filling:0{digits}d}"
                for leading, digits in ranges
                for filling in range(10**digits)
            ]
            random.shuffle(numbers)
            self._numbers[country] = iter(numbers)

    def draw(self, country: str) -> Phone | None:
        """A fresh number in ``country``, or nothing once they have run out."""
        number = next(self._numbers[country], None)
        return None if number is None else Phone(country, FICTIONAL[country][0], number)


TAGS = ("shop", "news", "velo", "outdoor", "orders", "2019")
BLANKS = (" ", "  ", "\t", "\u00a0")


def spell_email(email: Email, random: Random) -> Handle:
    """``email`` as one of many people would type it; always the same identifier."""
    local = email.shown
    domain = email.domain
    if email.unicode_domain is not None and random.random() < 0.6:
        domain = email.unicode_domain
    if email.domain == GMAIL:
        local = _gmail_alias(email, random)
    style = random.random()
    if style < 0.12:
        written = f"{local}@{domain}".upper()
    elif style < 0.30:
        written = f"{'.'.join(part.capitalize() for part in local.split('.'))}@{domain.capitalize()}"
    else:
        written = f"{local}@{domain}"
    if random.random() < 0.12:
        written = f"{random.choice(BLANKS)}{written}{random.choice(BLANKS)}"
    return Handle("email", written, email.identifier)


def _gmail_alias(email: Email, random: Random) -> str:
    local = random.choice((email.shown, email.shown, email.local))
    if random.random() < 0.2:
        at = random.randrange(1, len(email.local))
        local = f"{email.local[:at]}.{email.local[at:]}"
    if random.random() < 0.3:
        local += f"+{random.choice(TAGS)}"
    return local


def spell_phone(phone: Phone, home: str, random: Random) -> Handle:
    """``phone`` as somebody in the country ``home`` would type it; always the same identifier.

    Without a country code only where the number is from ``home``: elsewhere it would be another number.
    """
    separator = random.choice((" ", " ", "", "-", "."))
    groups = _grouped(phone, separator)
    trunk = "" if phone.country == "US" else "0"
    international = [f"+{phone.country_code}{separator}{groups}"] * 3
    international.append(f"+{phone.country_code}{phone.number}")
    international.append(f"00{phone.country_code} {groups}")
    if phone.country in {"DE", "GB"}:
        international.append(f"+{phone.country_code} (0){groups}")
    if phone.country == home and random.random() < 0.7:
        written = random.choice((f"{trunk}{groups}", f"{trunk}{phone.number}", _bracketed(phone, trunk)))
    else:
        written = random.choice(international)
    if random.random() < 0.08:
        written = f"{random.choice(BLANKS)}{written}{random.choice(BLANKS)}"
    return Handle("phone", written, phone.identifier)


def _area(phone: Phone) -> int:
    """How many digits of the number stand before the first gap."""
    if phone.country == "DE":
        return 3 if phone.number.startswith(("221", "171")) else 2
    if phone.country == "GB":
        return 2 if phone.number.startswith("2") else 3
    return {"FR": 1, "US": 3, "SE": 2, "AU": 1}[phone.country]


def _grouped(phone: Phone, separator: str) -> str:
    area = _area(phone)
    rest = phone.number[area:]
    size = {"FR": 2, "SE": 2, "GB": 4, "AU": 4}.get(phone.country, 3)
    groups = [rest[at : at + size] for at in range(0, len(rest), size)]
    return separator.join([phone.number[:area], *groups])


def _bracketed(phone: Phone, trunk: str) -> str:
    area = _area(phone)
    if phone.country == "DE":
        return f"{trunk}{phone.number[:area]}/{phone.number[area:]}"
    return f"({trunk}{phone.number[:area]}) {phone.number[area:]}"


def spoiled_email(email: Email, random: Random) -> Handle:
    """Something in the e-mail column that is no address."""
    local, domain = email.shown, email.domain
    written = random.choice(
        (
            f"{local}(at){domain}",
            f"{local}@",
            f"@{domain}",
            f"{local}@{domain.split('.')[0]}",
            f"{local.replace('.', ' ')} x@{domain}",
            f"{local}..x@{domain}",
            f"{local}@{domain.replace('.', '..')}",
            f"{local}@localhost",
            f"Customer <{local}@{domain}>",
            "none",
            "n/a",
            "-",
        )
    )
    return Handle("email", written, None)


def spoiled_phone(phone: Phone, random: Random) -> Handle:
    """Something in the phone column that names no one: not a number, the wrong length, or behind a switchboard."""
    written = random.choice(
        (
            f"+{phone.country_code} {phone.number} ext. {random.randrange(10, 99)}",
            f"+{phone.country_code} {phone.number}{phone.number}",
            f"+{phone.country_code} {phone.number[:1]}",
            "+999 1234567",
            "call after 6 pm",
            "unknown",
            "0",
            "-",
        )
    )
    return Handle("phone", written, None)
