"""Two customer lists as untidy as real ones, with a known truth about whom they share.

    data = generate(contacts=3000, seed=7, today=date.today())
    data.write(folder)                        # folder/nordwind.csv and folder/velo-verde.csv
    data.truth.numbers()["overlap_items"]

The same arguments give the same data, byte for byte. Everybody in it is invented (see ``handles``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from random import Random

from mutuals_client.demo.companies import LEFT, RIGHT, Profile
from mutuals_client.demo.contacts import DemoContact, write_contacts
from mutuals_client.demo.lists import People, draw_list
from mutuals_client.demo.truth import DemoTruth, establish


@dataclass(frozen=True)
class DemoCompany:
    """One company and its list."""

    profile: Profile
    contacts: tuple[DemoContact, ...]

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.profile.slug}.csv"

    @property
    def headings(self) -> tuple[str, ...]:
        """The further columns of its file, in order."""
        return ("Name", "City", *self.profile.columns, "Notes")

    def agreed_values(self, contact_id: str) -> Mapping[str, str]:
        """The agreed fields of one contact as its file has them, by the field's name in the agreement."""
        fields = self.by_id[contact_id].fields
        return {name: fields[heading] for name, heading in self.profile.fields.items()}

    @cached_property
    def by_id(self) -> Mapping[str, DemoContact]:
        """Its contacts by id."""
        return {contact.contact_id: contact for contact in self.contacts}

    def write(self, folder: Path) -> Path:
        """Write its list into ``folder``; the path of the file."""
        path = folder / self.file_name
        write_contacts(path, self.contacts, self.headings)
        return path


@dataclass(frozen=True)
class DemoData:
    """Both companies, and what an honest match between them finds."""

    left: DemoCompany
    right: DemoCompany
    truth: DemoTruth

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both lists into ``folder``, which is made if need be; the paths, left first."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.left.write(folder), self.right.write(folder)


def generate(contacts: int, seed: int, *, today: date) -> DemoData:
    """Two lists of ``contacts`` rows each. Consent is dated relative to ``today``.

    Raises ValueError where ``contacts`` is negative.
    """
    if contacts < 0:
        raise ValueError("the number of contacts is negative")
    random = Random(seed)  # noqa: S311 - invented data; nothing here is secret
    people = People(random, contacts)
    left = DemoCompany(LEFT, draw_list(LEFT, people.left, contacts, random, today))
    right = DemoCompany(RIGHT, draw_list(RIGHT, people.right, contacts, random, today))
    return DemoData(left, right, establish(left.contacts, right.contacts))
