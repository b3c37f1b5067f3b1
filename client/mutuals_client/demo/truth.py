"""What the demo must find, known from how its data was made and from nothing else.

The rules applied here are the agreement's (DESIGN §6, §7), over identifiers that the generator wrote down when it
invented the people; no code of the product takes part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mutuals_client.demo.contacts import DemoContact


@dataclass(frozen=True)
class SideTruth:
    """One company's part, as contact ids or numbers.

    ``contacts`` rows in all; ``eligible`` by consent, notice and suppression; ``taking_part`` those of them with an
    identifier to be matched by; ``items`` identifiers that enter the match, while ``shared_identifiers`` of several
    contacts stay out; ``matched`` own contacts in the overlap.

    One record leaves this side for every contact in ``matched``, where the agreement sends fields in that direction.
    """

    contacts: int
    eligible: frozenset[str]
    taking_part: frozenset[str]
    items: int
    shared_identifiers: int
    matched: frozenset[str]


@dataclass(frozen=True)
class DemoTruth:
    """What an honest run over the two lists establishes.

    ``overlap`` holds the typed identifiers both sides put in, ``pairs`` the (left, right) contact ids they join,
    ``in_common`` the number of people who are on both lists in any form, with or without consent.
    """

    overlap: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    left: SideTruth
    right: SideTruth
    in_common: int

    def numbers(self) -> dict[str, int]:
        """The expected numbers by name."""
        return {
            "people_in_common": self.in_common,
            "overlap_items": len(self.overlap),
            "left_contacts": self.left.contacts,
            "left_eligible": len(self.left.eligible),
            "left_taking_part": len(self.left.taking_part),
            "left_items": self.left.items,
            "left_matched": len(self.left.matched),
            "right_contacts": self.right.contacts,
            "right_eligible": len(self.right.eligible),
            "right_taking_part": len(self.right.taking_part),
            "right_items": self.right.items,
            "right_matched": len(self.right.matched),
        }


def establish(left: Iterable[DemoContact], right: Iterable[DemoContact]) -> DemoTruth:
    """The truth about two lists."""
    lists = (list(left), list(right))
    holders = tuple(_holders(contacts) for contacts in lists)
    eligible = tuple(frozenset(one.contact_id for one in contacts if one.eligible) for contacts in lists)
    # An identifier that several contacts hold names no one person, whether or not they all take part.
    items = tuple(
        {identifier: next(iter(ids)) for identifier, ids in held.items() if len(ids) == 1 and ids <= allowed}
        for held, allowed in zip(holders, eligible, strict=True)
    )
    overlap = frozenset(items[0].keys() & items[1].keys())
    sides = [
        SideTruth(
            contacts=len(contacts),
            eligible=allowed,
            taking_part=frozenset(own.values()),
            items=len(own),
            shared_identifiers=sum(len(ids) > 1 for ids in held.values()),
            matched=frozenset(own[identifier] for identifier in overlap),
        )
        for contacts, allowed, own, held in zip(lists, eligible, items, holders, strict=True)
    ]
    people = [{one.person for one in contacts} for contacts in lists]
    return DemoTruth(
        overlap=overlap,
        pairs=frozenset((items[0][identifier], items[1][identifier]) for identifier in overlap),
        left=sides[0],
        right=sides[1],
        in_common=len(people[0] & people[1]),
    )


def _holders(contacts: Iterable[DemoContact]) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    for contact in contacts:
        for identifier in contact.identifiers:
            held.setdefault(identifier, set()).add(contact.contact_id)
    return held
