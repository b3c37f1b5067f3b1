"""Checking what the demo ended with against what its data was made from."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from mutuals_client.demo.agreement import agreed_form, sent_fields
from mutuals_client.demo.data import DemoCompany, DemoData


def check_export(data: DemoData, *, receiver_is_left: bool, path: Path) -> dict[str, int]:
    """Compare one company's campaign file with the truth; how many of each kind of fault, all 0 in a sound run.

    ``missing`` and ``unexpected`` contacts against the true overlap, ``without_consent`` rows of contacts that may
    not take part, ``other_fields`` columns outside the agreement, ``wrong_values`` cells that are not the agreed form
    of what the partner knows of that very contact.
    """
    truth = data.truth
    own, partner = (truth.left, data.right) if receiver_is_left else (truth.right, data.left)
    partners_of = defaultdict(set)
    for left, right in truth.pairs:
        partners_of[left if receiver_is_left else right].add(right if receiver_is_left else left)
    rows, columns = _read(path)
    found = [row["contact_id"] for row in rows]
    allowed = {"contact_id", *sent_fields(partner.profile)}
    return {
        "missing": len(own.matched - set(found)),
        "unexpected": len(set(found) - own.matched) + len(found) - len(set(found)),
        "without_consent": len(set(found) - own.taking_part),
        "other_fields": len(set(columns) - allowed),
        "wrong_values": sum(not _fits(row, partner, partners_of[row["contact_id"]]) for row in rows),
    }


def _fits(row: dict[str, str], partner: DemoCompany, known_as: set[str]) -> bool:
    """Whether the row is exactly what the partner knows of one of the contacts it may stand for."""
    values = {name: value for name, value in row.items() if name != "contact_id"}
    return any(
        {name: agreed_form(name, value) for name, value in partner.agreed_values(contact).items()} == values
        for contact in known_as
    )


def _read(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        return list(reader), list(reader.fieldnames or [])
