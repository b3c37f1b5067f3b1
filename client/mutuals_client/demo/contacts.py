"""An invented contact, and how it is written into the native CSV format (docs/sources.md)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mutuals_client.demo.consent import Consent
from mutuals_client.demo.handles import Handle, Kind

STANDARD_COLUMNS = ("contact_id", "email", "phone", "consent", "consent_at", "notified_at", "suppressed")


@dataclass(frozen=True)
class DemoContact:
    """One row. ``person`` numbers the human being behind it; ``fields`` holds the further columns by heading."""

    contact_id: str
    person: int
    handles: tuple[Handle, ...]
    consent: Consent
    fields: Mapping[str, str]

    @property
    def eligible(self) -> bool:
        """Whether the contact may take part under the demo's agreement."""
        return self.consent.eligible

    @property
    def identifiers(self) -> frozenset[str]:
        """The typed identifiers that its cells stand for."""
        return frozenset(handle.identifier for handle in self.handles if handle.identifier is not None)

    def row(self) -> dict[str, str]:
        """The contact as a row of the file, by heading."""
        return {
            "contact_id": self.contact_id,
            "email": self._cell("email"),
            "phone": self._cell("phone"),
            **self.consent.columns(),
            **self.fields,
        }

    def _cell(self, kind: Kind) -> str:
        return ";".join(handle.written for handle in self.handles if handle.kind == kind)


def write_contacts(path: Path, contacts: Iterable[DemoContact], headings: tuple[str, ...]) -> None:
    """Write the file: UTF-8, comma, quotes where needed. ``headings`` are the further columns, in order."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, (*STANDARD_COLUMNS, *headings))
        writer.writeheader()
        writer.writerows(contact.row() for contact in contacts)
