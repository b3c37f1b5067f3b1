"""``mutuals agreement diff``: what differs between two versions, or between a proposal and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_show import PARTNER, REFERENCE, name_agreement
from mutuals_client.console import Command, open_peer, result, say

if TYPE_CHECKING:
    from mutuals.models.agreement import Agreement
    from mutuals.store.rows import AgreementRow


def register(group: typer.Typer) -> None:
    """Add the command to the group ``agreement``."""
    group.command("diff", cls=Command)(diff)


def diff(
    reference: str = REFERENCE,
    other: str | None = typer.Argument(
        None, metavar="[ID|FILE]", help="The later one. [default: the first, against what it changes]"
    ),
    partner: str | None = PARTNER,
) -> None:
    """Show what differs between two agreements, versions or drafts, key by key and in words.

    With one alone: an amendment against the version it replaces, a counter-proposal against what it answers.
    Example: mutuals agreement diff A-7Q3K2M9X next.toml
    """
    from mutuals.agreement.diff import base_of, compare, render_changes

    with open_peer() as peer:
        first = name_agreement(peer, reference, partner)
        if other is not None:
            second = name_agreement(peer, other, partner)
            old, new, names = first.agreement, second.agreement, (reference, other)
        else:
            with peer.store.transaction() as tx:
                row = first.row
                base = (
                    base_of(tx, row) if row is not None else tx.agreements.get(first.agreement.replaces or "")
                )
            if base is None:
                raise MutualsError(
                    ErrorCode.USAGE,
                    f"{reference} changes nothing that is known here; name what to compare it with.",
                    hint="For example: mutuals agreement diff A-7Q3K2M9X draft.toml",
                )
            old, new, names = _stored(base), first.agreement, (base.agreement_id, reference)
    changes = compare(old, new)
    say(render_changes(f"From {names[0]} to {names[1]}", changes))
    result(
        old=names[0],
        new=names[1],
        changes=[
            {"key": item.key, "what": item.what, "kind": item.kind, "old": item.old, "new": item.new}
            for item in changes
        ],
    )


def say_changes(old: AgreementRow, new: Agreement) -> None:
    """For somebody about to sign: what differs from ``old``."""
    from mutuals.agreement.diff import compare, render_changes

    say(render_changes(f"What changes against {old.agreement_id}", compare(_stored(old), new)), "")


def _stored(row: AgreementRow) -> Agreement:
    from mutuals.agreement.active import verify_stored

    return verify_stored(row)
