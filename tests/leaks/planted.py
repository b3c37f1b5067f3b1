"""Identifiers and values that must never turn up anywhere, in every form they could take.

planted = Planted(agreement, rows)
planted.found_in(data)        the names of the forms in ``data`` (bytes), [] where there are none
planted.sentence              what an injected exception says: all of it
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from support.pairing import contact

from mutuals.protocol.items import items_for, row_keys
from mutuals.protocol.transcript import pair_handles

SHARED = range(3, 7)
"""Numbers of the contacts that both sides hold."""


def rows(side: str) -> list[dict[str, str]]:
    """The contacts of one side: each value in them is to be found nowhere else in the world."""
    numbers = range(7) if side == "left" else range(3, 10)
    return [
        contact(
            f"PLANT-{side}-{number:04d}",
            f"planted.person{number}@leak-{number}.example",
            f"+4915155{number:06d}",
            city=f"Plantville{number}{side}",
            score=str(481516230000 + 100 * number + (side == "left")),
        )
        for number in numbers
    ]


@dataclass(frozen=True)
class Planted:
    """Everything to look for. ``forms`` maps the bytes of a form to what they are."""

    sentence: str
    forms: Mapping[bytes, str] = field(repr=False)

    def found_in(self, data: bytes) -> list[str]:
        """What of the planted is in ``data``, in any upper or lower case."""
        lowered = data.lower()
        return [name for form, name in self.forms.items() if form in data or form in lowered]


def plant(agreement: str, sids: Sequence[bytes]) -> Planted:
    """What is planted under the agreement with this digest (hex) and in the runs with these ids."""
    everyone = {row["email"]: row for side in ("left", "right") for row in rows(side)}
    forms: dict[bytes, str] = {}
    identifiers = []
    for row in everyone.values():
        identifiers += [f"email:{row['email']}", f"phone:{row['phone']}"]
    for side in ("left", "right"):
        for row in rows(side):
            for name in ("contact_id", "email", "phone", "city", "score"):
                forms[row[name].lower().encode()] = f"{name} {row[name]}"
                forms[row[name].encode()] = f"{name} {row[name]}"
            forms[row["phone"][1:].encode()] = f"phone {row['phone']} without its plus"
    plain = [text for identifier in identifiers for text in (identifier, identifier.partition(":")[2])]
    for text in plain:
        forms.update(_encoded(hashlib.sha256(text.encode()).digest(), f"SHA-256 of {text}"))
    items = items_for(bytes.fromhex(agreement), identifiers)
    for item, text in zip(items, identifiers, strict=True):
        forms.update(_encoded(item.tobytes(), f"item of {text}"))
    for sid in sids:
        for handle, text in zip(pair_handles(sid, row_keys(items)), identifiers, strict=True):
            forms.update(_encoded(bytes(handle).ljust(32, b"\0"), f"handle of {text}"))
    return Planted(_sentence(rows("left")[4], bytes.fromhex(agreement)), forms)


def _encoded(data: bytes, name: str) -> dict[bytes, str]:
    return {
        data: f"{name}, raw",
        data.hex().encode(): f"{name}, hex",
        base64.b64encode(data).rstrip(b"="): f"{name}, base64",
        base64.urlsafe_b64encode(data).rstrip(b"="): f"{name}, base64url",
    }


def _sentence(row: Mapping[str, str], agreement: bytes) -> str:
    item = items_for(agreement, [f"email:{row['email']}"])[0].tobytes()
    digest = hashlib.sha256(row["email"].encode()).digest()
    values: Iterable[str] = (row[name] for name in ("contact_id", "email", "phone", "city", "score"))
    return " ".join([*values, digest.hex(), base64.b64encode(digest).decode(), item.hex()])
