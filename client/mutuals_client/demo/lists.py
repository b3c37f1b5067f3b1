"""From people to rows: who is on which list, what each list knows of them, and the usual disorder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count
from random import Random

from mutuals_client.demo.companies import LEFT, RIGHT, Profile
from mutuals_client.demo.consent import draw_consent
from mutuals_client.demo.contacts import DemoContact
from mutuals_client.demo.handles import (
    GMAIL,
    AddressBook,
    Email,
    Handle,
    Phone,
    PhoneBook,
    spell_email,
    spell_phone,
    spoiled_email,
    spoiled_phone,
)
from mutuals_client.demo.names import CITIES, EMPLOYERS, FAMILY, GIVEN, NOTES

# Of a hundred rows on either list, how many are about somebody the partner knows too, and how many are second rows
# about somebody already on the list.
SHARED_SHARE = 0.30
DUPLICATE_SHARE = 0.015

# How the partner knows the same person: by which identifiers.
LINKS = {"email": 42, "both": 28, "phone": 20, "neither": 10}


@dataclass(frozen=True)
class Known:
    """What one company knows of one person."""

    person: int
    country: str
    name: str
    city: str
    emails: tuple[Email, ...]
    phones: tuple[Phone, ...]


class People:
    """The invented people behind both lists: ``left`` and ``right``, ``contacts`` rows' worth each."""

    def __init__(self, random: Random, contacts: int) -> None:
        self._random = random
        self._addresses = AddressBook(random)
        self._phones = PhoneBook(random)
        self._numbers = count(1)
        shared = [self._shared() for _ in range(round(SHARED_SHARE * contacts))]
        wanted = contacts - round(DUPLICATE_SHARE * contacts)
        self.left = [one for one, _ in shared] + [self._alone(LEFT) for _ in range(wanted - len(shared))]
        self.right = [other for _, other in shared] + [
            self._alone(RIGHT) for _ in range(wanted - len(shared))
        ]

    def _alone(self, profile: Profile) -> Known:
        random = self._random
        country, given, family, city = self._somebody(profile)
        emails = [
            self._addresses.draw(given, family) for _ in range(random.choices((0, 1, 2), (7, 84, 9))[0])
        ]
        phones = self._draw_phones(country, random.choices((0, 1, 2), (40, 52, 8))[0])
        return Known(
            next(self._numbers), country, _full_name(given, family, random), city, tuple(emails), phones
        )

    def _shared(self) -> tuple[Known, Known]:
        """One person as each of the two companies knows them."""
        random = self._random
        country, given, family, city = self._somebody(random.choice((LEFT, RIGHT)))
        link = random.choices(list(LINKS), list(LINKS.values()))[0]
        email = self._addresses.draw(given, family)
        phones = self._draw_phones(country, 1) if link != "email" else ()
        if link == "phone" and not phones:
            link = "email"
        emails = self._emails_by_link(link, email, given, family)
        numbers: tuple[tuple[Phone, ...], tuple[Phone, ...]] = (phones, phones)
        if link in {"email", "neither"}:
            numbers = (phones, ()) if random.random() < 0.5 else ((), phones)
        person = next(self._numbers)
        one, other = (
            Known(person, country, _full_name(given, family, random), city, known_emails, known_phones)
            for known_emails, known_phones in zip(emails, numbers, strict=True)
        )
        return one, other

    def _emails_by_link(
        self, link: str, email: Email, given: str, family: str
    ) -> tuple[tuple[Email, ...], tuple[Email, ...]]:
        random = self._random
        if link in {"email", "both"}:
            extra = (self._addresses.draw(given, family),) if random.random() < 0.15 else ()
            return (email, *extra), (email,)
        if random.random() < 0.3:
            return (email,), ()
        if email.domain != GMAIL and random.random() < 0.4:
            # So near and yet another mailbox: outside gmail.com a +tag counts.
            return (email,), (self._addresses.tagged(email, "velo"),)
        return (email,), (self._addresses.draw(given, family),)

    def _draw_phones(self, country: str, wanted: int) -> tuple[Phone, ...]:
        drawn = (self._phones.draw(country) for _ in range(wanted))
        return tuple(phone for phone in drawn if phone is not None)

    def _somebody(self, profile: Profile) -> tuple[str, str, str, str]:
        random = self._random
        country = random.choices(list(profile.countries), list(profile.countries.values()))[0]
        return (
            country,
            random.choice(GIVEN[country]),
            random.choice(FAMILY[country]),
            random.choice(CITIES[country]),
        )


def _full_name(given: str, family: str, random: Random) -> str:
    return random.choice(
        (
            f"{given} {family}",
            f"{given} {family}",
            f"{given} {family}",
            f"{family}, {given}",
            f"{given.upper()} {family.upper()}",
            f'{given} "{given[:2]}" {family}',
            f" {given}  {family}",
        )
    )


def draw_list(
    profile: Profile, people: list[Known], contacts: int, random: Random, today: date
) -> tuple[DemoContact, ...]:
    """The company's rows, ``contacts`` of them, in no order: everybody once, a few twice, some handles shared."""
    rows = [(known, _spelled(known, profile, random)) for known in people]
    twice = random.choices(rows, k=contacts - len(rows)) if rows else []
    rows += [(known, _second_row(known, profile, random)) for known, _ in twice]
    _share_handles(rows, profile, random)
    random.shuffle(rows)
    ids = random.sample(range(1, 10 * contacts + 1), len(rows))
    return tuple(
        DemoContact(
            contact_id=profile.id_format.format(number),
            person=known.person,
            handles=tuple(handles),
            consent=draw_consent(random, today),
            fields=dict(_fields(known, profile, random, today)),
        )
        for number, (known, handles) in zip(ids, rows, strict=True)
    )


def _spelled(known: Known, profile: Profile, random: Random) -> list[Handle]:
    handles = [spell_email(email, random) for email in known.emails]
    handles += [spell_phone(phone, profile.default_country, random) for phone in known.phones]
    if known.emails and random.random() < 0.03:
        handles.append(spell_email(known.emails[0], random))  # the same address again, in another spelling
    if known.emails and random.random() < 0.03:
        handles.append(spoiled_email(known.emails[0], random))
    if known.phones and random.random() < 0.04:
        handles.append(spoiled_phone(known.phones[0], random))
    return handles


def _second_row(known: Known, profile: Profile, random: Random) -> list[Handle]:
    handles = _spelled(known, profile, random)
    return [handle for handle in handles if handle.kind == "email" or random.random() < 0.5]


def _share_handles(rows: list[tuple[Known, list[Handle]]], profile: Profile, random: Random) -> None:
    """Families behind one telephone, and colleagues behind one ``info@`` address."""
    for known, _ in random.sample(rows, len(rows) // 80):
        if known.phones:
            for _, handles in random.sample(rows, random.choice((1, 1, 2))):
                handles.append(spell_phone(known.phones[0], profile.default_country, random))
    for address in _office_addresses(len(rows) // 100):
        for _, handles in random.sample(rows, min(len(rows), random.choice((2, 3, 4)))):
            handles.append(spell_email(address, random))


def _office_addresses(wanted: int) -> Iterator[Email]:
    """The same on both lists, so that only the rule against shared identifiers keeps them out."""
    for number in range(wanted):
        employer = EMPLOYERS[number % len(EMPLOYERS)]
        branch = number // len(EMPLOYERS)
        domain = f"{employer}.example" if branch == 0 else f"{employer}-{branch}.example"
        yield Email("info", domain, "info")


def _fields(known: Known, profile: Profile, random: Random, today: date) -> Iterator[tuple[str, str]]:
    yield "Name", known.name
    yield "City", known.city if random.random() < 0.9 else ""
    for heading, make in profile.columns.items():
        yield heading, make(random, today)
    yield "Notes", random.choice(NOTES) if random.random() < 0.06 else ""
