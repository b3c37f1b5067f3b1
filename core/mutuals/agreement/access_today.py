"""Which fields the own sources have, and who has access to what today: where writing a policy starts.

headings = own_headings(peer)          # {"crm": ("contact_id", "email", ...)}
lines = access_today(tx, now)          # sentences
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.agreement.active import verify_stored
from mutuals.errors import MutualsError
from mutuals.identity.operators import ACCOUNTABILITY_ROLES, AUTHORISE_ROLES, READ_ROLES
from mutuals.models.agreement import AgreementState

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction


def own_headings(peer: Peer) -> dict[str, tuple[str, ...]]:
    """The headings of each own source, first those of what identifies and consents; nothing else of it is kept.

    They are the source's own (``Email``, ``Person - Email - Work``), by which the policy is asked for a column.

    Raises MutualsError (INPUT_QUALITY) where a source cannot be read.
    """
    from mutuals.sources import SourceDefinition
    from mutuals.sources.definition import STANDARD_COLUMNS
    from mutuals.sources.mapped import used_headings
    from mutuals.sources.readers import read_through

    with peer.store.transaction() as tx:
        rows = tx.sources.list()
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        definition = SourceDefinition.model_validate_json(row.definition)
        source = read_through(definition)
        if definition.mapping is not None:
            standard = used_headings(definition.mapping)
        else:
            standard = tuple(
                definition.heading(name) for name in STANDARD_COLUMNS if name not in source.absent
            )
        found[row.name] = tuple(dict.fromkeys((*standard, *source.headings)))
    return found


def reading_departments(tx: Transaction) -> tuple[str, ...]:
    """The departments that have an operator who may read, by name."""
    return tuple(
        sorted(
            {
                row.department
                for row in tx.operators.list()
                if row.disabled_at is None and READ_ROLES.intersection(row.roles)
            }
        )
    )


def all_departments(tx: Transaction) -> tuple[str, ...]:
    """Every department that an active operator is in or that a living agreement gives a field of ours to use."""
    found = {row.department for row in tx.operators.list() if row.disabled_at is None}
    for row in tx.agreements.list():
        if row.state in {AgreementState.PROPOSED, AgreementState.ACTIVE, AgreementState.SUSPENDED}:
            try:
                agreement = verify_stored(row)
            except MutualsError:  # named by policy check
                continue
            found.update(name for item in agreement.sends(row.own_side.other) for name in item.departments)
    return tuple(sorted(found))


def access_today(tx: Transaction) -> tuple[str, ...]:
    """Who may read, send and answer for data at this moment, a sentence each."""
    lines: list[str] = []
    for row in tx.operators.list():
        if row.disabled_at is not None:
            continue
        may = [
            words
            for roles, words in (
                (READ_ROLES, "reads and exports what partners sent"),
                (AUTHORISE_ROLES, "lets fields leave"),
                (ACCOUNTABILITY_ROLES, "opens the ledger of what was sent"),
            )
            if roles.intersection(row.roles)
        ]
        lines.append(
            f"operator {row.name} ({', '.join(row.roles)}; {row.department}): {', '.join(may) or 'no data'}"
        )
    for agreement_row in tx.agreements.list():
        if agreement_row.state is not AgreementState.ACTIVE:
            continue
        try:
            agreement = verify_stored(agreement_row)
        except MutualsError:  # named by policy check
            continue
        side = agreement_row.own_side
        sent = ", ".join(item.name for item in agreement.sends(side)) or "nothing"
        lines.append(f"agreement {agreement_row.agreement_id}: you send {sent}")
        lines.extend(
            f"agreement {agreement_row.agreement_id}: {item.name} (category {item.category}) comes in, for "
            f"{', '.join(item.departments)}"
            for item in agreement.sends(side.other)
        )
    taken: dict[tuple[str, tuple[str, ...]], int] = {}
    for export in tx.exports.list():
        key = (export.operator, export.fields)
        taken[key] = taken.get(key, 0) + 1
    lines.extend(
        f"{operator} exported {', '.join(fields)}: {count} time{'s' if count > 1 else ''}"
        for (operator, fields), count in taken.items()
    )
    return tuple(lines)
