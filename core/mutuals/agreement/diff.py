"""What differs between two versions of an agreement, key by key, in words that people decide by.

changes = compare(old, new)
render_changes("What changes", changes)

Sides are compared by who they are: where the other party drafted the later version, its fields are still its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from mutuals.agreement.blocks import Block, Clause, Grid, to_terminal
from mutuals.models.agreement import Agreement, AgreementState, Side

if TYPE_CHECKING:
    from rich.console import Group

    from mutuals.store.database import Transaction
    from mutuals.store.rows import AgreementRow

_UNSAID = frozenset({"format", "nonce", "version", "replaces"})
_NOTHING = "–"


@dataclass(frozen=True)
class Change:
    """One key that differs: ``key`` as the draft has it, ``what`` in words; no ``old`` where added, no ``new`` where
    removed.
    """

    key: str
    what: str
    old: str | None
    new: str | None

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"


def flipped(agreement: Agreement) -> Agreement:
    """The same terms as the other party would draft them: proposer and partner change places."""
    values = agreement.model_dump()
    values["parties"] = {side.value: values["parties"][side.other.value] for side in Side}
    values["proposer_sends"], values["partner_sends"] = values["partner_sends"], values["proposer_sends"]
    return Agreement.model_validate(values)


def compare(old: Agreement, new: Agreement) -> list[Change]:
    """Every key in which ``new`` differs from ``old``, in the order of the document."""
    if old.parties.proposer.fingerprint == new.parties.partner.fingerprint:
        old = flipped(old)
    shared = _field_names(old) & _field_names(new)
    before, after = dict(_leaves(old, shared)), dict(_leaves(new, shared))
    keys = list(dict.fromkeys([*after, *before]))
    return [
        Change(key, _words(key, new), before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def base_of(tx: Transaction, row: AgreementRow) -> AgreementRow | None:
    """What ``row`` changes: the version it replaces, or the proposal that it was made in place of; else nothing."""
    answered = [
        other
        for other in tx.agreements.list()
        if other.partner == row.partner
        and other.state is AgreementState.REJECTED
        and other.own_side is not row.own_side
        and (other.reason or "").endswith(counter_sentence(row.agreement_id))
    ]
    if answered:
        return answered[-1]
    return tx.agreements.get(row.replaces) if row.replaces else None


def counter_sentence(counter: str) -> str:
    """The last sentence of the reason by which a proposal is turned down for the ``counter``-proposal (id)."""
    return f"The counter-proposal {counter} takes its place."


def render_changes(title: str, changes: list[Change]) -> Group:
    """The changes as a table for a terminal."""
    blocks: list[Block] = [Clause("Nothing differs but the number and the date of drafting.")]
    if changes:
        rows = tuple(
            (change.kind, change.what, change.old or _NOTHING, change.new or _NOTHING) for change in changes
        )
        blocks = [Grid(("", "What", "Before", "Now"), rows)]
    return to_terminal(title, blocks)


def _field_names(agreement: Agreement) -> set[tuple[Side, str]]:
    return {(side, field.name) for side in Side for field in agreement.sends(side)}


def _leaves(agreement: Agreement, shared: set[tuple[Side, str]]) -> Iterator[tuple[str, str]]:
    """Dotted key and value as text. A field stands under its name, so that its place in the list does not matter; one
    that is not ``shared`` with the other version as a whole.
    """
    for name, value in agreement.model_dump().items():
        if name in _UNSAID:
            continue
        if name.endswith("_sends"):
            side = Side(name.removesuffix("_sends"))
            for field in value:
                parts = {key: _text(part) for key, part in field.items() if key != "name"}
                if (side, field["name"]) in shared:
                    for key, part in parts.items():
                        yield f"{name}.{field['name']}.{key}", part
                else:
                    whole = "; ".join(f"{_FIELD[key]}: {part}" for key, part in parts.items())
                    yield f"{name}.{field['name']}", whole
        elif isinstance(value, dict):
            yield from _table(name, value)
        else:
            yield name, _text(value)


def _table(path: str, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _table(f"{path}.{key}", value)
        else:
            yield f"{path}.{key}", _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return "; ".join(str(member) for member in value) or "none"
    return str(value)


def _words(key: str, agreement: Agreement) -> str:
    """A key in words, with the companies' names in place of the sides."""
    parts = key.split(".")
    for side in Side:
        name = agreement.party(side).organisation
        if parts[0] == f"{side.value}_sends":
            which = f": {_FIELD[parts[2]]}" if len(parts) > 2 else ""
            return f"{name} sends “{parts[1]}”{which}"
        if parts[:2] == ["parties", side.value]:
            return f"{name}: {_plain(parts[2])}"
    return _KEYS.get(key) or ": ".join(_plain(part) for part in parts)


def _plain(part: str) -> str:
    return part.replace("_", " ")


_FIELD = {
    "type": "type",
    "category": "category of data",
    "sensitivity": "sensitivity",
    "transform": "what is done before it leaves",
    "retention_days": "days it may be kept",
    "departments": "departments that may use it",
}

_KEYS = {
    "title": "Title",
    "purpose": "Purpose",
    "prohibited_uses": "Prohibited uses",
    "valid_from": "First day in force",
    "valid_until": "Last day in force",
    "governing_law": "Governing law",
    "onward_transfer": "Onward transfer",
    "international_transfer": "Transfer abroad",
    "liabilities": "Liability",
    "minors": "Minors",
    "vendors": "Vendors of the recipients",
    "runs_of_replaced": "Runs begun under the version before",
    "matching.identifiers": "Identifiers compared",
    "matching.profile": "Rules of normalisation",
    "matching.profile_digest": "Rules of normalisation, digest",
    "matching.engine": "Engine",
    "matching.min_set_size": "Fewest identifiers a side brings",
    "matching.max_set_size": "Most identifiers a side brings",
    "matching.min_overlap": "Smallest overlap",
    "matching.min_change_between_runs": "Least change of a list between two matches",
    "matching.runs_per_30_days": "Runs in 30 days",
    "matching.items_per_30_days": "Identifiers announced in 30 days",
    "matching.pad_sizes": "Sizes hidden by padding",
    "matching.shared_identifiers": "Identifiers that several contacts hold",
    "matching.reveal_within_days": "Days from count to reveal",
    "permission.reveal": "Permission for a reveal",
    "permission.exchange": "Permission for an exchange",
    "consent.purpose": "Purpose that a contact must have granted",
    "consent.max_age_days": "Days that a consent counts",
    "consent.notice_required": "Notice to the contact required",
    "consent.notice_since": "Notice given on or after",
    "security.measures": "Security measures",
    "security.breach_notification_hours": "Hours to tell of a breach",
    "security.breach_contact": "Whom to tell of a breach",
    "security.attestation_every_days": "Days between attestations",
    "termination.notice_days": "Days of notice",
    "termination.certificate_within_days": "Days to certify the deletion",
}
