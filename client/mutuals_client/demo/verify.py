"""Checking what the demo ended with against what its data was made from, and that nothing of it is left behind."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from mutuals_client.demo.agreement import agreed_form, sent_fields
from mutuals_client.demo.data import DemoCompany, DemoData

SHORTEST_NEEDLE = 6
"""Exchanged values of fewer characters are not searched for: they are found in any file by chance."""


def check_export(
    data: DemoData, *, receiver_is_left: bool, path: Path, withdrawn: Collection[str] = ()
) -> dict[str, int]:
    """Compare one company's campaign file with the truth; how many of each kind of fault, all 0 in a sound run.

    ``missing`` and ``unexpected`` contacts against the true overlap, ``without_consent`` rows of contacts that may
    not take part, ``other_fields`` columns outside the agreement, ``wrong_values`` cells that are not the agreed form
    of what the partner knows of that very contact. ``withdrawn`` are contacts of the partner, by its ids, that count
    no more.
    """
    truth = data.truth
    own, partner = (truth.left, data.right) if receiver_is_left else (truth.right, data.left)
    partners_of = defaultdict(set)
    for left, right in truth.pairs:
        one, other = (left, right) if receiver_is_left else (right, left)
        if other not in withdrawn:
            partners_of[one].add(other)
    rows, columns = _read(path)
    found = [row["contact_id"] for row in rows]
    allowed = {"contact_id", *sent_fields(partner.profile)}
    return {
        "missing": len(partners_of.keys() - set(found)),
        "unexpected": len(set(found) - partners_of.keys()) + len(found) - len(set(found)),
        "without_consent": len(set(found) - own.taking_part),
        "other_fields": len(set(columns) - allowed),
        "wrong_values": sum(not _fits(row, partner, partners_of[row["contact_id"]]) for row in rows),
    }


def exchanged_values(*exports: Path) -> frozenset[bytes]:
    """What campaign files hold that can be searched for: contact ids of the overlap, and values as they arrived."""
    values = {value for path in exports for row in _read(path)[0] for value in row.values()}
    return frozenset(
        value.encode() for value in values if len(value) >= SHORTEST_NEEDLE and not _is_date(value)
    )


def found_in(files: Iterable[Path], values: Collection[bytes]) -> tuple[int, frozenset[bytes]]:
    """Search the raw bytes of ``files``: how many bytes were searched, and which of ``values`` stand in them."""
    found: set[bytes] = set()
    size = 0
    for path in files:
        content = path.read_bytes()
        size += len(content)
        found.update(value for value in values if value in content)
    return size, frozenset(found)


def _is_date(value: str) -> bool:
    """Whether it is a month, as dates arrive; any log has months."""
    return re.fullmatch(r"\d{4}-\d{2}", value) is not None


def _fits(row: dict[str, str], partner: DemoCompany, known_as: set[str]) -> bool:
    """Whether the row is exactly what the partner knows of one of the contacts it may stand for."""
    values = {name: value for name, value in row.items() if name != "contact_id"}
    return any(
        {name: agreed_form(name, value) for name, value in partner.agreed_values(contact).items()} == values
        for contact in known_as
    )


def _read(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The rows and headings, these without the partner's name that a field's heading begins with."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        columns = [heading.rpartition(": ")[2] for heading in reader.fieldnames or []]
        return [dict(zip(columns, row.values(), strict=True)) for row in reader], columns
